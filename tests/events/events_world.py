"""A platform that receives events over real HTTP, and payments to tell it of."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

import psycopg
from standardwebhooks import Webhook

from records import client as clients
from records import platform_events
from records.db import database_url, unit_of_work
from records.platform_events import PlatformEvent


@dataclass
class Received:
    """One attempt as the platform saw it. attempt: 1 for the first one of this event."""

    id: str
    body: bytes
    headers: dict[str, str]
    attempt: int
    path: str

    @property
    def type(self) -> str:
        return str(json.loads(self.body)["type"])

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)["data"]
        return found


Reply = int | tuple[int, dict[str, str]]


@dataclass
class Platform:
    """A receiving server. reply: what it answers to an attempt; it may take its time, or kill somebody."""

    reply: Callable[[Received], Reply] = lambda _received: 200
    secrets: list[str] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    taken: list[Received] = field(default_factory=list)
    forged: int = 0
    at_work: int = 0
    most_at_work: int = 0

    def __enter__(self) -> "Platform":
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, headers = outer._take(self.path, dict(self.headers.items()), body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                outer.forged += 1  # nobody has a reason to ask anything

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A courier that was killed breaks its connection off."""

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events?token=not-for-logs"

    def wrap(self, tls: ssl.SSLContext) -> None:
        """From now on it speaks TLS."""
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        for secret in self.secrets:
            try:
                Webhook(secret).verify(body, headers)
            except Exception:  # noqa: BLE001 - counted, and the tests look at it
                self.forged += 1
                return 401, {}
        event_id = {name.lower(): value for name, value in headers.items()}["webhook-id"]
        with self._lock:
            attempt = 1 + sum(one.id == event_id for one in self.received)
            received = Received(event_id, body, headers, attempt, path)
            self.received.append(received)
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            reply = self.reply(received)
        finally:
            with self._lock:
                self.at_work -= 1
        status, extra = reply if isinstance(reply, tuple) else (reply, {})
        if 200 <= status < 300:
            with self._lock:
                self.taken.append(received)
        return status, extra


def a_client(name: str, platform: Platform | None = None) -> UUID:
    """An API client; its events go to that platform, which learns the secret."""
    with unit_of_work() as session:
        client, _ = clients.create(session, name, ["payments"])
        client_id = client.id
    if platform is not None:
        set_endpoint(name, platform)
    return client_id


def set_endpoint(name: str, platform: Platform) -> None:
    with unit_of_work() as session:
        platform.secrets = [clients.set_endpoint(session, clients.named(session, name), platform.url)]


def a_payment() -> UUID:
    """A payment of the ledger."""
    payment = uuid4()
    execute(
        "INSERT INTO payments (id, reference, gateway, amount_minor, currency, status, created_at)"
        " VALUES (%s, %s, 'gopay', 15000000, 'IDR', 'created', now())",
        payment,
        f"R-{payment.hex[:20]}",
    )
    return payment


def emit(client_id: UUID, payment: UUID, *types: str) -> list[str]:
    """Each type as an event of its own transaction; gives back their ids."""
    for type_ in types:
        with unit_of_work() as session:
            platform_events.emit(session, client_id, payment, type_, {"payment_id": str(payment)})
    with unit_of_work() as session:
        found = session.query(PlatformEvent).filter_by(payment_id=payment).order_by(PlatformEvent.id)
        return [event.event_id for event in found][-len(types) :]


def kept(event_id: str) -> PlatformEvent:
    """An event as it is kept now."""
    with unit_of_work() as session:
        return session.get_one(PlatformEvent, platform_events.row_id(event_id))


def states(event_ids: Iterable[str]) -> list[str]:
    return [kept(one).state for one in event_ids]


def claim(client_id: UUID) -> platform_events.Claimed | None:
    with unit_of_work() as session:
        return platform_events.claim(session, client_id)


def settle(how: Callable[..., str | None], *arguments: Any, **named: Any) -> str | None:
    """A call of the room in a unit of work of its own."""
    with unit_of_work() as session:
        return how(session, *arguments, **named)


def a_while_later(interval: str) -> None:
    """Time passes for all events: what was due then is due that much sooner."""
    execute(
        f"UPDATE platform_events SET due_at = due_at - interval '{interval}',"
        f" give_up_at = give_up_at - interval '{interval}', created_at = created_at - interval '{interval}'"
    )


def execute(statement: str, *values: object) -> None:
    """Do something to the database that only a test does."""
    with psycopg.connect(database_url()) as db:
        db.execute(statement.encode(), values)


def eventually(look: Callable[[], object], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def in_order_of_payment(received: Iterable[Received]) -> dict[str, list[str]]:
    """The ids by payment, in the order in which they came, repeats left out."""
    found: dict[str, list[str]] = {}
    for one in received:
        ids = found.setdefault(one.data["payment_id"], [])
        if one.id not in ids:
            ids.append(one.id)
    return found
