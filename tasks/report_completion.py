"""Steps of reporting classes to the ministry: take up what is to be worked, report it, tell people."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import prefect.runtime
import sqlalchemy as sa
from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from common import clock
from common.cells import neutral
from ministry import reporting
from ministry.reporting import Step
from records import process
from records.completion import PROCESS, STATES, CompletionReport
from records.db import unit_of_work
from tasks import work
from tasks.retries import ONCE

__all__ = ["PROCESS", "Batch", "end", "report", "reports_to_work", "run_name"]
TABLE_ROWS = 200


@dataclass(frozen=True)
class Batch:
    """Reports that this flow run works, and nobody else meanwhile. left: held by another run or ended."""

    report_ids: tuple[UUID, ...]
    left: int = 0


def run_name() -> str:
    """What a flow run is called: the report, or how many of them."""
    asked = prefect.runtime.flow_run.parameters
    if asked.get("processes"):
        return f"completions ({len(asked['processes'])})"
    return f"completion {asked.get('report_id') or 'asked for in Prefect'}"


@contextmanager
def reports_to_work(report_id: UUID | None, processes: Sequence[UUID] | None) -> Iterator[Batch]:
    """Hold the reports of a batch alone, or the one that is named; raises work.Ended with what to say where
    there is nothing to do."""
    if processes and report_id is not None:
        raise work.Ended(Failed(message="Give either a report_id or processes, not both."))
    run_ids = list(processes or ()) or [_named(report_id)]
    with work.batch(run_ids) as runs:
        of_runs = [run.id for run in runs]
        with unit_of_work() as session:
            ids = session.scalars(
                sa.select(CompletionReport.id)
                .where(CompletionReport.process_run_id.in_(of_runs))
                .order_by(CompletionReport.id)  # in the order in which they were asked for
            )
            report_ids = tuple(ids)
        yield Batch(report_ids, left=len(run_ids) - len(report_ids))


def _named(report_id: UUID | None) -> UUID:
    """The process of a report that a person names in Prefect; one that has ended badly is worked again."""
    if report_id is None:
        raise work.Ended(Failed(message="A report_id is needed: `jembatan completions list` shows them."))
    with unit_of_work() as session:
        report = session.get(CompletionReport, report_id)
        if report is None:
            raise work.Ended(Failed(message=f"There is no report of completions {report_id}."))
        process.retry(session, report.process_run_id)
        return report.process_run_id


@task(name="report completions", **ONCE)
def report(report_ids: Sequence[UUID]) -> list[Step]:
    """Report each class as far as it goes now, one after the other."""
    steps = reporting.report_all(report_ids)
    log = get_run_logger()
    for one in steps:
        log.info("%s", _sentence(one))
    return steps


def end(batch: Batch, steps: Sequence[Step]) -> State[Any]:
    """End the flow run with what became of each; every report's process has its own state already."""
    participants = {state: sum(one.states[state] for one in steps) for state in STATES}
    counted = ", ".join(f"{number:,} {state}" for state, number in participants.items() if number)
    message = (
        _sentence(steps[0]) if len(steps) == 1 else f"{len(steps):,} reports: {counted or 'nothing to send'}"
    )
    if batch.left:
        message += f" · {batch.left:,} ended already or worked by another run"
    _publish(message, steps)
    if any(one.next == "needs_attention" for one in steps):
        return Failed(message=message)
    if any(one.next == "waits" for one in steps):
        return Completed(name="Waiting", message=message)
    return Completed(message=message)


def _sentence(one: Step) -> str:
    counted = ", ".join(f"{number:,} {state}" for state, number in one.states.items() if number)
    told = f"{one.program_code}: {counted or 'nothing to send'}"
    return f"{told}. {one.sentence}" if one.sentence else told


def _publish(message: str, steps: Sequence[Step]) -> None:
    create_markdown_artifact(
        f"# Completions\n\n{message}\n", key="completions", description="What became of these reports"
    )
    create_table_artifact(
        [_row(one) for one in steps[:TABLE_ROWS]],
        key="completions-each",
        description=f"Each report, the first {TABLE_ROWS}",
    )


def _row(one: Step) -> dict[str, str]:
    again = f"{one.until.astimezone(clock.JAKARTA):%d %b %H:%M} WIB" if one.until else ""
    return {
        "program": neutral(one.program_code),
        "report": str(one.report_id),
        **{state: f"{one.states[state]:,}" for state in STATES},
        "why": neutral(one.sentence),
        "next look": again,
    }
