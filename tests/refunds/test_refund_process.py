"""Refunds through Prefect: asked for in its form, handed over in batches, killed at every step."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from nursery import Child, Nursery
from refund_desk import Desk, row, rows, run_of, worked
from till import wait_until

from common import clock
from records import process
from records.db import unit_of_work
from records.process import ProcessRun
from records.refund import PROCESS

KILLED = Path(__file__).parent / "killed_at.py"
POINTS = 20
PARTS = 4  # each ends within three minutes on a slow machine


def flow(**parameters: Any) -> Any:
    from flows.refund_payment import refund_payment

    return refund_payment(return_state=True, **parameters)


def form(made: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What a person fills into the form of the Prefect UI."""
    asked = {
        "payment_id": made["payment_id"],
        "reason": "Cancelled",
        "refund_key": "k1",
        "requested_by": "sri",
    }
    return asked | changes


def test_a_refund_that_is_asked_for_in_prefect_is_made_in_the_same_run(desk: Desk) -> None:
    made = desk.paid("linkaja")
    state = flow(**form(made))
    assert (state.type.value, state.message) == ("COMPLETED", f"{made['reference']}: Rp 150,000 confirmed")
    (found,) = rows(made["payment_id"])
    assert found.requested_by == "operator:sri"
    run = run_of(found)
    assert (run.state, run.attempts, run.key) == ("succeeded", 1, f"{made['reference']}/k1")
    assert run.flow_run_id == state.state_details.flow_run_id
    assert flow(**form(made)).name == "Skipped"  # the same key again is the same refund
    assert desk.given_back(made) == ["150000.00"]


def test_a_large_one_waits_for_a_person_and_cannot_be_approved_there(desk: Desk) -> None:
    made = desk.paid(amount=1_500_000)
    state = flow(**form(made))
    assert (state.type.value, state.name) == ("COMPLETED", "Waiting")
    assert "Waits for a second person until" in state.message
    assert flow(**form(made)).name == "Waiting"  # asked again it still waits
    (found,) = rows(made["payment_id"])
    assert (found.status, run_of(found).state) == ("awaiting_approval", "waiting")
    assert worked() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"amount": 0}, "whole rupiah"),
        ({"amount": 150_001}, "Rp 150,000 is left"),
        ({"refund_key": ""}, "1 to 64"),
        ({"reason": " "}, "A reason is needed"),
        ({"requested_by": " "}, "Nobody is named"),
        ({"payment_id": "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c"}, "there is no payment"),
    ],
)
def test_what_the_form_cannot_have_ends_in_a_sentence(
    desk: Desk, changes: dict[str, Any], words: str
) -> None:
    made = desk.paid()
    state = flow(**form(made, **changes))
    assert state.type.value == "FAILED"
    assert words in state.message
    assert rows(made["payment_id"]) == []
    with unit_of_work() as session:
        (run,) = session.scalars(sa.select(ProcessRun).filter_by(process=PROCESS))
        assert run.state == "failed"
        assert run.error is not None
        assert words in run.error["message"]


def test_a_batch_is_one_flow_run_in_which_each_has_its_own_outcome(desk: Desk) -> None:
    desk.till.banks_after(0)
    made = [desk.paid("linkaja") for _ in range(3)]
    asked = [desk.asked(one) for one in made]
    desk.till.fail("linkaja", "refund", "code", code="4035815")
    state = flow(processes=[one["process_id"] for one in asked])
    assert state.message == "3 refunds: 2 confirmed, 1 refused"
    assert sorted(desk.process(one)["state"] for one in asked) == ["failed", "succeeded", "succeeded"]
    assert {desk.process(one)["flow_run_id"] for one in asked} == {str(state.state_details.flow_run_id)}


def test_what_another_run_holds_is_left_to_it(desk: Desk) -> None:
    made = desk.paid()
    asked = desk.asked(made)
    with process.held_together([UUID(asked["process_id"]).hex]) as held:
        assert len(held) == 1
        assert flow(processes=[asked["process_id"]]).name == "Skipped"
    assert row(asked["refund"]["refund_id"]).status == "approved"


@pytest.fixture
def a_worker(desk: Desk, nursery: Callable[[Path], Nursery]) -> Callable[..., Child]:
    """Begins a worker of a process run that dies at its N-th call (0: never)."""
    return lambda deadly, run_id: nursery(KILLED).begin(deadly, run_id)


def left_behind() -> None:
    """The relay's part: what lost its worker is queued again. A killed session is noticed within moments."""

    def look() -> bool:
        with unit_of_work() as session:
            process.requeue_orphans(session, idle=timedelta(0))
        with unit_of_work() as session:
            return not list(session.scalars(sa.select(ProcessRun).filter_by(state="running")))

    wait_until(look, "the dead worker to be noticed")


def kill_one(desk: Desk, a_worker: Callable[..., Child], gateway: str, deadly: int) -> tuple[str, bool]:
    """Ask for a refund, kill its worker at that call, work it again; its story, and whether it died."""
    made = desk.paid(gateway)
    asked = desk.asked(made)
    has_died = a_worker(deadly, asked["process_id"]).wait() != 0
    left_behind()
    with unit_of_work() as session:
        run = session.get_one(ProcessRun, UUID(asked["process_id"]))
        if run.state == "waiting":
            run.next_attempt_at = clock.now()
    until = time.monotonic() + 90
    while desk.process(asked)["state"] != "succeeded":
        assert time.monotonic() < until, desk.process(asked)
        worked()
        with unit_of_work() as session:  # nobody waits for the bank here
            run = session.get_one(ProcessRun, UUID(asked["process_id"]))
            if run.state == "waiting":
                run.next_attempt_at = clock.now()
        time.sleep(0.1)
    assert desk.given_back(made) == ["150000.00"], deadly
    assert desk.till.becomes(made, "refunded")["refunded_amount"] == 150_000
    (found,) = desk.listed(made)["items"]
    return found["status"], has_died


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("gateway", ["gopay", "linkaja"])
def test_a_kill_at_any_step_gives_back_once(
    desk: Desk, a_worker: Callable[..., Child], gateway: str, part: int
) -> None:
    desk.till.banks_after(0)
    whole = desk.paid(gateway)
    ended = a_worker(0, desk.asked(whole)["process_id"])
    assert ended.wait() == 0, ended.complained
    calls = int(ended.said.split()[0])
    died = 0
    for deadly in range(1, calls, max(1, calls // POINTS))[part::PARTS]:
        status, has_died = kill_one(desk, a_worker, gateway, deadly)
        assert status == "confirmed", deadly
        died += has_died
    assert died >= POINTS // PARTS // 2


def test_a_kill_right_after_the_call_gives_back_once(desk: Desk, a_worker: Callable[..., Child]) -> None:
    """One of those points with every run of the tests: the gateway has acted and we do not know."""
    made = desk.paid("linkaja")
    asked = desk.asked(made)
    desk.till.fail("linkaja", "refund", "drip", seconds=0.5)
    desk.till.quiet("linkaja")  # its message would tell us before the kill
    worker = a_worker(0, asked["process_id"])
    wait_until(lambda: desk.given_back(made), "the gateway to have acted")
    worker.kill()
    worker.wait()
    assert row(asked["refund"]["refund_id"]).status == "sent"
    left_behind()
    desk.ends(made, "confirmed")
    assert desk.given_back(made) == ["150000.00"]
