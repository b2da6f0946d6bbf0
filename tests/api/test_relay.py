"""The relay over a real Prefect server: what is asked for is handed over, once, and nothing is lost."""

import logging
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
import sqlalchemy as sa
from api_world import execute
from till import wait_until

from api import prefect_server, relay, sweep
from api.prefect_server import PrefectUnavailable
from common import clock
from deployments.names import RECONCILE_FLOW, REFUND_FLOW
from records import process
from records.db import database_url, engine, unit_of_work
from records.process import ProcessRun


def ask(gateway: str = "gopay", name: str = RECONCILE_FLOW) -> UUID:
    asked = {"gateway": gateway, "business_date": "2026-11-24", "source": None, "layout": None}
    with unit_of_work() as session:
        return process.request(session, name, f"{gateway}/2026-11-24/{uuid4()}", asked)[0].id


def kept(run_id: UUID) -> ProcessRun:
    with unit_of_work() as session:
        return session.get_one(ProcessRun, run_id)


def flow_runs_of(prefect: httpx.Client, run_id: UUID) -> list[dict[str, object]]:
    named = {"flow_runs": {"tags": {"all_": [f"process:{run_id}"]}}}
    found: list[dict[str, object]] = prefect.post("/flow_runs/filter", json=named).json()
    return found


def set_state(prefect: httpx.Client, flow_run_id: UUID | None, state: str) -> None:
    body = {"state": {"type": state}, "force": True}
    prefect.post(f"/flow_runs/{flow_run_id}/set_state", json=body).raise_for_status()


def submitted_long_ago(run_id: UUID) -> None:
    execute("UPDATE process_runs SET submitted_at = now() - interval '16 minutes' WHERE id = %s", run_id)


def sessions() -> list[str]:
    """The last statement of every session on this test's database."""
    with unit_of_work() as session:
        query = "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
        return list(session.scalars(sa.text(query)))


def eventually(look: Callable[[], object], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def test_a_due_run_becomes_a_flow_run_that_knows_it(prefect: httpx.Client) -> None:
    run_id = ask()
    relay.hand_over()
    (made,) = flow_runs_of(prefect, run_id)
    assert made["parameters"] == {"gateway": "gopay", "business_date": "2026-11-24"}
    assert made["idempotency_key"] == f"reconcile-payments:{run_id}:0"
    assert made["state_type"] == "SCHEDULED"
    run = kept(run_id)
    assert (run.state, str(run.flow_run_id)) == ("queued", made["id"])
    assert run.submitted_at is not None


def test_a_look_at_prefect_reads_the_authorities_that_we_trust_no_second_time(
    prefect: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prefect_server.is_reachable()
    monkeypatch.delattr(ssl, "create_default_context")
    assert prefect_server.is_reachable()


def test_a_relay_that_dies_in_between_hands_nothing_over_twice(prefect: httpx.Client) -> None:
    run_id = ask()
    relay.hand_over()
    execute("UPDATE process_runs SET submitted_at = NULL, flow_run_id = NULL")  # as if it had not committed
    relay.hand_over()
    assert [one["id"] for one in flow_runs_of(prefect, run_id)] == [str(kept(run_id).flow_run_id)]


def test_several_relays_hand_each_run_over_once(prefect: httpx.Client) -> None:
    ids = [ask() for _ in range(6)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: relay.hand_over(), range(3)))
    assert [len(flow_runs_of(prefect, run_id)) for run_id in ids] == [1] * 6


def test_a_run_whose_time_has_come_is_tried_again_as_a_new_flow_run(prefect: httpx.Client) -> None:
    run_id = ask()
    relay.hand_over()
    first = kept(run_id).flow_run_id
    with unit_of_work() as session:
        process.start(session, run_id, first)
        process.wait(session, run_id, clock.now() + timedelta(hours=1), {"type": "t", "message": "m"})
    relay.hand_over()
    assert kept(run_id).state == "waiting"
    execute("UPDATE process_runs SET next_attempt_at = now() - interval '1 second'")
    relay.hand_over()
    run = kept(run_id)
    assert run.state == "queued"
    assert run.flow_run_id not in (None, first)


def test_a_retried_run_never_gets_a_flow_run_that_has_ended(prefect: httpx.Client) -> None:
    """Prefect keeps a key for ever: an attempt that was turned away before it began has used it up."""
    run_id = ask()
    relay.hand_over()
    first = kept(run_id).flow_run_id
    set_state(prefect, first, "CANCELLED")
    with unit_of_work() as session:
        process.finish(session, run_id, "failed", error={"type": "already-running", "message": "m"})
        assert process.retry(session, run_id)
    relay.hand_over()
    assert kept(run_id).flow_run_id not in (None, first)


def test_with_prefect_down_a_run_stays_and_that_is_said_once(
    no_prefect: None, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = ask()
    working = relay.Relay()
    for _ in range(3):
        working.look()
    run = kept(run_id)
    assert (run.state, run.submitted_at, run.flow_run_id) == ("queued", None, None)
    assert [record.message for record in caplog.records] == [
        "Prefect does not answer (ConnectError); process runs wait here meanwhile"
    ]


def test_a_deployment_that_is_not_there_yet_is_waited_for(
    prefect: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = ask()
    with monkeypatch.context() as changed:
        changed.setitem(relay.DEPLOYMENTS, RECONCILE_FLOW, "reconcile-payments/later")
        relay.Relay().look()
    assert kept(run_id).submitted_at is None
    assert "Prefect has no deployment reconcile-payments/later yet" in caplog.text
    relay.hand_over()
    assert kept(run_id).submitted_at is not None


@pytest.mark.parametrize(("gateway", "name"), [("dana", RECONCILE_FLOW), ("gopay", "no-such-process")])
def test_what_prefect_does_not_take_needs_a_person_and_holds_up_nobody(
    prefect: httpx.Client, gateway: str, name: str
) -> None:
    refused, fine = ask(gateway, name), ask()
    relay.hand_over()
    run = kept(refused)
    assert run.state == "needs_attention"
    assert run.error is not None
    assert run.error["type"] == "not-accepted"
    assert kept(fine).submitted_at is not None


def test_a_run_that_lost_its_worker_is_queued_again_and_its_flow_run_ends(prefect: httpx.Client) -> None:
    run_id = ask()
    relay.hand_over()
    first = kept(run_id).flow_run_id
    with unit_of_work() as session:
        process.start(session, run_id, first)
    set_state(prefect, first, "RUNNING")
    execute("UPDATE process_runs SET started_at = now() - interval '1 minute'")
    with process.worked_alone(run_id.hex):
        assert sweep.orphans() == []
    (said,) = wait_until(sweep.orphans, "the database to notice that nobody works it")
    assert "lost its worker and is queued again" in said
    assert prefect.get(f"/flow_runs/{first}").json()["state_type"] == "CRASHED"
    relay.hand_over()
    run = kept(run_id)
    assert (run.state, run.attempts) == ("queued", 1)
    assert run.flow_run_id != first


def test_a_run_that_a_person_cancelled_at_work_stays_cancelled(prefect: httpx.Client) -> None:
    run_id = ask()
    relay.hand_over()
    flow_run = kept(run_id).flow_run_id
    with unit_of_work() as session:
        process.start(session, run_id, flow_run)
    set_state(prefect, flow_run, "CANCELLED")
    execute("UPDATE process_runs SET started_at = now() - interval '1 minute'")
    (said,) = sweep.orphans()
    assert "was cancelled at work" in said
    run = kept(run_id)
    assert (run.state, (run.error or {})["type"]) == ("needs_attention", "cancelled")


def test_a_run_that_kills_every_worker_ends_with_a_person(prefect: httpx.Client) -> None:
    run_id = ask()
    for lost in range(1, process.MOST_LOST_WORKERS + 1):
        with unit_of_work() as session:
            process.start(session, run_id, None)
        execute("UPDATE process_runs SET started_at = now() - interval '1 minute'")
        assert len(sweep.orphans()) == (1 if lost < process.MOST_LOST_WORKERS else 0)
    assert kept(run_id).state == "needs_attention"


def test_an_orphan_waits_for_prefect_to_come_back(database: str, no_prefect: None) -> None:
    run_id = ask()
    with unit_of_work() as session:
        process.start(session, run_id, uuid4())
    execute("UPDATE process_runs SET started_at = now() - interval '1 minute'")
    with pytest.raises(PrefectUnavailable):
        sweep.orphans()
    assert kept(run_id).state == "running"


def test_a_flow_run_that_waits_for_a_worker_is_left_alone(prefect: httpx.Client) -> None:
    run_id = ask()
    relay.hand_over()
    submitted_long_ago(run_id)
    assert sweep.stuck() == []
    assert kept(run_id).submitted_at is not None


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "CRASHED"])
def test_a_flow_run_that_a_worker_took_and_never_began_is_made_anew(
    prefect: httpx.Client, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    run_id = ask()
    relay.hand_over()
    first = kept(run_id).flow_run_id
    set_state(prefect, first, state)
    submitted_long_ago(run_id)
    if state != "CRASHED":
        assert sweep.stuck() == []  # a worker may need its time
        monkeypatch.setattr(sweep, "_BEGINS_WITHIN", timedelta(0))
    (said,) = sweep.stuck()
    assert "was never begun and is queued again" in said
    relay.hand_over()
    assert kept(run_id).flow_run_id not in (None, first)
    assert prefect.get(f"/flow_runs/{first}").json()["state_type"] == "CRASHED"


def test_a_flow_run_that_prefect_does_not_know_is_made_anew(prefect: httpx.Client) -> None:
    run_id = ask()
    relay.hand_over()
    execute("UPDATE process_runs SET flow_run_id = %s WHERE id = %s", uuid4(), run_id)
    submitted_long_ago(run_id)
    assert len(sweep.stuck()) == 1
    assert kept(run_id).submitted_at is None


@pytest.mark.parametrize(("state", "word"), [("CANCELLED", "was cancelled"), ("FAILED", "failed before")])
def test_a_flow_run_that_ended_before_it_began_needs_a_person(
    prefect: httpx.Client, state: str, word: str
) -> None:
    run_id = ask()
    relay.hand_over()
    set_state(prefect, kept(run_id).flow_run_id, state)
    submitted_long_ago(run_id)
    sweep.stuck()
    run = kept(run_id)
    assert run.state == "needs_attention"
    assert run.error is not None
    assert word in run.error["message"]


def test_a_notification_wakes_the_relay_at_once(
    prefect: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "POLL", 600.0)
    looked = threading.Event()
    monkeypatch.setattr(relay.Relay, "_catch_up", lambda self: looked.set())
    working = relay.Relay()
    working.start()
    try:
        assert looked.wait(90)
        time.sleep(0.3)
        run_id = ask()
        execute("NOTIFY process_runs")
        eventually(lambda: kept(run_id).submitted_at)
    finally:
        working.stop()


def test_the_relay_works_as_long_as_the_api_does(prefect: httpx.Client, database: str) -> None:
    import uvicorn

    from api.app import app

    running = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    try:
        run_id = ask()
        eventually(lambda: kept(run_id).submitted_at)
    finally:
        running.should_exit = True
        thread.join(10)
    assert not [one for one in threading.enumerate() if one.name == "relay"]


def test_the_relay_outlives_the_database(
    prefect: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(relay, "POLL", 0.1)
    caplog.set_level(logging.INFO)
    working = relay.Relay()
    working.start()
    try:
        eventually(lambda: "LISTEN process_runs" in sessions())
        execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid()")  # fmt: skip
        eventually(lambda: "the database does not answer" in caplog.text)
        engine(database_url()).dispose()  # this test's own connections were ended too
        run_id = ask()
        eventually(lambda: kept(run_id).submitted_at)
    finally:
        working.stop()


def refunds(number: int) -> list[UUID]:
    with unit_of_work() as session:
        asked = {"payment_id": str(uuid4()), "refund_id": str(uuid4())}
        return [process.request(session, REFUND_FLOW, f"T-{uuid4()}/k", asked)[0].id for _ in range(number)]


def batches(prefect: httpx.Client) -> list[int]:
    """How many refunds each flow run has."""
    named = {"flow_runs": {"tags": {"all_": [relay.BATCH_TAG]}}}
    made = prefect.post("/flow_runs/filter", json=named).json()
    return sorted(len(one["parameters"]["processes"]) for one in made)


def test_a_burst_of_refunds_goes_in_few_flow_runs(
    prefect: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(relay.BATCHES, REFUND_FLOW, 4)
    before = batches(prefect)
    ids = refunds(10)
    relay.hand_over()
    assert sorted([*before, 4, 4]) == batches(prefect)  # the rest gathers while a batch begins
    late = refunds(1)
    relay.hand_over()
    assert kept(late[0]).flow_run_id is None
    execute("UPDATE process_runs SET state = 'running' WHERE submitted_at IS NOT NULL")
    relay.hand_over()
    assert sorted([*before, 3, 4, 4]) == batches(prefect)
    runs = [kept(run_id) for run_id in (*ids, *late)]
    assert len({run.flow_run_id for run in runs}) == 3
    assert all(run.submitted_at is not None for run in runs)


def test_a_batch_that_nobody_begins_holds_the_next_one_up_for_seconds_only(prefect: httpx.Client) -> None:
    refunds(1)
    relay.hand_over()
    late = refunds(1)
    relay.hand_over()
    assert kept(late[0]).submitted_at is None
    execute("UPDATE process_runs SET submitted_at = now() - interval '11 s' WHERE submitted_at IS NOT NULL")
    relay.hand_over()
    assert kept(late[0]).submitted_at is not None
