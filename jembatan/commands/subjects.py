"""`jembatan export-subject`, `erase-subject`, `breach-report`: what a data-protection officer answers for.

A NIK is never an argument: arguments stand in the list of processes and in the shell's history.
"""

import getpass
import os
import socket
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.table import Table
from sqlalchemy.orm import Session

from common import clock
from common.errors import BadInput
from credentials import linkedin
from jembatan.commands.output import as_json, complain, console
from jembatan.stack import stack
from records import breach, subject
from records.approval import NobodyNamed, actor
from records.db import unit_of_work
from records.subject import StillReported, Subject

ME = getpass.getuser()
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
By = Annotated[str, typer.Option(help="Who asks; stands in the audit.")]
Reason = Annotated[str, typer.Option(help="Why, in words and without personal data; stands in the audit.")]
Person = Annotated[UUID | None, typer.Option(help="Our id of the person.")]
Learner = Annotated[str | None, typer.Option(help="The platform's id of the learner.")]


def origin() -> str:
    """Where this command runs, for the audit."""
    return f"command line on {socket.gethostname()}"


def export_subject(
    reason: Reason,
    output: Annotated[
        Path | None, typer.Option(help="File to write, readable for you only. Default: by our id, here.")
    ] = None,
    person: Person = None,
    learner: Learner = None,
    by: By = ME,
) -> None:
    """Write down all that we hold of one person. Without --person or --learner the NIK is asked for."""
    nik = _nik(person, learner)
    with stack(), unit_of_work() as session:
        found = _found(session, nik, person, learner)
        told = subject.export(session, found, by=_actor(by), reason=reason, origin=origin())
        name = output or Path(f"subject-{found.who.id if found.who else 'payments'}.json")
        _write(name, subject.as_json(told))
    console.print(
        f"{len(told['completions'])} completions, {len(told['credentials'])} credentials and "
        f"{len(told['payments'])} payments are in {name}, in the clear: hand it over safely, then delete it.",
        markup=False,
    )


def erase_subject(
    reason: Reason,
    person: Person = None,
    learner: Learner = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether to go on.")] = False,
    by: By = ME,
    json: Json = False,
) -> None:
    """Take away what is personal of one person, for good. Amounts, states and the audit stay."""
    nik = _nik(person, learner)
    with stack():
        if not yes and not typer.confirm("Erase what is personal of this person, for good?"):
            raise typer.Exit(1)
        try:
            with unit_of_work() as session:
                found = _found(session, nik, person, learner)
                done = subject.erase(session, found, by=_actor(by), reason=reason, origin=origin())
                person_id = str(found.who.id) if found.who else None
        except StillReported as error:
            complain(f"{error}.")
            raise typer.Exit(1) from None
        linkedin.end(done.linkedin)
    if json:
        as_json(
            {
                "person_id": person_id,
                "completions": done.completions,
                "credentials": done.credentials,
                "payments": done.payments,
                "payments_under_way": done.kept,
            }
        )
        return
    console.print(
        f"Erased: {person_id or 'no person of completions'}; {done.completions} completions and "
        f"{done.payments} payments stay without a name, {done.credentials} credentials are revoked and empty."
    )
    if done.kept:
        console.print(f"{done.kept} payments are still under way: erase again once they have ended.")


def breach_report(
    since: Annotated[str, typer.Option(help="From when: 2026-11-24, or 2026-11-24T13:00 (WIB).")],
    until: Annotated[str | None, typer.Option(help="Until when; default: now.")] = None,
    persons: Annotated[
        Path | None, typer.Option(help="Write a line for each person and act to this CSV too.")
    ] = None,
    json: Json = False,
) -> None:
    """Whose data was seen or received, by whom and when: for the notice within 3 × 24 hours (UU 27/2022)."""
    begin, end = _moment(since), _moment(until) if until else clock.now()
    if end <= begin:
        raise BadInput("There is no time in between: --since has to be before --until, and before now")
    with stack(), unit_of_work() as session:
        found = breach.report(session, begin, end)
        count = None
        if persons is not None:
            with _opened(persons) as out:
                count = breach.write(session, begin, end, out)
    if json:
        as_json(found)
        return
    table = Table("what", "recipient", "by", "from", "data", "persons", "times", "first (WIB)", "last (WIB)")
    for one in found["groups"]:
        first, last = (_wib(one[name]) for name in ("first_at", "last_at"))
        table.add_row(
            one["act"],
            one["recipient"],
            one["by"],
            one["origin"],
            ", ".join(one["fields"]),
            f"{one['persons']:,}",
            f"{one['times']:,}",
            first,
            last,
        )
    for column in table.columns:
        column.overflow = "fold"
    console.print(table if found["groups"] else "Nobody saw or received personal data in that time.")
    deadline = (clock.now() + timedelta(days=3)).astimezone(clock.JAKARTA)
    due = f"{deadline:%d %b %H:%M} WIB"
    console.print(f"{found['persons']:,} persons. If you know of it since now, notice is due by {due}.")
    if count is not None:
        console.print(f"{count:,} lines are in {persons}.", markup=False)


def _nik(person: UUID | None, learner: str | None) -> str | None:
    """The NIK, asked for without echo, or read from a pipe; none where somebody is named otherwise."""
    if person is not None or learner is not None:
        return None
    if sys.stdin.isatty():
        return getpass.getpass("NIK: ").strip()
    return sys.stdin.readline().strip()


def _found(session: Session, nik: str | None, person: UUID | None, learner: str | None) -> Subject:
    return subject.find(session, nik=nik, person_id=person, learner_id=learner)


def _actor(by: str) -> str:
    try:
        return actor("operator", by)
    except NobodyNamed as nobody:
        raise BadInput(str(nobody)) from None


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{text[:40]!r} is no date or time: write 2026-11-24 or 2026-11-24T13:00") from None
    return found if found.tzinfo else found.replace(tzinfo=clock.JAKARTA)


def _opened(path: Path) -> Any:
    try:
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.fchmod(opened, 0o600)  # also a file that was there before, for whomever to read
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from None
    return os.fdopen(opened, "w", encoding="utf-8")


def _write(path: Path, text: str) -> None:
    with _opened(path) as out:
        out.write(text + "\n")


def _wib(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(clock.JAKARTA):%Y-%m-%d %H:%M:%S}"
