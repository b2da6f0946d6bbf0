"""The days on which a gateway pays out.

The one thing that payouts need of a calendar is `SettlementDays`; where a richer one (public holidays from
a library) is at hand, it takes the place of `of_gateway` here.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from common.settings import settings


class SettlementDays(Protocol):
    """A gateway's calendar, as far as payouts look at it."""

    def due(self, business_day: date) -> date:
        """The day on which what was settled on a business day reaches the bank."""


@dataclass(frozen=True)
class FromSettings:
    """T+n: the n-th settlement day after the business day; with n = 0 the day itself, or the next one."""

    days: int
    weekdays: frozenset[int]
    closed: frozenset[date]

    def due(self, business_day: date) -> date:
        day, left = business_day, self.days
        while left or not self._is_open(day):
            day += timedelta(days=1)
            if left and self._is_open(day):
                left -= 1
        return day

    def _is_open(self, day: date) -> bool:
        return day.isoweekday() in self.weekdays and day not in self.closed


def of_gateway(gateway: str) -> SettlementDays:
    """The calendar of a gateway, as it is set."""
    plan = settings().gateway(gateway).payout
    return FromSettings(plan.days, frozenset(plan.weekdays), frozenset(plan.closed))
