"""When a gateway's money is due: its cut-off, weekends, Indonesia's holidays, T+n."""

from datetime import date, datetime
from typing import Any

import pytest

from common.settings import settings
from records import calendar


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_to(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"JEMBATAN_{name}", value)
        settings.cache_clear()

    yield set_to
    monkeypatch.undo()
    settings.cache_clear()


@pytest.mark.parametrize(
    ("paid_at", "days", "due"),
    [
        ("2026-11-24T09:00:00+07:00", "1", "2026-11-25"),
        ("2026-11-24T23:59:59+07:00", "1", "2026-11-25"),
        ("2026-11-24T17:00:00Z", "1", "2026-11-26"),  # midnight in Jakarta: the 25th
        ("2026-11-27T09:00:00+07:00", "1", "2026-11-30"),  # Friday: Monday
        ("2026-11-28T09:00:00+07:00", "1", "2026-11-30"),  # Saturday: Monday
        ("2026-11-28T09:00:00+07:00", "0", "2026-11-30"),
        ("2026-11-24T09:00:00+07:00", "0", "2026-11-24"),
        ("2026-11-24T09:00:00+07:00", "3", "2026-11-27"),
        ("2026-12-23T09:00:00+07:00", "1", "2026-12-28"),  # Christmas, and the joint holiday before it
        ("2026-03-17T09:00:00+07:00", "1", "2026-03-25"),  # Nyepi and Eid
        ("2026-08-14T09:00:00+07:00", "1", "2026-08-18"),  # Independence Day on a Monday
    ],
)
def test_money_is_due_after_so_many_working_days(plan: Any, paid_at: str, days: str, due: str) -> None:
    plan(GOPAY__SETTLEMENT_DAYS=days)
    assert calendar.settled_by("gopay", datetime.fromisoformat(paid_at)) == date.fromisoformat(due)


def test_what_is_paid_from_the_cut_off_on_counts_as_of_the_next_day(plan: Any) -> None:
    plan(OVO__CUTOFF="22:00")
    for at, due in (("21:59:59", 25), ("22:00:00", 26)):
        assert calendar.settled_by("ovo", datetime.fromisoformat(f"2026-11-24T{at}+07:00")).day == due
    assert calendar.settled_by("gopay", datetime.fromisoformat("2026-11-24T22:00:00+07:00")).day == 25


def test_a_bank_holiday_that_no_library_knows_can_be_named(plan: Any) -> None:
    plan(EXTRA_HOLIDAYS='["2026-11-25"]')
    assert calendar.settled_by("gopay", datetime.fromisoformat("2026-11-24T09:00:00+07:00")).day == 26
