"""`jembatan exceptions`: what the statements could not match."""

import getpass
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from common.clock import JAKARTA
from common.errors import BadInput
from common.money import rupiah
from jembatan.commands.output import as_json, complain, console
from jembatan.stack import stack
from records import exceptions as rows
from records.classes import CLASSES
from records.db import unit_of_work
from records.exceptions import NotOpen, ReconciliationException

app = typer.Typer(no_args_is_help=True, help="Differences between the gateways' reports and our ledger.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Number = Annotated[int, typer.Argument(help="Number of the exception.")]


@app.command("list")
def list_(
    gateway: Annotated[str | None, typer.Option(help="Only this gateway.")] = None,
    date: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only this business day.")
    ] = None,
    class_: Annotated[str | None, typer.Option("--class", help="Only this class.")] = None,
    state: Annotated[str, typer.Option(help=f"One of {', '.join(rows.STATES)}, or all.")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    json: Json = False,
) -> None:
    """List exceptions, oldest first."""
    _check("class", class_, CLASSES)
    _check("state", state, (*rows.STATES, "all"))
    with stack(), unit_of_work() as session:
        found = rows.search(
            session,
            gateway=gateway,
            business_date=date.date() if date else None,
            class_=class_,
            state=None if state == "all" else state,
            limit=limit,
        )
        if json:
            as_json([_as_dict(one) for one in found])
            return
    table = Table(
        "no",
        "of",
        "class",
        "reference",
        "ledger",
        "report",
        "reason",
        box=SIMPLE,
        padding=0,
        collapse_padding=True,
    )
    for one in found:
        table.add_row(
            str(one.id),
            f"{one.gateway} {one.business_date:%d %b}",
            one.class_ if state == "open" else f"{one.class_} ({one.state})",
            escape(one.reference or ""),
            rupiah(one.ledger_minor) if one.ledger_minor is not None else "",
            rupiah(one.report_minor) if one.report_minor is not None else "",
            escape(one.reason or one.note or ""),
        )
    for column in table.columns:
        column.overflow = "fold"
        column.no_wrap = column.header in ("of", "class", "ledger", "report")
    console.print(table if found else "No exceptions.")


@app.command("show")
def show(number: Number, json: Json = False) -> None:
    """Show one exception: what was expected, what was found, and its history."""
    with stack(), unit_of_work() as session:
        one = session.get(ReconciliationException, number)
        if one is None:
            complain(f"There is no exception {number}; `jembatan exceptions list` shows them.")
            raise typer.Exit(2)
        events = rows.history(session, number)
    if json:
        steps = [
            {"at": e.at, "actor": e.actor, "from": e.from_state, "to": e.to_state, "reason": e.reason}
            for e in events
        ]
        as_json(_as_dict(one) | {"history": steps})
        return
    console.print(f"[bold]{one.class_}[/bold] · {one.gateway} {one.business_date} · {one.state}")
    console.print(f"reference {one.reference or '–'} · {one.reason or ''} {one.note or ''}", markup=False)
    if one.source_name:
        console.print(f"{one.source_name}, line {one.line_no}", markup=False)
    table = Table("", "expected (ours)", "found (theirs)")
    for name in dict.fromkeys([*one.expected, *one.found]):
        table.add_row(
            name.removesuffix("_minor").replace("_", " "),
            _cell(name, one.expected.get(name)),
            _cell(name, one.found.get(name)),
        )
    console.print(table)
    for event in events:
        at = event.at.astimezone(JAKARTA)
        console.print(f"{at:%d %b %H:%M} WIB  {event.to_state}: {event.reason} ({event.actor})", markup=False)


@app.command("resolve")
def resolve(
    number: Number,
    reason: Annotated[str, typer.Option(help="Why it needs no more work; kept for good.")],
    by: Annotated[str, typer.Option(help="Who says so.")] = getpass.getuser(),
) -> None:
    """Close an exception as explained, with a reason. A re-run of the day leaves it closed."""
    if not reason.strip():
        complain("A reason is needed: say why the difference is right as it is.")
        raise typer.Exit(2)
    try:
        with stack(), unit_of_work() as session:
            rows.move(session, number, "explained", actor=by, reason=reason.strip())
    except NotOpen as error:
        complain(f"{error}; `jembatan exceptions list` shows the open ones.")
        raise typer.Exit(2 if error.is_unknown else 1) from None
    console.print(f"Exception {number} is explained.")


def _check(what: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise BadInput(f"There is no {what} {value!r}; there are {', '.join(allowed)}")


def _as_dict(one: ReconciliationException) -> dict[str, Any]:
    return {
        "exception": one.id,
        "gateway": one.gateway,
        "business_date": one.business_date.isoformat(),
        "class": one.class_,
        "state": one.state,
        "reference": one.reference,
        "reason": one.reason,
        "note": one.note,
        "expected": one.expected,
        "found": one.found,
        "source": one.source_name,
        "line": one.line_no,
        "opened_at": one.opened_at,
        "closed_at": one.closed_at,
    }


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "at":
        return f"{datetime.fromisoformat(value).astimezone(JAKARTA):%Y-%m-%d %H:%M:%S} WIB"
    return rupiah(int(value)) if name.endswith("_minor") else str(value)
