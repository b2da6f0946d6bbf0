"""Lists of exceptions and how old they are: what finance looks at first, in a tenth of a second."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common import clock
from records.classes import NO_EXCEPTION
from records.exceptions import ReconciliationException, is_of_type

Order = Literal["risk", "age"]
# Days since the business day, from and to; what is older than the last has a bucket of its own.
BUCKETS: dict[str, tuple[int, int | None]] = {
    "1": (0, 1), "3": (2, 3), "7": (4, 7), "30": (8, 30), "older": (31, None),
}  # fmt: skip
_E = ReconciliationException
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Filter:
    """Which exceptions. type, state: one of exceptions.TYPES and STATES, None for all. What is awaited with
    the next report (`timing`) is no exception yet and is left out, unless its class is asked for. since,
    until: business days, both included; bucket: one of BUCKETS; min_risk_minor: at least so much money."""

    gateway: str | None = None
    type: str | None = None
    class_: str | None = None
    state: str | None = "open"
    since: date | None = None
    until: date | None = None
    bucket: str | None = None
    min_risk_minor: int | None = None


@dataclass(frozen=True)
class Place:
    """Where a page begins: after the exception with this key and number. key: money at risk, or the business
    day as days since 1970."""

    key: int
    id: int


@dataclass(frozen=True)
class Age:
    """Open exceptions of one gateway and age: how many, and how much money they put at risk."""

    gateway: str
    bucket: str
    count: int
    at_risk_minor: int


def page(
    session: Session, which: Filter, order: Order, *, after: Place | None = None, limit: int = 50
) -> list[ReconciliationException]:
    """Exceptions with the most money at risk, or the oldest, first; a page after `after`."""
    query = sa.select(_E).where(*_conditions(which))
    if order == "risk":
        query = query.order_by(_E.risk_minor.desc(), _E.id)
        if after is not None:
            later = sa.and_(_E.risk_minor == after.key, _E.id > after.id)
            query = query.where(_E.risk_minor <= after.key, sa.or_(_E.risk_minor < after.key, later))
    else:
        query = query.order_by(_E.business_date, _E.id)
        if after is not None:
            query = query.where(sa.tuple_(_E.business_date, _E.id) > (_day(after.key), after.id))
    return list(session.scalars(query.limit(limit)))


def totals(session: Session, which: Filter) -> tuple[int, int]:
    """How many they are, and how much money they put at risk."""
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(_E.risk_minor), 0))
    count, risk = session.execute(query.where(*_conditions(which))).one()
    return count, int(risk)


def place(found: ReconciliationException, order: Order) -> Place:
    """The place after this exception, in that order."""
    return Place(found.risk_minor if order == "risk" else (found.business_date - _EPOCH).days, found.id)


def ageing(session: Session, today: date | None = None) -> list[Age]:
    """Open exceptions by gateway and age, `timing` left out; every bucket of a gateway that has any."""
    today = today or clock.business_date(clock.now())
    # By day, not by bucket: which bucket a day is in is asked once for each day and not for each exception.
    rows = session.execute(
        sa.select(_E.gateway, _E.business_date, sa.func.count(), sa.func.sum(_E.risk_minor))
        .where(_E.state == "open", _E.class_.not_in(NO_EXCEPTION))
        .group_by(_E.gateway, _E.business_date)
    )
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for gateway, day, count, risk in rows:
        before = found.get((gateway, name := _bucket((today - day).days)), (0, 0))
        found[gateway, name] = (before[0] + count, before[1] + int(risk))
    gateways = sorted({gateway for gateway, _ in found})
    return [Age(one, name, *found.get((one, name), (0, 0))) for one in gateways for name in BUCKETS]


def age_days(found: ReconciliationException, today: date | None = None) -> int:
    """Days since its business day; of one that has ended, until it ended."""
    until = found.closed_at and clock.business_date(found.closed_at)
    return max(0, ((until or today or clock.business_date(clock.now())) - found.business_date).days)


def _bucket(days: int) -> str:
    return next((name for name, (_, most) in BUCKETS.items() if most is not None and days <= most), "older")


def _conditions(which: Filter) -> list[Any]:
    found: list[Any] = []
    for column, value in ((_E.gateway, which.gateway), (_E.state, which.state), (_E.class_, which.class_)):
        if value is not None:
            found.append(column == value)
    if which.type is not None:
        found.append(is_of_type(which.type))
    if which.class_ is None:
        found.append(_E.class_.not_in(NO_EXCEPTION))
    since, until = which.since, which.until
    if which.bucket is not None:
        today = clock.business_date(clock.now())
        least, most = BUCKETS[which.bucket]
        until = min(until or date.max, today - timedelta(days=least)) if least else until
        if most is not None:
            since = max(since or date.min, today - timedelta(days=most))
    if since is not None:
        found.append(_E.business_date >= since)
    if until is not None:
        found.append(_E.business_date <= until)
    if which.min_risk_minor is not None:
        found.append(_E.risk_minor >= which.min_risk_minor)
    return found


def _day(key: int) -> date:
    """The day of a key; one that no calendar has becomes the nearest that there is."""
    least, most = (date.min - _EPOCH).days, (date.max - _EPOCH).days
    return _EPOCH + timedelta(days=min(max(key, least), most))
