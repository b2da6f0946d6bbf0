"""What a gateway tells of a payment's refunds: ours are recognised by their keys, others are taken in."""

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from checkout import timetable
from common import clock, money
from providers.base import ChargeStatus, RefundStatus, in_words
from records import foreign_refund, process, refund, refund_charges
from records import payment as payments
from records.payment import PAID, Payment
from records.refund import PROCESS, Refund

LOOKED_AT_AGAIN = timedelta(minutes=2)


def settle(session: Session, payment: Payment, said: ChargeStatus, *, cause: str, source: str) -> bool:
    """Let refunds and payment follow the gateway's answer; tells whether anything moved.

    payment: locked. Where the gateway lists its refunds, only what the bank has moved counts; where it tells
    no more than a total, the total does. An answer about another charge, which is given back beside the
    payment, is no word about the payment: only refunds of ours follow it.
    """
    if refund_charges.is_of_another_charge(session, payment, said.gateway_reference):
        has_moved = [_follow_ours(session, payment, one, cause, source) for one in said.refunds or ()]
        return any(has_moved)
    before = payment.status, payment.refunded_minor
    if payment.status not in PAID:
        payments.apply(
            session,
            payment,
            "paid",
            cause=cause,
            source=source,
            effective_at=said.at or clock.now(),
            note=f"The gateway was asked and says {in_words(said.word, said.state)}: it was paid.",
            evidence=said.raw,
            is_confirmed=True,
        )
    if said.refunds is not None:
        has_moved = [_take_in(session, payment, one, said, cause, source) for one in said.refunds]
        return any(has_moved) or before[0] != payment.status
    total = said.refunded_minor
    if total is not None:
        payment.refunded_minor = max(payment.refunded_minor, min(total, payment.amount_minor))
        session.flush()
    payments.apply(
        session,
        payment,
        "refunded" if said.state == "refunded" else "partially_refunded",
        cause=cause,
        source=source,
        effective_at=said.at or clock.now(),
        note=f"The gateway was asked and says {in_words(said.word, said.state)}.",
        evidence=said.raw,
        is_confirmed=True,
    )
    return before != (payment.status, payment.refunded_minor)


def take(
    session: Session,
    payment: Payment,
    known: Refund,
    told: RefundStatus,
    *,
    cause: str,
    source: str,
    is_fresh: bool = False,
) -> bool:
    """Move a refund as the gateway tells of it; the money must be what we asked for. payment: locked.

    is_fresh: as in refund.apply.
    """
    difference = differs(known, told)
    if difference is not None:
        refund.remark(session, known, difference, cause=cause, source=source)
        return False
    problem = ""
    match told.state:
        case "confirmed":
            note = f"The gateway says that {money.rupiah(known.amount_minor)} went back."
        case "accepted":
            note = f"The gateway has taken it ({told.word}); the bank has not moved it yet."
        case "refused":
            note = problem = f"The gateway refused the refund ({told.word})"
        case _:
            return False
    return refund.apply(
        session,
        payment,
        known,
        told.state,
        cause=cause,
        source=source,
        at=told.at,
        note=note,
        problem=problem or None,
        gateway_reference=told.gateway_reference,
        evidence=told.raw,
        is_fresh=is_fresh,
    )


def differs(known: Refund, told: RefundStatus) -> str | None:
    """In what money the gateway's refund is another one than ours, so that it cannot be believed."""
    if told.amount_minor in (None, known.amount_minor):
        return None
    theirs, ours = money.rupiah(told.amount_minor or 0), money.rupiah(known.amount_minor)
    return f"The gateway gives back {theirs} where we asked for {ours}: ask it which is right, then retry"


def _follow_ours(session: Session, payment: Payment, told: RefundStatus, cause: str, source: str) -> bool:
    known = _known(session, payment, told)
    if known is None:
        return False
    return take(session, payment, known, told, cause=cause, source=source, is_fresh=True)


def _known(session: Session, payment: Payment, told: RefundStatus) -> Refund | None:
    """The refund of the payment that the gateway tells of, by its key or else by the gateway's number."""
    is_it = Refund.reference == told.refund_key
    if told.gateway_reference is not None:
        is_it = sa.or_(is_it, Refund.gateway_reference == told.gateway_reference)
    return session.scalars(
        sa.select(Refund)
        .where(Refund.payment_id == payment.id, is_it)
        .order_by(Refund.reference != told.refund_key)
        .execution_options(populate_existing=True)
    ).first()


def _take_in(
    session: Session, payment: Payment, told: RefundStatus, said: ChargeStatus, cause: str, source: str
) -> bool:
    """One refund of the gateway's list: one that we know, else taken in."""
    known = _known(session, payment, told)
    if known is None and told.state in ("accepted", "confirmed"):
        known = foreign_refund.reported(session, payment, told.amount_minor)
    if known is not None:
        foreign_refund.told_of(session, known, told.refund_key, told.gateway_reference)
        return take(session, payment, known, told, cause=cause, source=source, is_fresh=True)
    if told.state not in ("accepted", "confirmed") or not told.amount_minor:
        return False
    made = foreign_refund.adopt(
        session,
        payment,
        reference=told.refund_key,
        amount_minor=told.amount_minor,
        gateway_reference=told.gateway_reference,
        source=source,
        evidence=said.raw,
    )
    if made is None:
        note = f"The gateway tells of a refund {told.refund_key} that another payment has: look into it."
        payments.remark(session, payment.id, note, cause=cause, source=source)
        return False
    if told.state == "confirmed":
        return take(session, payment, made, told, cause=cause, source=source, is_fresh=True)
    # The bank's word may get lost on its way to us: its process asks for it.
    asked = {"payment_id": str(payment.id), "refund_id": str(made.id)}
    run, _ = process.request(session, PROCESS, f"{payment.reference}/foreign/{made.reference}", asked)
    made.process_run_id = run.id
    process.wait(session, run.id, clock.now() + LOOKED_AT_AGAIN, timetable.NOT_MOVED_YET)
    return True
