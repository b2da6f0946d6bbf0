"""`jembatan demo`: a day of business in the sandbox, live payments, its night, the bank, and badges."""

import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import sqlalchemy as sa
import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from common import clock
from common.settings import GATEWAYS, settings
from deployments.names import RECONCILE_NIGHTLY
from jembatan.commands import demo_credential, demo_payouts, live_payments
from jembatan.commands.output import complain, console, errors, statement_table
from jembatan.stack import Stack, stack
from records import ledger
from records.classes import CLASSES
from records.db import connection, unit_of_work
from records.process import ENDED, ProcessRun

PATIENCE_SECONDS = 150


def demo() -> None:
    """Import 10,000 payments, take some live ones, reconcile the reports, hold the bank against them, and
    bring a class to the ministry's register and its badges to a verifier.

    Exit 0 only if every proof balances, the classes are those that the sandbox says it injected, and a badge
    is found valid and a revoked one is not.
    """
    if settings().env != "sandbox":
        complain("The demo runs in the sandbox only: unset JEMBATAN_ENV.")
        raise typer.Exit(2)
    day = clock.yesterday()
    console.print("[bold]Jembatan[/bold]: a day of business, then the night's reconciliation")
    with console.status("Starting PostgreSQL, Prefect, a worker, the API and the sandbox …"):
        started = time.monotonic()
        parts = stack(worker=True, sandbox=True, api=True)
        running = parts.__enter__()
    try:
        console.print(f"✓ the local stack is up ({time.monotonic() - started:.1f} s)")
        _take_ledger_over(running, day)
        live_payments.take(running, day)
        program_code = demo_credential.begin(running)
        runs = _start_night(running, day)
        outcomes = _wait(runs)
        is_right = _show(running, day, outcomes)
        is_right = demo_payouts.show(running, day) and is_right
        is_right = demo_credential.show(running, program_code) and is_right
    finally:
        parts.__exit__(None, None, None)
    console.print(
        "\nStatements, credentials and flow runs are kept. Open them with [bold]jembatan up[/bold]: it says "
        "where the console and the Prefect UI are. The console wants a key of your own: "
        "[bold]jembatan clients create YOUR-NAME --scope exceptions:write,refunds:write,"
        "approvals:write[/bold]"
    )
    raise typer.Exit(0 if is_right else 1)


def _take_ledger_over(running: Stack, day: date) -> None:
    """Fetch the platform's ledger of the day from the sandbox and import it."""
    for name, kind in (("ledger", ledger.PAYMENTS), ("refunds", ledger.REFUNDS)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}-{day}.csv"
            answer = httpx.get(f"{running.sandbox_url}/_sandbox/days/{day}/{name}.csv", timeout=30)
            path.write_bytes(answer.raise_for_status().content)
            with connection() as db:
                result = ledger.import_file(
                    db, path, kind, size_limit=settings().report_size_limit, scratch=Path(folder)
                )
        taken = f"{result.imported:,} imported, {result.unchanged:,} there"
        console.print(f"✓ {result.rows:,} {kind.name} of {day}: {taken}")


def _start_night(running: Stack, day: date) -> dict[str, UUID]:
    """Start the nightly deployment once for each gateway, as the schedule does at 02:00."""
    with httpx.Client(base_url=str(running.prefect_api_url), timeout=30) as prefect:
        found = prefect.get(f"/deployments/name/{RECONCILE_NIGHTLY}").raise_for_status().json()
        runs = {}
        for gateway in GATEWAYS:
            asked = {"gateway": gateway, "business_date": day.isoformat(), "skip_if_done": False}
            answer = prefect.post(f"/deployments/{found['id']}/create_flow_run", json={"parameters": asked})
            runs[gateway] = UUID(answer.raise_for_status().json()["id"])
    console.print(f"✓ started {RECONCILE_NIGHTLY} for {', '.join(GATEWAYS)} through the Prefect API")
    return runs


def _wait(runs: dict[str, UUID]) -> dict[str, dict[str, Any] | None]:
    """Wait until each gateway's process run has ended; its outcome, or None where it did not end well."""
    outcomes: dict[str, dict[str, Any] | None] = {}
    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    with bars:
        bar = bars.add_task("reconciling", total=len(runs))
        while len(outcomes) < len(runs) and time.monotonic() < deadline:
            time.sleep(0.3)
            with unit_of_work() as session:
                found = session.scalars(
                    sa.select(ProcessRun).where(ProcessRun.flow_run_id.in_(runs.values()))
                )
                ended = {run.flow_run_id: run for run in found if run.state in (*ENDED, "waiting")}
            for gateway, flow_run in runs.items():
                if flow_run in ended and gateway not in outcomes:
                    run = ended[flow_run]
                    outcomes[gateway] = run.outcome if run.state == "succeeded" else None
                    bars.advance(bar)
                    if run.error:
                        complain(f"{gateway}: {run.error['message']}")
    for gateway in runs.keys() - outcomes.keys():
        complain(f"{gateway}: no result after {PATIENCE_SECONDS} s; `jembatan process list` shows its state.")
    return outcomes


def _show(running: Stack, day: date, outcomes: dict[str, dict[str, Any] | None]) -> bool:
    """Print each statement and hold it against what the sandbox injected; True when all of it fits."""
    truth = httpx.get(f"{running.sandbox_url}/_sandbox/days/{day}/truth.json", timeout=30)
    injected = truth.raise_for_status().json()
    is_right = True
    for gateway in GATEWAYS:
        outcome = outcomes.get(gateway)
        if outcome is None:
            is_right = False
            continue
        console.print()
        console.print(statement_table(outcome))
        differs = [name for name in CLASSES if outcome["classes"][name] != injected[gateway][name]]
        if differs:
            complain(f"{gateway}: {', '.join(differs)} differ from what the sandbox injected.")
        else:
            console.print("✓ every class equals what the sandbox injected, in count and rupiah")
        console.print(f"{outcome['healed']} healed by asking the gateway · {outcome['page']}", soft_wrap=True)
        is_right = is_right and outcome["balanced"] and not differs
    return is_right
