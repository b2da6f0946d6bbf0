"""End an exception as a person says, by whichever door: by its records alone, or by giving its money back.

A refund ends its exception when the gateway has confirmed it; until then the exception stays open.
"""

from uuid import UUID

from sqlalchemy.orm import Session

from checkout import refund as asking
from checkout.create import Refusal
from checkout.refund import LONGEST_REASON, AskedFor, Wish
from common.money import rupiah
from records import (
    exception_requests,
    exception_work,
    exceptions,
    hand_match,
    payment,
    refund_charges,
    second_charge,
)
from records.exception_requests import AwaitsApproval
from records.exception_work import Outcome
from records.exceptions import NotPossible, ReconciliationException
from records.payment import Payment
from records.refund import Refund


def resolve(
    session: Session,
    exception_id: int,
    action: str,
    *,
    by: str,
    reason: str,
    payment_id: UUID | None = None,
    payout: str | None = None,
) -> Outcome:
    """End one exception, or ask for what will end it: a refund, or a second person's word.

    action: one of exception_work.ACTIONS; payment_id, payout: for `match`, what the line or the entry is.
    Raises NotOpen, NotPossible (with AwaitsApproval), approval.NobodyNamed. Where it raises, the caller rolls
    back.
    """
    if action != "refund":
        return exception_work.resolve(
            session, exception_id, action, by=by, reason=reason, payment_id=payment_id, payout=payout
        )
    asked = give_back(session, exception_id, by=by, reason=reason)
    return Outcome(exception_id, "open", asked.approval, asked.payment.id, asked.refund)


def give_back(session: Session, exception_id: int, *, by: str, reason: str) -> AskedFor:
    """Ask for the refund that ends this exception; again it is the same refund, until that one is refused.

    Of a second charge the later one goes back. A line that our ledger does not have becomes a payment first.
    """
    actor, reason = exception_work.named(by), exception_work.checked_reason(reason)
    ours = _its_payment(session, exception_id)
    found = exceptions.open_one(session, exception_id)
    known = _last(session, exception_id)
    if known is not None and known.status != "refused":
        return asking.of_known(session, session.get_one(Payment, known.payment_id), known)
    _refuse_awaited(session, exception_id)
    charge = None
    if second_charge.is_one(found):
        charge = second_charge.charged_twice(found, ours).back
    elif ours is None:
        ours = hand_match.adopt(session, found, actor=actor, reason=reason)
    assert ours is not None
    wish = Wish(_new_key(session, exception_id), None, reason[:LONGEST_REASON], actor, exception_id, charge)
    try:
        asked = asking.ask_for(session, ours.id, wish)
    except Refusal as refusal:
        raise NotPossible(refusal.detail.removesuffix(".")) from None
    why = f"asks to give {rupiah(asked.refund.amount_minor)} back, refund {asked.refund.id}: {reason}"
    exceptions.remark(session, exception_id, actor=actor, reason=why)
    return asked


def _its_payment(session: Session, exception_id: int) -> Payment | None:
    """The payment that the refund is about, locked before the exception, as who confirms a refund does."""
    known, found = _last(session, exception_id), session.get(ReconciliationException, exception_id)
    if known is not None:
        return payment.locked(session, known.payment_id)
    if found is not None and second_charge.is_one(found) and found.subject_id is not None:
        return payment.locked(session, found.subject_id)
    return None


def _refuse_awaited(session: Session, exception_id: int) -> None:
    waits = exception_requests.awaited(session, [exception_id]).get(exception_id)
    if waits is not None:
        raise AwaitsApproval(
            f"Exception {exception_id} waits for a second person's word already: {waits.requested_by} asked "
            f"to have it {waits.to_state.replace('_', ' ')}. Have approval {waits.approval_id} decided first"
        )


def _last(session: Session, exception_id: int) -> Refund | None:
    return refund_charges.of_exceptions(session, [exception_id]).get(exception_id)


def _new_key(session: Session, exception_id: int) -> str:
    """A key of its own for each try: one that was refused is not asked for again."""
    tries = refund_charges.count_of_exception(session, exception_id)
    return f"exception-{exception_id}" + (f"-{tries + 1}" if tries else "")
