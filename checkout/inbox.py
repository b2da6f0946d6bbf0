"""Work what gateways told us: hold each claim against our payment, confirm it where its signature leaves
something out, and move the payment through its one door. Any order, any number of copies, same end."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from checkout import ask
from checkout.ask import Asked
from checkout.gateways import gateway as open_gateway
from common import clock, money
from providers.base import ChargeStatus, in_words
from records import notification, payment, process, refund, refund_charges
from records.db import database_url, engine, glance, unit_of_work
from records.notification import Notification
from records.payment import ENDS_UNPAID, PAID, Payment, PaymentStatus, route

log = logging.getLogger("jembatan.inbox")
# Claims of one batch are applied in the order in which they can have happened, not in which they came.
_ORDER = {
    name: number
    for number, name in enumerate(
        ("pending", "expired", "cancelled", "denied", "paid", "partially_refunded", "refunded", "reversed")
    )
}
CAUSE = "notification"
_WENT_BACK = frozenset({"partially_refunded", "refunded"})
LAGS_AT_MOST = 10  # questions, over half an hour


def work(gateway: str, reference: str) -> bool:
    """Work all that waits for one reference. False where another process is at it: nothing was done."""
    with _alone(gateway, reference) as is_ours:
        if not is_ours:
            return False
        with unit_of_work() as session:
            rest = _sieve(session, gateway, reference)
            if rest is None:
                return True
            found, left, must_ask = rest
            if not must_ask:
                _apply(session, left, payment.locked(session, found.id), None)
                return True
            asked = ask.turned_down(session, found)
        answer = ask.heard(found) if asked is None else None
        with unit_of_work() as session:
            # The payment first, then its messages, which are never waited for (SKIP LOCKED).
            now = payment.locked(session, found.id)
            if answer is not None:
                source = f"notification of {gateway}"
                asked = ask.recorded(session, now, answer, cause=CAUSE, source=source)
            # What came while the gateway was asked is newer than its answer: it is for the next round.
            before = {one.id for one in left}
            waiting = notification.of_reference(session, gateway, reference)
            _apply(session, [one for one in waiting if one.id in before], now, asked)
    return True


def _sieve(session: Session, gateway: str, reference: str) -> tuple[Payment, list[Notification], bool] | None:
    """Put aside what cannot be about our payment. Returns the payment, what is left, and whether the gateway
    must be asked about it; None where nothing is left."""
    waiting = notification.of_reference(session, gateway, reference)
    found = session.scalars(sa.select(Payment).filter_by(gateway=gateway, reference=reference)).first()
    if found is None:
        for one in waiting:
            notification.quarantine(one, None, notification.UNKNOWN_ORDER)
        return None
    left = []
    has_several = refund_charges.has_several_charges(session, found)
    for one in waiting:
        if has_several and _is_of_another_charge(session, one, found):
            continue
        difference = _difference(one, found)
        if difference is None:
            left.append(one)
            continue
        notification.quarantine(one, found.id, difference)
        note = f"A rightly signed notification was put aside: {difference}. Nothing was moved by it."
        payment.remark(session, found.id, note, cause=CAUSE, source=f"notification {one.id}")
    if not left:
        return None
    return found, left, any(_needs_answer(one, found) for one in left)


def _apply(session: Session, left: list[Notification], now: Payment, asked: Asked | None) -> None:
    """Deal with what is left: by the gateway's answer where it was asked, else by the claims themselves.

    now: the payment, as this transaction has locked it.
    """
    for one in sorted(left, key=lambda one: (_ORDER.get(one.claimed, -1), one.id)):
        one.payment_id = now.id
        was_answered = asked is not None and asked.said is not None
        if was_answered and asked is not None and _must_ask(one, now):
            _close(session, one, now, asked)
        elif not _moves(one, now):
            notification.worked(one, now.id, f"changed nothing: the payment was {now.status} already")
        elif _is_being_made(one, now):
            notification.again_later(one, "the charge is being made", clock.now() + timedelta(seconds=2))
        elif not _must_ask(one, now):
            _take(session, one, now)
        elif asked is None:
            notification.again_later(one, "the gateway has to be asked first")
        else:
            notification.again_later(one, f"not confirmed yet: {asked.why_not}", asked.may_ask_at)


def _take(session: Session, one: Notification, now: Payment) -> None:
    """Apply a claim whose signature covers all of it."""
    to_status = cast(PaymentStatus, one.claimed)
    is_over = now.expires_at is not None and clock.now() >= now.expires_at
    if one.claimed in ("cancelled", "denied"):
        if now.status in PAID:
            to_status = "reversed"
        elif is_over and not open_gateway(one.gateway).capabilities.says_expired:
            to_status = "expired"
    if one.claimed in ("unknown", "not_found"):
        notification.worked(one, now.id, f"{one.word} is no word of ours: not final, changed nothing")
        return
    if now.gateway_reference is None:
        now.gateway_reference = one.gateway_reference
    moved = payment.apply(
        session,
        now,
        to_status,
        cause=CAUSE,
        source=f"notification {one.id}",
        effective_at=one.at or one.received_at,
        note=f"The gateway told us: {in_words(one.word, one.claimed)}.",
    )
    said = f"moved to {to_status}" if moved else f"changed nothing: the payment was {now.status} already"
    notification.worked(one, now.id, said)


def _close(session: Session, one: Notification, now: Payment, asked: Asked) -> None:
    """The gateway has answered; the payment stands where its answer put it."""
    assert asked.said is not None
    if asked.result == "differs":
        notification.quarantine(one, now.id, f"the gateway's status is {asked.said.word} for other money")
        return
    may_lag = one.claimed in PAID | {"reversed"} and asked.said.state in ("pending", "unknown", "not_found")
    if may_lag and one.attempts < LAGS_AT_MOST:
        # Its status may be behind its message. A payment that has ended here is asked about by nobody else.
        notification.again_later(one, f"not confirmed yet: the gateway's status is {asked.said.word}")
        if one.attempts == 1:
            _remark_unconfirmed(session, one, now, asked.said)
        return
    if one.claimed == "paid" and not one.confirm and now.status == "denied":
        # Both are the gateway's own words: it was paid, and is denied now.
        payment.apply(
            session,
            now,
            "reversed",
            cause=CAUSE,
            source=f"notification {one.id}",
            effective_at=one.at or one.received_at,
            note=f"The gateway told us {in_words(one.word, one.claimed)} and now says "
            f"{in_words(asked.said.word, asked.said.state)}: taken back after payment.",
            is_confirmed=True,
        )
        notification.worked(one, now.id, "moved to reversed")
        return
    if one.claimed in _WENT_BACK and asked.said.state in _WENT_BACK:
        verdict = f"the gateway was asked for its refunds; the payment is {now.status}"
        notification.worked(one, now.id, verdict)
        return
    agrees = one.claimed == now.status
    verdict = "confirmed" if agrees else f"not confirmed: the gateway's status is {asked.said.word}"
    notification.worked(one, now.id, f"{verdict}; the payment is {now.status}")
    if not agrees and one.claimed in PAID and now.status not in PAID and one.attempts == 0:
        _remark_unconfirmed(session, one, now, asked.said)


def _remark_unconfirmed(session: Session, one: Notification, now: Payment, said: ChargeStatus) -> None:
    claims, says = in_words(one.word, one.claimed), in_words(said.word, said.state)
    note = f"A notification claims {claims}; asked, the gateway says {says}. Nothing moved."
    payment.remark(session, now.id, note, cause=CAUSE, source=f"notification {one.id}")


def _is_of_another_charge(session: Session, one: Notification, found: Payment) -> bool:
    """Put away what is about a charge that is given back beside the payment.

    That money went back of one of several charges is looked up at once, refund by refund: our reference
    alone does not say which is meant.
    """
    if one.claimed in _WENT_BACK:
        for given_back in refund.of_payment(session, found.id):
            if given_back.status in refund.SENT and given_back.process_run_id is not None:
                process.retry(session, given_back.process_run_id)
    is_other = refund_charges.is_of_another_charge(session, found, one.gateway_reference)
    if is_other:
        notification.worked(one, found.id, "about a charge that is given back beside the payment")
    return is_other


def _difference(one: Notification, found: Payment) -> str | None:
    """In what a claim differs from our payment, so that it cannot be about it."""
    if one.merchant_differs:
        return "it names another merchant"
    if one.amount_minor is None:
        return "its amount is not written as this gateway writes amounts"
    if one.amount_minor != found.amount_minor:
        return (
            f"it says {money.rupiah(one.amount_minor)}, and we asked for {money.rupiah(found.amount_minor)}"
        )
    is_told_later = one.currency is None and one.confirm  # by the gateway's answer
    if one.currency != found.currency and not is_told_later:
        return "it says another currency than ours"
    return None


def _needs_answer(one: Notification, found: Payment) -> bool:
    """Whether the gateway must be asked before this claim can be dealt with."""
    return _must_ask(one, found) and _moves(one, found) and not _is_being_made(one, found)


def _must_ask(one: Notification, found: Payment) -> bool:
    """Whether the claim alone moves nothing. That money went back is no more than a hint: of which refund,
    how much, and whether the bank has moved it, the gateway's status says."""
    return one.confirm or one.claimed in _WENT_BACK or _contradicts(one, found)


def _moves(one: Notification, found: Payment) -> bool:
    """Whether a claim could change anything, if it were true; most repeated and late ones could not."""
    if one.claimed in ("cancelled", "denied") and found.status in PAID:
        return True
    if one.claimed in _WENT_BACK and found.status == "partially_refunded":
        return True  # it may be about another refund than the one before
    return bool(route(found.status, one.claimed, is_confirmed=True))


def _is_being_made(one: Notification, found: Payment) -> bool:
    """The gateway tells us of a charge whose answer we are just waiting for."""
    return one.claimed == "pending" and found.busy_by is not None and found.status == "created"


def _contradicts(one: Notification, found: Payment) -> bool:
    """Whether a claim cannot follow from where the payment stands: then the gateway itself decides."""
    takes_back = found.status in PAID and one.claimed in ("cancelled", "denied", "reversed")
    return takes_back or (found.status in ENDS_UNPAID and one.claimed in PAID)


@contextmanager
def _alone(gateway: str, reference: str) -> Iterator[bool]:
    """One process at a time works a reference; a killed one gives it up with its database session."""
    digest = hashlib.sha256(f"{gateway} {reference}".encode()).digest()
    key = int.from_bytes(digest[:8], "big", signed=True)
    with engine(database_url()).connect().execution_options(isolation_level="AUTOCOMMIT") as session:
        got = session.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": key})
        try:
            yield bool(got)
        finally:
            if got:
                session.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": key})


def set_back(gateway: str, reference: str) -> None:
    """Let what waits for a reference wait a while longer: working it failed."""
    with unit_of_work() as session:
        for one in notification.of_reference(session, gateway, reference):
            notification.again_later(one, "working it failed; the log of the API tells more")


def waiting(gateway: str, limit: int = 200) -> Sequence[str]:
    """References of which something waits, after all that can move nothing was put away together."""
    now = clock.now()
    with glance() as session:
        notification.put_away_known(session, gateway, now)
        notification.put_aside_unknown(session, gateway, now)
        return notification.due_references(session, gateway, now, limit)
