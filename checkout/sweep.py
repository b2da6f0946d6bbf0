"""The sweep: ask for every payment that is not final, by each gateway's timetable, and expire what is over.

It is what heals when a notification is lost, an answer was lost, or we were down.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from checkout import ask, timetable
from checkout.gateways import gateway
from common import clock
from common.errors import Ambiguous, ProviderError, Rejected
from providers.base import ChargeStatus, Gateway
from records import charge, notification, payment
from records.db import unit_of_work
from records.payment import NOT_FINAL, Payment

log = logging.getLogger("jembatan.checkout")
AT_ONCE = 16
BATCH = 200
# Due within this time counts as due: else what is due a second after this sweep waits for the next one.
AHEAD = timedelta(seconds=10)
SECONDS = 45.0  # for one gateway: the next sweep begins with what is fresh again
GIVE_UP_AFTER = 20  # answers in a row that did not come
CAUSE = "sweep"


@dataclass
class Swept:
    """What one sweep of one gateway did. healed: moved by the gateway's answer; expired: of those, over."""

    swept: int = 0
    healed: int = 0
    expired: int = 0
    unanswered: int = 0

    def __add__(self, other: "Swept") -> "Swept":
        return Swept(*map(sum, zip(astuple(self), astuple(other), strict=True)))


_Answers = Sequence[tuple[Payment, ChargeStatus | None]]
_Settled = Callable[[Session, Payment, ChargeStatus], ask.Result | None]


def sweep(name: str, limit: int) -> Swept:
    """Ask one gateway about all that is due, at most `limit`, in batches that are recorded one by one."""
    counts = Swept()
    opened = gateway(name)
    first_after = ask.first_after(name)
    silent, until = 0, time.monotonic() + SECONDS
    with unit_of_work() as session:
        notification.join_known(session)
        now = clock.now()
        due = charge.due(session, name, now + AHEAD, now - ask.left_alone_for(name), limit)

    def answer(found: Payment) -> ChargeStatus | None:
        nonlocal silent
        if is_over():
            raise _LeftDueError
        said = _answer(opened, found)
        silent = silent + 1 if said is None else 0
        return said

    def is_over() -> bool:
        """It is away, or slow: the rest stays due."""
        return silent >= GIVE_UP_AFTER or time.monotonic() > until

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for start in range(0, len(due), BATCH):
            batch = due[start : start + BATCH]
            asked = [(one, pool.submit(answer, one)) for one in batch]
            answers = [
                (one, said.result()) for one, said in asked if not isinstance(said.exception(), _LeftDueError)
            ]
            counts += _record(answers, first_after)
            if is_over():
                break
    return counts


class _LeftDueError(Exception):
    """A payment that this sweep does not come to."""


def _answer(opened: Gateway, found: Payment) -> ChargeStatus | None:
    """What the gateway says of a payment now; one that is over is ended there. None: it does not answer."""
    try:
        said = opened.get_charge(found.reference, ask.number_of(found))
        is_over = found.expires_at is not None and clock.now() >= found.expires_at
        if said.state == "pending" and is_over and opened.capabilities.cancel:
            return _ended(opened, found)
    except ProviderError:
        return None
    return said


def _ended(opened: Gateway, found: Payment) -> ChargeStatus:
    """Let a charge expire whose time is over, so that nobody can pay it later."""
    with unit_of_work() as session:
        external_id = session.scalar(charge.NEXT_EXTERNAL_ID) or ""
    try:
        return opened.cancel_charge(
            found.reference, external_id, expire=True, gateway_reference=found.gateway_reference
        )
    except (Ambiguous, Rejected):  # it may have been paid at this very moment
        return opened.get_charge(found.reference, ask.number_of(found))


def _record(answers: _Answers, first_after: timedelta) -> Swept:
    """Record one batch together, or where one of its answers does not let it, each by itself."""
    try:
        return _recorded(answers, first_after, _settled)
    except Exception:  # noqa: BLE001 - which one it is, and why, the second try tells
        return _recorded(answers, first_after, _settled_alone)


def _recorded(answers: _Answers, first_after: timedelta, settled: _Settled) -> Swept:
    """What came of a batch, in one transaction: those that move one by one through the door, the others
    together."""
    now = clock.now()
    counts = Swept()
    times: list[tuple[UUID, str, datetime | None]] = []
    answered = [found.id for found, said in answers if said is not None]
    news = [found.id for found, said in answers if said is not None and not _is_nothing_new(found, said, now)]
    with unit_of_work() as session:
        locked = {one.id: one for one in payment.locked_many(session, news)}
        for found, said in answers:
            counts.swept += 1
            counts.unanswered += said is None
            status = found.status
            if said is not None and found.id in locked:
                result = settled(session, locked[found.id], said)
                status = locked[found.id].status
                counts.healed += result == "moved"
                counts.expired += result == "moved" and status == "expired"
            next_at = _next(found, status, now, first_after, was_answered=said is not None)
            times.append((found.id, found.status, next_at))
        charge.asked(session, times, answered)
    return counts


def _settled(session: Session, found: Payment, said: ChargeStatus) -> ask.Result:
    return ask.settle(session, found, said, cause=CAUSE, source="sweep")


def _settled_alone(session: Session, found: Payment, said: ChargeStatus) -> ask.Result | None:
    """Settle one payment; what cannot be recorded is logged and keeps no other from it."""
    try:
        with session.begin_nested():
            return _settled(session, found, said)
    except Exception:  # whatever one answer brings, the others of the batch are recorded
        log.exception("the gateway's answer about %s cannot be recorded", found.reference)
        return None


def _is_nothing_new(found: Payment, said: ChargeStatus, now: datetime) -> bool:
    """Whether the answer says what we know already: most do, and need no lock of their row."""
    if found.expires_at is not None and now >= found.expires_at:
        return said.state == found.status and found.status not in NOT_FINAL
    return said.state in (found.status, "unknown") or (
        said.state == "not_found" and found.status in NOT_FINAL
    )


def _next(
    found: Payment, status: str, now: datetime, first_after: timedelta, *, was_answered: bool
) -> datetime | None:
    if status in NOT_FINAL:
        return timetable.next_question(now, found.created_at, found.expires_at, first_after)
    return None if was_answered else now + timetable.LATER
