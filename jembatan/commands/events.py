"""`jembatan events`: what the platform is told, and whether its endpoint has taken it."""

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from common.clock import JAKARTA
from common.errors import BadInput
from jembatan.commands.output import as_json, console
from jembatan.stack import stack
from records import client as clients
from records import platform_events as events
from records.db import unit_of_work
from records.platform_events import PlatformEvent

app = typer.Typer(no_args_is_help=True, help="Events for the platform: sent, waiting, given up.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("list")
def list_(
    client: Annotated[str | None, typer.Option(help="Only those of this client.")] = None,
    state: Annotated[str | None, typer.Option(help=f"Only this state: {', '.join(events.STATES)}.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 50,
    json: Json = False,
) -> None:
    """List events, newest first."""
    if state is not None and state not in events.STATES:
        raise BadInput(f"There is no state {state!r}; there are {', '.join(events.STATES)}")
    with stack(), unit_of_work() as session:
        client_id = clients.named(session, client).id if client is not None else None
        found = events.search(session, client_id=client_id, state=state, limit=limit)
        undelivered = events.undelivered(session)
    if json:
        as_json([_as_dict(event, name) for event, name in found])
        return
    table = Table("event", "type", "client", "state", "attempts", "next attempt", "problem")
    for column in table.columns:
        column.overflow = "fold"
    for event, name in found:
        due = _time(event.due_at) if event.state == "waiting" else ""
        row = (event.event_id, event.type, name, event.state, str(event.attempts), due, event.problem or "")
        table.add_row(*row)
    console.print(table if found else "No events.")
    for name, kind, count in undelivered:
        console.print(f"{name}: {count:,} {kind.replace('_', ' ')}", markup=False)


@app.command("show")
def show(
    id: Annotated[str, typer.Argument(help="Id of the event: evt_…")],
    json: Json = False,
) -> None:
    """Show one event with its body, as it is sent."""
    with stack(), unit_of_work() as session:
        event, name = events.get(session, events.row_id(id))
    if json:
        as_json(_as_dict(event, name) | {"body": event.body})
        return
    console.print(f"[bold]{event.type}[/bold] · {event.event_id} · for {name} · about {event.payment_id}")
    console.print(
        f"{event.state} after {event.attempts} attempts · {event.problem or 'no problem'}", markup=False
    )
    for what, at in (
        ("written", event.created_at),
        ("delivered", event.delivered_at),
        ("next attempt", event.due_at if event.state == "waiting" else None),
        ("last attempt", event.give_up_at if event.state == "waiting" else None),
    ):
        if at:
            console.print(f"{what}: {_time(at)}")
    as_json(event.body)


@app.command("redeliver")
def redeliver(
    id: Annotated[str | None, typer.Argument(help="Id of one event: evt_…")] = None,
    client: Annotated[str | None, typer.Option(help="All events of this client …")] = None,
    since: Annotated[
        str | None, typer.Option(help="… written since then: ISO 8601; without offset it is WIB.")
    ] = None,
) -> None:
    """Send events again, whatever became of them, with the same id and body. The running API does it."""
    if (id is None) == (client is None) or (client is None) != (since is None):
        raise BadInput("Give either the id of an event, or --client and --since")
    with stack(), unit_of_work() as session:
        if id is not None:
            count = events.redeliver(session, events.get(session, events.row_id(id))[0].id)
        else:
            of = clients.named(session, client or "")
            count = events.redeliver_since(session, of.id, _moment(since or ""))
    console.print(f"{count:,} {'event waits' if count == 1 else 'events wait'} to be sent again.")


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{text!r} is no time; write 2026-11-25T14:30:00+07:00 or 2026-11-25") from None
    return at if at.tzinfo else at.replace(tzinfo=JAKARTA)


def _as_dict(event: PlatformEvent, client: str) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "type": event.type,
        "client": client,
        "payment_id": event.payment_id,
        "state": event.state,
        "attempts": event.attempts,
        "problem": event.problem,
        "created_at": event.created_at.isoformat(),
        "next_attempt_at": event.due_at.isoformat() if event.state == "waiting" else None,
        "delivered_at": event.delivered_at.isoformat() if event.delivered_at else None,
    }


def _time(at: datetime) -> str:
    return f"{at.astimezone(JAKARTA):%Y-%m-%d %H:%M:%S} WIB"
