"""Payments and refunds of the ledger: what a learner owes and got back, and how its state may move."""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args
from uuid import UUID

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.orm.attributes import set_committed_value

from common import clock
from common.money import MINOR_PER_UNIT
from records import platform_events
from records.db import Base, read_only
from records.sealed import seal

PaymentStatus = Literal[
    "created",
    "pending",
    "paid",
    "partially_refunded",
    "refunded",
    "expired",
    "cancelled",
    "denied",
    "reversed",
    "unknown",
]
PAYMENT_STATUSES: frozenset[str] = frozenset(get_args(PaymentStatus))
PAID: frozenset[str] = frozenset({"paid", "partially_refunded", "refunded"})
NOT_FINAL: frozenset[str] = frozenset({"created", "unknown", "pending"})
ENDS_UNPAID: frozenset[str] = frozenset({"expired", "cancelled", "denied"})

# Where each state may move. A state never moves backwards; `unknown` heals by the gateway's status.
MOVES: dict[str, frozenset[str]] = {
    "created": frozenset({"pending", "paid", "unknown"}) | ENDS_UNPAID,
    "unknown": frozenset({"pending", "paid"}) | ENDS_UNPAID,
    "pending": frozenset({"paid"}) | ENDS_UNPAID,
    "paid": frozenset({"partially_refunded", "refunded", "reversed"}),
    "partially_refunded": frozenset({"refunded", "reversed"}),
    "refunded": frozenset(),
    "expired": frozenset(),
    "cancelled": frozenset(),
    "denied": frozenset(),
    "reversed": frozenset(),
}
# What ended unpaid here and is paid there all the same: money must not be lost, so the gateway's own answer
# to our question (never a notification alone) may still move it.
_LATE: frozenset[str] = frozenset({"paid", "reversed"})
# A reversal may follow a payment within minutes, and its notification may be lost: one more look.
LOOK_AGAIN_AFTER_PAID = timedelta(minutes=10)

_TIME = TIMESTAMP(timezone=True)


class Payment(Base):
    """What a learner owes for a course and what became of it. Amounts in minor units.

    client_id: the API client that asked for it; none where it was taken over from another ledger.
    learner: what the gateway may know of the payer, sealed. fingerprint: keyed hash of the request's body.
    external_id: digits by which the gateway knows the call. busy_by: the process that is at its charge
    now, busy_until: by when it has ended, however it ends.
    asked_at, answered_at: the last question to the gateway, and its last answer. reason: why it was denied.
    """

    __tablename__ = "payments"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    reference: Mapped[str] = mapped_column(sa.Text(collation="C"))
    gateway: Mapped[str] = mapped_column(sa.Text)
    gateway_reference: Mapped[str | None] = mapped_column(sa.Text(collation="C"))
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    refunded_minor: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    currency: Mapped[str] = mapped_column(sa.Text)
    status: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(_TIME)
    paid_at: Mapped[datetime | None] = mapped_column(_TIME)
    client_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("clients.id"))
    learner_id: Mapped[str | None] = mapped_column(sa.Text)
    learner: Mapped[bytes | None] = mapped_column(sa.LargeBinary, deferred=True)
    program_code: Mapped[str | None] = mapped_column(sa.Text)
    description: Mapped[str | None] = mapped_column(sa.Text)
    return_url: Mapped[str | None] = mapped_column(sa.Text)
    fingerprint: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    external_id: Mapped[str | None] = mapped_column(sa.Text)
    actions: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB)
    expires_at: Mapped[datetime | None] = mapped_column(_TIME)
    busy_by: Mapped[int | None] = mapped_column(sa.BigInteger)
    busy_until: Mapped[datetime | None] = mapped_column(_TIME)
    asked_at: Mapped[datetime | None] = mapped_column(_TIME)
    answered_at: Mapped[datetime | None] = mapped_column(_TIME)
    next_status_at: Mapped[datetime | None] = mapped_column(_TIME)
    reason: Mapped[str | None] = mapped_column(sa.Text)


class PaymentEvent(Base):
    """One thing that happened to a payment; only ever inserted (a trigger holds that).

    note: the thing in plain words; evidence: the raw message or answer behind it, sealed. An event that
    moved nothing has the same state on both sides.
    """

    __tablename__ = "payment_events"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    payment_id: Mapped[UUID]
    refund_id: Mapped[UUID | None]
    at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    cause: Mapped[str] = mapped_column(sa.Text)
    source: Mapped[str | None] = mapped_column(sa.Text)
    from_status: Mapped[str | None] = mapped_column(sa.Text)
    to_status: Mapped[str] = mapped_column(sa.Text)
    effective_at: Mapped[datetime | None] = mapped_column(_TIME)
    note: Mapped[str | None] = mapped_column(sa.Text)
    evidence: Mapped[bytes | None] = mapped_column(sa.LargeBinary, deferred=True)


def route(from_status: str, to_status: str, *, is_confirmed: bool = False) -> tuple[str, ...]:
    """The states to go through, the last one included; empty where there is no way.

    What goes back was paid: a refund or reversal that is heard of first goes through `paid`.
    """
    if to_status in MOVES[from_status]:
        return (to_status,)
    reaches_paid = "paid" in MOVES[from_status] or (is_confirmed and from_status in ENDS_UNPAID)
    if is_confirmed and from_status in ENDS_UNPAID and to_status in _LATE:
        return (to_status,)
    return ("paid", to_status) if reaches_paid and to_status in MOVES["paid"] else ()


def locked(session: Session, payment_id: UUID) -> Payment:
    """The payment as it is now, its row locked until the transaction ends."""
    return session.get_one(Payment, payment_id, with_for_update=True, populate_existing=True)


def locked_many(session: Session, payment_ids: Collection[UUID]) -> list[Payment]:
    """The same for those of these payments that there are, locked in the order of their ids."""
    found = sa.select(Payment).where(Payment.id.in_(payment_ids)).order_by(Payment.id).with_for_update()
    return list(session.scalars(found.execution_options(populate_existing=True)))


def apply(
    session: Session,
    payment: Payment,
    to_status: PaymentStatus,
    *,
    cause: str,
    source: str,
    effective_at: datetime | None = None,
    note: str | None = None,
    evidence: bytes | None = None,
    is_confirmed: bool = False,
    reason: str | None = None,
) -> bool:
    """Move a payment to a state: the one door for every status change.

    payment: as this transaction has locked it. effective_at: when it happened at the gateway; becomes
    `paid_at` on the move to paid. evidence: the raw message or answer, sealed here. is_confirmed: the gateway
    said so when it was asked. Returns whether anything moved; a repeated or backward move changes nothing and
    writes nothing.
    """
    steps = route(payment.status, to_status, is_confirmed=is_confirmed)
    for step in steps:
        if step == "paid" and effective_at is None:
            raise ValueError("a payment becomes paid only with the time at which it was paid")
        is_last = step == to_status
        columns = {
            "status": step,
            "paid_at": effective_at if step == "paid" else payment.paid_at,
            "reason": reason if is_last else None,
            "next_status_at": _looked_at_next(payment, step),
        }
        event = {
            "payment_id": payment.id,
            "cause": cause,
            "source": source,
            "from_status": payment.status,
            "to_status": step,
            "effective_at": effective_at,
            "note": note if is_last else None,
            "evidence": seal(evidence) if evidence and is_last else None,
            "type": f"payment.{step}",
            "body": platform_events.body_of(f"payment.{step}", resource(payment, columns)),
        }
        session.execute(_MOVE, columns | event)
        for name, value in columns.items():
            set_committed_value(payment, name, value)
    return bool(steps)


# A payer waits for this: plain SQL, as the mapper takes longer to write it than the database to work it.
_MOVE = sa.text(
    """WITH moved AS (
        UPDATE payments SET status = :status, paid_at = :paid_at, reason = :reason,
            next_status_at = :next_status_at
        WHERE id = :payment_id RETURNING id, client_id),
    emitted AS (
        INSERT INTO platform_events (client_id, payment_id, type, body)
        SELECT client_id, id, :type, CAST(:body AS jsonb) FROM moved WHERE client_id IS NOT NULL)
    INSERT INTO payment_events
        (payment_id, cause, source, from_status, to_status, effective_at, note, evidence)
    VALUES (:payment_id, :cause, :source, :from_status, :to_status, :effective_at, :note, :evidence)"""
)

# Its history comes with it: what was there before the statement, and what the statement adds.
_CHARGED = b"""
    WITH moved AS (
        UPDATE payments SET status = 'pending', gateway_reference = %(gateway_reference)s,
            actions = %(actions)s::jsonb, expires_at = %(expires_at)s, next_status_at = %(next_status_at)s,
            busy_by = NULL
        WHERE id = %(id)s AND status = 'created' RETURNING id, client_id),
    told AS (
        INSERT INTO payment_events (payment_id, cause, source, from_status, to_status, note, evidence)
        SELECT id, 'charge', 'create', 'created', 'pending', %(note)s, %(evidence)s FROM moved
        RETURNING *),
    emitted AS (
        INSERT INTO platform_events (client_id, payment_id, type, body)
        SELECT client_id, id, 'payment.pending', %(body)s::jsonb FROM moved WHERE client_id IS NOT NULL)
    SELECT at, cause, source, from_status, to_status, note, before.id
    FROM payment_events before, moved WHERE before.payment_id = moved.id
    UNION ALL SELECT at, cause, source, from_status, to_status, note, id FROM told ORDER BY 7"""


_EVENT = ("at", "cause", "source", "from_status", "to_status", "note", "id")


def charged(
    db: psycopg.Connection,
    payment: Payment,
    *,
    gateway_reference: str | None,
    actions: list[dict[str, Any]],
    expires_at: datetime | None,
    next_status_at: datetime,
    note: str,
    evidence: bytes,
) -> list[PaymentEvent]:
    """The same door for the move that a payer waits for, in one statement: created → pending, with what the
    gateway answered.

    payment: as this process opened it; nobody else changes it until it moves. Returns its history, which is
    empty where it has moved already: then nothing was done.
    """
    columns = {
        "status": "pending",
        "gateway_reference": gateway_reference,
        "actions": actions,
        "expires_at": expires_at,
        "next_status_at": next_status_at,
        "busy_by": None,
    }
    events = db.execute(
        _CHARGED,
        {
            "id": payment.id,
            "gateway_reference": gateway_reference,
            "actions": json.dumps(actions),
            "expires_at": expires_at,
            "next_status_at": next_status_at,
            "note": note,
            "evidence": seal(evidence) if evidence else None,
            "body": platform_events.body_of("payment.pending", resource(payment, columns)),
        },
        prepare=True,
    ).fetchall()
    if events:
        for name, value in columns.items():
            set_committed_value(payment, name, value)
    return [
        read_only(PaymentEvent, {"payment_id": payment.id, **dict(zip(_EVENT, one, strict=True))})
        for one in events
    ]


def remark(
    session: Session,
    payment_id: UUID,
    note: str,
    *,
    cause: str,
    source: str,
    evidence: bytes | None = None,
) -> None:
    """Add to a payment's history what moved nothing and a person may want to know."""
    status = session.scalars(sa.select(Payment.status).where(Payment.id == payment_id)).one()
    session.add(
        PaymentEvent(
            payment_id=payment_id,
            cause=cause,
            source=source,
            from_status=status,
            to_status=status,
            note=note,
            evidence=seal(evidence) if evidence else None,
        )
    )


def history(session: Session, payment_id: UUID) -> list[PaymentEvent]:
    """What happened to a payment, in order. Its refunds have histories of their own (`records.refund`)."""
    found = sa.select(PaymentEvent).filter_by(payment_id=payment_id, refund_id=None)
    return list(session.scalars(found.order_by(PaymentEvent.id)))


_SHOWN = (
    "id", "reference", "gateway", "gateway_reference", "amount_minor", "currency", "status", "reason",
    "actions", "created_at", "paid_at", "expires_at", "refunded_minor",
)  # fmt: skip


def resource(payment: Payment, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The payment as others see it: JSON values, no personal data. Amounts in whole units of the currency.

    changes: columns that are about to get these values.
    """
    now = {name: getattr(payment, name) for name in _SHOWN} | dict(changes or {})
    return {
        "payment_id": str(now["id"]),
        "reference": now["reference"],
        "gateway": now["gateway"],
        "gateway_reference": now["gateway_reference"],
        "amount": now["amount_minor"] // MINOR_PER_UNIT,
        "currency": now["currency"],
        "status": now["status"],
        "reason": now["reason"],
        "actions": (now["actions"] or []) if now["status"] == "pending" else [],
        "created_at": _iso(now["created_at"]),
        "paid_at": _iso(now["paid_at"]),
        "expires_at": _iso(now["expires_at"]),
        "refunded_amount": now["refunded_minor"] // MINOR_PER_UNIT,
    }


def _looked_at_next(payment: Payment, status: str) -> datetime | None:
    """A final payment is not asked about any more; a paid one once, soon."""
    if status in NOT_FINAL:
        return payment.next_status_at
    return clock.now() + LOOK_AGAIN_AFTER_PAID if status == "paid" and payment.external_id else None


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None
