"""`jembatan reconcile`: one gateway's business day, now."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer

from common.clock import JAKARTA
from common.errors import UnusableFile
from common.settings import GATEWAYS, settings
from jembatan.commands.output import as_json, complain, console, statement_table
from jembatan.stack import stack
from providers.reports.layout import UnknownLayout, load_layout
from providers.reports.sources import read_blocks
from records import files
from records.db import unit_of_work
from records.process import ProcessRun

_EXIT = {"bad-input": 2, "unusable-file": 2, "nothing-reported": 2, "not-reachable": 3}


def reconcile(
    gateway: Annotated[str, typer.Argument(help=f"One of {', '.join(GATEWAYS)}.")],
    date: Annotated[
        datetime, typer.Argument(formats=["%Y-%m-%d"], help="Business day in Jakarta, YYYY-MM-DD.")
    ],
    file: Annotated[
        list[Path] | None,
        typer.Option(help="Report file in place of the configured source; may be given several times."),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="Name of the report's layout; found by its header if not given.")
    ] = None,
    allow_empty: Annotated[bool, typer.Option(help="Accept a report without lines.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Hold a day's settlement report against the ledger and prove the result.

    Exit 0: the proof balances, exceptions or not; 1: it does not, or the run failed; 2: the report is
    unusable; 3: the gateway or a part of the stack is not reachable.
    """
    if gateway not in GATEWAYS:
        complain(f"There is no gateway {gateway!r}; there are {', '.join(GATEWAYS)}.")
        raise typer.Exit(2)
    for path in file or []:
        if not path.is_file():
            raise UnusableFile(path.name, "there is no such file; give the path of the gateway's report")
    if layout:
        try:
            load_layout(layout, settings().home / "layouts")
        except UnknownLayout as error:
            complain(f"{error}.")
            raise typer.Exit(2) from None
    with stack(prefect=True, sandbox=settings().env == "sandbox"):
        run = _run(gateway, date, file or [], layout, allow_empty)
    raise typer.Exit(_tell(run, json))


def _run(gateway: str, day: datetime, paths: list[Path], layout: str | None, allow_empty: bool) -> ProcessRun:
    """Run the flow in this process and return the process run that it wrote."""
    kept = [files.keep(path.name, read_blocks(path)) for path in paths]
    source = ",".join(f"sha256:{sha256}" for sha256 in dict.fromkeys(kept)) or None
    # Prefect reads its environment on import: only now, with the stack's in place. Its log goes to the
    # server; the person at the terminal gets our own sentence.
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    from prefect.logging.handlers import APILogHandler

    from flows.reconcile_payments import reconcile_payments
    from flows.wallet import Wallet

    state = reconcile_payments(
        gateway=Wallet(gateway),
        business_date=day.date(),
        source=source,
        layout=layout,
        allow_empty=allow_empty,
        return_state=True,
    )
    APILogHandler().flush()
    flow_run = state.state_details.flow_run_id
    newest = sa.select(ProcessRun).where(ProcessRun.flow_run_id == flow_run)
    with unit_of_work() as session:
        run = session.scalars(newest.order_by(ProcessRun.created_at.desc())).first()
    return run or _none(state)


def _none(state: Any) -> ProcessRun:
    return ProcessRun(state="failed", error={"type": "unexpected", "message": state.message or "no message"})


def _tell(run: ProcessRun, json: bool) -> int:
    outcome, error = run.outcome, run.error
    if outcome and "classes" in outcome:
        if json:
            as_json(outcome)
        else:
            console.print(statement_table(outcome))
            console.print(
                f"{outcome['exceptions_open']:,} exceptions open · {outcome['page']}", soft_wrap=True
            )
        return 0 if run.state == "succeeded" and outcome["balanced"] else 1
    details = error or {"type": run.state, "message": "the run ended without a statement"}
    if json:
        as_json({"process_id": str(run.id), "state": run.state, "error": details})
    complain(details["message"])
    if run.next_attempt_at:
        again = run.next_attempt_at.astimezone(JAKARTA)
        complain(f"The process {run.id} waits; `jembatan up` tries it again at {again:%H:%M} WIB.")
    return _EXIT.get(details["type"], 1)
