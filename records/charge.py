"""The charge of a payment at its gateway, as we keep it: begun once, answered, and asked about in time."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import clock
from records import liveness, notification, payment
from records.client import STILL_OPEN
from records.db import Base, driver, read_only
from records.payment import NOT_FINAL, Payment
from records.sealed import keyed_hash, seal_json

Outcome = Literal["new", "again", "running", "known", "other_body", "key_reused", "taken"]
NEXT_EXTERNAL_ID = sa.select(sa.func.next_external_id())
ONE_QUESTION_A = timedelta(seconds=1)
# No charge takes longer, with its token and its tries; what did not say that it is over by then is over.
_LONGEST_CALL = timedelta(minutes=5)
_PAYER_MAY_BE_AT_IT = timedelta(hours=2)


class IdempotencyKey(Base):
    """A key that a client gave to one request; kept as long as `records.retention` says. answer: kept where
    what the request did does not tell it."""

    __tablename__ = "idempotency_keys"
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"), primary_key=True)
    key: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(sa.LargeBinary)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=sa.text("now()"))
    answer: Mapped[Any | None] = mapped_column(JSONB)


@dataclass(frozen=True)
class Wanted:
    """A payment that a client asks for. body: the whole request, for its fingerprint; learner: who pays."""

    client_id: UUID
    reference: str
    gateway: str
    amount_minor: int
    currency: str
    learner: dict[str, Any] = field(repr=False)
    program_code: str | None
    description: str
    return_url: str
    lives_seconds: int
    body: bytes = field(repr=False)
    idempotency_key: str | None = None


# A payer waits for this: plain SQL, as the mapper takes longer to write it than the database to work it.
_OPEN = """
    WITH entitled AS ({entitled}),
    made AS (
        INSERT INTO payments (reference, gateway, amount_minor, currency, status, created_at, client_id,
            learner_id, learner, program_code, description, return_url, fingerprint, external_id,
            expires_at, busy_by, busy_until, next_status_at)
        SELECT %(reference)s, %(gateway)s, %(amount_minor)s, %(currency)s, 'created', %(created_at)s,
            %(client_id)s, %(learner_id)s, %(learner)s, %(program_code)s, %(description)s, %(return_url)s,
            %(fingerprint)s, next_external_id(), %(expires_at)s, %(busy_by)s, %(busy_until)s,
            %(next_status_at)s FROM entitled
        ON CONFLICT (reference) DO NOTHING RETURNING id, external_id, reference, gateway, status),
    told AS (
        INSERT INTO payment_events (payment_id, cause, source, to_status, note)
        SELECT id, 'api', 'create', status, 'The platform asked for the payment.' FROM made),
    joined AS (
        UPDATE notifications SET state = 'received', due_at = now(), reason = NULL FROM made
        WHERE notifications.gateway = made.gateway AND notifications.reference = made.reference
            AND notifications.state = 'quarantined' AND notifications.reason = %(unknown_order)s)
    SELECT id, external_id FROM made"""
_OPEN_FREELY, _OPEN_IF_STILL = (_OPEN.format(entitled=one).encode() for one in ("SELECT", STILL_OPEN))


def open_new(
    db: psycopg.Connection,
    wanted: Wanted,
    *,
    first_question_after: timedelta,
    still_open: dict[str, Any] | None = None,
) -> Payment | None:
    """Open the payment in one statement, marked as the caller's to charge; None where the reference is used,
    or the key of the API opens the door no more (`records.client.still_open`).

    What the gateway told us of it before we had it is worked again.
    """
    now = clock.now()
    columns: dict[str, Any] = {
        "reference": wanted.reference,
        "gateway": wanted.gateway,
        "amount_minor": wanted.amount_minor,
        "currency": wanted.currency,
        "created_at": now,
        "client_id": wanted.client_id,
        "learner_id": wanted.learner["id"],
        "program_code": wanted.program_code,
        "description": wanted.description,
        "return_url": wanted.return_url,
        "fingerprint": _fingerprint(wanted),
        "expires_at": now + timedelta(seconds=wanted.lives_seconds),
        "busy_by": liveness.own_number(),
        "busy_until": now + _LONGEST_CALL,
        "next_status_at": now + first_question_after,
    }
    more = {
        "learner": seal_json(wanted.learner),
        "unknown_order": notification.UNKNOWN_ORDER,
        **(still_open or {}),
    }
    statement = _OPEN_FREELY if still_open is None else _OPEN_IF_STILL
    made = db.execute(statement, columns | more, prepare=True).fetchone()
    if made is None:
        return None
    id, external_id = made
    new = {"id": id, "external_id": external_id, "status": "created", "refunded_minor": 0}
    return read_only(Payment, columns | new)


def begin(
    session: Session, wanted: Wanted, *, left_alone_for: timedelta, first_question_after: timedelta
) -> tuple[Outcome, Payment | None]:
    """Open the payment, or find the one there is; the row lock is held until the caller commits.

    `new` and `again` are the caller's to charge: it has marked the row as its own (`release` gives it up).
    `again`: an earlier try ended without an answer. `running`: somebody is at it now. `known`: there is an
    answer, or it is too early to ask. `other_body`, `key_reused`: the reference or the key names another
    request; `taken`: the reference is another client's.
    """
    if wanted.idempotency_key is not None and not _is_same_key(session, wanted):
        return "key_reused", None
    made = open_new(driver(session), wanted, first_question_after=first_question_after)
    if made is not None:
        return "new", made
    found = session.scalars(
        sa.select(Payment).where(Payment.reference == wanted.reference).with_for_update()
    ).one()
    if found.client_id != wanted.client_id:
        return "taken", None
    if found.fingerprint != _fingerprint(wanted):
        return "other_body", None
    return _known(session, found, clock.now(), left_alone_for), found


_ANSWERED = sa.select(Payment).from_statement(
    sa.text(
        """UPDATE payments SET gateway_reference = coalesce(:gateway_reference, gateway_reference),
            actions = CAST(:actions AS jsonb), expires_at = :expires_at, busy_by = NULL,
            next_status_at = CASE WHEN status IN ('created', 'unknown', 'pending') THEN :next_status_at
                ELSE next_status_at END
        WHERE id = :id RETURNING *"""
    )
)


def answered(
    session: Session,
    payment_id: UUID,
    *,
    gateway_reference: str | None,
    actions: list[dict[str, Any]],
    expires_at: datetime | None,
    next_status_at: datetime,
) -> Payment:
    """Keep what the gateway said of the charge: nobody is at it any more. The row stays locked."""
    found: Payment = session.scalars(
        _ANSWERED,
        {
            "id": payment_id,
            "gateway_reference": gateway_reference,
            "actions": json.dumps(actions),
            "expires_at": expires_at,
            "next_status_at": next_status_at,
        },
        execution_options={"populate_existing": True},
    ).one()
    return found


def release(session: Session, payment_id: UUID) -> None:
    """This process is not at the payment's charge any more."""
    ours = sa.and_(Payment.id == payment_id, Payment.busy_by == liveness.own_number())
    session.execute(sa.update(Payment).where(ours).values(busy_by=None))


def may_ask(session: Session, payment_id: UUID) -> bool:
    """The right to ask the gateway about a payment: one question a second, whoever asks."""
    now = clock.now()
    asked = sa.or_(Payment.asked_at.is_(None), Payment.asked_at <= now - ONE_QUESTION_A)
    right = sa.update(Payment).where(Payment.id == payment_id, asked).values(asked_at=now)
    got = session.execute(right.returning(Payment.id).execution_options(synchronize_session=False))
    return got.first() is not None


def due(session: Session, gateway: str, before: datetime, made_before: datetime, limit: int) -> list[Payment]:
    """Payments of a gateway whose status is to be asked by then, and that were made before `made_before`:
    those that a payer may be at first, then the longest due. A ledger of old ones that was taken over must
    not keep the new ones waiting."""
    return list(
        session.scalars(
            sa.select(Payment)
            .where(
                Payment.gateway == gateway,
                Payment.next_status_at <= before,
                Payment.created_at <= made_before,
            )
            .order_by(Payment.created_at < before - _PAYER_MAY_BE_AT_IT, Payment.next_status_at)
            .limit(limit)
        )
    )


def asked(
    session: Session, times: Sequence[tuple[UUID, str, datetime | None]], answered: Sequence[UUID]
) -> None:
    """Note for many payments at once when to ask them next, and that some were answered.

    times: id, the status that it had when it was asked about, and when to ask next.
    """
    if not times:
        return
    session.execute(
        sa.text(
            # What has moved since it was read has got its next question from whoever moved it.
            "UPDATE payments p SET asked_at = :now,"
            " next_status_at = CASE WHEN p.status = n.status THEN n.at ELSE p.next_status_at END,"
            " answered_at = CASE WHEN p.id = ANY(:answered) THEN :now ELSE answered_at END"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:times AS timestamptz[]))"
            " AS n(id, status, at) WHERE p.id = n.id"
        ),
        {
            "now": clock.now(),
            "ids": [one for one, _, _ in times],
            "statuses": [status for _, status, _ in times],
            "times": [at for _, _, at in times],
            "answered": list(answered),
        },
    )


@dataclass(frozen=True)
class OpenCharges:
    """How many payments of live charges are not final, and since when the oldest of them is."""

    count: int
    oldest: datetime | None


def still_open(session: Session) -> OpenCharges:
    """All payments that wait for a gateway's last word."""
    count, oldest = session.execute(
        sa.select(sa.func.count(), sa.func.min(Payment.created_at)).where(
            Payment.next_status_at.is_not(None), Payment.status.in_(NOT_FINAL)
        )
    ).one()
    return OpenCharges(count, oldest)


def _known(session: Session, found: Payment, now: datetime, left_alone_for: timedelta) -> Outcome:
    """What a repeated request may do with the payment that is there."""
    is_in_time = found.busy_until is not None and now < found.busy_until
    if found.busy_by is not None and is_in_time and liveness.is_alive(session, found.busy_by):
        return "running"
    if found.status == "created":
        found.busy_by = None
        payment.apply(
            session,
            found,
            "unknown",
            cause="repair",
            source="create",
            note="The process that was at the charge died; whether the gateway has it is not known.",
        )
    has_no_answer = found.status == "unknown" or (found.status == "pending" and found.actions is None)
    is_over = found.expires_at is not None and now >= found.expires_at  # what it became, the sweep finds out
    if not has_no_answer or is_over or now < found.created_at + left_alone_for:
        return "known"
    found.busy_by, found.busy_until = liveness.own_number(), now + _LONGEST_CALL
    return "again"


def _is_same_key(session: Session, wanted: Wanted) -> bool:
    fingerprint = _fingerprint(wanted)
    session.execute(
        insert(IdempotencyKey)
        .values(client_id=wanted.client_id, key=wanted.idempotency_key, fingerprint=fingerprint)
        .on_conflict_do_nothing()
    )
    kept = session.get_one(IdempotencyKey, (wanted.client_id, wanted.idempotency_key))
    return kept.fingerprint == fingerprint


def _fingerprint(wanted: Wanted) -> bytes:
    return keyed_hash("request", wanted.body)
