"""`jembatan notifications`: what gateways told us, what was put aside, and working one again."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from checkout import inbox
from common import clock, money
from common.errors import BadInput
from jembatan.commands.output import as_json, complain, console
from jembatan.stack import stack
from records import notification
from records.db import unit_of_work
from records.notification import Notification

app = typer.Typer(no_args_is_help=True, help="Gateways' notifications: kept, worked, put aside.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Number = Annotated[int, typer.Argument(help="Number of the notification.")]
STATES = ("received", "worked", "quarantined", "dropped")


@app.command("list")
def list_(
    state: Annotated[str | None, typer.Option(help=f"One of {', '.join(STATES)}.")] = None,
    reference: Annotated[str | None, typer.Option(help="Only those of this payment.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 30,
    json: Json = False,
) -> None:
    """List notifications, newest first."""
    if state is not None and state not in STATES:
        raise BadInput(f"There is no state {state!r}; there are {', '.join(STATES)}")
    with stack(), unit_of_work() as session:
        found = notification.listed(session, state=state, reference=reference, limit=limit)
    if json:
        as_json([_as_dict(one) for one in found])
        return
    if not found:
        console.print("There are none.")
        return
    table = Table("no", "received", "gateway", "reference", "says", "state", "because")
    table.columns[3].no_wrap = True  # to be copied
    for one in found:
        claim = f"{one.word} {money.rupiah(one.amount_minor)}" if one.amount_minor is not None else one.word
        cells = (str(one.id), _time(one.received_at), one.gateway, one.reference or "", claim, one.state)
        table.add_row(*map(escape, cells), escape(one.reason or ""))
    console.print(table)


@app.command("show")
def show(number: Number, json: Json = False) -> None:
    """Show one notification, without its raw message: that may hold personal data."""
    with stack(), unit_of_work() as session:
        found = session.get(Notification, number)
    if found is None:
        complain(f"There is no notification {number}; `jembatan notifications list` shows them.")
        raise typer.Exit(2)
    if json:
        as_json(_as_dict(found))
        return
    for name, value in _as_dict(found).items():
        console.print(f"{name}: {value}", markup=False, soft_wrap=True)


@app.command("replay")
def replay(number: Number) -> None:
    """Work one kept notification again, now. What it claims is held against the payment and its gateway as
    it was the first time, so nothing happens twice."""
    with stack():
        with unit_of_work() as session:
            found = session.get(Notification, number)
            if found is None or not notification.replay(session, number):
                complain(f"There is no notification {number} that could be worked.")
                raise typer.Exit(2)
        inbox.work(found.gateway, found.reference or "")
        with unit_of_work() as session:
            after = session.get_one(Notification, number)
    console.print(f"{number} is {after.state}: {after.reason}", markup=False)


def _as_dict(one: Notification) -> dict[str, Any]:
    names = (
        "gateway", "reference", "gateway_reference", "claimed", "word", "amount_minor", "currency", "at",
        "confirm", "state", "reason", "attempts", "received_at", "worked_at",
    )  # fmt: skip
    return {"notification": one.id, "payment_id": one.payment_id and str(one.payment_id)} | {
        name: getattr(one, name) for name in names
    }


def _time(at: Any) -> str:
    return f"{at.astimezone(clock.JAKARTA):%Y-%m-%d %H:%M:%S} WIB"
