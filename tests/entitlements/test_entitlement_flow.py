"""The look as a process: through Prefect, once a night, one at a time, killed and taken up again."""

import random
import signal
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from entitlement_oracle import Pay, Population
from entitlement_world import NOW, random_population, store
from nursery import Nursery

from common.settings import settings
from jembatan.stack import Stack
from records import process
from records.db import unit_of_work
from records.entitlement import CLASSES, EntitlementRun, Finding, FindingEvent
from records.process import ProcessRun

KILLED = Path(__file__).parent / "entitlements_killed_at.py"


def flow(**parameters: Any) -> tuple[Any, ProcessRun]:
    """Run the flow against the real Prefect server; its final state and its process run."""
    from flows.reconcile_entitlements import reconcile_entitlements

    state = reconcile_entitlements(return_state=True, **parameters)
    with unit_of_work() as session:
        newest = sa.select(ProcessRun).order_by(ProcessRun.created_at.desc(), ProcessRun.id.desc())
        return state, session.scalars(newest).first() or ProcessRun()


def what_is_recorded() -> dict[str, Any]:
    """Everything that must not depend on how often somebody was killed."""
    with unit_of_work() as session:
        found = session.scalars(sa.select(Finding))
        return {
            "findings": sorted(
                (str(one.learner_id), one.program_code, one.class_, one.state) for one in found
            ),
            "events": session.scalar(sa.select(sa.func.count()).select_from(FindingEvent)),
            "balanced": set(session.scalars(sa.select(EntitlementRun.is_balanced))),
        }


def test_the_flow_reaches_its_outcome_and_tells_of_nobody(parts: Stack, database: str) -> None:
    store(random_population(random.Random(5), 40, "f"))
    state, run = flow()
    assert (state.type.value, run.state, run.attempts) == ("COMPLETED", "succeeded", 1), state.message
    assert run.outcome is not None
    assert run.outcome["balanced"] is True
    assert run.outcome["in_order"] + run.outcome["awaited"] + run.outcome["differing"] == run.outcome["pairs"]
    assert state.message.startswith(f"looked at {run.outcome['pairs']:,} programs of learners · ")
    assert sum(run.outcome["classes"][name]["opened"] for name in CLASSES) == run.outcome["open"] > 0
    with httpx.Client(base_url=str(parts.prefect_api_url)) as prefect:
        asked = {"artifacts": {"flow_run_id": {"any_": [str(run.flow_run_id)]}}}
        shown = prefect.post("/artifacts/filter", json=asked).json()
    assert {one["type"] for one in shown} == {"markdown", "table"}
    told = str(shown) + str(state.message) + str(run.outcome) + str(run.input)
    with unit_of_work() as session:
        learners = {one for one in session.scalars(sa.select(Finding.learner_id)) if one}
    assert learners
    assert not [one for one in learners if one in told]


def test_a_night_has_one_look_and_a_person_may_ask_for_more(parts: Stack, database: str) -> None:
    store(Population(pays=[Pay("night-1", "L", "P", "paid", NOW)]))
    state, run = flow(skip_if_done=True)
    assert (state.type.value, run.state) == ("COMPLETED", "succeeded")
    again, _ = flow(skip_if_done=True)
    assert again.name == "Skipped"
    on_demand, asked = flow()
    assert (on_demand.type.value, asked.state) == ("COMPLETED", "succeeded")
    assert asked.id != run.id
    with process.worked_alone("reconcile-entitlements"):
        state, busy = flow()
    assert (state.type.value, busy.state) == ("CANCELLED", "failed")
    assert "is being worked by another run already" in state.message


def test_a_wrong_proof_ends_in_a_failure_and_a_retry_looks_again(
    parts: Stack, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect import tags

    from records import entitlement_sql

    store(Population(pays=[Pay("proof-1", "L", "P", "paid", NOW)]))
    right = entitlement_sql.PAIRS
    monkeypatch.setattr(entitlement_sql, "PAIRS", right + " LIMIT 0")
    state, run = flow()
    assert (state.type.value, run.state) == ("FAILED", "failed")
    assert "The proof does not balance" in state.message
    monkeypatch.setattr(entitlement_sql, "PAIRS", right)
    with unit_of_work() as session:
        assert process.retry(session, run.id)
    with tags(f"process:{run.id}"):
        state, run = flow()
    assert (state.type.value, run.state, run.attempts) == ("COMPLETED", "succeeded", 2)


def test_the_deployments_are_those_that_the_relay_hands_over_to() -> None:
    import yaml

    from deployments import names

    declared = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text())["deployments"]
    mine = [one for one in declared if "reconcile_entitlements" in one["entrypoint"]]
    assert {f"{names.ENTITLEMENTS_FLOW}/{one['name']}" for one in mine} == {
        names.ENTITLEMENTS_NIGHTLY,
        names.ENTITLEMENTS_ON_DEMAND,
    }
    (nightly,) = [one["schedules"][0] for one in mine if one["name"] == "nightly"]
    (before,) = {
        schedule["cron"]
        for one in declared
        if one["name"] == "nightly" and "reconcile_payments" in one["entrypoint"]
        for schedule in one["schedules"]
    }
    assert nightly["timezone"] == "Asia/Jakarta"
    assert int(nightly["cron"].split()[1]) > int(before.split()[1])


# Killed


def left_behind() -> list[str]:
    """The run that lost its worker, queued again; the server needs a moment to notice a killed session."""
    until = time.monotonic() + 90
    while True:
        with unit_of_work() as session:
            process.requeue_orphans(session, idle=timedelta(0))
            left = list(session.scalars(sa.select(ProcessRun).where(ProcessRun.state.in_(process.OPEN))))
        left = [run for run in left if run.process == "reconcile-entitlements"]
        if all(run.state == "queued" for run in left):
            return [str(run.id) for run in left]
        assert time.monotonic() < until, "nobody noticed that the worker is dead"
        time.sleep(0.05)


def kill_and_repair(
    nursery: Callable[[Path], Nursery], fresh: Any, patch: pytest.MonkeyPatch, points: Sequence[float]
) -> None:
    """Kill a look at each of the points (0 to 1 of its calls), work it again as the relay would, compare."""
    world = random_population(random.Random(9), 30, "k")
    expected, calls = None, 0
    for point in (0.0, *points):
        with fresh() as url:
            patch.setenv("JEMBATAN_DATABASE_URL", url)
            settings.cache_clear()
            store(world)
            deadly = max(1, int(calls * point)) if calls else 0
            child = nursery(KILLED).begin(deadly)
            child.wait()
            if not calls:
                assert "COMPLETED" in child.said, child.complained
                calls, expected = int(child.said.split()[0]), what_is_recorded()
                continue
            assert child.poll() == -signal.SIGKILL, f"at call {deadly} of {calls}"
            left = left_behind()
            assert len(left) <= 1
            again = nursery(KILLED).begin(0, *left)
            again.wait()
            assert "COMPLETED" in again.said, (deadly, again.complained)
            assert what_is_recorded() == expected, f"killed at call {deadly} of {calls}"
    settings.cache_clear()


@pytest.mark.slow
def test_a_look_killed_anywhere_ends_like_one_that_was_not(
    parts: Stack,
    nursery: Callable[[Path], Nursery],
    fresh_database: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kill_and_repair(nursery, fresh_database, monkeypatch, [number / 24 for number in range(1, 24)])
