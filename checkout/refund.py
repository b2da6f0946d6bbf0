"""Give money back: checked and set aside first, then asked of the gateway, once, however often we try.

Whatever dies in between: the row says `sent` before the call, so the next try asks the gateway by the same
key before it sends anything again.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from checkout.create import Refusal
from checkout.gateways import gateway
from common import clock, money
from common.settings import settings
from providers.base import Capabilities
from records import approval, payment, process, refund, refund_room
from records.approval import Approval
from records.payment import PAID, Payment
from records.process import ProcessRun
from records.refund import PROCESS, Refund
from records.refund_room import OtherCharge, Room, TooMuch

KEY = r"^[A-Za-z0-9_-]{1,64}$"
LONGEST_REASON = 255
_KEY = re.compile(KEY)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
WAITS_FOR_APPROVAL = "awaiting-approval"
NOTHING_LEFT = "All of it has been given back already, or is on its way back."


@dataclass(frozen=True)
class Wish:
    """A refund that somebody asks for. amount_minor: None for all that is left. requested_by: an actor.

    exception_id: the exception that it ends; charge: what it gives back, where that is not the payment's own.
    """

    refund_key: str
    amount_minor: int | None
    reason: str
    requested_by: str
    exception_id: int | None = None
    charge: OtherCharge | None = None


class AskedFor(NamedTuple):
    """A refund with its process, and the approval that it waits for, if it does. is_new: not asked before."""

    refund: Refund
    payment: Payment
    run: ProcessRun
    approval: Approval | None
    is_new: bool


def ask_for(session: Session, payment_id: UUID, wish: Wish, *, flow_run_id: UUID | None = None) -> AskedFor:
    """Set the money aside and open the refund's process; the same key again finds the same refund.

    flow_run_id: the flow run that works it at once; without one it waits for the relay. Above the limit it
    waits for a second person first. Where it raises, the caller rolls back. Raises Refusal
    (`invalid-request`, `not-refundable`, `refund-too-large`, `partial-refund-not-offered`,
    `refund-key-reused`), NobodyNamed, NoResultFound for no payment.
    """
    (asked,) = ask_for_many(session, [(payment_id, wish)], flow_run_id=flow_run_id)
    if isinstance(asked, Refusal):
        raise asked
    return asked


def ask_for_many(
    session: Session, wishes: Sequence[tuple[UUID, Wish]], *, flow_run_id: UUID | None = None
) -> list[AskedFor | Refusal]:
    """The same for many at once, each with what came of it, in a handful of statements for all."""
    paid = {one.id: one for one in payment.locked_many(session, {payment_id for payment_id, _ in wishes})}
    if missing := {payment_id for payment_id, _ in wishes} - set(paid):
        raise NoResultFound(f"There is no payment {min(missing)}")
    rooms = refund_room.rooms(session, list(paid.values()), new=len(wishes))
    found: list[tuple[Refund, bool] | Refusal] = []
    for payment_id, wish in wishes:
        try:
            found.append(_set_aside(rooms[payment_id], wish))
        except Refusal as refusal:
            found.append(refusal)
    new = [one[0] for one in found if not isinstance(one, Refusal) and one[1]]
    session.add_all(new)
    session.flush()
    runs = process.request_many(
        session,
        PROCESS,
        {
            f"{paid[one.payment_id].reference}/{one.refund_key}": {
                "payment_id": str(one.payment_id),
                "refund_id": str(one.id),
            }
            for one in new
        },
        flow_run_id,
    )
    asked: list[AskedFor | Refusal] = []
    for either in found:
        if isinstance(either, Refusal):
            asked.append(either)
            continue
        one, is_new = either
        ours = paid[one.payment_id]
        if not is_new:
            asked.append(of_known(session, ours, one))
            continue
        run = runs[f"{ours.reference}/{one.refund_key}"]
        one.process_run_id = run.id
        note = f"Asked for: {money.rupiah(one.amount_minor)}."
        refund.add_event(session, one, None, cause="request", source=one.requested_by or "", note=note)
        question = _approved_or_asked(session, rooms[ours.id], one, run)
        asked.append(AskedFor(one, ours, run, question, True))
    session.flush()
    return asked


def _set_aside(room: Room, wish: Wish) -> tuple[Refund, bool]:
    """The refund of a wish, and whether it is new. Raises Refusal, NobodyNamed."""
    _check_form(wish)
    requested_by = approval.actor_of(wish.requested_by)
    known = room.of_key(wish.refund_key)
    if known is not None:
        if wish.amount_minor not in (None, known.amount_minor) or wish.reason != known.reason:
            raise _key_reused()
        return known, False
    can = check_state(room.payment, wish.charge)
    try:
        made = room.set_aside(
            refund_key=wish.refund_key,
            amount_minor=wish.amount_minor,
            reason=wish.reason,
            requested_by=requested_by,
            charge=wish.charge,
            exception_id=wish.exception_id,
        )
    except TooMuch as too_much:
        if too_much.left_minor == 0:
            raise _not_refundable(NOTHING_LEFT) from None
        raise _too_large(too_much.left_minor) from None
    whole = made.charge_minor or room.payment.amount_minor
    if made.amount_minor != whole and not can.partial_refund:
        room.refunds.remove(made)
        raise _whole_only(room.payment, whole)
    return made, True


def of_known(session: Session, found: Payment, known: Refund) -> AskedFor:
    """A refund that was asked for before, with what belongs to it."""
    run = session.get_one(ProcessRun, known.process_run_id)
    return AskedFor(known, found, run, approval.open_one(session, "refund", str(known.id)), False)


def check_state(found: Payment, charge: OtherCharge | None = None) -> Capabilities:
    """Whether its gateway can give back of this payment, or of a charge beside it, at all; before anybody is
    asked. Raises Refusal."""
    if found.status not in PAID:
        raise _not_refundable(f"Only a paid payment can be refunded; this is {found.status}.")
    if found.status == "refunded" and charge is None:
        raise _not_refundable("All of it has been given back already.")
    can = gateway(found.gateway).capabilities
    reason = _out_of_time(found, can, charge.paid_at if charge is not None else None)
    if reason:
        raise _not_refundable(reason)
    return can


def _out_of_time(found: Payment, can: Capabilities, paid_at: datetime | None = None) -> str | None:
    """Why the gateway cannot give back now, where it cannot. paid_at: of a charge beside the payment's."""
    if not can.refund:
        return f"{found.gateway} offers no refunds in its present profile. Give the money back another way."
    paid_at = paid_at or found.paid_at
    assert paid_at is not None  # the database holds that
    last = paid_at + timedelta(days=can.refund_days)
    if clock.now() > last:
        return (
            f"{found.gateway} gives back within {can.refund_days} days; for this payment that was until "
            f"{last.astimezone(clock.JAKARTA):%d %b %Y}. Give the money back another way."
        )
    return None


def why_not_any_more(found: Payment, made: Refund) -> str | None:
    """What has come in between since the refund was asked for, if anything: it may have waited for days."""
    if found.status not in PAID:
        return f"The payment is {found.status} now"
    if made.charge_reference is not None:
        return None  # of a charge beside the payment the gateway itself says whether it is too late
    return _out_of_time(found, gateway(found.gateway).capabilities)


def _approved_or_asked(session: Session, room: Room, made: Refund, run: ProcessRun) -> Approval | None:
    """Below the limit it may go; above it a second person is asked, and the process waits for the word.

    All that goes back of one payment without such a word counts together: several small ones are no way
    around it.
    """
    limit, found = settings().refund_approval_above * money.MINOR_PER_UNIT, room.payment
    cause, source = "rule", "approval limit"
    together = room.without_a_word_minor()
    if together <= limit:
        refund.apply(session, found, made, "approved", cause=cause, source=source, is_fresh=True)
        return None
    question = approval.request(
        session,
        "refund",
        str(made.id),
        requested_by=made.requested_by or "",
        summary=f"Give back {money.rupiah(made.amount_minor)} of {_what(found, made)} ({found.gateway})",
        amount_minor=made.amount_minor,
        currency=made.currency,
    )
    room.with_a_word.add(made.id)
    note = f"More than {money.rupiah(limit)}: a second person is asked."
    if made.amount_minor <= limit:
        note = f"With what went back before it is {money.rupiah(together)}. {note}"
    to_status: refund.RefundStatus = "awaiting_approval"
    refund.apply(session, found, made, to_status, cause=cause, source=source, note=note, is_fresh=True)
    process.wait(session, run.id, question.expires_at, waiting_for(question))
    return question


def _what(found: Payment, made: Refund) -> str:
    """Of which money a refund is, in the words of a question."""
    if made.charge_reference is None:
        return found.reference
    return f"{found.reference}, its second charge {made.charge_reference}"


def waiting_for(question: Approval) -> dict[str, str]:
    """What the process says while it waits for a second person."""
    until = question.expires_at.astimezone(clock.JAKARTA)
    sentence = (
        f"Waits for a second person until {until:%d %b %H:%M} WIB: approval {question.id} "
        f"({money.rupiah(question.amount_minor)})"
    )
    return {"type": WAITS_FOR_APPROVAL, "message": sentence}


def hold(session: Session, refund_id: str) -> None:
    """Lock what a decision about this refund changes."""
    found = session.get(Refund, UUID(refund_id))
    if found is not None:
        payment.locked(session, found.payment_id)


def decided(session: Session, word: Approval) -> None:
    """Do what a second person said: the refund's process goes on, or the money is free again."""
    found = session.get_one(Refund, UUID(word.subject_id))
    paid = payment.locked(session, found.payment_id)
    cause, source = "approval", f"approval {word.id} by {word.decided_by}"
    if word.state == "approved":
        may_go = refund.apply(session, paid, found, "approved", cause=cause, source=source)
        if may_go and found.process_run_id is not None:
            process.retry(session, found.process_run_id)
        return
    refund.apply(
        session,
        paid,
        found,
        "refused",
        cause=cause,
        source=source,
        note=word.reason or None,
        problem="It was not approved. Ask again with a new refund_key if it is still wanted",
    )


def _check_form(wish: Wish) -> None:
    """The form of what comes from a form or a file; the API has checked it already. Raises Refusal."""
    if not _KEY.fullmatch(wish.refund_key):
        raise _invalid("refund_key", "A refund_key is 1 to 64 of A-Z a-z 0-9 _ -.")
    if not wish.reason.strip() or len(wish.reason) > LONGEST_REASON or _CONTROL.search(wish.reason):
        raise _invalid("reason", f"A reason is needed, of at most {LONGEST_REASON} characters on one line.")
    if wish.amount_minor is None:
        return
    if wish.amount_minor <= 0 or wish.amount_minor % money.MINOR_PER_UNIT:
        raise _invalid("amount", "An amount is whole rupiah, one or more.")


def _invalid(field: str, detail: str) -> Refusal:
    return Refusal("invalid-request", field, detail)


def _not_refundable(detail: str) -> Refusal:
    return Refusal("not-refundable", None, detail)


def _whole_only(found: Payment, whole_minor: int) -> Refusal:
    return Refusal(
        "partial-refund-not-offered",
        "amount",
        f"{found.gateway} gives back only the whole payment, {money.rupiah(whole_minor)}.",
    )


def _key_reused() -> Refusal:
    return Refusal(
        "refund-key-reused",
        "refund_key",
        "This key was used for a refund of this payment with another amount or reason. Take a new key for a "
        "new refund.",
    )


def _too_large(left: int) -> Refusal:
    detail = f"No more than {money.rupiah(left)} is left: the rest has gone back or is on its way."
    return Refusal("refund-too-large", "amount", detail)
