"""`jembatan exceptions`: what the statements and the payouts could not match."""

import getpass
import tempfile
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from checkout import resolve as ending
from common.clock import JAKARTA
from common.errors import BadInput
from common.money import plain, rupiah
from jembatan.commands.output import as_json, complain, console
from jembatan.commands.payout_words import print_sides
from jembatan.stack import stack
from records import exception_list, exception_sheet, sheet_files
from records import exceptions as rows
from records.approval import Approval, NobodyNamed
from records.calendar import expected_by
from records.classes import CLASSES
from records.db import unit_of_work
from records.exception_list import Filter
from records.exception_proposals import proposals
from records.exception_requests import awaited
from records.exceptions import NotOpen, NotPossible, ReconciliationException
from records.payout import evidence as payout_evidence
from records.refund import Refund

app = typer.Typer(no_args_is_help=True, help="Differences between ledger, reports and bank.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
_ENDS = {
    "explained": "explain",
    "written-off": "write_off",
    "matched": "match",
    "adopted": "adopt",
    "refunded": "refund",
}
_TWO = "written-off and matched"
_SHOWN = 100  # wrong rows of a sheet that are printed
About = Annotated[str | None, typer.Option("--type", help=f"Only of one of {', '.join(rows.TYPES)}.")]
Number = Annotated[int, typer.Argument(help="Number of the exception.")]


@app.command("list")
def list_(
    gateway: Annotated[str | None, typer.Option(help="Only this gateway.")] = None,
    date: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only this business day.")
    ] = None,
    class_: Annotated[str | None, typer.Option("--class", help="Only this class.")] = None,
    type: About = None,
    state: Annotated[str, typer.Option(help=f"One of {', '.join(rows.STATES)}, or all.")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    json: Json = False,
) -> None:
    """List exceptions, oldest first."""
    _check("class", class_, CLASSES)
    _check("type", type, rows.TYPES)
    _check("state", state, (*rows.STATES, "all"))
    with stack(), unit_of_work() as session:
        found = rows.search(
            session,
            gateway=gateway,
            business_date=date.date() if date else None,
            class_=class_,
            type=type,
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
            f"{one.class_}{' of a payout' if one.is_payout else ''}"
            + ("" if state == "open" else f" ({one.state})"),
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
        waiting = awaited(session, [number]).get(number)
        suggested = proposals(session, one)
        sides = payout_evidence(session, one)
    due = expected_by(one)
    if json:
        steps = [
            {"at": e.at, "actor": e.actor, "from": e.from_state, "to": e.to_state, "reason": e.reason}
            for e in events
        ]
        more = {
            "at_risk": plain(one.risk_minor),
            "expected_by": due,
            "awaiting": asdict(waiting) if waiting else None,
            "proposals": [asdict(proposal) for proposal in suggested],
            "payout": sides,
        }
        as_json(_as_dict(one) | more | {"history": steps})
        return
    what = f"{one.class_} of a payout" if one.is_payout else one.class_
    console.print(f"[bold]{what}[/bold] · {one.gateway} {one.business_date} · {one.state}")
    console.print(f"reference {one.reference or '–'} · {one.reason or ''} {one.note or ''}", markup=False)
    if one.source_name:
        console.print(f"{one.source_name}, line {one.line_no}", markup=False)
    if sides is not None:
        print_sides(sides)
    else:
        _print_evidence(one)
    if due is not None and one.state == "open":
        what = "paid it out" if one.is_payout else "reported it"
        console.print(f"the gateway should have {what} by the end of {due:%a %d %b %Y}")
    if waiting is not None:
        console.print(
            f"waits for somebody else than {waiting.requested_by}: approval {waiting.approval_id}",
            markup=False,
        )
    for proposal in suggested:
        target = ", ".join(f"{name} {value}" for name, value in proposal.target.items())
        console.print(
            f"proposed: {proposal.action} {rupiah(proposal.amount_minor)} ({target}): {proposal.why}",
            markup=False,
        )
    for event in events:
        at = event.at.astimezone(JAKARTA)
        console.print(f"{at:%d %b %H:%M} WIB  {event.to_state}: {event.reason} ({event.actor})", markup=False)


@app.command("resolve")
def resolve(
    number: Number,
    reason: Annotated[str, typer.Option(help="Why; kept for good.")],
    as_: Annotated[
        str,
        typer.Option(
            "--as", help=f"How it ends: {', '.join(_ENDS)}. {_TWO} need a second person's approval."
        ),
    ] = "explained",
    payment: Annotated[
        UUID | None, typer.Option(help="For matched: the id of our payment that the line is.")
    ] = None,
    payout: Annotated[
        str | None, typer.Option(help="For matched: the payout that the bank's entry is, as due:2026-11-25.")
    ] = None,
    by: Annotated[str, typer.Option(help="Who says so.")] = getpass.getuser(),
) -> None:
    """End an exception: say that it is right as it is, take the line over, give its money back, write it off,
    match it by hand.

    A re-run of the day leaves it ended.
    """
    _check("end", as_, tuple(_ENDS))
    if not reason.strip():
        complain("A reason is needed: say why the difference is right as it is.")
        raise typer.Exit(2)
    if (as_ == "matched") + (payment is not None) + (payout is not None) not in (0, 2):
        raise BadInput(
            "`--payment` or `--payout` goes with `--as matched`, and with nothing else: our payment that the "
            "line is, or the payout that the entry of the bank is"
        )
    try:
        with stack(), unit_of_work() as session:
            outcome = ending.resolve(
                session,
                number,
                _ENDS[as_],
                by=f"operator:{by}",
                reason=reason,
                payment_id=payment,
                payout=payout,
            )
    except NotOpen as error:
        complain(f"{error}; `jembatan exceptions list` shows the open ones.")
        raise typer.Exit(2 if error.is_unknown else 1) from None
    except (NotPossible, NobodyNamed) as error:
        complain(f"{error}.")
        raise typer.Exit(2 if isinstance(error, NobodyNamed) else 1) from None
    if outcome.refund is not None:
        _tell_refund(number, outcome.refund, outcome.approval)
    elif outcome.approval is not None:
        asked = outcome.approval
        console.print(f"{asked.summary}", markup=False)
        console.print(f"Exception {number} stays open until somebody else approves: approval {asked.id}.")
    elif outcome.payment_id is not None:
        console.print(f"Exception {number} is healed: the line is payment {outcome.payment_id} now.")
    else:
        console.print(f"Exception {number} is {rows.words(outcome.state)}.")


def _tell_refund(number: int, refund: Refund, approval: Approval | None) -> None:
    of = f" of the charge {refund.charge_reference}" if refund.charge_reference else ""
    console.print(f"{rupiah(refund.amount_minor)}{of} go back: refund {refund.id}.", markup=False)
    if approval is not None:
        console.print(f"Somebody else has to approve that first: approval {approval.id}.")
    console.print(f"Exception {number} stays open until the gateway has confirmed it.")


@app.command("ageing")
def ageing(json: Json = False) -> None:
    """Show how old the open exceptions are, and the money that they put at risk."""
    with stack(), unit_of_work() as session:
        ages = exception_list.ageing(session)
    if json:
        names = ("gateway", "bucket", "count")
        as_json([{n: getattr(one, n) for n in names} | {"at_risk": plain(one.at_risk_minor)} for one in ages])
        return
    days = {"1": "0–1 days", "3": "2–3", "7": "4–7", "30": "8–30", "older": "older"}
    table = Table("", *days.values())
    for gateway in dict.fromkeys(one.gateway for one in ages):
        cells = [
            f"{one.count:,}\n{rupiah(one.at_risk_minor)}" if one.count else "–"
            for one in ages
            if one.gateway == gateway
        ]
        table.add_row(gateway, *cells)
    console.print(table if ages else "No exceptions are open.")


@app.command("sheet")
def sheet(
    file: Annotated[
        Path, typer.Argument(help="File to write: .csv, or .xlsx for a spreadsheet.", dir_okay=False)
    ],
    gateway: Annotated[str | None, typer.Option(help="Only this gateway.")] = None,
    class_: Annotated[str | None, typer.Option("--class", help="Only this class.")] = None,
    type: About = None,
) -> None:
    """Write the open exceptions into a sheet: fill its columns action and reason, then `apply` it."""
    _check("class", class_, CLASSES)
    _check("type", type, rows.TYPES)
    if file.suffix.casefold() not in (".csv", ".xlsx"):
        raise BadInput(f"{file.name} is neither .csv nor .xlsx")
    with stack(), unit_of_work() as session:
        found = list(exception_sheet.rows(session, Filter(gateway=gateway, type=type, class_=class_)))
    try:
        if file.suffix.casefold() == ".csv":
            file.write_text("".join(sheet_files.as_csv(found)), encoding="utf-8", newline="")
        else:
            with file.open("wb") as out:
                sheet_files.write_xlsx(found, out)
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}") from None
    console.print(f"{len(found):,} open exceptions are in {file}.", markup=False)
    console.print(
        f"Fill action ({', '.join(exception_sheet.ACTIONS)}) and reason; `jembatan exceptions apply` it."
    )


@app.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(help="The filled sheet.", exists=True, dir_okay=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    by: Annotated[str, typer.Option(help="Who says so.")] = getpass.getuser(),
    json: Json = False,
) -> None:
    """Work a filled sheet: all of its rows, or none where one is wrong, and then each wrong row with why."""
    with stack(), tempfile.TemporaryDirectory() as folder:
        uploaded = exception_sheet.read(file, file.name, Path(folder))
        try:
            with unit_of_work() as session:
                done = exception_sheet.apply(session, uploaded, by=f"operator:{by}", dry_run=dry_run)
        except NobodyNamed as error:
            raise BadInput(str(error)) from None
    if json:
        as_json(asdict(done))
    elif done.faults:
        _complain_of(done)
    else:
        _tell(done)
    if done.faults:
        raise typer.Exit(1)


def _complain_of(done: exception_sheet.Report) -> None:
    complain(f"Nothing was done: {len(done.faults):,} of {done.filled:,} filled rows cannot be worked.")
    table = Table("row", "exception", "why", "what to do", box=SIMPLE)
    for fault in done.faults[:_SHOWN]:
        table.add_row(str(fault.row), escape(fault.exception), escape(fault.why), fault.to_do)
    console.print(table)
    if len(done.faults) > _SHOWN:
        console.print(f"… and {len(done.faults) - _SHOWN:,} more; `--json` has all.")


def _tell(done: exception_sheet.Report) -> None:
    ended = [f"{count:,} {rows.words(state)}" for state, count in done.ended.items()]
    if done.asked:
        ended.append(f"{done.asked:,} wait for a second person's approval")
    would = "Would be: " if done.dry_run else ""
    console.print(f"{would}{' · '.join(ended) or 'nothing'} · {done.rows - done.filled:,} rows left alone.")
    for one in done.approvals:
        console.print(f"approval {one}")


def _check(what: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise BadInput(f"There is no {what} {value!r}; there are {', '.join(allowed)}")


def _as_dict(one: ReconciliationException) -> dict[str, Any]:
    return {
        "exception": one.id,
        "gateway": one.gateway,
        "business_date": one.business_date.isoformat(),
        "class": one.class_,
        "type": one.type,
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


def _print_evidence(one: ReconciliationException) -> None:
    table = Table("", "expected (ours)", "found (theirs)")
    for name in dict.fromkeys([*one.expected, *one.found]):
        table.add_row(
            name.removesuffix("_minor").replace("_", " "),
            _cell(name, one.expected.get(name)),
            _cell(name, one.found.get(name)),
        )
    console.print(table)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "at":
        return f"{datetime.fromisoformat(value).astimezone(JAKARTA):%Y-%m-%d %H:%M:%S} WIB"
    return rupiah(int(value)) if name.endswith("_minor") else str(value)
