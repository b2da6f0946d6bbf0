"""When a gateway should have reported and paid out what it took: its cut-off, working days, T+n.

Weekends and Indonesia's public holidays are no working days, the joint holidays (cuti bersama) among them, on
which banks are closed. Days are those of Asia/Jakarta.
"""

from datetime import date, datetime, timedelta
from functools import cache

from common.clock import JAKARTA
from common.settings import settings
from records.exceptions import ReconciliationException

AWAITED = ("timing", "missing_at_gateway")
_SATURDAY = 5


def expected_by(found: ReconciliationException) -> date | None:
    """The day by whose end the gateway should have reported and paid out what is awaited of it.

    None where a line is there already: then nothing more is to come.
    """
    if found.is_payout:
        due_on = found.expected.get("due_on")
        return date.fromisoformat(due_on) if due_on and found.class_ in AWAITED else None
    paid_at = found.expected.get("at")
    if found.class_ not in AWAITED or paid_at is None:
        return None
    return settled_by(found.gateway, datetime.fromisoformat(paid_at))


def settled_by(gateway: str, paid_at: datetime) -> date:
    """The day on which the gateway's money for a payment of that moment is due: T+n working days.

    T is the day of payment, or the next one from the gateway's cut-off on.
    """
    plan = settings().gateway(gateway)
    local = paid_at.astimezone(JAKARTA)
    is_after = plan.cutoff is not None and local.time() >= plan.cutoff
    return working_day(local.date() + timedelta(days=is_after), plan.settlement_days)


def paid_out_on(gateway: str, business_day: date) -> date:
    """The day on which what the gateway settled on a business day reaches the bank: T+n working days."""
    return working_day(business_day, settings().gateway(gateway).settlement_days)


def working_day(day: date, after: int) -> date:
    """The working day that comes `after` working days later; with 0 the day itself or the next such."""
    for _ in range(after):
        day = _working_from(day + timedelta(days=1))
    return _working_from(day)


def _working_from(day: date) -> date:
    while not is_working_day(day):
        day += timedelta(days=1)
    return day


def is_working_day(day: date) -> bool:
    """Whether banks work on that day."""
    return day.weekday() < _SATURDAY and day not in _holidays(day.year) | set(settings().extra_holidays)


@cache
def _holidays(year: int) -> frozenset[date]:
    from holidays import GOVERNMENT, PUBLIC, country_holidays  # large, and few commands ask

    return frozenset(country_holidays("ID", years=year, categories=(PUBLIC, GOVERNMENT)))
