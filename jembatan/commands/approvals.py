"""`jembatan approvals`: what waits for a second person, and the word of one."""

import getpass
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape
from rich.table import Table

from checkout import approvals
from common import clock, money
from common.errors import BadInput
from jembatan.commands.output import as_json, complain, console
from jembatan.stack import stack
from records import approval
from records.approval import Approval, NobodyNamed, NotDecided, Unknown
from records.db import unit_of_work

app = typer.Typer(no_args_is_help=True, help="What needs a second person's word.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Id = Annotated[UUID, typer.Argument(help="Id of the approval.")]
ME = getpass.getuser()
By = Annotated[str, typer.Option(help="Your name. Who asked may not approve.")]


@app.command("list")
def list_(
    state: Annotated[str, typer.Option(help=f"One of {', '.join(approval.STATES)}, or all.")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    json: Json = False,
) -> None:
    """List approvals, newest first."""
    if state not in (*approval.STATES, "all"):
        raise BadInput(f"There is no state {state!r}; there are {', '.join(approval.STATES)} and all")
    with stack(), unit_of_work() as session:
        found = approval.search(session, state=None if state == "all" else state, limit=limit)
    if json:
        as_json([_as_dict(one) for one in found])
        return
    table = Table("id", "what", "asked by", "until", "state")
    for one in found:
        until = f"{one.expires_at.astimezone(clock.JAKARTA):%d %b %H:%M} WIB"
        table.add_row(str(one.id), escape(one.summary), escape(one.requested_by), until, _state(one))
    for column in table.columns:
        column.overflow = "fold"
    console.print(table if found else "Nothing waits for a second person.")


@app.command("show")
def show(approval_id: Id, json: Json = False) -> None:
    """Show one approval: what is asked, by whom, and what was decided."""
    with stack(), unit_of_work() as session:
        found = session.get(Approval, approval_id)
    if found is None:
        raise BadInput(f"There is no approval {approval_id}; `jembatan approvals list` shows them")
    if json:
        as_json(_as_dict(found))
        return
    console.print(f"{found.summary} · {_state(found)}", markup=False)
    until = f"{found.expires_at.astimezone(clock.JAKARTA):%d %b %H:%M} WIB"
    console.print(f"asked by {found.requested_by}; until {until}", markup=False)
    if found.decided_by and found.decided_at:
        at = f"{found.decided_at.astimezone(clock.JAKARTA):%d %b %H:%M} WIB"
        console.print(f"{found.state} by {found.decided_by} on {at}: {found.reason or '–'}", markup=False)


@app.command("approve")
def approve(
    approval_id: Id,
    by: By = ME,
    reason: Annotated[str, typer.Option(help="In a few words; kept for good.")] = "",
) -> None:
    """Say yes. What it allows begins at once."""
    _decide(approval_id, by, reason, approve=True)


@app.command("refuse")
def refuse(
    approval_id: Id,
    reason: Annotated[str, typer.Option(help="Why; kept for good.")],
    by: By = ME,
) -> None:
    """Say no, with a reason. Who asked may take it back in this way."""
    if not reason.strip():
        raise BadInput("A reason is needed: say why it is refused")
    _decide(approval_id, by, reason, approve=False)


def _decide(approval_id: UUID, by: str, reason: str, *, approve: bool) -> None:
    """Exit 1 where it cannot be decided (any more), 2 where nobody is named or there is no such approval."""
    try:
        with stack(), unit_of_work() as session:
            actor = approval.actor("operator", by)
            word = approvals.decide(session, approval_id, by=actor, approve=approve, reason=reason)
    except NotDecided as refused:
        complain(f"{refused}.")
        raise typer.Exit(2 if isinstance(refused, Unknown | NobodyNamed) else 1) from None
    console.print(f"{word.summary}: {word.state} by {word.decided_by}.", markup=False)


def _state(one: Approval) -> str:
    return "expired" if one.is_over(clock.now()) else one.state


def _as_dict(one: Approval) -> dict[str, Any]:
    names = ("subject", "subject_id", "summary", "currency", "requested_by", "requested_at", "expires_at")
    more = ("decided_by", "decided_at", "reason")
    return (
        {"approval_id": str(one.id), "state": _state(one), "amount": money.plain(one.amount_minor)}
        | {name: getattr(one, name) for name in names}
        | {name: getattr(one, name) for name in more}
    )
