"""`jembatan enrolments`: take over from a file what the platform says of its learners' seats."""

import getpass
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from common.errors import BadInput, UnusableFile
from common.nik import masked_within
from common.settings import settings
from jembatan.commands.output import as_json, complain, console
from jembatan.stack import stack
from records import enrolment_intake, enrolment_sheet
from records.approval import NobodyNamed, actor
from records.db import unit_of_work
from records.enrolment import Told
from records.enrolment_intake import Refused

app = typer.Typer(no_args_is_help=True, help="Who has a seat in which program, as the platform says.")
ME = getpass.getuser()
LISTED = 50


class _TriedOut(Exception):
    """Ends the transaction in which a file was tried out, so that nothing of it stays."""


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV in UTF-8 or XLSX: learner_id, program_code, state, …")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and keep nothing.")] = False,
    by: Annotated[str, typer.Option(help="Who takes it over.")] = ME,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Take over enrolments from a file: all of it, or nothing where a row is bad. The same file again is no
    news. Columns learner_id, program_code, state, occurred_at; also payment_reference, payment_id, is_free.
    Exit 1: rows are bad; 2: the file is unusable."""
    name = masked_within(file.name)
    if not file.is_file():
        raise UnusableFile(name, "there is no such file; give the path of the sheet")
    scratch = settings().home / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    rows = enrolment_sheet.read(file, name, scratch)
    try:
        who = actor("operator", by)
    except NobodyNamed as nobody:
        raise BadInput(str(nobody)) from None
    told: list[Told] = []
    try:
        with stack(), suppress(_TriedOut), unit_of_work() as session:
            told = enrolment_intake.take_on(session, rows, by=who, client_id=None)
            if dry_run:
                session.expunge_all()
                raise _TriedOut
    except Refused as refused:
        _tell_faults(refused, json)
        raise typer.Exit(1) from None
    new = sum(one.is_new for one in told)
    if json:
        as_json({"rows": len(rows), "new": new, "known": len(told) - new, "dry_run": dry_run, "faults": []})
        return
    kept = "dry run: nothing was kept" if dry_run else "all of it is kept"
    console.print(f"{new:,} statements are new, {len(told) - new:,} were known; {kept}.", markup=False)


def _tell_faults(refused: Refused, json: bool) -> None:
    """What is wrong, row by row; never with a value."""
    named = [(one.row, one.path.partition("].")[2], one.reason) for one in refused.faults]
    if json:
        faults = [{"row": row, "column": column, "reason": reason} for row, column, reason in named]
        as_json({"rows": refused.rows, "new": 0, "known": 0, "faults": faults})
        return
    table = Table("row", "column", "why")
    for row, column, reason in named[:LISTED]:
        table.add_row(str(row or ""), escape(column), escape(reason))
    console.print(table)
    more = len(named) - LISTED
    complain(f"{refused}{f'; {more:,} more faults, --json has all' if more > 0 else ''}.")
