"""Completions through Prefect and through deaths: by id from its form, in batches, killed at every step."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from class_room import ClassRoom, later, people, person, program_registered, rows, run_of, worked
from till import wait_until

from common.settings import settings
from records import process
from records.db import unit_of_work
from records.process import ProcessRun

KILLED = Path(__file__).parent / "completions_killed_at.py"
POINTS = int(os.environ.get("KILL_POINTS", "24"))


def flow(**parameters: Any) -> Any:
    from flows.report_completion import report_completion

    return report_completion(return_state=True, **parameters)


def test_a_report_is_started_by_its_id_in_the_form_of_prefect(room: ClassRoom) -> None:
    code = program_registered()
    taken = room.asked(code, people(3))
    state = flow(report_id=taken["report_id"])
    assert (state.type.value, state.message) == ("COMPLETED", f"{code}: 3 accepted")
    run = run_of(taken)
    assert (run.state, run.flow_run_id) == ("succeeded", state.state_details.flow_run_id)
    assert run.outcome is not None
    assert run.outcome["participants"]["accepted"] == 3
    assert flow(report_id=taken["report_id"]).name == "Skipped"
    assert len(room.book(code)) == 3


def test_a_batch_is_one_flow_run_in_which_each_report_has_its_own_outcome(room: ClassRoom) -> None:
    codes = [program_registered() for _ in range(3)]
    taken = [room.asked(code, people(2, first=10 * place)) for place, code in enumerate(codes)]
    room.refuses("CERT-2024-000010")
    state = flow(processes=[one["process_id"] for one in taken])
    assert state.message == "3 reports: 5 accepted, 1 rejected"
    assert [run_of(one).state for one in taken] == ["succeeded", "needs_attention", "succeeded"]


def test_what_the_form_cannot_have_ends_in_a_sentence(room: ClassRoom) -> None:
    assert "A report_id is needed" in flow().message
    assert "There is no report" in flow(report_id=uuid4()).message


def killed(deadly: int, taken: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(KILLED), str(deadly), taken["report_id"], taken["process_id"]]
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(KILLED.parents[2])},
    )


def left_behind() -> None:
    """The relay's part: what lost its worker is queued again. A killed session is noticed within moments."""

    def look() -> bool:
        with unit_of_work() as session:
            process.requeue_orphans(session, idle=timedelta(0))
        with unit_of_work() as session:
            return not list(session.scalars(sa.select(ProcessRun).filter_by(state="running")))

    wait_until(look, "the dead worker to be noticed")


def taken_up_again(taken: dict[str, Any]) -> None:
    left_behind()
    for _ in range(6):
        worked()
        if run_of(taken).state == "succeeded":
            return
        later(2)
    raise AssertionError(run_of(taken).error)


def test_a_kill_right_after_the_register_has_acted_reports_nobody_twice(room: ClassRoom) -> None:
    """One of those points with every run of the tests: the register has the class and we do not know."""
    code = program_registered()
    taken = room.asked(code, people(5))
    room.fail("complete", "drip", seconds=0.5)
    words = [sys.executable, str(KILLED), "0", taken["report_id"], taken["process_id"]]
    worker = subprocess.Popen(
        words,
        env={**os.environ, "PYTHONPATH": str(KILLED.parents[2])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: room.book(code), "the register to have acted", 60)
    worker.kill()
    worker.wait()
    assert {one.state for one in rows(taken["report_id"])} == {"sent"}
    taken_up_again(taken)
    assert [one["versions"] for one in room.book(code)] == [1] * 5
    assert {one.state for one in rows(taken["report_id"])} == {"accepted"}


@pytest.mark.slow
def test_a_kill_at_any_step_reports_everybody_once(room: ClassRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEMBATAN_SIPLATIH__CHUNK_SIZE", "2")
    settings.cache_clear()
    code = program_registered()
    whole = killed(0, room.asked(code, people(6)))
    assert whole.returncode == 0, whole.stderr
    calls, died = int(whole.stdout.split()[0]), 0
    for place, deadly in enumerate(range(1, calls, max(1, calls // POINTS)), 1):
        code = program_registered()
        taken = room.asked(code, people(6, first=1000 * place))
        died += killed(deadly, taken).returncode != 0
        taken_up_again(taken)
        book = room.book(code)
        assert [one["versions"] for one in book] == [1] * 6, deadly
        assert {one.state for one in rows(taken["report_id"])} == {"accepted"}, deadly
    assert died >= POINTS // 2


def test_two_workers_on_one_report_send_it_once(room: ClassRoom) -> None:
    code = program_registered()
    taken = room.asked(code, [person(n) for n in range(4)])
    with process.held_together([UUID(taken["process_id"]).hex]) as held:
        assert len(held) == 1
        assert flow(processes=[taken["process_id"]]).name == "Skipped"
    assert not room.book(code)
    worked()
    assert [one["times_told"] for one in room.book(code)] == [1] * 4
