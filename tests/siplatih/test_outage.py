"""The register is away for three days while a month's work waits for it."""

from collections import Counter
from typing import Any
from uuid import UUID

import class_room
import pytest
import sqlalchemy as sa
from class_room import people, rows
from register_desk import Desk, codes, gate, later, program, worked

from common.settings import settings
from records.db import unit_of_work
from records.process import ProcessRun

PROGRAMS, CLASSES, CLASS = 200, 50, 100
RATE = 40
KINDS = ("500", "html", "timeout", "reset", "502_html")


def runs() -> list[ProcessRun]:
    with unit_of_work() as session:
        return list(session.scalars(sa.select(ProcessRun).order_by(ProcessRun.created_at)))


def everything() -> None:
    """What the workers would do now: all that is due of both processes."""
    worked()
    class_room.worked()


@pytest.mark.slow
def test_three_days_away_with_a_months_work_waiting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEMBATAN_SIPLATIH__RATE", str(RATE))
    settings.cache_clear()
    desk.behaves(rate=RATE * 1.1, burst=8)
    room = class_room.ClassRoom(desk.till)
    asked = [desk.asked(program(instructor_qualifications=[])) for _ in range(PROGRAMS // 2)]
    classes = [class_of(room, one, place) for place, one in enumerate(asked[:CLASSES])]

    before, calls = 0, []
    for hour in range(0, 72, 3):
        desk.fail("any", KINDS[hour // 3 % len(KINDS)], times=None)
        everything()
        states = Counter(one.state for one in runs())
        assert set(states) == {"waiting"}, states  # no worker is held
        assert {one.next_attempt_at is not None for one in runs()} == {True}
        total = sum(desk.till.calls("siplatih").values())
        calls.append(total - before)
        before = total
        desk.heal()
        if hour == 36:  # requests are accepted all the same
            asked += [desk.asked(program(instructor_qualifications=[])) for _ in range(PROGRAMS // 2)]
        later(hours=3)
    assert len(desk.books()) == 0
    assert max(calls[1:]) <= 6, calls  # a trial, and what it tries again within itself

    shown = desk.till.http.get("/api/v1/processes", params={"state": "waiting", "limit": 100}).json()["items"]
    assert len(shown) == 100
    assert {one["next_attempt_at"] is not None for one in shown} == {True}
    assert all("tried again at" in one["error"]["message"] for one in shown[:-1])

    for _ in range(12):
        everything()
        if {one.state for one in runs()} == {"succeeded"}:
            break
        later(minutes=40)
    assert {one.state for one in runs()} == {"succeeded"}
    assert codes(desk.books()) == codes(asked)
    assert {one["status"] for one in desk.calls("register") + desk.calls("complete")} <= {200, 201}
    assert len(desk.calls("complete")) == CLASSES
    for one, taken in zip(asked, classes, strict=False):
        book = room.book(one["program_code"])
        assert len(book) == CLASS
        assert {(who["versions"], who["times_told"]) for who in book} == {(1, 1)}
        assert {who.state for who in rows(taken["report_id"])} == {"accepted"}
    reported = [one["subject"] for one in desk.calls("complete")]
    numbers = [desk.shown(one)["siplatih_program_id"] for one in asked[:CLASSES]]
    assert reported == numbers  # classes too, in the order in which they were handed in
    found = gate()
    assert found is not None
    assert found.shut_until is None


def class_of(room: class_room.ClassRoom, one: dict[str, Any], place: int) -> dict[str, Any]:
    """A class of its own people, handed in for a program that is not registered yet."""
    taken = room.asked(one["program_code"], people(CLASS, first=CLASS * place))
    assert UUID(taken["report_id"])
    return taken
