"""`jembatan payments`: the ledger, and one payment with its history."""

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from common import clock, money
from common.errors import UnusableFile
from common.settings import settings
from jembatan.commands.output import as_json, complain, console, errors
from jembatan.stack import stack
from records import ledger, payment
from records.db import connection, unit_of_work
from records.payment import Payment

app = typer.Typer(no_args_is_help=True, help="The ledger of payments and refunds.")
File = Annotated[Path, typer.Argument(help="CSV (plain or gzip) or XLSX with our canonical columns.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("import")
def import_payments(file: File, json: Json = False) -> None:
    """Take over an existing ledger of payments. The same rows again change nothing.

    Columns: reference, gateway, gateway_reference, amount, currency, status, created_at, paid_at.
    Exit 0: all rows taken or there already; 1: some refused, the others taken; 2: the file is unusable.
    """
    _import(file, ledger.PAYMENTS, json)


@app.command("import-refunds")
def import_refunds(file: File, json: Json = False) -> None:
    """Take over the refunds of an existing ledger, after its payments.

    Columns: reference, payment_reference, gateway, gateway_reference, amount, currency, status,
    created_at, confirmed_at.
    """
    _import(file, ledger.REFUNDS, json)


@app.command("show")
def show(
    which: Annotated[str, typer.Argument(help="Reference or id of the payment.")], json: Json = False
) -> None:
    """Show one payment and its history in plain words."""
    with stack(), unit_of_work() as session:
        found = session.scalars(sa.select(Payment).where(_named(which))).one_or_none()
        if found is None:
            complain(f"There is no payment {which[:40]!r} in the ledger.")
            raise typer.Exit(2)
        events = payment.history(session, found.id)
    if json:
        lines = [_as_dict(event) for event in events]
        as_json(payment.resource(found) | {"events": lines})
        return
    console.print(
        f"[bold]{found.reference}[/bold] · {found.gateway} · {money.rupiah(found.amount_minor)} · "
        f"[bold]{found.status}[/bold] · {found.id}"
    )
    for event in events:
        arrow = event.to_status
        if event.from_status not in (None, event.to_status):
            arrow = f"{event.from_status} → {event.to_status}"
        at = f"{event.at.astimezone(clock.JAKARTA):%Y-%m-%d %H:%M:%S} WIB"
        told = escape(event.note or f"{event.cause} ({event.source})")
        console.print(f"{at}  [bold]{arrow}[/bold]  {told}", soft_wrap=True)


def _named(which: str) -> sa.ColumnElement[bool]:
    try:
        return Payment.id == UUID(which)
    except ValueError:
        return Payment.reference == which


def _as_dict(event: payment.PaymentEvent) -> dict[str, Any]:
    names = ("at", "from_status", "to_status", "cause", "source", "note")
    return {name: getattr(event, name) for name in names}


def _import(file: Path, kind: ledger.Kind, json: bool) -> None:
    if not file.is_file():
        raise UnusableFile(file.name, "there is no such file; give the path of the ledger's CSV")
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=errors,
    )
    with stack(), bars:
        bar = bars.add_task(f"Reading {file.name}", total=None)

        def shown(rows: int) -> None:
            bars.update(bar, description=f"{rows:,} rows read")

        with connection() as db:
            result = ledger.import_file(
                db,
                file,
                kind,
                size_limit=settings().report_size_limit,
                scratch=settings().home,
                progress=shown,
            )
        bars.update(bar, total=1, completed=1)
    if json:
        as_json(
            {
                "rows": result.rows,
                "imported": result.imported,
                "unchanged": result.unchanged,
                "refused": [vars(row) for row in result.refused],
                "refused_count": result.refused_count,
            }
        )
    else:
        _print(result)
    raise typer.Exit(1 if result.refused_count else 0)


def _print(result: ledger.Imported) -> None:
    console.print(
        f"{result.rows:,} rows: [green]{result.imported:,} imported[/green], {result.unchanged:,} unchanged, "
        + (f"[red]{result.refused_count:,} refused[/red]" if result.refused_count else "none refused")
    )
    if result.refused:
        table = Table("line", "column", "reason", "text", title="Refused", title_justify="left")
        for row in result.refused[:50]:
            table.add_row(str(row.line), row.column or "", row.reason, escape(repr(row.text)))
        console.print(table)
        if result.refused_count > 50:
            console.print("The first 50; `--json` lists a thousand. Correct them and import the file again.")
