"""`jembatan clients`: who may call the API, with which keys, and where they hear of events."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.table import Table

from common import clock
from common.errors import BadInput
from jembatan.commands.output import as_json, console
from jembatan.stack import stack
from providers.webhooks import checked_url
from records import client as clients
from records.client import ApiKey, Client, NewKey
from records.db import unit_of_work

app = typer.Typer(no_args_is_help=True, help="Clients of the API: their keys, scopes and endpoints.")
Name = Annotated[str, typer.Argument(help="Name of the client: a-z A-Z 0-9 . _ -, at most 64.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Days = Annotated[
    int | None, typer.Option(min=1, max=3650, help="Days after which the key expires; default: never.")
]


@app.command("create")
def create(
    name: Name,
    scope: Annotated[
        list[str],
        typer.Option(help="What it may do, such as payments:write; again, or with commas, for more."),
    ],
    expires_in_days: Days = None,
    rate_per_minute: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Requests that it may make in a minute.")
    ] = clients.RATE_PER_MINUTE,
    json: Json = False,
) -> None:
    """Create a client with its first API key, which is shown this once."""
    scopes = [one.strip() for listed in scope for one in listed.split(",") if one.strip()]
    with stack(), unit_of_work() as session:
        client, key = clients.create(
            session, name, scopes, rate_per_minute=rate_per_minute, expires_at=_expiry(expires_in_days)
        )
    if not json:
        console.print(
            f"The client {client.name} is created: {', '.join(client.scopes)}; "
            f"{client.rate_per_minute:,} requests a minute.",
            soft_wrap=True,
        )
    _show_key(client, key, json)


@app.command("list")
def list_(json: Json = False) -> None:
    """List the clients."""
    with stack(), unit_of_work() as session:
        found = clients.every(session)
    if json:
        as_json([_as_dict(one) for one in found])
        return
    table = Table()
    table.add_column("name", overflow="fold")
    for title in ("scopes", "a minute", "keys", "last used (WIB)", "events"):
        table.add_column(title, no_wrap=True)
    for one in found:
        in_use = [key for key in one.keys if _state(one, key) == "in use"]
        last = max((key.last_used_at for key in one.keys if key.last_used_at), default=None)
        table.add_row(
            one.name,
            "\n".join(one.scopes),
            f"{one.rate_per_minute:,}",
            "revoked" if one.revoked_at else str(len(in_use)),
            _wib(last),
            "sent" if one.endpoint_url else "",
        )
    console.print(table if found else "No client yet; `jembatan clients create` makes one.")


@app.command("show")
def show(name: Name, json: Json = False) -> None:
    """Show one client and its keys."""
    with stack(), unit_of_work() as session:
        client = clients.named(session, name)
        keys = client.keys
    if json:
        as_json(_as_dict(client))
        return
    revoked = f" · revoked {_wib(client.revoked_at)} WIB" if client.revoked_at else ""
    console.print(f"[bold]{client.name}[/bold] · {client.id}{revoked}")
    console.print(f"{', '.join(client.scopes)} · {client.rate_per_minute:,} requests a minute")
    console.print(f"events to {client.endpoint_url or 'nowhere'}", markup=False, soft_wrap=True)
    table = Table("key", "state", "created", "expires (WIB)", "last used (WIB)")
    for key in keys:
        created = f"{key.created_at.astimezone(clock.JAKARTA):%Y-%m-%d}"
        table.add_row(key.id, _state(client, key), created, _wib(key.expires_at), _wib(key.last_used_at))
    console.print(table)


@app.command("new-key")
def new_key(name: Name, expires_in_days: Days = None, json: Json = False) -> None:
    """Give a client one more API key, shown this once. Its other keys work until they are revoked."""
    with stack(), unit_of_work() as session:
        client = clients.named(session, name)
        key = clients.new_key(session, client, _expiry(expires_in_days))
    _show_key(client, key, json)


@app.command("revoke")
def revoke(
    name: Name,
    key: Annotated[
        str | None, typer.Option(help="Only this key: its id, the middle part of the key.", metavar="KEY_ID")
    ] = None,
) -> None:
    """Revoke a client for good, or one of its keys, at once."""
    with stack(), unit_of_work() as session:
        client = clients.named(session, name)
        if key is None:
            clients.revoke(session, client)
            what = f"The client {client.name}"
        else:
            what = f"The key {clients.revoke_key(session, client, key)} of {client.name}"
    console.print(f"{what} is revoked.")


@app.command("endpoint")
def endpoint(
    name: Name,
    url: Annotated[str | None, typer.Argument(help="Where events are sent to.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Send no more events.")] = False,
    rotate_secret: Annotated[
        bool, typer.Option("--rotate-secret", help="Make another signing secret for the same address.")
    ] = False,
    json: Json = False,
) -> None:
    """Say where a client hears of events; prints the new signing secret, which is shown this once.

    The secret before goes on signing beside the new one, so that the receiver can change over in peace.
    """
    if [url is not None, remove, rotate_secret].count(True) != 1:
        raise BadInput("Give either a URL, or --remove, or --rotate-secret")
    checked = checked_url(url) if url is not None else None
    secret = None
    with stack(), unit_of_work() as session:
        client = clients.named(session, name)
        if remove:
            clients.remove_endpoint(session, client)
        elif checked is not None:
            secret = clients.set_endpoint(session, client, checked)
        else:
            secret = clients.rotate_secret(session, client)
    if json:
        as_json(
            {
                "client_id": client.id,
                "name": client.name,
                "endpoint_url": client.endpoint_url,
                "signing_secret": secret,
            }
        )
    elif secret is None:
        console.print(f"The client {client.name} is sent no more events.")
    else:
        sent = f"Events for {client.name} go to {client.endpoint_url}, signed with this secret, shown once:"
        console.print(sent, markup=False, soft_wrap=True)
        print(secret)


def _show_key(client: Client, key: NewKey, json: bool) -> None:
    if json:
        as_json(
            {
                "client_id": client.id,
                "name": client.name,
                "scopes": client.scopes,
                "rate_per_minute": client.rate_per_minute,
                "key_id": key.id,
                "api_key": key.text,
                "expires_at": _iso(key.expires_at),
            }
        )
        return
    until = f"until {_wib(key.expires_at)} WIB" if key.expires_at else "until it is revoked"
    console.print(f"Its API key works {until}, and is shown this once:")
    print(key.text)


def _expiry(days: int | None) -> datetime | None:
    return None if days is None else clock.now() + timedelta(days=days)


def _state(client: Client, key: ApiKey) -> str:
    if client.revoked_at or key.revoked_at:
        return "revoked"
    return "expired" if key.expires_at and key.expires_at <= clock.now() else "in use"


def _as_dict(client: Client) -> dict[str, Any]:
    return {
        "client_id": client.id,
        "name": client.name,
        "scopes": client.scopes,
        "rate_per_minute": client.rate_per_minute,
        "endpoint_url": client.endpoint_url,
        "created_at": _iso(client.created_at),
        "revoked_at": _iso(client.revoked_at),
        "keys": [
            {
                "key_id": key.id,
                "state": _state(client, key),
                "created_at": _iso(key.created_at),
                "expires_at": _iso(key.expires_at),
                "revoked_at": _iso(key.revoked_at),
                "last_used_at": _iso(key.last_used_at),
            }
            for key in client.keys
        ],
    }


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None


def _wib(at: datetime | None) -> str:
    return f"{at.astimezone(clock.JAKARTA):%Y-%m-%d %H:%M}" if at else ""
