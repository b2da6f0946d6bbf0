"""`jembatan completions`: report who has completed a program, and see what the ministry says of each."""

import getpass
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
import typer
from rich.markup import escape
from rich.table import Table

from common import clock, nik
from common.errors import BadInput, UnusableFile
from common.settings import settings
from jembatan.commands.output import as_json, complain, console
from jembatan.stack import stack
from ministry import completions
from ministry.completions import UnknownProgram, Wish
from records import audit, completion, completion_sheet
from records.approval import NobodyNamed, actor
from records.completion import STATES, Completion, CompletionReport
from records.completion_report import Refused
from records.completion_rows import Fault
from records.db import unit_of_work
from records.person import Person, masked_nik
from records.program import Program

app = typer.Typer(no_args_is_help=True, help="Who has completed a program, for the ministry's register.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
By = Annotated[str, typer.Option(help="Who asks for it.")]
ME = getpass.getuser()
LISTED = 50


@app.command("report")
def report(
    file: Annotated[Path, typer.Argument(help="CSV or XLSX; `jembatan completions template` makes one.")],
    program: Annotated[str, typer.Option(help="Code of the program.")],
    lpk: Annotated[str, typer.Option(help="Registration number of the LPK.")],
    date: Annotated[str, typer.Option(help="When the class ended, YYYY-MM-DD.")],
    allow_partial: Annotated[
        bool, typer.Option("--allow-partial", help="Report the good rows though others cannot be.")
    ] = False,
    correction: Annotated[
        bool, typer.Option("--correction", help="Correct whoever was reported with other values.")
    ] = False,
    by: By = ME,
    json: Json = False,
) -> None:
    """Hand in a class: every row is checked first, and nothing is sent while one is bad. The same class again
    is the same report. Exit 1: rows are refused; 2: the file or the program cannot be used."""
    name = nik.masked_within(file.name)
    if not file.is_file():
        raise UnusableFile(name, "there is no such file; give the path of the sheet")
    scratch = settings().home / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    rows = completion_sheet.read(file, name, scratch)
    wish = Wish(lpk, program, date, rows, _actor(by), allow_partial, correction)
    try:
        with stack(), unit_of_work() as session:
            taken = completions.ask_for(session, wish)
            found = completion.shown(session, taken.report.id) | {"is_new": taken.is_new}
    except UnknownProgram as unknown:
        raise BadInput(str(unknown)) from None
    except Refused as refused:
        if json:
            faults = [{"row": one.row, "path": one.path, "reason": one.reason} for one in refused.faults]
            as_json({"refused": faults[:1000], "rows": len(rows), "bad": refused.bad})
        else:
            _tell(refused.faults)
            complain(f"{refused}.")
        raise typer.Exit(1) from None
    if json:
        as_json(found)
        return
    _tell([Fault(**one) for one in found["refused"]])
    console.print(
        f"{'Taken on' if taken.is_new else 'Known already'}: report {found['report_id']}, "
        f"{sum(found['participants'].values()):,} participants to report, {found['reported_before']:,} "
        f"reported before; completed {found['completion_rate']} %, certified {found['certification_rate']} %."
    )
    console.print(f"`jembatan completions show {found['report_id']}` says how far it is.")


@app.command("template")
def template(
    file: Annotated[Path, typer.Argument(help="Where to write it: NAME.xlsx or NAME.csv.")],
) -> None:
    """Write an empty sheet with the right columns, those of numbers as text."""
    kind = file.suffix.lower()
    if kind not in (".csv", ".xlsx"):
        raise BadInput("The name has to end in .xlsx or .csv")
    try:
        with file.open("wb") as out:
            if kind == ".csv":
                out.write(completion_sheet.csv_template().encode())
            else:
                completion_sheet.write_xlsx_template(out, settings().siplatih.completion_statuses)
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}") from None
    console.print(f"{file} is there. NIKs stay text in it; fill one row for each participant.", markup=False)


@app.command("list")
def list_(
    program: Annotated[str | None, typer.Option(help="Only of this program.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    json: Json = False,
) -> None:
    """List reports, newest first."""
    query = sa.select(CompletionReport.id).join(Program, Program.id == CompletionReport.program_id)
    if program is not None:
        query = query.where(Program.program_code == program)
    with stack(), unit_of_work() as session:
        ids = session.scalars(query.order_by(CompletionReport.id.desc()).limit(limit)).all()
        found = [completion.shown(session, id_) for id_ in ids]
    if json:
        as_json(found)
        return
    table = Table("report", "program", "class ended", "process", *STATES)
    for one in found:
        table.add_row(
            one["report_id"],
            escape(one["program_code"]),
            one["completion_date"],
            one["process_state"],
            *(f"{one['participants'][state]:,}" for state in STATES),
        )
    console.print(table if found else "No reports.")


@app.command("show")
def show(
    report_id: Annotated[UUID, typer.Argument(help="Id of the report.")],
    state: Annotated[str | None, typer.Option(help="Only participants in this state.")] = None,
    json: Json = False,
) -> None:
    """Show a report, its calls, and its participants with as much of the NIK as may be shown."""
    if state is not None and state not in STATES:
        raise BadInput(f"There is no state {state!r}; there are {', '.join(STATES)}")
    query = (
        sa.select(Completion, Person)
        .join(Person, Person.id == Completion.person_id)
        .options(sa.orm.undefer(Person.nik))
        .where(Completion.report_id == report_id, Completion.superseded_at.is_(None))
        .order_by(Completion.row)
    )
    if state is not None:
        query = query.where(Completion.state == state)
    with stack(), unit_of_work() as session:
        _there(session.get(CompletionReport, report_id), report_id)
        found = completion.shown(session, report_id)
        people: list[dict[str, Any]] = [
            {
                "row": one.row,
                "nik": masked_nik(who),
                "person_id": str(who.id),
                "certificate_number": one.certificate_number,
                "state": one.state,
                "code": one.code,
                "problem": one.problem,
            }
            for one, who in session.execute(query)
        ]
        calls = completion.calls(session, report_id)
    if json:
        as_json(found | {"listed": people})
        return
    counted = ", ".join(f"{number:,} {name}" for name, number in found["participants"].items() if number)
    console.print(
        f"[bold]{escape(found['program_code'])}[/bold] · ended {found['completion_date']} · "
        f"{found['process_state']} · {counted or 'nothing to send'}"
    )
    for call in calls[-LISTED:]:
        at = f"{call.sent_at.astimezone(clock.JAKARTA):%Y-%m-%d %H:%M:%S} WIB"
        who = f"{call.decided_by}: " if call.decided_by else ""
        console.print(f"{at}  {who}{call.outcome or 'no end: its worker died'}", markup=False)
    table = Table("row", "NIK", "certificate", "state", "why not")
    for one in people[:LISTED]:
        why = ": ".join(filter(None, (one["code"], one["problem"])))
        table.add_row(
            str(one["row"]), one["nik"] or "erased", escape(one["certificate_number"] or ""), one["state"],
            escape(why),
        )  # fmt: skip
    console.print(table)
    if len(people) > LISTED:
        console.print(f"… and {len(people) - LISTED:,} more; --json has them all")


@app.command("settle")
def settle(
    report_id: Annotated[UUID, typer.Argument(help="Id of the report.")],
    is_there: Annotated[
        bool,
        typer.Option("--is-there/--is-not-there", help="Whether the register has them, as it says."),
    ],
    reason: Annotated[str, typer.Option(help="How you know, without personal data.")],
    by: By = ME,
) -> None:
    """Say what became of participants whose answer was lost: the register has all of them, or none."""
    why, who = audit.checked_reason(reason), _actor(by)
    with stack(), unit_of_work() as session:
        report = _there(session.get(CompletionReport, report_id), report_id)
        moved = completion.settle(session, report, is_there=is_there, by=who, reason=why)
    then = "count as reported" if is_there else "are sent again"
    console.print(f"{len(moved):,} participants {then}." if moved else "Of nobody is the answer lost.")


def _there(report: CompletionReport | None, report_id: UUID) -> CompletionReport:
    if report is None:
        raise BadInput(f"There is no report {report_id}; `jembatan completions list` shows them")
    return report


def _tell(faults: list[Fault]) -> None:
    """What is wrong, row by row; never with a value."""
    if not faults:
        return
    table = Table("row", "column", "why")
    for one in faults[:LISTED]:
        table.add_row(str(one.row or ""), escape(one.path.partition("].")[2] or one.path), escape(one.reason))
    console.print(table)
    if len(faults) > LISTED:
        console.print(f"… and {len(faults) - LISTED:,} more; --json has the first 1,000")


def _actor(by: str) -> str:
    try:
        return actor("operator", by)
    except NobodyNamed as nobody:
        raise BadInput(str(nobody)) from None
