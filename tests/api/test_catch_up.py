"""Missed nights: each day is asked for once, and only when its night has really passed."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from api_world import DAY, execute, reconcile

from api import catch_up
from common import clock
from common.settings import settings
from records import process
from records.db import unit_of_work
from records.process import ProcessRun


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=clock.JAKARTA)


def days(*numbers: int) -> list[date]:
    return [date(2026, 11, number) for number in numbers]


@pytest.mark.parametrize(
    ("now", "first", "back", "known", "missed"),
    [
        (at(25, 8), 20, 14, [], [20, 21, 22, 23, 24]),  # since the first day of duty
        (at(25, 8), 20, 2, [], [23, 24]),  # not further back than the setting says
        (at(25, 8), 20, 14, [20, 22, 24], [21, 23]),  # what is known is not asked for
        (at(25, 8), 24, 14, [], [24]),
        (at(25, 8), 25, 14, [], []),  # today has no night yet
        (at(25, 8), 26, 14, [], []),
        (at(25, 8), 20, 0, [], []),
        (at(25, 2, 14), 23, 14, [], [23]),  # last night's own run has its quarter of an hour
        (at(25, 2, 15), 23, 14, [], [23, 24]),
        (at(25, 0, 30), 23, 14, [], [23]),
    ],
)
def test_a_missed_day_is_one_whose_night_has_passed(
    now: datetime, first: int, back: int, known: list[int], missed: list[int]
) -> None:
    assert catch_up.missed_days(now, date(2026, 11, first), back, days(*known)) == days(*missed)


def requested(now: datetime) -> list[tuple[str, int]]:
    with unit_of_work() as session:
        return [(gateway, day.day) for gateway, day in catch_up.request_missed(session, now)]


def keys() -> list[str]:
    with unit_of_work() as session:
        return sorted(session.scalars(sa.select(ProcessRun.key)))


def test_a_new_installation_has_missed_nothing(database: str) -> None:
    assert requested(clock.now()) == []


def test_duty_begins_with_the_first_statement_or_the_first_use(database: str, tmp_path: Path) -> None:
    reconcile(tmp_path, [], day=DAY - timedelta(days=2))
    execute("UPDATE process_runs SET created_at = '2026-11-23 12:00+07'")
    execute("UPDATE reconciliations SET recorded_at = '2026-11-23 12:00+07'")
    assert requested(at(25, 8)) == [
        ("gopay", 23),
        ("gopay", 24),
        ("ovo", 23),
        ("ovo", 24),
        ("linkaja", 23),
        ("linkaja", 24),
    ]


def test_a_missed_day_is_asked_for_once_by_many_relays(database: str, tmp_path: Path) -> None:
    reconcile(tmp_path, [])
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: requested(at(27, 8)), range(6)))
    assert sorted(day for one in made for day in one if day[0] == "gopay") == [("gopay", 25), ("gopay", 26)]
    assert [key for key in keys() if key in ("gopay/2026-11-25", "gopay/2026-11-26")] == [
        "gopay/2026-11-25",
        "gopay/2026-11-26",
    ]
    assert requested(at(27, 9)) == []


def test_a_day_whose_night_failed_is_left_to_a_person(database: str, tmp_path: Path) -> None:
    reconcile(tmp_path, [])
    with unit_of_work() as session:
        run, _ = process.request(session, "reconcile-payments", "gopay/2026-11-25", {})
        process.finish(session, run.id, "failed", error={"type": "t", "message": "m"})
    assert ("gopay", 25) not in requested(at(26, 8))


def test_it_asks_for_the_day_as_the_nightly_run_does(database: str, tmp_path: Path) -> None:
    reconcile(tmp_path, [])
    requested(at(26, 8))
    with unit_of_work() as session:
        run = session.scalars(sa.select(ProcessRun).filter_by(key="gopay/2026-11-25")).one()
    assert (run.process, run.state) == ("reconcile-payments", "queued")
    assert run.input == {
        "gateway": "gopay",
        "business_date": "2026-11-25",
        "source": None,
        "layout": None,
        "allow_empty": False,
    }


def test_a_gateway_without_a_report_source_is_left_out(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconcile(tmp_path, [])
    monkeypatch.setenv("JEMBATAN_ENV", "production")
    monkeypatch.setenv("JEMBATAN_GOPAY__REPORT__SOURCE", "drop")
    settings.cache_clear()
    assert {gateway for gateway, _ in requested(at(26, 8))} == {"gopay"}
