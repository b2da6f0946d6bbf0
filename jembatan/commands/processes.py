"""`jembatan process`: the business processes that were asked for, and what became of them."""

from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
import typer
from rich.markup import escape
from rich.table import Table

from common.clock import JAKARTA
from common.errors import BadInput
from deployments.names import SWEEP_FLOW
from jembatan.commands.output import as_json, complain, console
from jembatan.stack import stack
from records import credential_export, process
from records.db import unit_of_work
from records.process import ProcessRun

app = typer.Typer(no_args_is_help=True, help="Process runs: state, attempts, outcome, error.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Id = Annotated[UUID, typer.Argument(help="Id of the process run.")]
_OF = ("gateway", "business_date", "program_code")  # what a run is of, where its input says so


@app.command("list")
def list_(
    state: Annotated[str | None, typer.Option(help="Only this state, such as needs_attention.")] = None,
    name: Annotated[
        str | None, typer.Option("--process", help="Only this process, such as sweep-payments.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 30,
    json: Json = False,
) -> None:
    """List process runs, newest first. The sweeps of each minute that went well only with --process."""
    if state is not None and state not in (*process.OPEN, *process.ENDED):
        raise BadInput(f"There is no state {state!r}; there are {', '.join((*process.OPEN, *process.ENDED))}")
    query = sa.select(ProcessRun).order_by(ProcessRun.created_at.desc()).limit(limit)
    if name is not None:
        query = query.where(ProcessRun.process == name)
    else:
        query = query.where(sa.or_(ProcessRun.process != SWEEP_FLOW, ProcessRun.state != "succeeded"))
    if state:
        query = query.where(ProcessRun.state == state)
    with stack(), unit_of_work() as session:
        found = list(session.scalars(query))
    if json:
        as_json([_as_dict(run) for run in found])
        return
    table = Table()
    table.add_column("id", no_wrap=True)
    for name in ("process", "of", "state", "attempts", "next attempt"):
        table.add_column(name, overflow="fold")
    for run in found:
        what = " ".join(str(run.input[name]) for name in _OF if run.input.get(name))
        next_attempt = _time(run.next_attempt_at)
        table.add_row(str(run.id), run.process, escape(what), run.state, str(run.attempts), next_attempt)
    console.print(
        table if found else f"No process is {state}." if state else "No process has been asked for yet."
    )


@app.command("show")
def show(id: Id, json: Json = False) -> None:
    """Show one process run."""
    run = _get(id)
    if json:
        as_json(_as_dict(run))
        return
    console.print(f"[bold]{run.process}[/bold] {escape(run.key)} · {run.state} after {run.attempts} attempts")
    for name, at in (
        ("started", run.started_at),
        ("ended", run.ended_at),
        ("next attempt", run.next_attempt_at),
    ):
        if at:
            console.print(f"{name}: {_time(at)}")
    if run.error:
        console.print(f"error: {run.error['message']}", markup=False)
    if run.flow_run_id:
        console.print(f"flow run: {run.flow_run_id}")
    if run.outcome:
        as_json(run.outcome)


@app.command("retry")
def retry(id: Id) -> None:
    """Queue a run again that failed, needs attention or waits; a running stack takes it within seconds."""
    _get(id)
    with stack(), unit_of_work() as session:
        queued = process.retry(session, id)
        if queued:
            credential_export.again(session, id)
    if not queued:
        complain(f"The process run {id} is not in a state that can be retried.")
        raise typer.Exit(1)
    console.print(f"{id} is queued. `jembatan up` works it; `jembatan process show {id}` tells how it went.")


def _get(id: UUID) -> ProcessRun:
    with stack(), unit_of_work() as session:
        run = session.get(ProcessRun, id)
    if run is None:
        complain(f"There is no process run {id}; `jembatan process list` shows them.")
        raise typer.Exit(2)
    return run


def _as_dict(run: ProcessRun) -> dict[str, Any]:
    return {
        "process_id": str(run.id),
        "process": run.process,
        "key": run.key,
        "state": run.state,
        "attempts": run.attempts,
        "next_attempt_at": run.next_attempt_at,
        "outcome": run.outcome,
        "error": run.error,
        "flow_run_id": run.flow_run_id and str(run.flow_run_id),
        "created_at": run.created_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
    }


def _time(at: Any) -> str:
    return f"{at.astimezone(JAKARTA):%Y-%m-%d %H:%M} WIB" if at else ""
