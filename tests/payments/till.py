"""What the tests of payments work with: the API at work, the sandbox behind it, and a till to pay at."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import sqlalchemy as sa
import uvicorn
from nursery import Child, Nursery

from common import clock
from records.db import unit_of_work
from records.payment import Payment

T = TypeVar("T")
API = Path(__file__).parent / "api_killed_at.py"  # a program of the nursery
EMAIL = "siti.rahma@example.id"


def wait_until(look: Callable[[], T], what: str, seconds: float = 90) -> T:
    """The first true answer of `look`."""
    until = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.05)
    return seen


def order(gateway: str = "gopay", **changes: Any) -> dict[str, Any]:
    """A valid order with a reference of its own; `changes` replace members, None takes one out."""
    body: dict[str, Any] = {
        "reference": f"T-{uuid4().hex[:20]}",
        "gateway": gateway,
        "amount": 150_000,
        "currency": "IDR",
        "learner": {
            "id": "learner-1",
            "name": "Siti Rahma",
            "email": "siti@example.id",
            "phone": "081234567890",
        },
        "description": "Welding, level II",
        "return_url": "https://platform.example/orders/1",
    } | changes
    return {name: value for name, value in body.items() if value is not None}


def an_invoice() -> str:
    """A reference as people read one, of its own too: the sandbox keeps what any test has charged."""
    return f"INV-2026-{uuid4().int % 10**6:06}"


def row(reference: str) -> Payment:
    """The payment as it stands in the database."""
    with unit_of_work() as session:
        return session.scalars(sa.select(Payment).filter_by(reference=reference)).one()


def due_now(made: dict[str, Any], *, over_since: timedelta | None = None) -> None:
    """As if the payment's first status were due, or its end had passed: nobody waits for that in a test."""
    with unit_of_work() as session:
        found = session.scalars(sa.select(Payment).filter_by(reference=made["reference"])).one()
        found.next_status_at = clock.now()
        found.created_at -= timedelta(seconds=90)
        if over_since is not None:
            found.expires_at = clock.now() - over_since


@dataclass
class Till:
    """The API with a client's key, and the sandbox's admin endpoints."""

    http: httpx.Client
    sandbox: httpx.Client
    gateway: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))  # without a key

    def create(self, gateway: str = "gopay", **changes: Any) -> dict[str, Any]:
        """Create a payment that is pending afterwards."""
        wanted = order(gateway, **changes)
        answer = self.http.post("/api/v1/payments/create", json=wanted)
        for _ in range(5):  # a busy machine loses an answer now and then: repeat, as the docs say
            if answer.status_code != 202:
                break
            time.sleep(1.1)
            answer = self.http.post("/api/v1/payments/create", json=wanted)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        assert made["status"] == "pending", made
        return made

    def post(self, body: dict[str, Any], **headers: str) -> httpx.Response:
        """Post an order as it is."""
        return self.http.post("/api/v1/payments/create", json=body, headers=headers)

    def read(self, made: dict[str, Any]) -> dict[str, Any]:
        """The payment as it is now."""
        return dict(self.http.get(f"/api/v1/payments/{made['payment_id']}").raise_for_status().json())

    def verify(self, made: dict[str, Any]) -> dict[str, Any]:
        """The payment after asking."""
        answer = self.http.post("/api/v1/payments/verify", json={"payment_id": made["payment_id"]})
        return dict(answer.raise_for_status().json())

    def becomes(self, made: dict[str, Any], status: str, seconds: float = 90) -> dict[str, Any]:
        """Wait until the payment has that status."""
        return wait_until(
            lambda: now if (now := self.read(made))["status"] == status else None,
            f"{made['reference']} to become {status}; it is {self.read(made)}",
            seconds,
        )

    def act(self, made: dict[str, Any], act: str, **body: Any) -> dict[str, Any]:
        """Let something happen at the gateway: pay, deny, cancel, expire, reverse, refund."""
        path = f"/_sandbox/payments/{made['gateway']}/{made['reference']}/{act}"
        return dict(self.sandbox.post(path, json=body).raise_for_status().json())

    def book(self, gateway: str, reference: str) -> dict[str, Any] | None:
        """The sandbox's own record of a charge; none where it has none."""
        answer = self.sandbox.get(f"/_sandbox/payments/{gateway}/{reference}")
        return None if answer.status_code == 404 else dict(answer.raise_for_status().json())

    def signed(self, made: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """The notification of the present state, signed and not sent; `changes` are made before signing."""
        path = f"/_sandbox/payments/{made['gateway']}/{made['reference']}/notification"
        answer = self.sandbox.post(path, params={"send": "false"}, json=changes)
        return dict(answer.raise_for_status().json())

    def deliver(self, message: dict[str, Any], **changes: Any) -> httpx.Response:
        """Send a signed message to the address that it is for."""
        message = message | changes
        body = message["body"]
        content = body.encode() if isinstance(body, str) else body
        return self.gateway.post(message["url"], content=content, headers=message["headers"])

    def calls(self, gateway: str) -> dict[str, int]:
        """How often each of a gateway's services was called so far."""
        return dict(self.sandbox.get("/_sandbox/calls").raise_for_status().json()[gateway])

    def quiet(self, gateway: str, mode: str = "never", **more: Any) -> None:
        """Set how a gateway notifies."""
        body = {"gateway": gateway, "mode": mode, **more}
        self.sandbox.post("/_sandbox/notifications", json=body).raise_for_status()

    def banks_after(self, seconds: float | None) -> None:
        """How long GoPay's bank takes for a refund from now on; None: until it is told."""
        body = {"gateway": "gopay", "confirm_after": seconds}
        self.sandbox.post("/_sandbox/refunds", json=body).raise_for_status()

    def fail(self, gateway: str, operation: str, kind: str, **more: Any) -> None:
        """Arm a failure."""
        body = {"gateway": gateway, "operation": operation, "kind": kind, **more}
        self.sandbox.post("/_sandbox/failures", json=body).raise_for_status()


class Served:
    """An ASGI application over real HTTP in this process, with all that works beside it."""

    def __init__(self, app: Any, port: int) -> None:
        self._server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> "Served":
        self._thread.start()
        wait_until(lambda: self._server.started, "the API")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)


@contextmanager
def served(api: Nursery, deadly: int, port: int) -> Iterator[Child]:
    """A process of the API that dies at its `deadly`-th call (0: never)."""
    process = api.begin(deadly, port)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def is_up(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
