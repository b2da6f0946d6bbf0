"""Ask a gateway what became of a payment, and move ours where its answer is clear and fits.

One place for all who ask: the platform (verify), a notification that needs confirming, the sweep, and a
create whose first answer was lost.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy.orm import Session

from checkout import refunds_told, timetable
from checkout.gateways import gateway, share
from common import clock, money
from common.errors import ProviderError
from providers.base import ChargeStatus, in_words
from records import charge, payment
from records.db import unit_of_work
from records.payment import ENDS_UNPAID, NOT_FINAL, PAID, Payment

Result = Literal["moved", "same", "not_found", "differs"]


@dataclass(frozen=True)
class Asked:
    """What came of a question. said: the gateway's answer, none where it was not asked or did not answer;
    why_not: then the reason in words; may_ask_at: and when it may be asked, where it only was too early."""

    payment: Payment
    result: Result | None
    said: ChargeStatus | None = None
    why_not: str | None = None
    may_ask_at: datetime | None = None


def ask(payment_id: UUID, *, cause: str, source: str) -> Asked:
    """Ask now, unless it was asked within the last second or the gateway wants to be left alone still."""
    with unit_of_work() as session:
        found = session.get_one(Payment, payment_id)
        not_now = turned_down(session, found)
    if not_now is not None:
        return not_now
    answer = heard(found)
    with unit_of_work() as session:
        return recorded(session, payment.locked(session, payment_id), answer, cause=cause, source=source)


def turned_down(session: Session, found: Payment) -> Asked | None:
    """Why the gateway may not be asked now; None: the caller has the right to ask, once, and takes it."""
    first = found.created_at + left_alone_for(found.gateway)
    if clock.now() < first:
        why_not = f"the gateway may be asked from {_clock(first)} on"
        return Asked(found, None, why_not=why_not, may_ask_at=first)
    if not charge.may_ask(session, found.id):
        soon = clock.now() + charge.ONE_QUESTION_A
        return Asked(found, None, why_not="it was asked within the last second", may_ask_at=soon)
    return None


def heard(found: Payment) -> ChargeStatus | str:
    """What the gateway says of a payment, or why it says nothing. No transaction is open meanwhile."""
    with share(found.gateway) as is_free:
        if not is_free:
            return f"{found.gateway} answers slowly at the moment"
        try:
            return gateway(found.gateway).get_charge(found.reference, number_of(found))
        except ProviderError as error:
            return str(error)


def recorded(
    session: Session, found: Payment, answer: ChargeStatus | str, *, cause: str, source: str
) -> Asked:
    """Move the payment as the answer says.

    found: as this transaction has locked it.
    """
    if isinstance(answer, str):
        return Asked(found, None, why_not=answer)
    result = settle(session, found, answer, cause=cause, source=source)
    found.answered_at = clock.now()
    if found.next_status_at is not None and found.status in NOT_FINAL:
        found.next_status_at = timetable.next_question(
            clock.now(), found.created_at, found.expires_at, first_after(found.gateway)
        )
    return Asked(found, result, answer)


def number_of(found: Payment) -> str | None:
    """The number of the charge's call, where the gateway has told us no name of its own to ask by."""
    return found.external_id if found.gateway_reference is None else None


def left_alone_for(name: str) -> timedelta:
    """How long a gateway wants no question after a charge."""
    return timedelta(seconds=gateway(name).capabilities.leave_alone_for)


def first_after(name: str) -> timedelta:
    """When the sweep asks first, after a charge."""
    return timedelta(seconds=gateway(name).capabilities.first_status_after)


def settle(session: Session, found: Payment, said: ChargeStatus, *, cause: str, source: str) -> Result:
    """Move a payment as the gateway's own answer says; the amount and currency must be ours.

    found: as this transaction has locked it.
    """
    now = clock.now()
    is_over = found.expires_at is not None and now >= found.expires_at
    if said.state == "not_found":
        return _not_found(session, found, now, cause, source)
    if said.state in PAID | {"reversed"} and not _is_ours(found, said):
        _note_difference(session, found, said, cause, source)
        return "differs"
    to_status = _meaning(found, said, is_over, now)
    if to_status is None:
        return "same"
    if found.gateway_reference is None and said.gateway_reference is not None:
        found.gateway_reference = said.gateway_reference
    if to_status in ("partially_refunded", "refunded"):
        is_new = refunds_told.settle(session, found, said, cause=cause, source=source)
        return "moved" if is_new else "same"
    moved = payment.apply(
        session,
        found,
        to_status,
        cause=cause,
        source=source,
        effective_at=said.at or (now if said.state in PAID | {"reversed"} else None),
        note=_story(said, to_status),
        evidence=said.raw,
        is_confirmed=True,
    )
    return "moved" if moved else "same"


def _not_found(session: Session, found: Payment, now: datetime, cause: str, source: str) -> Result:
    """The gateway has no such charge. Right after the creation that is no answer yet; long after its end it
    is: the charge never arrived."""
    is_being_made = found.busy_until is not None and found.busy_by is not None and now < found.busy_until
    if (
        found.status in NOT_FINAL
        and not is_being_made
        and found.expires_at is not None
        and now >= found.expires_at + timetable.ARRIVAL_GRACE
    ):
        note = "Its time is over and the gateway has no such charge: it never arrived there."
        payment.apply(session, found, "expired", cause=cause, source=source, note=note, is_confirmed=True)
        return "moved"
    return "not_found"


def _meaning(
    found: Payment, said: ChargeStatus, is_over: bool, now: datetime
) -> payment.PaymentStatus | None:
    """Our state for the gateway's answer; None where it changes nothing."""
    match said.state:
        case "pending":
            if found.status in ("created", "unknown"):
                return "pending"
            is_given_up = found.expires_at is not None and now >= found.expires_at + timetable.OVER
            return "expired" if is_given_up and found.status == "pending" else None
        case "cancelled" | "denied":
            if found.status in PAID:
                return "reversed"
            if is_over and not gateway(found.gateway).capabilities.says_expired:
                return "expired"
            return said.state
        case "expired":
            return None if found.status in PAID else "expired"
        case "unknown" | "not_found":
            return None
        case state:
            return state


def _is_ours(found: Payment, said: ChargeStatus) -> bool:
    """Whether the money is what we asked for. An answer without an amount is about our own charge."""
    if said.amount_minor is None and said.currency is None:
        return True
    return (said.amount_minor, said.currency or found.currency) == (found.amount_minor, found.currency)


def _note_difference(session: Session, found: Payment, said: ChargeStatus, cause: str, source: str) -> None:
    theirs = money.rupiah(said.amount_minor) if said.amount_minor is not None else "an unreadable amount"
    if said.currency not in (None, found.currency):
        theirs += f" in {said.currency}"
    note = (
        f"The gateway says {in_words(said.word, said.state)} for {theirs}, and we asked for "
        f"{money.rupiah(found.amount_minor)}: nothing was moved, a person has to look."
    )
    before = payment.history(session, found.id)
    if not before or before[-1].note != note:
        payment.remark(session, found.id, note, cause=cause, source=source, evidence=said.raw)


def _story(said: ChargeStatus, to_status: str) -> str:
    when = f" since {_clock(said.at)}" if said.at else ""
    extra = " Its time is over." if to_status == "expired" and said.state in ENDS_UNPAID - {"expired"} else ""
    return f"The gateway was asked and says {in_words(said.word, said.state)}{when}.{extra}"


def _clock(at: datetime) -> str:
    return f"{at.astimezone(clock.JAKARTA):%d %b %H:%M:%S} WIB"
