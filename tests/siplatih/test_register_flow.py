"""Programs through Prefect: started from its form by code, handed over in batches, killed at every step."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from register_desk import Desk, checked, codes, later, program, worked
from test_credential_checks import asked as check_asked
from test_credential_checks import question
from test_credential_checks import shown as check_shown
from till import wait_until

from records import process
from records.db import unit_of_work
from records.process import ProcessRun

KILLED = Path(__file__).parent / "register_killed_at.py"
CHECKS_KILLED = KILLED.with_name("checks_killed_at.py")
POINTS = int(os.environ.get("KILL_POINTS", "24"))


def flow(**parameters: Any) -> Any:
    from flows.register_program import register_program

    return register_program(return_state=True, **parameters)


def test_a_stored_program_is_registered_from_the_form_by_its_code(desk: Desk) -> None:
    asked = desk.asked()
    state = flow(program_code=asked["program_code"])
    number = desk.books()[0]["siplatih_program_id"]
    assert (state.type.value, state.message) == (
        "COMPLETED",
        f"{asked['program_code']}: registered as {number}",
    )
    ended = desk.process(asked)
    assert (ended["state"], ended["attempts"]) == ("succeeded", 1)
    assert ended["flow_run_id"] == str(state.state_details.flow_run_id)
    again = flow(program_id=asked["program_id"])
    assert (again.name, again.message) == (
        "Skipped",
        f"{asked['program_code']} is registered already, as {number}",
    )


def test_what_the_form_cannot_mean_ends_in_a_sentence(desk: Desk) -> None:
    assert "There is no such program" in flow(program_code="NONE").message
    desk.asked(program(program_code="SAME"))
    desk.asked(program(program_code="SAME", lpk_registration_number="LPK-2", lpk_name="LPK Lain"))
    assert "name the LPK's number" in flow(program_code="SAME").message
    assert desk.calls("register") == []


def test_a_batch_is_one_flow_run_in_which_each_has_its_own_outcome(desk: Desk) -> None:
    desk.till.http.get("/healthz")
    asked = [desk.asked() for _ in range(4)]
    desk.fail("register", "code", code="422")
    state = flow(processes=[one["process_id"] for one in asked])
    assert state.message == "4 programs: 3 registered, 1 rejected"
    assert [desk.process(one)["state"] for one in asked] == ["failed", *["succeeded"] * 3]
    assert {desk.process(one)["flow_run_id"] for one in asked} == {str(state.state_details.flow_run_id)}


def killed(deadly: int, *run_ids: str, program: Path = KILLED) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(program), str(deadly), *run_ids],
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


def go_on(desk: Desk, asked: list[dict[str, Any]]) -> None:
    """Work what a killed worker left until everything is registered; each once by the register's books."""
    left_behind()
    for _ in range(3):
        later(minutes=2)
        worked()
    assert {desk.process(one)["state"] for one in asked} == {"succeeded"}
    booked = {one["program_code"]: one["siplatih_program_id"] for one in desk.books()}
    for one in asked:
        assert desk.shown(one)["siplatih_program_id"] == booked[one["program_code"]]


def test_a_kill_right_after_the_call_registers_once(desk: Desk) -> None:
    """One of those points with every run of the tests: the register has acted and we do not know."""
    asked = desk.asked()
    desk.fail("register", "drip", seconds=0.5)
    worker = subprocess.Popen(
        [sys.executable, str(KILLED), "0", asked["process_id"]],
        env={**os.environ, "PYTHONPATH": str(KILLED.parents[2])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(desk.books, "the register to have acted", 90)
    worker.kill()
    worker.wait()
    assert desk.shown(asked)["status"] == "pending"
    go_on(desk, [asked])
    assert len(desk.calls("register")) == 1


@pytest.mark.slow
def test_a_kill_at_any_step_registers_each_once(desk: Desk) -> None:
    asked = [desk.asked() for _ in range(3)]
    ended = killed(0, *(one["process_id"] for one in asked))
    assert ended.returncode == 0, ended.stderr
    calls = int(ended.stdout.split()[0])
    died = 0
    for deadly in range(1, calls, max(1, calls // POINTS)):
        asked = [desk.asked() for _ in range(3)]
        died += killed(deadly, *(one["process_id"] for one in asked)).returncode != 0
        go_on(desk, asked)
        assert len(set(codes(desk.books()))) == len(desk.books())
    assert died >= POINTS // 2


@pytest.mark.slow
def test_a_kill_at_any_step_of_a_check_ends_in_the_same_answer(desk: Desk) -> None:
    desk.behaves(verdict="yes")

    def made() -> list[dict[str, Any]]:
        return [check_asked(desk, question()) for _ in range(2)]

    ended = killed(0, *(one["process_id"] for one in made()), program=CHECKS_KILLED)
    assert ended.returncode == 0, ended.stderr
    calls = int(ended.stdout.split()[0])
    died = 0
    for deadly in range(1, calls, max(1, calls // POINTS)):
        asked = made()
        died += killed(deadly, *(one["process_id"] for one in asked), program=CHECKS_KILLED).returncode != 0
        left_behind()
        checked()
        assert [check_shown(desk, one)["verified"] for one in asked] == [True, True], deadly
        assert {desk.process(one)["state"] for one in asked} == {"succeeded"}, deadly
    assert died >= POINTS // 2
