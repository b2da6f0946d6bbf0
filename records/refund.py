"""Refunds: money that goes back for a payment, once, and how far it has come.

Every function that changes a refund wants its payment locked (`records.payment.locked`): the sum of all that
are not refused never exceeds what was paid, whoever asks at the same time.
"""

from datetime import UTC, datetime
from typing import Any, Literal, get_args
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import clock
from common.money import MINOR_PER_UNIT, rupiah
from records import exceptions, platform_events, process
from records import payment as payments
from records.db import Base
from records.exceptions import ReconciliationException
from records.payment import Payment, PaymentEvent
from records.sealed import seal

PROCESS = "refund-payment"
RefundStatus = Literal[
    "requested", "awaiting_approval", "approved", "sent", "accepted", "confirmed", "refused", "unknown"
]
REFUND_STATUSES: frozenset[str] = frozenset(get_args(RefundStatus))
ENDED: frozenset[str] = frozenset({"confirmed", "refused"})
# What the gateway may know of: it is asked before anything is sent again.
SENT: frozenset[str] = frozenset({"sent", "unknown", "accepted"})

# What the gateway says of a refund goes before what we know of it: it may be ahead of us, never behind.
MOVES: dict[str, frozenset[str]] = {
    "requested": frozenset({"awaiting_approval", "approved", "accepted", "confirmed", "refused"}),
    "awaiting_approval": frozenset({"approved", "accepted", "confirmed", "refused"}),
    "approved": frozenset({"sent", "accepted", "confirmed", "refused"}),
    "sent": frozenset({"accepted", "confirmed", "refused", "unknown"}),
    "unknown": frozenset({"sent", "accepted", "confirmed", "refused"}),
    "accepted": frozenset({"confirmed", "refused"}),
    "confirmed": frozenset(),
    # Money that went back all the same must not be lost: the gateway's own list may still say so.
    "refused": frozenset({"confirmed"}),
}
_TIME = TIMESTAMP(timezone=True)


class Refund(Base):
    """Money going back for one payment.

    reference: by which the gateway and its reports know it: ours is derived from the payment and the key.
    refund_key: the client's, unique for each payment; none where we did not ask for the refund.
    external_id: digits by which the gateway knows the call. requested_by: `client:…` or `operator:…`.
    problem: why it is not further, or why it was refused. is_foreign: made at the gateway without us.
    sent_at: when the gateway was asked first. exception_id: the exception that it ends.
    charge_reference, charge_minor: the charge that it gives back, by the gateway's name, and what was paid on
    it, where that is not the charge that the payment stands on: the payment's own rest is left alone.
    line_reference: by which reports know a foreign one; is_told: whether the gateway itself has told of it.
    """

    __tablename__ = "refunds"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    payment_id: Mapped[UUID] = mapped_column(sa.ForeignKey("payments.id"))
    reference: Mapped[str] = mapped_column(sa.Text(collation="C"))
    gateway: Mapped[str] = mapped_column(sa.Text)
    gateway_reference: Mapped[str | None] = mapped_column(sa.Text(collation="C"))
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.Text)
    status: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(_TIME)
    confirmed_at: Mapped[datetime | None] = mapped_column(_TIME)
    refund_key: Mapped[str | None] = mapped_column(sa.Text)
    external_id: Mapped[str | None] = mapped_column(sa.Text)
    requested_by: Mapped[str | None] = mapped_column(sa.Text)
    reason: Mapped[str | None] = mapped_column(sa.Text)
    problem: Mapped[str | None] = mapped_column(sa.Text)
    is_foreign: Mapped[bool] = mapped_column(server_default=sa.text("false"))
    sent_at: Mapped[datetime | None] = mapped_column(_TIME)
    process_run_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("process_runs.id"))
    exception_id: Mapped[int | None] = mapped_column(sa.ForeignKey("reconciliation_exceptions.id"))
    charge_reference: Mapped[str | None] = mapped_column(sa.Text(collation="C"))
    charge_minor: Mapped[int | None] = mapped_column(sa.BigInteger)
    line_reference: Mapped[str | None] = mapped_column(sa.Text(collation="C"))
    is_told: Mapped[bool] = mapped_column(server_default=sa.text("true"))


def apply(
    session: Session,
    payment: Payment,
    refund: Refund,
    to_status: RefundStatus,
    *,
    cause: str,
    source: str,
    at: datetime | None = None,
    note: str | None = None,
    problem: str | None = None,
    gateway_reference: str | None = None,
    evidence: bytes | None = None,
    is_fresh: bool = False,
) -> bool:
    """Move a refund: the one door for every change. A repeated or backward move changes nothing.

    payment: locked. at: when the money moved, as the gateway says. problem: a sentence for people. What is
    confirmed moves the payment too and ends its exception; what has ended ends its process and tells the
    platform. is_fresh: the row was read or made after its payment was locked.
    """
    if not is_fresh:
        session.flush()  # a refresh would drop what this transaction has changed
        session.refresh(refund)
    if to_status not in MOVES[refund.status]:
        return False
    before, refund.status, refund.problem = refund.status, to_status, problem
    refund.gateway_reference = gateway_reference or refund.gateway_reference
    if to_status == "sent":
        refund.sent_at = refund.sent_at or clock.now()
    if to_status == "confirmed":
        refund.confirmed_at = at or clock.now()
    add_event(session, refund, before, cause=cause, source=source, note=note, evidence=evidence, at=at)
    if to_status == "confirmed":
        session.flush()
        _follow(session, payment, refund, cause, source)
    if to_status in ENDED and refund.exception_id is not None:
        _tell_exception(session, refund)
    if to_status in ENDED:
        if payment.client_id is not None:
            told = resource(refund, payment.reference)
            platform_events.emit(session, payment.client_id, payment.id, f"refund.{to_status}", told)
        close(session, refund)
    return True


def remark(session: Session, refund: Refund, problem: str, *, cause: str, source: str) -> None:
    """Note why a refund does not come further, once for each new reason."""
    if refund.problem != problem:
        refund.problem = problem
        add_event(session, refund, refund.status, cause=cause, source=source, note=problem)


def close(session: Session, refund: Refund) -> None:
    """End the process of a refund that has ended; who works it just now finds it so."""
    if refund.process_run_id is None:
        return
    run = session.get_one(process.ProcessRun, refund.process_run_id, with_for_update=True)
    if run.state in ("succeeded", "failed"):
        return
    outcome = {"refund_id": str(refund.id), "status": refund.status, "amount": _whole(refund)}
    if refund.status == "confirmed":
        process.finish(session, run.id, "succeeded", outcome=outcome)
    else:
        error = {"type": "refused", "message": refund.problem or "The gateway refused the refund"}
        process.finish(session, run.id, "failed", outcome=outcome, error=error)


def of_payment(session: Session, payment_id: UUID) -> list[Refund]:
    """Every refund of a payment, oldest first; ours and those made without us."""
    found = sa.select(Refund).filter_by(payment_id=payment_id).order_by(Refund.created_at, Refund.id)
    return list(session.scalars(found))


def history(session: Session, refund: Refund) -> list[PaymentEvent]:
    """What happened to a refund, in order."""
    found = sa.select(PaymentEvent).filter_by(payment_id=refund.payment_id, refund_id=refund.id)
    return list(session.scalars(found.order_by(PaymentEvent.id)))


def resource(refund: Refund, payment_reference: str) -> dict[str, Any]:
    """The refund as others see it: JSON values, no personal data. Amounts in whole units of the currency."""
    return {
        "refund_id": str(refund.id),
        "payment_id": str(refund.payment_id),
        "reference": payment_reference,
        "refund_key": refund.refund_key,
        "gateway": refund.gateway,
        "gateway_key": refund.reference,
        "gateway_reference": refund.gateway_reference,
        "amount": _whole(refund),
        "currency": refund.currency,
        "status": refund.status,
        "reason": refund.reason,
        "problem": refund.problem,
        "is_foreign": refund.is_foreign,
        "exception_id": refund.exception_id,
        "charge_reference": refund.charge_reference,
        "created_at": _iso(refund.created_at),
        "confirmed_at": _iso(refund.confirmed_at),
    }


def _follow(session: Session, payment: Payment, refund: Refund, cause: str, source: str) -> None:
    """Let the payment follow the money that has moved; that of another charge was never the payment's."""
    if refund.charge_reference is not None:
        _follow_other_charge(session, payment, refund, cause, source)
        return
    confirmed = session.scalar(
        sa.select(sa.func.sum(Refund.amount_minor)).where(
            Refund.payment_id == payment.id, Refund.status == "confirmed", Refund.charge_reference.is_(None)
        )
    )
    back = max(payment.refunded_minor, int(confirmed or 0))
    if back > payment.amount_minor:
        note = f"{rupiah(back)} went back of {rupiah(payment.amount_minor)}: a person has to look."
        payments.remark(session, payment.id, note, cause=cause, source=source)
    payment.refunded_minor = min(back, payment.amount_minor)
    session.flush()
    payments.apply(
        session,
        payment,
        "refunded" if payment.refunded_minor == payment.amount_minor else "partially_refunded",
        cause=cause,
        source=source,
        effective_at=refund.confirmed_at,
        note=f"{rupiah(refund.amount_minor)} went back.",
        is_confirmed=True,
    )


def _follow_other_charge(session: Session, payment: Payment, refund: Refund, cause: str, source: str) -> None:
    """The payment stays as it is; where its own charge was the later one, it stands on the first now."""
    stands_on = payment.gateway_reference
    if refund.charge_reference == stands_on:
        assert refund.exception_id is not None  # the database holds that
        first = session.get_one(ReconciliationException, refund.exception_id)
        stands_on = payment.gateway_reference = first.gateway_reference
    note = (
        f"{rupiah(refund.amount_minor)} of a second charge, {refund.charge_reference}, went back; the "
        f"payment stands on {stands_on}."
    )
    payments.remark(session, payment.id, note, cause=cause, source=source)


def _tell_exception(session: Session, refund: Refund) -> None:
    """End the exception whose money went back; where it did not, the exception stays open and says why."""
    assert refund.exception_id is not None
    if exceptions.locked(session, refund.exception_id).state != "open":
        return
    money, by = rupiah(refund.amount_minor), refund.requested_by or PROCESS
    if refund.status == "confirmed":
        why = f"{refund.reason}: {money} went back, refund {refund.id} is confirmed"
        exceptions.move(session, refund.exception_id, "refunded", actor=by, reason=why)
    else:
        why = f"{money} did not go back, refund {refund.id}: {refund.problem}"
        exceptions.remark(session, refund.exception_id, actor=by, reason=why)


def add_event(
    session: Session,
    refund: Refund,
    before: str | None,
    *,
    cause: str,
    source: str,
    note: str | None,
    evidence: bytes | None = None,
    at: datetime | None = None,
) -> None:
    """Write a step into the refund's history; `before`: the state that it comes from."""
    session.add(
        PaymentEvent(
            payment_id=refund.payment_id,
            refund_id=refund.id,
            cause=cause,
            source=source,
            from_status=before,
            to_status=refund.status,
            effective_at=at,
            note=note,
            evidence=seal(evidence) if evidence else None,
        )
    )


def _whole(refund: Refund) -> int:
    return refund.amount_minor // MINOR_PER_UNIT


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None
