"""`jembatan refunds`: give money back, one payment or a file of them, and see how far it is."""

import getpass
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
import typer
from rich.markup import escape
from rich.table import Table

from checkout import refund_file
from checkout.create import Refusal
from checkout.refund import AskedFor, Wish, ask_for
from checkout.refund_file import Asked
from common import clock, money
from common.errors import BadInput, UnusableFile
from jembatan.commands.output import as_json, complain, console
from jembatan.stack import stack
from records import approval, refund
from records.approval import NobodyNamed
from records.db import unit_of_work
from records.payment import Payment
from records.process import ProcessRun
from records.refund import REFUND_STATUSES, Refund

app = typer.Typer(no_args_is_help=True, help="Money that goes back to learners.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
By = Annotated[str, typer.Option(help="Who asks for it; somebody else has to approve what is large.")]
ME = getpass.getuser()
LISTED = 50


@app.command("create")
def create(
    payment: Annotated[str, typer.Argument(help="Reference or id of the payment.")],
    key: Annotated[str, typer.Option(help="Your name for this refund; the same again is the same refund.")],
    reason: Annotated[str, typer.Option(help="Why, in a few words; nothing personal.")],
    amount: Annotated[int | None, typer.Option(help="Whole rupiah. Without it all that is left.")] = None,
    by: By = ME,
    json: Json = False,
) -> None:
    """Ask for one refund. A running stack makes it within seconds; large ones wait for approval."""
    minor = None if amount is None else amount * money.MINOR_PER_UNIT
    try:
        with stack(), unit_of_work() as session:
            found = session.scalars(sa.select(Payment).where(_named(payment))).one_or_none()
            if found is None:
                raise BadInput(f"There is no payment {payment[:40]!r} in the ledger")
            asked = ask_for(session, found.id, Wish(key, minor, reason, approval.actor("operator", by)))
    except Refusal as refusal:
        complain(refusal.detail)
        raise typer.Exit(2) from None
    except NobodyNamed as nobody:
        raise BadInput(str(nobody)) from None
    if json:
        as_json(_asked(asked))
        return
    console.print(
        f"{money.rupiah(asked.refund.amount_minor)} of {asked.payment.reference}: {_next(asked)}",
        markup=False,
    )


@app.command("list")
def list_(
    status: Annotated[
        str | None, typer.Option(help="Only this status, or `open` for all that goes on.")
    ] = None,
    payment: Annotated[str | None, typer.Option(help="Only of this payment, by reference or id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    json: Json = False,
) -> None:
    """List refunds, newest first."""
    if status is not None and status not in (*REFUND_STATUSES, "open"):
        raise BadInput(f"There is no status {status!r}; there are open, {', '.join(sorted(REFUND_STATUSES))}")
    query = sa.select(Refund, Payment.reference, ProcessRun).join(Payment).outerjoin(ProcessRun)
    if status == "open":
        query = query.where(Refund.status.not_in(refund.ENDED))
    elif status is not None:
        query = query.where(Refund.status == status)
    if payment is not None:
        query = query.where(_named(payment))
    with stack(), unit_of_work() as session:
        found = session.execute(query.order_by(Refund.created_at.desc(), Refund.id).limit(limit)).all()
    if json:
        as_json([refund.resource(one, reference) | _process(run) for one, reference, run in found])
        return
    table = Table("refund", "payment", "amount", "status", "next", "why")
    for one, reference, run in found:
        at = run.next_attempt_at if run is not None and run.state == "waiting" else None
        table.add_row(
            str(one.id),
            escape(reference),
            money.rupiah(one.amount_minor),
            f"{one.status}{' (foreign)' if one.is_foreign else ''}",
            f"{at.astimezone(clock.JAKARTA):%d %b %H:%M} WIB" if at else "",
            escape(one.problem or ""),
        )
    for column in table.columns:
        column.overflow = "fold"
    console.print(table if found else "No refunds.")


@app.command("show")
def show(refund_id: Annotated[UUID, typer.Argument(help="Id of the refund.")], json: Json = False) -> None:
    """Show one refund and its history in plain words."""
    with stack(), unit_of_work() as session:
        found = session.get(Refund, refund_id)
        if found is None:
            raise BadInput(f"There is no refund {refund_id}; `jembatan refunds list` shows them")
        paid = session.get_one(Payment, found.payment_id)
        run = session.get(ProcessRun, found.process_run_id) if found.process_run_id else None
        events = refund.history(session, found)
        question = approval.open_one(session, "refund", str(found.id))
    if json:
        lines = [
            {
                name: getattr(one, name)
                for name in ("at", "from_status", "to_status", "cause", "source", "note")
            }
            for one in events
        ]
        as_json(refund.resource(found, paid.reference) | _process(run) | {"events": lines})
        return
    console.print(
        f"[bold]{escape(paid.reference)}[/bold] · {found.gateway} · {money.rupiah(found.amount_minor)} of "
        f"{money.rupiah(paid.amount_minor)} · [bold]{found.status}[/bold]"
    )
    if question is not None:
        console.print(f"waits for approval {question.id}: `jembatan approvals approve {question.id} --by …`")
    if found.problem:
        console.print(found.problem, markup=False)
    for event in events:
        at = f"{event.at.astimezone(clock.JAKARTA):%Y-%m-%d %H:%M:%S} WIB"
        told = escape(event.note or f"{event.cause} ({event.source})")
        console.print(f"{at}  [bold]{event.to_status}[/bold]  {told}", soft_wrap=True)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help=f"CSV in UTF-8 with {', '.join(refund_file.COLUMNS)}.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every row and ask for nothing.")] = False,
    total: Annotated[
        int | None, typer.Option(help="Rupiah that the file gives back; asked for only where it agrees.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether the total is right.")] = False,
    by: By = ME,
    json: Json = False,
) -> None:
    """Ask for many refunds: all rows of a file, or none where one cannot be. The same file again asks for
    nothing new. Exit 1: rows are refused, or the total is another one; 2: the file is unusable."""
    if not file.is_file():
        raise UnusableFile(file.name, "there is no such file; give the path of the CSV")
    rows = refund_file.read(file)
    try:
        actor = approval.actor("operator", by)
    except NobodyNamed as nobody:
        raise BadInput(str(nobody)) from None
    with stack():
        asked = Asked()
        with suppress(_TriedOut), unit_of_work() as session:
            asked = refund_file.ask(session, rows, actor)
            is_agreed = total is not None or yes
            if asked.refused or dry_run or not is_agreed or not _agrees(asked, total):
                session.expunge_all()
                raise _TriedOut
        if asked.refused:
            _tell(asked, json, "nothing was asked for")
            raise typer.Exit(1)
        if dry_run:
            _tell(asked, json, "dry run: nothing was asked for")
            return
        if not _agrees(asked, total):
            complain(
                f"The file gives back {money.rupiah(asked.total_minor)}, not Rp {total:,}. Nothing done."
            )
            raise typer.Exit(1)
        if not is_agreed:
            _confirmed(asked)
            with unit_of_work() as session:
                again = refund_file.ask(session, rows, actor)
                if again.refused or again.total_minor != asked.total_minor:
                    raise BadInput("Something moved meanwhile: nothing was asked for; look at the file again")
                asked = again
    _tell(asked, json, "`jembatan refunds list --status open` shows how far they are")


class _TriedOut(Exception):
    """Ends the transaction in which rows were tried out, so that nothing of it stays."""


def _agrees(asked: Asked, total: int | None) -> bool:
    """Whether the file gives back what was said; where nothing is new, nothing is given back."""
    return total is None or not asked.new or total * money.MINOR_PER_UNIT == asked.total_minor


def _confirmed(asked: Asked) -> None:
    """Go on only where a person says that the money is right; nothing is held meanwhile."""
    question = f"{len(asked.new):,} refunds give back {money.rupiah(asked.total_minor)}. Go on?"
    if asked.new and not typer.confirm(question):
        complain("Nothing was asked for.")
        raise typer.Exit(1)


def _tell(asked: Asked, json: bool, note: str) -> None:
    waits = [one for one in asked.new if one.approval is not None]
    if json:
        as_json(
            {
                "rows": len(asked.rows) + len(asked.refused),
                "new": len(asked.new),
                "known": len(asked.rows) - len(asked.new),
                "awaiting_approval": len(waits),
                "total": asked.total_minor // money.MINOR_PER_UNIT,
                "refused": [vars(one) for one in asked.refused],
                "refunds": [{"line": row.line} | _asked(one) for row, one in asked.rows],
            }
        )
        return
    known = len(asked.rows) - len(asked.new)
    console.print(
        f"{len(asked.rows) + len(asked.refused):,} rows: [green]{len(asked.new):,} refunds, "
        f"{money.rupiah(asked.total_minor)}[/green], {known:,} asked for before, "
        f"{len(waits):,} wait for a second person, "
        + (f"[red]{len(asked.refused):,} refused[/red]" if asked.refused else "none refused")
        + f"; {note}"
    )
    if asked.refused:
        table = Table("line", "column", "what to do", title="Refused", title_justify="left")
        for one in asked.refused[:LISTED]:
            table.add_row(str(one.line), one.column or "", escape(one.reason))
        console.print(table)


def _next(asked: AskedFor) -> str:
    if asked.approval is not None:
        until = f"{asked.approval.expires_at.astimezone(clock.JAKARTA):%d %b %H:%M} WIB"
        return (
            f"waits for a second person until {until}: jembatan approvals approve {asked.approval.id} --by …"
        )
    if not asked.is_new:
        return f"asked for before, {asked.refund.status}; jembatan refunds show {asked.refund.id}"
    return f"queued. `jembatan up` works it; jembatan refunds show {asked.refund.id}"


def _asked(asked: AskedFor) -> dict[str, Any]:
    return refund.resource(asked.refund, asked.payment.reference) | {
        "process_id": str(asked.run.id),
        "approval_id": str(asked.approval.id) if asked.approval else None,
        "is_new": asked.is_new,
    }


def _process(run: ProcessRun | None) -> dict[str, Any]:
    return {
        "process_id": str(run.id) if run else None,
        "process_state": run.state if run else None,
        "next_attempt_at": run.next_attempt_at if run else None,
    }


def _named(which: str) -> sa.ColumnElement[bool]:
    try:
        return Payment.id == UUID(which)
    except ValueError:
        return Payment.reference == which
