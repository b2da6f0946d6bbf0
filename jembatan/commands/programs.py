"""`jembatan programs`: have training programs registered with the ministry, and see how far they are."""

import getpass
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape
from rich.table import Table
from sqlalchemy.orm import Session

from common import clock
from common.errors import BadInput, UnusableFile
from jembatan.commands.output import as_json, complain, console
from jembatan.stack import stack
from ministry import decisions, line, programs
from ministry.programs import FileAsked
from providers.siplatih import program_file
from records import approval, program
from records.approval import NobodyNamed
from records.db import unit_of_work
from records.process import ProcessRun
from records.program import STATUSES, Program, ProgramVersion, Refused
from records.program_request import Asked

app = typer.Typer(no_args_is_help=True, help="Training programs for the ministry's register, SIPLatih.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
By = Annotated[str, typer.Option(help="Who says so.")]
Which = Annotated[str, typer.Argument(help="Code or id of the program.")]
Lpk = Annotated[str | None, typer.Option("--lpk", help="Number of its LPK, where several have the code.")]
Reason = Annotated[str, typer.Option(help="How you know; nothing personal.")]
ME = getpass.getuser()
LISTED = 50


class _TriedOut(Exception):
    """Ends the transaction in which programs were tried out, so that nothing of it stays."""


@app.command("register")
def register(
    file: Annotated[Path, typer.Argument(help="JSON (one program or a list) or CSV in UTF-8.")],
    change: Annotated[
        bool, typer.Option("--change", help="Send other content of registered programs, as new versions.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and ask for nothing.")] = False,
    by: By = ME,
    json: Json = False,
) -> None:
    """Have the programs of a file registered: all, or none where one has a fault. The same file again asks
    for nothing new. A running stack sends them. Exit 1: faults; 2: the file is unusable."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise UnusableFile(file.name, f"it cannot be read: {error.strerror}") from None
    entries = program_file.read(file.name, raw)
    actor = _actor(by)
    asked = FileAsked(len(entries))
    with stack():
        with suppress(_TriedOut), unit_of_work() as session:
            asked = programs.ask_for_file(session, entries, by=actor, change=change)
            if asked.faults or dry_run:
                session.expunge_all()
                raise _TriedOut
        shut = line.shut_now()
    note = "dry run: nothing was asked for" if dry_run else "`jembatan programs list` shows how far they are"
    if shut is not None and not dry_run and not asked.faults:
        note = str(shut)
    _tell(asked, json, "nothing was asked for" if asked.faults else note, dry_run=dry_run)
    if asked.faults:
        raise typer.Exit(1)


@app.command("list")
def list_(
    status: Annotated[str | None, typer.Option(help=f"Only this status: {', '.join(STATUSES)}.")] = None,
    code: Annotated[str | None, typer.Option(help="Only this code.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    json: Json = False,
) -> None:
    """List programs with their newest version, newest first."""
    if status is not None and status not in STATUSES:
        raise BadInput(f"There is no status {status!r}; there are {', '.join(STATUSES)}")
    query = program.listed(status=status, program_code=code).add_columns(ProcessRun)
    query = query.join(ProcessRun, ProcessRun.id == ProgramVersion.process_run_id)
    with stack(), unit_of_work() as session:
        rows = session.execute(query.order_by(Program.id.desc()).limit(limit)).all()
    if json:
        as_json([program.resource(found, version) | _process(run) for found, version, run in rows])
        return
    table = Table("program", "LPK", "code", "version", "status", "number", "next", "why")
    for found, version, run in rows:
        at = run.next_attempt_at if run.state == "waiting" else None
        table.add_row(
            str(found.id),
            escape(found.lpk_registration_number),
            escape(found.program_code),
            str(version.version),
            version.status,
            escape(found.siplatih_program_id or ""),
            f"{at.astimezone(clock.JAKARTA):%d %b %H:%M} WIB" if at else "",
            escape(version.problem or ""),
        )
    for column in table.columns:
        column.overflow = "fold"
    console.print(table if rows else "No programs.")


@app.command("show")
def show(which: Which, lpk: Lpk = None, json: Json = False) -> None:
    """Show one program and its history in plain words. Its instructors stay sealed."""
    with stack(), unit_of_work() as session:
        found = _found(session, which, lpk)
        version = program.newest_version(session, found)
        assert version is not None
        run = session.get_one(ProcessRun, version.process_run_id)
        events = program.history(session, found)
    if json:
        names = ("at", "version", "from_status", "to_status", "cause", "source", "note")
        lines = [{name: getattr(one, name) for name in names} for one in events]
        as_json(program.resource(found, version) | _process(run) | {"events": lines})
        return
    number = f" as {found.siplatih_program_id}" if found.siplatih_program_id else ""
    console.print(
        f"[bold]{escape(found.program_code)}[/bold] · {escape(found.lpk_registration_number)} · version "
        f"{version.version} · [bold]{version.status}[/bold]{escape(number)}"
    )
    if version.problem:
        console.print(version.problem, markup=False)
    for fault in version.faults + version.warnings:
        console.print(f"  {fault['where']}: {fault['reason']}", markup=False)
    for event in events:
        at = f"{event.at.astimezone(clock.JAKARTA):%Y-%m-%d %H:%M:%S} WIB"
        told = escape(event.note or f"{event.cause} ({event.source})")
        console.print(f"{at}  v{event.version} [bold]{event.to_status}[/bold]  {told}", soft_wrap=True)


@app.command("registered")
def registered(
    which: Which,
    number: Annotated[str, typer.Option("--as", help="The register's number of it.")],
    reason: Reason,
    on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day of registration, if it is known.")
    ] = None,
    lpk: Lpk = None,
    by: By = ME,
) -> None:
    """Say that the ministry has a program whose state only it knows (`unknown`, `conflict`)."""
    at = on.replace(tzinfo=clock.JAKARTA) if on else None
    with stack(), unit_of_work() as session, _sentence():
        found = _found(session, which, lpk)
        decisions.say_registered(session, found.id, number, by=_actor(by), note=reason, registered_at=at)
    console.print(f"{found.program_code} is registered as {number}.", markup=False)


@app.command("send-again")
def send_again(which: Which, reason: Reason, lpk: Lpk = None, by: By = ME) -> None:
    """Say that the ministry does not have a program: it is sent again."""
    with stack(), unit_of_work() as session, _sentence():
        found = _found(session, which, lpk)
        decisions.send_again(session, found.id, by=_actor(by), note=reason)
    console.print(f"{found.program_code} is queued. `jembatan up` sends it.", markup=False)


class _sentence:  # noqa: N801 - reads as a word where it is used
    """What a decision is refused with, as wrong input."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Refused):
            raise BadInput(str(error).rstrip(".")) from None


def _actor(by: str) -> str:
    try:
        return approval.actor("operator", by)
    except NobodyNamed as nobody:
        raise BadInput(str(nobody)) from None


def _found(session: Session, which: str, lpk: str | None) -> Program:
    """The one program of that id or code."""
    query = program.listed()
    try:
        query = query.where(Program.id == UUID(which))
    except ValueError:
        query = query.where(Program.program_code == which)
    if lpk is not None:
        query = query.where(Program.lpk_registration_number == lpk)
    rows = session.execute(query.limit(2)).all()
    if not rows:
        raise BadInput(f"There is no program {which[:64]!r}; `jembatan programs list` shows them")
    if len(rows) > 1:
        raise BadInput(f"Several LPK have a program {which[:64]!r}: say which with --lpk")
    found: Program = rows[0][0]
    return found


def _tell(asked: FileAsked, json: bool, note: str, *, dry_run: bool) -> None:
    if json:
        as_json(
            {
                "programs": asked.programs,
                "new": len(asked.new),
                "known": len(asked.asked) - len(asked.new),
                "faults": [
                    {"program": entry.where, "where": one.path, "reason": one.reason}
                    for entry, one in asked.faults
                ],
                "asked": [_asked(one) for _, one in asked.asked] if not asked.faults else [],
            }
        )
        return
    if asked.faults:
        table = Table("program", "member", "what is wrong", title="Faults", title_justify="left")
        for entry, one in asked.faults[:LISTED]:
            table.add_row(entry.where, escape(one.path), escape(one.reason))
        console.print(table)
        more = len(asked.faults) - LISTED
        complain(f"{len(asked.faults):,} faults{f', {more:,} not shown' if more > 0 else ''}; {note}")
        return
    for entry, made in asked.asked:
        for warning in made.version.warnings if made.is_new else []:
            console.print(f"{entry.where}, {warning['where']}: {warning['reason']}", markup=False)
    asked_for = "would be asked for" if dry_run else "asked for"
    known = len(asked.asked) - len(asked.new)
    console.print(
        f"{len(asked.new):,} programs {asked_for}, {known:,} known before; {note}",
        markup=False,
    )


def _asked(asked: Asked) -> dict[str, Any]:
    return program.resource(asked.program, asked.version) | {"is_new": asked.is_new}


def _process(run: ProcessRun) -> dict[str, Any]:
    return {"process_state": run.state, "next_attempt_at": run.next_attempt_at}
