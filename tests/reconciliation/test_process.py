"""The reconciliation as a process: through Prefect, killed, doubled, waiting, healed, run again."""

import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import sqlalchemy as sa
import world
from nursery import Child, Nursery
from world import DAY, LEDGER_HEAD, REPORT_HEAD, load_ledger, random_items, random_line, write

from jembatan.stack import Stack
from providers.reports.sources import read_blocks
from records import exceptions, files, ledger, process, reconciliation
from records.db import connection, unit_of_work
from records.exceptions import ReconciliationException
from records.payment import Payment, PaymentEvent
from records.process import ProcessRun

KILLED = Path(__file__).parent / "killed_at.py"


def keep(*paths: Path) -> str:
    return ",".join(f"sha256:{files.keep(path.name, read_blocks(path))}" for path in paths)


def reconcile(gateway: str = "gopay", day: date = DAY, **parameters: Any) -> tuple[Any, ProcessRun]:
    """Run the flow against the real Prefect server; its final state and its process run."""
    from flows.reconcile_payments import reconcile_payments
    from flows.wallet import Wallet

    state = reconcile_payments(gateway=Wallet(gateway), business_date=day, **parameters, return_state=True)
    with unit_of_work() as session:
        mine = sa.select(ProcessRun).where(ProcessRun.flow_run_id == state.state_details.flow_run_id)
        run = session.scalars(mine).first()
        if run is None:
            run = session.scalars(sa.select(ProcessRun).order_by(ProcessRun.created_at.desc())).first()
        assert run is not None
        return state, run


def by_steps(source: str, day: date = DAY, *, allow_empty: bool = False) -> dict[str, Any]:
    """The outcome of the flow's steps without Prefect: a statement holds the same, whoever runs them."""
    from tasks import reconcile_payments as tasks

    with unit_of_work() as session:
        run, _ = process.request(session, "reconcile-payments", uuid4().hex, {})
    asked = tasks.Day(run.id, "gopay", day, source, None, allow_empty)
    lines = tasks.stage_report.fn(asked, tasks.fetch_report.fn(asked))
    tasks.take_in_refunds.fn(asked, lines)
    tasks.classify.fn(asked, lines)
    assert tasks.prove.fn(asked)
    with unit_of_work() as session:
        found = reconciliation.of_process(session, run.id)
        assert found is not None
        return reconciliation.as_json(session, found)


def a_day(folder: Path, seed: int = 3) -> str:
    """A ledger with trouble, imported, and its report, kept; the report's `source`."""
    rng = random.Random(seed)
    items = random_items(rng, 40)
    load_ledger(folder, items)
    lines = [random_line(rng, items, DAY) for _ in range(80)]
    return keep(write(folder / "report.csv", REPORT_HEAD, [world.line_text(line) for line in lines]))


def take(folder: Path, *rows: str) -> None:
    """Import these rows as the ledger."""
    path = write(folder / "ledger.csv", LEDGER_HEAD, rows)
    with connection() as db:
        ledger.import_file(db, path, size_limit=10**9, scratch=folder)


def what_is_recorded() -> dict[str, Any]:
    """Everything of the current statement that must not depend on how often somebody was killed."""
    with unit_of_work() as session:
        (statement,) = session.scalars(sa.select(reconciliation.Reconciliation).filter_by(is_current=True))
        found = session.scalars(sa.select(ReconciliationException).order_by(ReconciliationException.identity))
        return {
            "classes": statement.classes,
            "balanced": statement.is_balanced,
            "exceptions": [(one.identity, one.class_, one.state, one.reference) for one in found],
            "events": session.scalar(sa.text("SELECT count(*) FROM exception_events")),
            "outcomes": session.scalar(
                sa.text("SELECT count(*) FROM reconciliation_outcomes WHERE run_no = :no"),
                {"no": statement.no},
            ),
            "staging": session.scalar(
                sa.text("SELECT count(*) FROM pg_class WHERE relnamespace = 'staging'::regnamespace")
            ),
        }


def test_the_flow_reaches_its_outcome_and_the_operator_sees_it(
    parts: Stack, database: str, tmp_path: Path
) -> None:
    state, run = reconcile(source=a_day(tmp_path))
    assert (state.type.value, run.state, run.attempts) == ("COMPLETED", "succeeded", 1)
    assert run.outcome is not None
    assert run.outcome["balanced"] is True
    assert state.message.startswith(f"matched {run.outcome['classes']['matched']['count']:,} of ")
    assert "exceptions" in state.message
    assert "at risk" in state.message
    with httpx.Client(base_url=str(parts.prefect_api_url)) as prefect:
        flow_run = prefect.get(f"/flow_runs/{run.flow_run_id}").json()
        assert flow_run["state"]["message"] == state.message
        asked = {"artifacts": {"flow_run_id": {"any_": [str(run.flow_run_id)]}}}
        shown = {one["type"] for one in prefect.post("/artifacts/filter", json=asked).json()}
    assert {"markdown", "table"} <= shown
    assert what_is_recorded()["staging"] == 0


Killed = Callable[..., Child]


@pytest.fixture
def run_killed(parts: Stack, database: str, nursery: Callable[[Path], Nursery]) -> Killed:
    """Runs the day in a process that dies at its N-th call (0: never), until its end."""

    def run(deadly: int, source: str, process_run: UUID | None = None) -> Child:
        which = [str(process_run)] if process_run else []
        child = nursery(KILLED).begin(deadly, "gopay", DAY.isoformat(), source, *which)
        child.wait()
        return child

    return run


def left_behind() -> list[UUID]:
    """The run that lost its worker, queued again; the server needs a moment to notice a killed session."""
    until = time.monotonic() + 90
    while True:
        with unit_of_work() as session:
            process.requeue_orphans(session, idle=timedelta(0))
            open_ones = list(session.scalars(sa.select(ProcessRun).where(ProcessRun.state.in_(process.OPEN))))
        if all(run.state == "queued" for run in open_ones):
            return [run.id for run in open_ones]
        assert time.monotonic() < until, "nobody noticed that the worker is dead"
        time.sleep(0.05)


def kill_and_repair(run_killed: Killed, folder: Path, points: Sequence[float]) -> None:
    """Kill a run at each of the points (0 to 1 of its calls), work it again as the relay would, compare."""
    source = a_day(folder)
    for _ in range(2):  # the first run keeps the file, and so makes more calls than each run after it
        whole = run_killed(0, source)
        assert "COMPLETED" in whole.said, whole.complained
    calls = int(whole.said.split()[0])
    expected = what_is_recorded()
    for point in points:
        deadly = max(1, int(calls * point))
        assert run_killed(deadly, source).poll() == -signal.SIGKILL, f"at call {deadly} of {calls}"
        left = left_behind()
        assert len(left) <= 1
        again = run_killed(0, source, left[0] if left else None)
        assert "COMPLETED" in again.said, (deadly, again.complained)
        assert what_is_recorded() == expected, f"killed at call {deadly} of {calls}"


def test_a_run_killed_in_the_middle_ends_like_one_that_was_not(run_killed: Killed, tmp_path: Path) -> None:
    kill_and_repair(run_killed, tmp_path, [0.95])


@pytest.mark.slow
def test_a_run_killed_anywhere_ends_like_one_that_was_not(run_killed: Killed, tmp_path: Path) -> None:
    kill_and_repair(run_killed, tmp_path, [number / 60 for number in range(1, 60)])


def test_of_two_runs_of_one_day_one_works_and_the_other_says_so(
    parts: Stack, database: str, tmp_path: Path
) -> None:
    source = a_day(tmp_path)
    with process.worked_alone(f"reconcile-payments gopay {DAY.isoformat()}"):
        state, run = reconcile(source=source)
    assert state.type.value == "CANCELLED"
    assert "is being worked by another run already" in state.message
    assert run.state == "failed"
    assert run.error is not None
    assert run.error["type"] == "already-running"
    with unit_of_work() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(reconciliation.Reconciliation)) == 0
    _, again = reconcile(source=source)
    assert again.state == "succeeded"


def test_three_at_once_record_one_statement_after_the_other_never_half_of_one(
    run_killed: Killed, tmp_path: Path
) -> None:
    source = a_day(tmp_path)
    runs = [threading.Thread(target=run_killed, args=(0, source)) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    with unit_of_work() as session:
        statements = list(session.scalars(sa.select(reconciliation.Reconciliation)))
        states = list(session.scalars(sa.select(ProcessRun.state)))
    assert 1 <= len(statements) == states.count("succeeded")
    assert sum(one.is_current for one in statements) == 1
    assert sorted(one.version for one in statements) == list(range(1, len(statements) + 1))
    assert len({str(one.classes) for one in statements}) == 1


def test_a_run_again_makes_a_version_and_leaves_resolved_ones_resolved(
    parts: Stack, database: str, tmp_path: Path
) -> None:
    source = a_day(tmp_path)
    reconcile(source=source)
    with unit_of_work() as session:
        before = exceptions.search(session, state="open", limit=1000)
        exceptions.move(session, before[0].id, "explained", actor="ani", reason="known")
    _, run = reconcile(source=source)
    assert run.outcome is not None
    assert run.outcome["version"] == 2
    with unit_of_work() as session:
        after = exceptions.search(session, state=None, limit=1000)
        assert [one.id for one in after] == [one.id for one in before]
        assert [one.state for one in after] == ["explained"] + ["open"] * (len(before) - 1)
        assert [event.to_state for event in exceptions.history(session, before[0].id)] == [
            "open",
            "explained",
        ]
    assert run.outcome["exceptions_open"] == sum(
        one.state == "open" and one.class_ != "timing" for one in after
    )


def test_an_exception_that_a_new_version_no_longer_finds_is_cleared_and_opens_again(
    database: str, tmp_path: Path
) -> None:
    load_ledger(tmp_path, [])
    line = "X1,G1,payment,paid,5000.00,,IDR,2026-11-24T10:00:00+07:00"
    bad = keep(write(tmp_path / "bad.csv", REPORT_HEAD, [line]))
    empty = keep(write(tmp_path / "empty.csv", REPORT_HEAD, []))
    states = []
    for source in (bad, empty, bad):
        by_steps(source)
        with unit_of_work() as session:
            (found,) = exceptions.search(session, state=None)
            states.append(found.state)
            steps = [event.to_state for event in exceptions.history(session, found.id)]
    assert states == ["open", "cleared", "open"]
    assert steps == ["open", "cleared", "open"]


def test_a_late_line_settles_the_open_item_of_the_day_before(database: str, tmp_path: Path) -> None:
    rows = [
        f"L{n},gopay,G{n},10000,IDR,paid,2026-11-24T23:00:00+07:00,2026-11-24T23:45:00+07:00" for n in (1, 2)
    ]
    take(tmp_path, *rows)
    empty = keep(write(tmp_path / "empty.csv", REPORT_HEAD, []))
    first = by_steps(empty, allow_empty=True)
    late = write(
        tmp_path / "late.csv", REPORT_HEAD, ["L1,G1,payment,paid,10000.00,,IDR,2026-11-25T00:05:00+07:00"]
    )
    second = by_steps(keep(late), DAY + timedelta(days=1))
    assert first["classes"]["timing"]["count"] == 2
    assert first["exceptions_open"] == 0
    assert second["classes"]["matched"]["count"] == 1
    assert second["classes"]["missing_at_gateway"]["count"] == 1
    with unit_of_work() as session:
        before = exceptions.search(session, state=None, business_date=DAY)
        assert {one.reference: one.state for one in before} == {"L1": "settled", "L2": "carried"}
        late_days = session.scalars(
            sa.text("SELECT late_days FROM reconciliation_outcomes WHERE class = 'matched'")
        ).all()
    assert late_days == [1]


def test_a_status_mismatch_is_healed_by_the_gateways_word_and_keeps_its_class(
    parts: Stack, database: str, tmp_path: Path
) -> None:
    from jembatan.commands.demo import _take_ledger_over

    yesterday = DAY
    _take_ledger_over(parts, yesterday)
    truth = httpx.get(f"{parts.sandbox_url}/_sandbox/days/{yesterday}/truth.json").json()
    for gateway, version in (("gopay", 1), ("ovo", 1), ("linkaja", 1), ("gopay", 2)):
        _, run = reconcile(gateway, yesterday)
        assert run.state == "succeeded", run.error
        assert run.outcome is not None
        assert run.outcome["version"] == version
        assert run.outcome["classes"] == {name: truth[gateway][name] for name in run.outcome["classes"]}
        assert (run.outcome["healed"] > 0) == (version == 1)
    with unit_of_work() as session:
        healed = exceptions.search(session, state="healed", limit=1000)
        assert {one.class_ for one in healed} == {"status_mismatch"}
        for one in healed:
            assert one.subject_id is not None
            mended = session.get_one(Payment, one.subject_id)
            assert mended.status == ("paid" if one.found["status"] == "paid" else "reversed")
            causes = session.scalars(sa.select(PaymentEvent.cause).filter_by(payment_id=one.subject_id)).all()
            assert causes == ["import", "reconciliation"]
    _take_ledger_over(parts, yesterday)


def test_a_gateway_that_fails_for_a_moment_is_asked_again(
    parts: Stack, database: str, tmp_path: Path
) -> None:
    """In every way that a report can fail for a moment: tests/providers/test_gateways.py."""
    failure = {"gateway": "gopay", "operation": "report", "kind": "500", "times": 1}
    httpx.post(f"{parts.sandbox_url}/_sandbox/failures", json=failure).raise_for_status()
    _, run = reconcile("gopay", DAY, allow_empty=True)
    assert (run.state, run.attempts) == ("succeeded", 1)


def test_a_gateway_that_is_down_makes_the_process_wait_and_say_until_when(
    parts: Stack, database: str, tmp_path: Path
) -> None:
    failure = {"gateway": "gopay", "operation": "report", "kind": "500", "times": 3}
    httpx.post(f"{parts.sandbox_url}/_sandbox/failures", json=failure).raise_for_status()
    state, run = reconcile("gopay", DAY)
    assert (state.name, run.state) == ("Waiting", "waiting")
    assert "Tries again at" in state.message
    assert run.next_attempt_at is not None
    with unit_of_work() as session:
        assert process.claim_due(session, run.next_attempt_at - timedelta(seconds=1)) == []
        assert [one.id for one in process.claim_due(session, run.next_attempt_at)] == [run.id]


def test_a_wrong_total_refuses_the_fetched_file_before_any_match(
    parts: Stack, database: str, tmp_path: Path
) -> None:
    for gateway in ("gopay", "linkaja"):
        failure = {"gateway": gateway, "operation": "report", "kind": "wrong_trailer", "times": 1}
        httpx.post(f"{parts.sandbox_url}/_sandbox/failures", json=failure).raise_for_status()
        state, run = reconcile(gateway, DAY)
        assert run.state == "waiting"
        assert "is stated as" in state.message
    with unit_of_work() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(reconciliation.Reconciliation)) == 0


def test_the_schedule_leaves_a_day_alone_that_is_done(parts: Stack, database: str, tmp_path: Path) -> None:
    reconcile(source=a_day(tmp_path))
    state, run = reconcile(skip_if_done=True)
    assert (state.name, run.state) == ("Skipped", "succeeded")
    assert "is reconciled already (version 1)" in state.message


def test_a_second_charge_is_not_settled_by_the_payments_own_line_of_a_later_day(
    database: str, tmp_path: Path
) -> None:
    item = "X1,gopay,G1,10000,IDR,paid,2026-11-24T09:00:00+07:00,2026-11-24T10:00:00+07:00"
    take(tmp_path, item)
    line = "X1,G1,payment,paid,10000.00,,IDR,2026-11-24T10:00:00+07:00"
    first = [line.replace("10000", "10001"), line.replace("G1", "G2")]
    by_steps(keep(write(tmp_path / "1.csv", REPORT_HEAD, first)))
    by_steps(keep(write(tmp_path / "2.csv", REPORT_HEAD, [line])), DAY + timedelta(days=1))
    with unit_of_work() as session:
        states = {one.class_: one.state for one in exceptions.search(session, state=None)}
    assert states == {"amount_mismatch": "settled", "duplicate_at_gateway": "open"}


def test_an_explained_difference_that_has_grown_is_open_again(database: str, tmp_path: Path) -> None:
    take(tmp_path, "X1,gopay,G1,10000,IDR,paid,2026-11-24T09:00:00+07:00,2026-11-24T10:00:00+07:00")
    line = "X1,G1,payment,paid,{}.00,,IDR,2026-11-24T10:00:00+07:00"
    states = []
    for amount in (10001, 10001, 19999):
        by_steps(keep(write(tmp_path / f"{amount}.csv", REPORT_HEAD, [line.format(amount)])))
        with unit_of_work() as session:
            (found,) = exceptions.search(session, state=None)
            states.append(found.state)
            if found.state == "open" and len(states) == 1:
                exceptions.move(session, found.id, "explained", actor="ani", reason="a rounding")
    assert states == ["open", "explained", "open"]


def test_a_day_recorded_after_the_next_one_asks_for_the_next_one_again(
    parts: Stack, database: str, tmp_path: Path
) -> None:
    take(tmp_path, "L1,gopay,G1,10000,IDR,paid,2026-11-24T23:40:00+07:00,2026-11-24T23:45:00+07:00")
    empty = keep(write(tmp_path / "empty.csv", REPORT_HEAD, []))
    reconcile(day=DAY + timedelta(days=1), source=empty, allow_empty=True)
    for _ in range(2):  # the second time changes nothing for the next day
        reconcile(source=empty, allow_empty=True)
    with unit_of_work() as session:
        (asked,) = session.scalars(sa.select(ProcessRun).filter_by(state="queued"))
    assert asked.input["business_date"] == "2026-11-25"
    assert asked.input["source"] == empty
    reconcile(day=DAY + timedelta(days=1), source=empty, allow_empty=True)
    with unit_of_work() as session:
        states = {one.class_: one.state for one in exceptions.search(session, state=None)}
    assert states == {"timing": "carried", "missing_at_gateway": "open"}


def test_the_days_of_one_gateway_are_handed_over_in_their_order(database: str) -> None:
    with unit_of_work() as session:
        for gateway, day in (("gopay", 3), ("gopay", 1), ("gopay", 2), ("ovo", 5)):
            given = reconciliation.request_input(gateway, date(2026, 11, day))
            process.request(session, "reconcile-payments", f"{gateway}/2026-11-0{day}", given)

    def due() -> list[str]:
        with unit_of_work() as session:
            return sorted(run.key for run in process.claim_due(session, world.at(DAY, 0)))

    assert due() == ["gopay/2026-11-01", "ovo/2026-11-05"]
    with unit_of_work() as session:
        first = session.scalars(sa.select(ProcessRun).filter_by(key="gopay/2026-11-01")).one()
        process.wait(session, first.id, world.at(DAY + timedelta(days=9), 0), {"type": "x", "message": "x"})
    assert due() == ["gopay/2026-11-02", "ovo/2026-11-05"]


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"source": "sha256:" + "0" * 64}, "there is no kept file"),
        ({"source": "../../etc/passwd"}, "there is no kept file"),
        ({"layout": "../canonical"}, "there is no layout"),
        ({"day": date(2099, 1, 1)}, "has not begun yet"),
    ],
)
def test_what_cannot_be_worked_is_said_and_needs_a_person(
    parts: Stack, database: str, parameters: dict[str, Any], sentence: str
) -> None:
    state, run = reconcile(**parameters)
    assert (state.type.value, run.state) == ("FAILED", "needs_attention")
    assert sentence in state.message
    assert (run.error or {})["type"] == "bad-input"
