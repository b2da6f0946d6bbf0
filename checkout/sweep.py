"""The sweep: ask for every payment that is not final, by each gateway's timetable, and expire what is over.

It is what heals when a notification is lost, an answer was lost, or we were down.
"""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from checkout import ask, timetable
from checkout.gateways import gateway
from common import clock
from common.errors import Ambiguous, ProviderError, Rejected
from providers.base import ChargeStatus, Gateway
from records import charge, notification
from records.db import unit_of_work
from records.payment import NOT_FINAL, Payment

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


def sweep(name: str, limit: int) -> Swept:
    """Ask one gateway about all that is due, at most `limit`, in batches that are recorded one by one."""
    counts = Swept()
    opened = gateway(name)
    first_after = ask.first_after(name)
    silent, until = 0, time.monotonic() + SECONDS
    with unit_of_work() as session:
        notification.join_known(session)
        due = charge.due(session, name, clock.now() + AHEAD, limit)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for start in range(0, len(due), BATCH):
            batch = due[start : start + BATCH]
            answers = list(pool.map(lambda one: _answer(opened, one), batch))
            _record(list(zip(batch, answers, strict=True)), first_after, counts)
            for answer in answers:
                silent = silent + 1 if answer is None else 0
            if silent >= GIVE_UP_AFTER or time.monotonic() > until:
                break  # it is away, or slow: the rest stays due
    return counts


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


def _record(
    answers: Iterable[tuple[Payment, ChargeStatus | None]], first_after: timedelta, counts: Swept
) -> None:
    """Record one batch: those that move one by one through the door, the others together."""
    now = clock.now()
    times: list[tuple[UUID, datetime | None]] = []
    answered = []
    with unit_of_work() as session:
        for found, said in answers:
            counts.swept += 1
            counts.unanswered += said is None
            status = found.status
            if said is not None:
                answered.append(found.id)
                if not _is_nothing_new(found, said, now):
                    result = ask.settle(session, found.id, said, cause=CAUSE, source="sweep")
                    status = session.get_one(Payment, found.id).status
                    counts.healed += result == "moved"
                    counts.expired += result == "moved" and status == "expired"
            times.append((found.id, _next(found, status, now, first_after, was_answered=said is not None)))
        charge.asked(session, times, answered)


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
