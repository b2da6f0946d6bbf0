"""`jembatan entitlements`: hold what learners paid against where they are enrolled and what was reported."""

import getpass
import os
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
import typer
from rich.markup import escape
from rich.table import Table

from common import clock
from common.errors import BadInput
from jembatan.commands.output import as_json, complain, console
from jembatan.stack import stack
from records import entitlement
from records.approval import NobodyNamed, actor
from records.db import unit_of_work
from records.entitlement import CLASSES, STATES, Filter, NotOpen
from records.process import ProcessRun

app = typer.Typer(no_args_is_help=True, help="Whether who paid is enrolled, and who completed was reported.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ME = getpass.getuser()
_WORDS = ("found", "opened", "still_open", "explained", "resolved", "awaited")


@app.command("reconcile")
def reconcile(json: Json = False) -> None:
    """Look at every learner's programs now. Exit 0: the proof balances, findings or not; 1: it does not, or
    the run failed; 3: a part of the stack is not reachable."""
    with stack(prefect=True):
        run = _run()
    outcome = run.outcome or {}
    if "classes" not in outcome:
        details = run.error or {"type": run.state, "message": "the run ended without a look"}
        if json:
            as_json({"process_id": str(run.id), "state": run.state, "error": details})
        complain(details["message"])
        raise typer.Exit(1)
    if json:
        as_json(outcome)
    else:
        verdict = "✓ the proof balances" if outcome["balanced"] else "✗ THE PROOF DOES NOT BALANCE"
        table = Table("class", caption=verdict, caption_justify="left")
        for word in _WORDS:
            table.add_column(word.replace("_", " "), justify="right")
        for name in CLASSES:
            table.add_row(name, *(f"{outcome['classes'][name][word]:,}" for word in _WORDS))
        console.print(table)
        console.print(
            f"{outcome['pairs']:,} programs of learners: {outcome['in_order']:,} in order, "
            f"{outcome['awaited']:,} within their grace, {outcome['differing']:,} differ · {outcome['page']}",
            soft_wrap=True,
        )
    raise typer.Exit(0 if run.state == "succeeded" and outcome["balanced"] else 1)


def _run() -> ProcessRun:
    """Run the flow in this process and return the process run that it wrote."""
    # Prefect reads its environment on import: only now, with the stack's in place. Its log goes to the
    # server; the person at the terminal gets our own sentence.
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    from prefect.logging.handlers import APILogHandler

    from flows.reconcile_entitlements import reconcile_entitlements

    state = reconcile_entitlements(return_state=True)
    APILogHandler().flush()
    newest = sa.select(ProcessRun).where(ProcessRun.flow_run_id == state.state_details.flow_run_id)
    with unit_of_work() as session:
        run = session.scalars(newest.order_by(ProcessRun.created_at.desc())).first()
    return run or ProcessRun(state="failed", error={"type": "unexpected", "message": str(state.message)})


@app.command("list")
def list_(
    class_: Annotated[str | None, typer.Option("--class", help=f"One of {', '.join(CLASSES)}.")] = None,
    state: Annotated[str, typer.Option(help=f"One of {', '.join(STATES)}, or all.")] = "open",
    learner: Annotated[str | None, typer.Option(help="Only of this learner.")] = None,
    program: Annotated[str | None, typer.Option(help="Only of this program.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 50,
    json: Json = False,
) -> None:
    """List findings, those that were found first at the top."""
    if class_ is not None and class_ not in CLASSES:
        raise BadInput(f"There is no class {class_!r}; there are {', '.join(CLASSES)}")
    if state not in (*STATES, "all"):
        raise BadInput(f"There is no state {state!r}; there are {', '.join((*STATES, 'all'))}")
    which = Filter(class_, None if state == "all" else state, learner, program)
    with stack(), unit_of_work() as session:
        found = entitlement.page(session, which, limit=limit)
        count = entitlement.count(session, which)
    if json:
        as_json([entitlement.resource(one) for one in found])
        return
    table = Table("finding", "learner", "program", "what", "since (WIB)", "state")
    for one in found:
        since = f"{one.since.astimezone(clock.JAKARTA):%Y-%m-%d %H:%M}"
        names = (escape(one.learner_id or "erased"), escape(one.program_code))
        table.add_row(str(one.id), *names, one.class_, since, one.state)
    for column in table.columns:
        column.overflow = "fold"
    console.print(table if found else "No findings.")
    if count > len(found):
        console.print(f"… and {count - len(found):,} more; --limit shows them")


@app.command("explain")
def explain(
    finding: Annotated[UUID, typer.Argument(help="Id of the finding.")],
    reason: Annotated[str, typer.Option(help="Why it is right as it is; nothing personal.")],
    by: Annotated[str, typer.Option(help="Who says so.")] = ME,
) -> None:
    """Say why a difference is right as it is: it stays explained for as long as it is there."""
    try:
        with stack(), unit_of_work() as session:
            entitlement.explain(session, finding, by=actor("operator", by), reason=reason)
    except (NobodyNamed, NotOpen) as error:
        raise BadInput(f"{error}; `jembatan entitlements list` shows the open ones") from None
    console.print("It is explained, and stays so for as long as the difference is there.")
