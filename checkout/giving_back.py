"""One step of a refund: ask the gateway, or ask what became of it, and note what came out.

Safe to run again after any line. The step ends in the refund's state and in what its process does next: it
has ended, it waits until a time, or it needs a person.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from checkout import refund as asking
from checkout import refunds_told, timetable
from checkout.ask import left_alone_for
from checkout.gateways import gateway
from common import clock
from common.errors import Ambiguous, AuthFailed, BadInput, NotNow, ProviderError, Rejected, Transient
from providers.base import Gateway, RefundOrder, RefundStatus
from records import approval, process, refund, refund_charges
from records.charge import NEXT_EXTERNAL_ID
from records.db import unit_of_work
from records.payment import Payment
from records.refund import ENDED, Refund

log = logging.getLogger("jembatan.refunds")
CAUSE = "refund"
AT_ONCE = 16
GIVE_UP_AFTER = 20  # answers in a row that did not come: the rest waits a minute
POSTPONED = timedelta(minutes=1)
Next = Literal["ended", "waits", "needs_attention"]


@dataclass(frozen=True)
class Step:
    """What one step came to. status: the refund's; sentence: why it waits or what a person has to do."""

    refund_id: UUID
    reference: str
    amount_minor: int
    status: str
    next: Next
    kind: str = ""
    sentence: str = ""
    until: datetime | None = None


@dataclass(frozen=True)
class _Turn:
    """What a step has to do at the gateway. was_sent: it may have it already, so it is asked first."""

    order: RefundOrder
    gateway: str
    status: str
    was_sent: bool
    sent_at: datetime


def step_all(refund_ids: Sequence[UUID]) -> list[Step]:
    """One step of each, several at once. Where a gateway does not answer at all, the rest is put off."""
    silent = 0

    def one(refund_id: UUID) -> Step:
        nonlocal silent
        if silent >= GIVE_UP_AFTER:
            return _put_off(refund_id)
        try:
            done = step(refund_id)
        except BadInput as error:
            return _stop(refund_id, "bad-input", f"{error}. Correct it, then retry the process")
        except Exception as error:  # whatever one refund meets, the others of the batch go on
            log.exception("the refund %s cannot be worked", refund_id)
            name = type(error).__name__
            return _stop(refund_id, "unexpected", f"Unexpected {name}; the log tells more, then retry")
        silent = silent + 1 if done.kind in ("not-reachable", "unknown") else 0
        return done

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, refund_ids))


def step(refund_id: UUID) -> Step:
    """Bring one refund as far as it goes now."""
    with unit_of_work() as session:
        found, paid = _locked(session, refund_id)
        turn = _claim(session, found, paid)
        if isinstance(turn, Step):
            return turn
    try:
        told = _ask(gateway(turn.gateway), turn)
    except ProviderError as error:
        with unit_of_work() as session:
            return _without_answer(session, refund_id, turn, error)
    with unit_of_work() as session:
        found, paid = _locked(session, refund_id)
        if told.state == "not_found" and found.status not in ENDED:
            return _lost_there(session, found, paid, turn)
        difference = refunds_told.differs(found, told)
        if difference is not None and found.status not in ENDED:
            return _needs_a_person(session, found, paid, "other-money", difference)
        source = "the gateway's answer"
        refunds_told.take(session, paid, found, told, cause=CAUSE, source=source, is_fresh=True)
        return _ended_or_waits(session, found, paid)


def _claim(session: Session, found: Refund, paid: Payment) -> _Turn | Step:
    """What is to be done at the gateway; a Step where nothing is. Marks the refund as sent before it is."""
    if found.status in ENDED:
        return _ended(session, found, paid)
    if found.status in ("requested", "awaiting_approval"):
        return _without_a_word(session, found, paid)
    if found.status == "approved":
        why_not = asking.why_not_any_more(paid, found)
        if why_not is not None:
            refund.apply(session, paid, found, "refused", cause="rule", source="checked", problem=why_not)
            return _ended(session, found, paid)
    was_sent = found.status != "approved"
    first = paid.created_at + left_alone_for(paid.gateway)
    if was_sent and clock.now() < first:
        return _waits(session, found, paid, first, "too-early", "The gateway may not be asked yet")
    if not was_sent:
        refund.apply(session, paid, found, "sent", cause=CAUSE, source="process", is_fresh=True)
    assert found.sent_at is not None or found.is_foreign
    return _Turn(
        order=RefundOrder(
            reference=paid.reference,
            gateway_reference=found.charge_reference or paid.gateway_reference,
            is_one_of_several=refund_charges.has_several_charges(session, paid),
            refund_key=found.reference,
            external_id=found.external_id or "",
            amount_minor=found.amount_minor,
            payment_amount_minor=found.charge_minor or paid.amount_minor,
            currency=found.currency,
            reason=found.reason or "",
        ),
        gateway=paid.gateway,
        status=found.status,
        was_sent=was_sent,
        sent_at=found.sent_at or found.created_at,
    )


def _ask(opened: Gateway, turn: _Turn) -> RefundStatus:
    """The gateway's word. It is asked to give back only where it does not have the refund yet."""
    if not turn.was_sent:
        return opened.refund(turn.order)
    told = opened.get_refund(turn.order)
    if told.state != "not_found" or turn.status == "accepted":
        return told
    if clock.now() - turn.sent_at > timetable.FOLLOWED_FOR:
        return told  # its key may mean another refund by now: nothing is sent any more
    return opened.refund(turn.order)


def _without_answer(session: Session, refund_id: UUID, turn: _Turn, error: ProviderError) -> Step:
    """No refund came of the call: what is known, and when it is tried again."""
    found, paid = _locked(session, refund_id)
    if found.status in ENDED:  # a notification was faster
        return _ended(session, found, paid)
    now = clock.now()
    again = timetable.next_look_at_refund(now, turn.sent_at)
    match error:
        case NotNow():
            return _short(session, found, paid, turn, error)
        case Rejected() if turn.was_sent and now - turn.sent_at < timetable.IN_FLIGHT:
            # A no to the second call says nothing of the first, which may be on its way still.
            refund.apply(session, paid, found, "unknown", cause=CAUSE, source="process", problem=str(error))
            return _waits(session, found, paid, again, "unknown", str(error))
        case Rejected():
            refund.apply(session, paid, found, "refused", cause=CAUSE, source="process", problem=str(error))
            return _ended(session, found, paid)
        case AuthFailed():
            sentence = f"{error}. Check the gateway's key and this machine's clock, then retry the process"
            return _needs_a_person(session, found, paid, "auth-failed", sentence)
        case Ambiguous():
            refund.apply(session, paid, found, "unknown", cause=CAUSE, source="process", problem=str(error))
            return _waits(session, found, paid, again, "unknown", str(error))
        case Transient() if now - turn.sent_at > timetable.FOLLOWED_FOR:
            sentence = f"{error}. Retry the process once the gateway is back"
            return _needs_a_person(session, found, paid, "not-reachable", sentence)
        case _:
            return _waits(session, found, paid, again, "not-reachable", str(error))


def _short(session: Session, found: Refund, paid: Payment, turn: _Turn, error: NotNow) -> Step:
    """The merchant's balance is too low: nothing happened. Tried again for seven days, by the same key; the
    call gets a new number, as gateways refuse one that they had that day."""
    now = clock.now()
    sentence = f"{error}. Fill the balance at {paid.gateway}; the refund is tried again by itself"
    if now - turn.sent_at > timetable.FOLLOWED_FOR:
        problem = f"{error}, for seven days. Fill the balance, then ask again with a new refund_key"
        refund.apply(session, paid, found, "refused", cause=CAUSE, source="process", problem=problem)
        return _ended(session, found, paid)
    found.external_id = session.scalar(NEXT_EXTERNAL_ID)
    return _waits(session, found, paid, now + timetable.BALANCE_LOOKED_AT, "balance-short", sentence)


def _lost_there(session: Session, found: Refund, paid: Payment, turn: _Turn) -> Step:
    """The gateway does not have it (any more), and its time is over."""
    if found.status != "accepted" and clock.now() - turn.sent_at > timetable.FOLLOWED_FOR:
        problem = "It never arrived at the gateway. Ask again with a new refund_key if it is still wanted"
        refund.apply(session, paid, found, "refused", cause=CAUSE, source="process", problem=problem)
        return _ended(session, found, paid)
    return _ended_or_waits(session, found, paid)


def _without_a_word(session: Session, found: Refund, paid: Payment) -> Step:
    """Nobody has approved it yet; where nobody can any more, the money is free again."""
    question = approval.open_one(session, "refund", str(found.id))
    if question is not None and not question.is_over(clock.now()):
        says = asking.waiting_for(question)
        return _waits(session, found, paid, question.expires_at, says["type"], says["message"])
    if question is not None:
        approval.expire(session, question)
    problem = "Nobody approved it in time. Ask again with a new refund_key if it is still wanted"
    refund.apply(session, paid, found, "refused", cause="approval", source="expired", problem=problem)
    return _ended(session, found, paid)


def _ended_or_waits(session: Session, found: Refund, paid: Payment) -> Step:
    """Where the refund stands now, by its row."""
    if found.status in ENDED:
        return _ended(session, found, paid)
    since = found.sent_at or found.created_at
    says = timetable.NOT_MOVED_YET
    if clock.now() - since > timetable.FOLLOWED_FOR:
        sentence = f"{says['message']}, for seven days. Ask {paid.gateway} what became of it, then retry"
        return _needs_a_person(session, found, paid, "not-moved", sentence)
    again = timetable.next_look_at_refund(clock.now(), since)
    if found.status == "accepted":  # the gateway tells us when the bank has moved it
        again = max(again, since + timetable.ACCEPTED_LOOKED_AT)
    return _waits(session, found, paid, again, says["type"], found.problem or says["message"])


def _stop(refund_id: UUID, kind: str, sentence: str) -> Step:
    with unit_of_work() as session:
        found, paid = _locked(session, refund_id)
        return _needs_a_person(session, found, paid, kind, sentence)


def _put_off(refund_id: UUID) -> Step:
    with unit_of_work() as session:
        found, paid = _locked(session, refund_id)
        if found.status in ENDED:
            return _ended(session, found, paid)
        sentence = f"{paid.gateway} does not answer at the moment"
        return _waits(session, found, paid, clock.now() + POSTPONED, "not-reachable", sentence)


def _ended(session: Session, found: Refund, paid: Payment) -> Step:
    refund.close(session, found)
    return _step(found, paid, "ended", sentence=found.problem or "")


def _waits(session: Session, found: Refund, paid: Payment, until: datetime, kind: str, sentence: str) -> Step:
    if kind not in (asking.WAITS_FOR_APPROVAL, timetable.NOT_MOVED_YET["type"]):
        refund.remark(session, found, sentence, cause=CAUSE, source="process")
    if found.process_run_id is not None:
        process.wait(session, found.process_run_id, until, {"type": kind, "message": sentence})
    return _step(found, paid, "waits", kind, sentence, until)


def _needs_a_person(session: Session, found: Refund, paid: Payment, kind: str, sentence: str) -> Step:
    refund.remark(session, found, sentence, cause=CAUSE, source="process")
    if found.process_run_id is not None:
        error = {"type": kind, "message": sentence}
        process.finish(session, found.process_run_id, "needs_attention", error=error)
    return _step(found, paid, "needs_attention", kind, sentence)


def _step(
    found: Refund,
    paid: Payment,
    next_: Next,
    kind: str = "",
    sentence: str = "",
    until: datetime | None = None,
) -> Step:
    return Step(found.id, paid.reference, found.amount_minor, found.status, next_, kind, sentence, until)


def _locked(session: Session, refund_id: UUID) -> tuple[Refund, Payment]:
    """The refund and its payment as they are now; nobody else moves them until this transaction ends."""
    of_refund = sa.select(Refund.payment_id).where(Refund.id == refund_id).scalar_subquery()
    paid = session.scalars(sa.select(Payment).where(Payment.id == of_refund).with_for_update()).one_or_none()
    if paid is None:
        raise BadInput(f"there is no refund {refund_id}")
    return session.get_one(Refund, refund_id, populate_existing=True), paid
