"""The rules of the look once more in plain Python, from docs/entitlements.md and not from the code.

Slow and simple on purpose: one pair after the other, one question after the other, everything in lists.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone

WIB = timezone(timedelta(hours=7))


@dataclass(frozen=True)
class Pay:
    """A payment. learner, program: none where the payment does not say. back_at: when its money went back;
    is_going_back: a refund of it has begun and not ended."""

    reference: str
    learner: str | None
    program: str | None
    status: str
    paid_at: datetime
    back_at: datetime | None = None
    is_going_back: bool = False


@dataclass(frozen=True)
class Say:
    """What the platform told; payment: its reference."""

    learner: str
    program: str
    state: str
    at: datetime
    payment: str | None = None
    is_free: bool | None = None


@dataclass(frozen=True)
class Done:
    """A completion, one after the other of a person: the last one counts, the others are superseded."""

    learner: str | None
    program: str
    lpk: str
    number: int
    status: str
    state: str
    on: date
    answered_at: datetime


@dataclass(frozen=True)
class Badge:
    """A credential."""

    learner: str
    program: str
    number: str
    on: date
    state: str = "valid"


@dataclass
class Population:
    """Everything that is known, each list in any order but `done`, which is in the order of its numbers."""

    pays: list[Pay] = field(default_factory=list)
    says: list[Say] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    badges: list[Badge] = field(default_factory=list)


@dataclass(frozen=True)
class Grace:
    """Hours that each thing may take; since: what began before is left alone."""

    enrol: int = 24
    pay: int = 72
    report: int = 168
    withdraw: int = 24
    since: date | None = None


def look(world: Population, now: datetime, grace: Grace) -> dict[tuple[str, str], dict[str, str]]:
    """For each pair, each class that it has begun to be: `found` or `awaited`."""
    told: dict[tuple[str, str], list[Say]] = {}
    for say in world.says:
        told.setdefault((say.learner, say.program), []).append(say)
    seats = {pair: seat(says) for pair, says in told.items()}
    named = {reference for one in seats.values() for reference in one[3]}
    pairs = set(seats)
    pairs |= {(badge.learner, badge.program) for badge in world.badges}
    pairs |= {(one.learner, one.program) for one in world.done if one.learner is not None}
    for pay in world.pays:
        if pay.learner is not None and pay.program is not None and pay.reference not in named:
            pairs.add((pay.learner, pay.program))
    nothing_told = seat([])
    return {pair: _of_pair(world, pair, seats.get(pair, nothing_told), named, now, grace) for pair in pairs}


def seat(says: Sequence[Say]) -> tuple[bool, datetime | None, bool, set[str], datetime | None]:
    """Whether there is a seat, since when that is so, whether it is free, the payments that pay for it, and
    when it was completed, if that was told last."""
    life = ["enrolled", "completed", "withdrawn"]
    in_time = sorted(says, key=lambda say: (say.at, life.index(say.state)))
    if not in_time:
        return False, None, False, set(), None
    has_seat = in_time[-1].state != "withdrawn"
    since = in_time[-1].at
    for say in reversed(in_time):
        if (say.state != "withdrawn") != has_seat:
            break
        since = say.at
    free = [say.is_free for say in in_time if say.is_free is not None]
    payments = [say.payment for say in in_time if say.payment is not None]
    completed = in_time[-1].at if in_time[-1].state == "completed" else None
    return has_seat, since, bool(free and free[-1]), set(payments[-1:]), completed


Seat = tuple[bool, datetime | None, bool, set[str], datetime | None]


def _of_pair(
    world: Population, pair: tuple[str, str], told: Seat, named: set[str], now: datetime, grace: Grace
) -> dict[str, str]:
    has_seat, since, is_free, paid_by, completed_at = told
    pays = []
    for pay in world.pays:
        is_own = pay.reference not in named and (pay.learner, pay.program) == pair
        if pay.reference in paid_by or is_own:
            pays.append(pay)
    held = [pay for pay in pays if pay.status in ("paid", "partially_refunded")]
    backs = [pay.back_at or pay.paid_at for pay in pays if pay.status in ("refunded", "reversed")]
    classes = [one for one in world.done if (one.learner, one.program) == pair]
    accepted = [one for one in classes if one.state == "accepted"]
    register = {}
    for one in accepted:
        register[one.lpk] = one.status
    newest = {one.lpk: one for one in classes}
    badges = [one for one in world.badges if (one.learner, one.program) == pair and one.state != "revoked"]

    began: dict[str, datetime] = {}
    if held and not has_seat:
        began["paid_not_enrolled"] = max([min(pay.paid_at for pay in held), *([since] if since else [])])
    if has_seat and since and not held and not is_free:
        if backs and max(backs) >= since:
            began["refunded_still_enrolled"] = max(backs)
        else:
            began["enrolled_not_paid"] = since
    ends = [midnight(one.on) for one in newest.values() if one.status == "COMPLETED"]
    ends += [midnight(one.on) for one in badges] + ([completed_at] if completed_at else [])
    if ends and "COMPLETED" not in register.values():
        began["completed_not_reported"] = min(ends)
    if accepted and not held and not is_free:
        began["reported_without_payment"] = min(one.answered_at for one in accepted)

    hours = {
        "paid_not_enrolled": grace.enrol,
        "enrolled_not_paid": grace.pay,
        "completed_not_reported": grace.report,
        "reported_without_payment": grace.pay,
        "refunded_still_enrolled": grace.withdraw,
    }
    found = {}
    for name, at in began.items():
        if grace.since is not None and at < midnight(grace.since):
            continue
        is_due = at + timedelta(hours=hours[name]) <= now
        if name == "paid_not_enrolled" and all(pay.is_going_back for pay in held):
            is_due = False
        found[name] = "found" if is_due else "awaited"
    return found


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=WIB)
