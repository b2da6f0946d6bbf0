"""Steps of the nightly reconciliation: fetch, stage, classify, heal, prove, tell."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import prefect.runtime
from prefect import task
from prefect.client.schemas.objects import State
from prefect.states import Completed

from common import clock, money
from common.errors import BadInput, ProviderError
from common.settings import settings
from providers.payments import gateway as open_gateway
from providers.reports.layout import Layout, UnknownLayout, layouts, load_layout
from providers.reports.lines import Report, open_report
from providers.reports.sources import fetched
from records import exceptions, files, matching, payment, process, reconciliation, reported_refunds, staging
from records.db import connection, unit_of_work
from records.exceptions import ReconciliationException
from records.process import ProcessRun
from records.reconciliation import Reconciliation
from tasks import reporting, work
from tasks.retries import ONCE, TRIED_AGAIN

PROCESS = "reconcile-payments"
KEPT = "sha256:"
HEAL_AT_MOST = 1_000
HEAL_AT_ONCE = 8
GIVE_UP_HEALING_AFTER = 5  # answers in a row that did not come


@dataclass(frozen=True)
class Day:
    """One gateway's business day, as this attempt works it."""

    run_id: UUID
    gateway: str
    business_date: date
    source: str | None
    layout: str | None
    allow_empty: bool


def run_name() -> str:
    """Name of the flow run, such as `gopay 2026-11-24`, also where the day was left open."""
    asked = prefect.runtime.flow_run.parameters
    return f"{asked['gateway']} {asked['business_date'] or clock.yesterday(_scheduled_time())}"


@contextmanager
def day_to_reconcile(
    gateway: str,
    business_date: date | None,
    source: str | None,
    layout: str | None,
    allow_empty: bool,
    skip_if_done: bool,
) -> Iterator[Day]:
    """Open or join the process run of that day and hold it alone; raises work.Ended with what to say."""
    asked = business_date or clock.yesterday(_scheduled_time())
    given = reconciliation.request_input(
        gateway, asked, source=source, layout=layout, allow_empty=allow_empty
    )
    nightly = reconciliation.nightly_key(gateway, asked)
    run = work.join(PROCESS, lambda own: nightly if skip_if_done else f"{nightly}/{own}", given)
    if skip_if_done:
        _end_if_done(run, gateway, asked)
    held = f"{PROCESS} {gateway} {asked.isoformat()}"
    hours = timedelta(hours=settings().gateway(gateway).report.give_up_after_hours)
    with work.attempt(run, held, give_up_after=hours):
        asked = date.fromisoformat(run.input["business_date"])
        if asked > clock.business_date(clock.now()):
            raise BadInput(f"{asked} has not begun yet in Jakarta: there is nothing to reconcile")
        yield Day(
            run.id,
            run.input["gateway"],
            asked,
            run.input.get("source"),
            run.input.get("layout"),
            bool(run.input.get("allow_empty")),
        )


def is_recorded(day: Day) -> bool:
    """Whether an earlier attempt of this process run came as far as its statement."""
    with unit_of_work() as session:
        return reconciliation.of_process(session, day.run_id) is not None


@task(name="fetch", task_run_name="fetch {day.gateway} {day.business_date}", **TRIED_AGAIN)
def fetch_report(day: Day) -> list[str]:
    """Bring the day's report files here and keep them by their SHA-256; kept ones are only looked up."""
    if day.source:
        return _kept(day.source)
    with fetched(day.gateway, day.business_date) as found:
        kept = [files.keep(name, blocks) for name, blocks in found]
    return list(dict.fromkeys(kept))


@task(name="stage and validate", **ONCE)
def stage_report(day: Day, kept: list[str]) -> list[matching.Source]:
    """Read the files strictly into the staging tables; a file that is unusable as a whole ends the run."""
    choices = _layouts(day)
    table = staging.Staging(day.run_id)
    sources = []
    with connection() as db:
        staging.drop_leftovers(db)
        table.create(db)
        for number, sha256 in enumerate(sorted(kept)):
            report = _open(sha256, choices)
            _load(db, table, number, report)
            sources.append(matching.Source(report.name, sha256, report.rows, report.amount_minor))
    return sources


@task(name="take in refunds made elsewhere", **ONCE)
def take_in_refunds(day: Day, sources: list[matching.Source]) -> None:
    """Take in refunds that the report tells of and nobody asked us for, where it names their payment."""
    names = [f"the report of {day.business_date}, {source.name}" for source in sources]
    reported_refunds.take_in(staging.Staging(day.run_id), day.gateway, names, day.business_date)


@task(name="classify and record", **ONCE)
def classify(day: Day, sources: list[matching.Source]) -> None:
    """Match the staged lines against the ledger and record the statement, whole or not at all."""
    config = settings().gateway(day.gateway)
    rules = matching.Rules(config.fee.percent, config.fee.fixed, config.tolerance, settings().cutoff_grace)
    asked = matching.Day(day.run_id, day.gateway, day.business_date, rules, day.allow_empty)
    with connection() as db:
        matching.record(db, uuid4(), asked, sources)


@task(name="heal", **ONCE)
def heal(day: Day) -> dict[str, int]:
    """Ask the gateway about each status mismatch and mend our side where its answer is clear.

    The class stays as found. A gateway that does not answer leaves the exceptions open.
    """
    with unit_of_work() as session:
        statement = _statement(session, day)
        open_ones = exceptions.search(
            session, run_id=statement.id, class_="status_mismatch", limit=HEAL_AT_MOST
        )
    asked = [found for found in open_ones if not found.is_refund and found.subject_id]
    counts = {"asked": 0, "healed": 0, "unanswered": 0}
    if not asked:
        return counts
    silent = 0
    with open_gateway(day.gateway) as gateway, ThreadPoolExecutor(HEAL_AT_ONCE) as pool:

        def ask(found: ReconciliationException) -> bool | None:
            if silent >= GIVE_UP_HEALING_AFTER:
                return None
            try:
                return _mend(found, gateway.get_charge(found.reference or ""))
            except ProviderError:
                return None

        for answer in pool.map(ask, asked):
            silent = silent + 1 if answer is None else 0
            counts["asked"] += 1
            counts["unanswered"] += answer is None
            counts["healed"] += bool(answer)
    return counts


@task(name="prove", **ONCE)
def prove(day: Day) -> bool:
    """Hold the sums over the outcomes against the files' and the ledger's own counts."""
    with unit_of_work() as session:
        run_id = _statement(session, day).id
    with connection() as db:
        balanced = matching.prove(db, run_id)
        staging.Staging(day.run_id).drop(db)
    return balanced


@task(name="tell", **ONCE)
def tell(day: Day, healing: dict[str, int]) -> dict[str, Any]:
    """Put the statement where people look, beside the flow run; returns the process run's outcome."""
    with unit_of_work() as session:
        statement = _statement(session, day)
        outcome = reconciliation.as_json(session, statement) | {
            "healed": healing["healed"],
            "unanswered": healing["unanswered"],
            "page": settings().page_url(f"/reconciliations/{statement.id}"),
            "at_risk": money.plain(reconciliation.at_risk_minor(session, statement.id)),
        }
        newest = exceptions.search(session, run_id=statement.id, limit=reporting.TABLE_ROWS)
    reporting.publish(outcome, newest)
    return outcome


def end(day: Day, outcome: dict[str, Any], payouts: dict[str, Any] | None = None) -> State[Any]:
    """End the process run with its outcome; the flow run's final state says it in one line.

    payouts: what the look at the bank has found, which changes nothing of the statement.
    """
    outcome = outcome | {"payouts": payouts}
    message = summary(outcome)
    if outcome["balanced"]:
        with unit_of_work() as session:
            reconciliation.ask_for_next_day_again(session, _statement(session, day))
        return work.succeed(day.run_id, outcome, message)
    sentence = f"The proof does not balance: rely on nothing of it, and tell the developers · {message}"
    return work.fail(day.run_id, "proof", sentence, outcome)


def summary(outcome: dict[str, Any]) -> str:
    """One line for the finance officer, like `matched 9,954 of 10,000 · 46 exceptions · Rp … at risk`."""
    classes = outcome["classes"]
    matched = classes["matched"]["count"]
    lines = outcome["report_rows"]
    timing = classes["timing"]["count"]
    parts = [
        f"matched {matched:,} of {max(lines, outcome['ledger_rows']):,}",
        f"{outcome['exceptions_open']:,} exceptions",
        f"{money.rupiah(money.parse_minor(outcome['at_risk']))} at risk",
    ]
    if timing:
        parts.append(f"{timing:,} awaited with the next report")
    if outcome.get("healed"):
        parts.append(f"{outcome['healed']:,} healed")
    payouts = outcome.get("payouts") or {}
    if payouts.get("error") or payouts.get("balanced") is False:
        parts.append(f"payouts: {payouts.get('error') or 'the proof does not balance, tell the developers'}")
    elif payouts.get("differences"):
        differ = "payout differs" if payouts["differences"] == 1 else "payouts differ"
        parts.append(f"{payouts['differences']:,} {differ}")
    return " · ".join(parts)


def _scheduled_time() -> Any:
    """When this run was due: a run that starts late still means the night it was due in."""
    return prefect.runtime.flow_run.scheduled_start_time


def _end_if_done(run: ProcessRun, gateway: str, day: date) -> None:
    with unit_of_work() as session:
        done = reconciliation.current(session, gateway, day)
        if done is None or not done.is_balanced:
            return
        message = f"{gateway} {day} is reconciled already (version {done.version}); nothing to do"
        if run.state != "succeeded":
            process.finish(session, run.id, "succeeded", outcome={"skipped": message})
    raise work.Ended(Completed(name="Skipped", message=message))


def _kept(source: str) -> list[str]:
    """The SHA-256 values that a `source` names: `sha256:…`, several separated by commas or blanks."""
    names = source.replace(",", " ").split()
    kept = []
    for name in names:
        sha256 = name.removeprefix(KEPT)
        try:
            is_there = name.startswith(KEPT) and files.path_of(sha256).is_file()
        except ValueError:
            is_there = False
        if not is_there:
            raise BadInput(f"there is no kept file {name[:80]!r}; `source` names them by SHA-256 as sha256:…")
        kept.append(sha256)
    return list(dict.fromkeys(kept))


def _layouts(day: Day) -> list[Layout]:
    """The layout that was asked for; else the canonical one and the gateway's, then any that fits."""
    own = settings().home / "layouts"
    try:
        if day.layout:
            return [load_layout(day.layout, own)]
        configured = load_layout(settings().gateway(day.gateway).report.layout, own)
        if not day.source:
            return [configured]
        found = layouts(own)
    except UnknownLayout as error:
        raise BadInput(str(error)) from None
    return [*(one for one in found if one.name == "canonical"), configured, *found]


def _open(sha256: str, choices: list[Layout]) -> Report:
    with unit_of_work() as session:
        name = session.get_one(files.KeptFile, sha256).name
    scratch = settings().home / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    return open_report(
        files.path_of(sha256), name, choices, size_limit=settings().report_size_limit, scratch=scratch
    )


def _load(db: Any, table: staging.Staging, number: int, report: Report) -> None:
    """Read and load side by side: while one batch goes to the database the next is read and written out."""
    with ThreadPoolExecutor(1) as reader, staging.Loader(db, table, number) as loader:
        batches = ((loader.as_csv(lines.good), lines.malformed) for lines in report.lines())
        upcoming = reader.submit(next, batches, None)
        while (batch := upcoming.result()) is not None:
            upcoming = reader.submit(next, batches, None)
            loader.add(*batch)


def _statement(session: Any, day: Day) -> Reconciliation:
    found = reconciliation.of_process(session, day.run_id)
    if found is None:
        raise RuntimeError("the statement of this run is not recorded")
    return found


def _mend(found: ReconciliationException, said: Any) -> bool:
    """Move our payment where the gateway's word is clear and fits; returns whether it moved."""
    agrees = (said.amount_minor, said.currency) == (
        found.expected["amount_minor"],
        found.expected["currency"],
    )
    with unit_of_work() as session:
        assert found.subject_id is not None
        now = payment.locked(session, found.subject_id)
        if found.found["status"] == "paid" and said.state in payment.PAID and said.at and agrees:
            to_status: payment.PaymentStatus = "paid"
        elif found.found["status"] != "paid" and said.state in ("reversed", "denied", "cancelled"):
            to_status = "reversed"
        else:
            return False
        if to_status == "reversed" and now.status not in payment.PAID:
            return False
        moved = payment.apply(
            session,
            now,
            to_status,
            cause="reconciliation",
            source=f"statement {found.last_run_id}: the gateway's status is {said.word}",
            effective_at=said.at,
            note=f"The settlement report and ours differed; asked, the gateway says {said.word}.",
            evidence=said.raw,
            is_confirmed=True,
        )
        if moved:
            exceptions.move(
                session,
                found.id,
                "healed",
                actor=PROCESS,
                reason=f"the gateway's status is {said.word}: ours is {to_status} now",
            )
        return moved
