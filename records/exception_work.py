"""How a person ends an exception: explain it, take the line over, match it by hand, write it off.

The last two need a second person: they put a question, and `decided` does what the answer says, in the
transaction in which it is given, by whichever door. Who does something is `client:<name>` or
`operator:<name>`; each step is kept with reason, who, when, and the state before.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common import clock
from common.money import rupiah
from records import (
    approval,
    exception_requests,
    exceptions,
    hand_match,
    payment,
    payout_match,
    refund_charges,
    second_charge,
)
from records.approval import Approval
from records.exception_requests import ExceptionRequestItem
from records.exceptions import ExceptionEvent, NotPossible, ReconciliationException
from records.payment import PAID, Payment
from records.refund import ENDED, Refund

# What a person may ask for, and the state that it leads to.
ACTIONS = {
    "explain": "explained",
    "write_off": "written_off",
    "match": "matched",
    "adopt": "healed",
    "refund": "refunded",
}
NEEDS_APPROVAL = ("write_off", "match")
MOST_WORDS = approval.MOST_WORDS  # characters of a reason
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_AMOUNTS = ("ledger_minor", "report_minor", "risk_minor")  # the last one knows of fees
_MISSING = ("missing_at_gateway", "timing")


class Overtaken(approval.AlreadyDecided):
    """What was asked for cannot be done any more; the decision is not taken."""


@dataclass(frozen=True)
class Outcome:
    """What became of an exception: its state now, the question where a second person is asked, the refund
    that is to end it."""

    exception_id: int
    state: str
    approval: Approval | None = None
    payment_id: UUID | None = None
    refund: Refund | None = None


@dataclass
class Decided:
    """What a decision did: the exceptions that it ended, and those that it could not, each with why."""

    ended: list[int] = field(default_factory=list)
    left: list[tuple[int, str]] = field(default_factory=list)


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
    """End one exception, or ask a second person whether it may be ended so.

    action: one of ACTIONS but `refund`, which asks a gateway (checkout.resolve); for `match` payment_id is
    the payment that the line is, or payout names the payout that an entry of the bank is. Raises NotOpen,
    NotPossible (with AwaitsApproval), approval.NobodyNamed.
    """
    actor, reason = named(by), checked_reason(reason)
    if action not in ACTIONS or action == "refund":
        raise NotPossible(f"There is no action {action!r}; there are {', '.join(ACTIONS)}")
    if (action == "match") + (payment_id is not None) + (payout is not None) not in (0, 2):
        raise NotPossible("A match names the payment that the line is, or the payout; nothing else does")
    found = exceptions.open_one(session, exception_id)
    refuse_while_given_back(session, [found.id])
    if action == "match" and found.is_payout != (payout is not None):
        raise NotPossible(
            "An entry of the bank is matched with a payout, and a line of a report with a payment"
        )
    if action == "explain":
        exceptions.move(session, found.id, "explained", actor=actor, reason=reason)
    elif action == "adopt":
        made = hand_match.adopted_before(session, found) or hand_match.adopt(
            session, found, actor=actor, reason=reason
        )
        exceptions.move(session, found.id, "healed", actor=actor, reason=f"taken over as a payment: {reason}")
        return Outcome(found.id, found.state, payment_id=made.id)
    elif action == "write_off":
        refuse_write_off(found)
        return Outcome(
            found.id,
            found.state,
            exception_requests.ask(session, "written_off", [(found, reason)], requested_by=actor),
        )
    elif payout is not None:
        return _ask_for_payout_match(session, found, payout, actor, reason)
    else:
        return _ask_for_match(session, found, payment_id, actor, reason)
    return Outcome(found.id, found.state)


def _ask_for_match(
    session: Session, found: ReconciliationException, payment_id: UUID | None, actor: str, reason: str
) -> Outcome:
    hand_match.refuse_unfit_line(found)
    hand_match.refuse_taken_line(session, found)
    ours = hand_match.refuse_unfit_payment(session, found, session.get(Payment, payment_id))
    summary = (
        f"Match by hand {rupiah(ours.amount_minor)} at {found.gateway}: the line {found.reference} of "
        f"{found.business_date} is our payment {ours.reference} ({ours.status}). {reason}"
    )[:400]
    asked = exception_requests.ask(
        session, "matched", [(found, reason)], requested_by=actor, payment_id=ours.id, summary=summary
    )
    return Outcome(found.id, found.state, asked, ours.id)


def _ask_for_payout_match(
    session: Session, entry: ReconciliationException, name: str, actor: str, reason: str
) -> Outcome:
    theirs = payout_match.fitting(session, entry, name)
    summary = (
        f"Match by hand {rupiah(entry.report_minor or 0)} at {entry.gateway}: the entry of the bank of "
        f"{entry.business_date} is the payout {name}, due on {theirs.business_date}. {reason}"
    )[:400]
    asked = exception_requests.ask(
        session, "matched", [(entry, reason)], requested_by=actor, payout=name, summary=summary
    )
    return Outcome(entry.id, entry.state, asked)


def possible(found: ReconciliationException) -> list[str]:
    """What can be asked for here, as far as the exception alone can tell: the first of ACTIONS first."""
    if found.state != "open":
        return []
    refusals = {
        "write_off": refuse_write_off,
        "match": payout_match.refuse_unfit_entry if found.is_payout else hand_match.refuse_unfit_line,
        "adopt": hand_match.refuse_unadoptable,
        "refund": _refuse_refund,
    }

    def fits(action: str) -> bool:
        try:
            if action in refusals:
                refusals[action](found)
        except NotPossible:
            return False
        return True

    return [action for action in ACTIONS if fits(action)]


def _refuse_refund(found: ReconciliationException) -> None:
    """Raises NotPossible where no money can be given back."""
    if not second_charge.is_one(found):
        hand_match.refuse_unadoptable(found)
    elif found.found.get("status") != "paid":
        raise NotPossible("The line does not say paid: there is nothing to give back")


def refuse_write_off(found: ReconciliationException) -> None:
    """Raises NotPossible where there is nothing to write off, or not yet."""
    if found.class_ == "timing":
        raise NotPossible(
            "It is awaited with the next report, and no exception yet: the next day's run settles it, or has "
            "it as missing at the gateway; write that one off"
        )
    if not found.risk_minor:
        raise NotPossible("It puts no money at risk, so there is nothing to write off: explain it")


def refuse_while_given_back(session: Session, numbers: Sequence[int]) -> None:
    """Raises NotPossible where the money of one of these exceptions is on its way back."""
    for number, one in sorted(refund_charges.of_exceptions(session, numbers).items()):
        if one.status not in ENDED:
            raise NotPossible(
                f"Exception {number} ends by itself once its money is back: refund {one.id} is {one.status}"
            )


def hold(session: Session, subject_id: str) -> None:
    """Lock the exceptions that a request is about, before its approval is decided."""
    _, items = exception_requests.of_subject(session, subject_id)
    locked_many(session, [item.exception_id for item in items])


def decided(session: Session, asked: Approval) -> Decided:
    """Do what a decision about exceptions says, in the transaction in which it was made.

    asked: an approval with the subject `exception`, just approved or refused; `hold` came before. What has
    ended in between, or has other amounts now, is left as it is; where nothing is left to do, Overtaken
    says why, and its caller takes the decision back with the transaction.
    """
    request, items = exception_requests.of_subject(session, asked.subject_id)
    assert asked.decided_by is not None
    done = Decided()
    locked = locked_many(session, [item.exception_id for item in items])
    if asked.state != "approved":
        why = f"refused what {asked.requested_by} asked: {asked.reason}".removesuffix(": ")
        still_open = [(number, why) for number, one in locked.items() if one.state == "open"]
        exception_requests.remark(session, still_open, asked.decided_by)
        done.left = still_open
        return done
    fit = []
    for item in items:
        found = locked[item.exception_id]
        if found.state != "open":
            why = f"Exception {found.id} is {exceptions.words(found.state)} already"
            done.left.append((found.id, why))
        elif any(getattr(found, name) != getattr(item, name) for name in _AMOUNTS):
            done.left.append((found.id, f"Exception {found.id} has other amounts than when it was asked"))
        else:
            fit.append((found, item))
    if not fit:
        raise Overtaken(f"{done.left[0][1]}: refuse this one; what is still open can be asked for anew")
    if request.to_state == "matched":
        ((found, item),) = fit
        try:
            if request.payout is not None:
                _match_payout(session, found, item, request.payout, asked)
            else:
                assert request.payment_id is not None
                _match(session, found, item, request.payment_id, asked)
        except NotPossible as why:
            raise Overtaken(f"{why}: refuse this one") from None
    else:
        ended = [(found, f"{item.reason} (asked for by {asked.requested_by})") for found, item in fit]
        end_many(session, ended, "written_off", asked.decided_by)
    done.ended = [found.id for found, _ in fit]
    return done


def _match(
    session: Session,
    line: ReconciliationException,
    item: ExceptionRequestItem,
    payment_id: UUID,
    asked: Approval,
) -> None:
    """The line is that payment: it becomes paid where it was not, and its own open exceptions end with it."""
    assert asked.decided_by is not None
    hand_match.refuse_taken_line(session, line)
    ours = payment.locked(session, payment_id)
    hand_match.refuse_unfit_payment(session, line, ours)
    if ours.status not in PAID:
        payment.apply(
            session,
            ours,
            "paid",
            cause="reconciliation",
            source=f"exception {line.id}",
            effective_at=datetime.fromisoformat(line.found["at"]),
            note=f"The report of {line.business_date} has it as {line.reference}: {asked.requested_by} said "
            f"so, {asked.decided_by} approved.",
            is_confirmed=True,
        )
    hand_match.pair(session, line, ours, is_adopted=False)
    why = f"{item.reason} (asked for by {asked.requested_by})"
    end_many(session, [(line, f"is our payment {ours.reference}: {why}")], "matched", asked.decided_by)
    its_own = session.scalars(
        sa.select(ReconciliationException)
        .where(
            ReconciliationException.subject_id == ours.id,
            ReconciliationException.state == "open",
            ReconciliationException.class_.in_(_MISSING),
        )
        .with_for_update()
    )
    theirs = f"its line is {line.reference} of {line.business_date}, exception {line.id}: {why}"
    end_many(session, [(one, theirs) for one in its_own], "matched", asked.decided_by)


def _match_payout(
    session: Session, entry: ReconciliationException, item: ExceptionRequestItem, name: str, asked: Approval
) -> None:
    """The entry is that payout: both exceptions end, and every later run pairs them."""
    assert asked.decided_by is not None
    theirs = payout_match.fitting(session, entry, name)
    payout_match.pair(session, entry, theirs)
    why = f"{item.reason} (asked for by {asked.requested_by})"
    ended = [
        (entry, f"is the payout {name}: {why}"),
        (theirs, f"the bank has it as the entry of {entry.business_date}, exception {entry.id}: {why}"),
    ]
    end_many(session, ended, "matched", asked.decided_by)


def end_many(
    session: Session,
    ended: Sequence[tuple[ReconciliationException, str]],
    to_state: str,
    actor: str,
) -> None:
    """End open exceptions, their rows locked by the caller, each with its reason: two statements for all."""
    if not ended:
        return
    at = clock.now()
    session.execute(
        sa.insert(ExceptionEvent),
        [
            {
                "exception_id": one.id,
                "actor": actor,
                "from_state": "open",
                "to_state": to_state,
                "reason": why,
            }
            for one, why in ended
        ],
    )
    numbers = [one.id for one, _ in ended]
    session.execute(
        sa.update(ReconciliationException)
        .where(ReconciliationException.id == sa.func.any(sa.cast(numbers, sa.ARRAY(sa.BigInteger))))
        .values(state=to_state, closed_at=at)
        .execution_options(synchronize_session=False)
    )
    for one, _ in ended:
        sa.orm.attributes.set_committed_value(one, "state", to_state)
        sa.orm.attributes.set_committed_value(one, "closed_at", at)


def locked_many(session: Session, numbers: Sequence[int]) -> dict[int, ReconciliationException]:
    """These exceptions as they are now, locked in the order of their numbers."""
    found = session.scalars(
        sa.select(ReconciliationException)
        .where(ReconciliationException.id == sa.func.any(sa.cast(numbers, sa.ARRAY(sa.BigInteger))))
        .order_by(ReconciliationException.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {one.id: one for one in found}


def named(by: str) -> str:
    """Who it is, as our records name them; raises approval.NobodyNamed."""
    kind, _, name = by.partition(":")
    if kind not in ("client", "operator"):
        raise approval.NobodyNamed("Nobody is named: who does this is `client:<name>` or `operator:<name>`")
    return approval.actor("client" if kind == "client" else "operator", name)


def checked_reason(reason: str) -> str:
    """The reason as it is kept; raises NotPossible where there is none, or too much of it."""
    words = _CONTROL.sub("", " ".join(reason.split()))
    if not words:
        raise NotPossible("A reason is needed: say why, for whoever reads it next year")
    if len(words) > MOST_WORDS:
        raise NotPossible(f"A reason has {MOST_WORDS} characters at most")
    return words
