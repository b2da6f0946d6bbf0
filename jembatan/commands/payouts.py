"""`jembatan payouts`: bank statements, and what gateways have paid out."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
import typer
from rich.markup import escape
from rich.table import Table

from common.errors import UnusableFile
from common.settings import GATEWAYS
from jembatan.commands.output import as_json, complain, console
from jembatan.commands.payout_words import print_proof, print_sides, rupiah_of
from jembatan.stack import stack
from providers.bank.statement import FORMATS
from records import payout, payout_run
from records.classes import CLASSES
from records.db import unit_of_work
from tasks import bank_statements

app = typer.Typer(no_args_is_help=True, help="What gateways pay out, held against the bank's statements.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
REFUSED_SHOWN = 20


@app.command("import-statement")
def import_statement(
    file: Annotated[Path, typer.Argument(help="The bank's statement: CSV or XLSX, MT940, camt.053.")],
    format: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(FORMATS)}; told by the file if not given.")
    ] = None,
    account: Annotated[
        str, typer.Option(help="Whose statement it is; needed where the file does not say so.")
    ] = "",
    layout: Annotated[str, typer.Option(help="For csv: name of the bank's layout.")] = "canonical",
    then_reconcile: Annotated[
        bool, typer.Option("--reconcile/--no-reconcile", help="Look at the payouts of its days at once.")
    ] = True,
    json: Json = False,
) -> None:
    """Take a bank statement over. The same file, or the same entry in another file, changes nothing.

    Then hold the payouts of each gateway against the days that the statement covers.

    Exit 0: all of it is taken; 1: lines of a table cannot be read, the others are taken, or a proof does
    not balance; 2: the file is unusable, nothing of it is taken.
    """
    if not file.is_file():
        raise UnusableFile(file.name, "there is no such file; give the path of the bank's statement")
    if format is not None and format not in FORMATS:
        complain(f"There is no format {format!r}; there are {', '.join(FORMATS)}.")
        raise typer.Exit(2)
    with stack():
        taken, read = bank_statements.take(file, format=format, account=account, layout=layout)
        proofs = bank_statements.reconcile(read) if then_reconcile else []
    told = {
        "statement_id": str(taken.statement.id),
        "name": taken.statement.name,
        "sha256": taken.statement.sha256,
        "format": taken.statement.format,
        "rows": taken.statement.rows,
        "imported": taken.new_entries,
        "overlap_rows": taken.statement.overlap_rows,
        "known_already": not taken.is_new,
        "malformed": [
            {"line": one.line_no, "column": one.column, "reason": one.reason, "text": one.seen}
            for one in read.malformed
        ],
        "days": [
            {"account": one.account, "first_day": one.first_day, "last_day": one.last_day}
            for one in read.coverage
        ],
    }
    if json:
        as_json(told | {"payouts": proofs})
    else:
        _tell_import(told)
        for outcome in proofs:
            if outcome["ledger_rows"] or outcome["report_rows"]:
                print_proof(outcome)
    raise typer.Exit(1 if read.malformed or not all(one["balanced"] for one in proofs) else 0)


@app.command("reconcile")
def reconcile(
    gateway: Annotated[str, typer.Argument(help=f"One of {', '.join(GATEWAYS)}.")],
    date: Annotated[
        datetime | None, typer.Argument(formats=["%Y-%m-%d"], help="Bank day, YYYY-MM-DD.")
    ] = None,
    from_: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First bank day.")
    ] = None,
    to: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last bank day.")] = None,
    json: Json = False,
) -> None:
    """Hold a gateway's payouts against the bank's entries of one day, or of several, and prove the result.

    Exit 0: the proof balances, differences or not; 1: it does not; 2: wrong days or settings.
    """
    if gateway not in GATEWAYS:
        complain(f"There is no gateway {gateway!r}; there are {', '.join(GATEWAYS)}.")
        raise typer.Exit(2)
    days = [date, date] if date else [from_, to]
    if None in days or (date and (from_ or to)):
        complain("Give one bank day, or --from and --to.")
        raise typer.Exit(2)
    first, last = (day.date() for day in days if day)
    if first > last:
        complain(f"{first} is after {last}: give the earlier day as --from.")
        raise typer.Exit(2)
    with stack(), unit_of_work() as session:
        run = payout_run.reconcile(session, gateway, first, last)
        outcome = payout.as_json(session, run)
    if json:
        as_json(outcome)
    else:
        print_proof(outcome)
    raise typer.Exit(0 if outcome["balanced"] else 1)


@app.command("list")
def list_(
    gateway: Annotated[str | None, typer.Option(help="Only this gateway.")] = None,
    class_: Annotated[str | None, typer.Option("--class", help="Only this class.")] = None,
    from_: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="From this day.")
    ] = None,
    to: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="To this day.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    json: Json = False,
) -> None:
    """List payouts as they are known now, the newest first."""
    if class_ is not None and class_ not in CLASSES:
        complain(f"There is no class {class_!r}; there are {', '.join(CLASSES)}.")
        raise typer.Exit(2)
    with stack(), unit_of_work() as session:
        found = payout.search(
            session,
            gateway=gateway,
            class_=class_,
            first_day=_date(from_),
            last_day=_date(to),
            limit=limit,
        )
        shown = [payout.resource(one) for one in found]
    if json:
        as_json(shown)
        return
    table = Table("payout", "of", "day", "class", "expected", "bank", "difference")
    for one in shown:
        table.add_row(
            escape(str(one["payout"] or one["payout_id"])),
            one["gateway"],
            one["day"],
            one["class"],
            rupiah_of(one["expected"]),
            rupiah_of((one["bank"] or {}).get("amount")),
            rupiah_of(one["difference"]),
        )
    console.print(table if shown else "No payouts.")


@app.command("show")
def show(
    which: Annotated[str, typer.Argument(help="Id, reference or due:DATE of the payout.")], json: Json = False
) -> None:
    """Show one payout: what it is made of, what the bank booked, and what its difference is."""
    with stack(), unit_of_work() as session:
        found = list(session.scalars(sa.select(payout.Payout).where(_named(which))))
        shown = [payout.resource(one) for one in found]
    if not shown:
        complain(f"There is no payout {which[:80]!r}; `jembatan payouts list` shows them.")
        raise typer.Exit(2)
    if json:
        as_json(shown[0] if len(shown) == 1 else shown)
        return
    for one in shown:
        console.print(
            f"[bold]{escape(one['payout'] or 'an entry of the bank')}[/bold] · "
            f"{one['gateway']} · {one['class']}"
        )
        print_sides(one)


def _named(which: str) -> sa.ColumnElement[bool]:
    try:
        return payout.Payout.id == UUID(which)
    except ValueError:
        named: sa.ColumnElement[bool] = payout.Payout.details["payout"].astext == which
        return named


def _tell_import(told: dict[str, Any]) -> None:
    if told["known_already"]:
        console.print(
            f"{told['name']} is known already (SHA-256 {told['sha256'][:12]}…); nothing is new in it."
        )
    else:
        console.print(
            f"{told['rows']:,} entries of {told['name']} ({told['format']}): "
            f"[green]{told['imported']:,} new[/green], {told['overlap_rows']:,} known from another "
            f"statement, {len(told['malformed']):,} cannot be read"
        )
    for span in told["days"]:
        console.print(f"account {escape(span['account'])}: {span['first_day']} to {span['last_day']}")
    for line in told["malformed"][:REFUSED_SHOWN]:
        complain(
            f"line {line['line']}: {line['column'] + ': ' if line['column'] else ''}{line['reason']} "
            f"(seen: {escape(repr(line['text']))})"
        )
    if told["malformed"]:
        console.print("Ask the bank for a statement without these lines' errors and import it too.")


def _date(given: datetime | None) -> date | None:
    return given.date() if given else None
