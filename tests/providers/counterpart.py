"""A tiny real HTTP server that keeps what it is sent and answers what it is told: what travels is what is
tested. It knows nothing of any gateway, but that a token path answers with a token."""

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from common.settings import FeePlan, Midtrans, Snap
from providers.base import ChargeOrder, Learner, RefundOrder

LOST = "lost"  # the call is taken, the connection closed without an answer
BROKEN = "broken"  # the answer breaks off in the middle
OAUTH = "/oauth/token"
TOKEN_PATHS = ("access-token/b2b", OAUTH)


@dataclass(frozen=True)
class Call:
    """One call as it arrived; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def members(self) -> Any:
        return json.loads(self.body)


@dataclass
class Counterpart:
    """What it was sent, and what it is going to answer."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    tokens: list[tuple[int, Any]] = field(default_factory=list)  # answers to token calls, the last one stays
    _answers: deque[tuple[int, Any, dict[str, str]]] = field(default_factory=deque)

    def says(self, status: int, body: Any, **headers: str) -> None:
        """The next answer: members, raw bytes, LOST or BROKEN."""
        self._answers.append((status, body, headers))

    @property
    def last(self) -> Call:
        return self.calls[-1]

    @property
    def business(self) -> list[Call]:
        """The calls but those for tokens."""
        return [call for call in self.calls if not call.path.endswith(TOKEN_PATHS)]

    def answer_to(self, call: Call) -> tuple[int, Any, dict[str, str]]:
        self.calls.append(call)
        if call.path.endswith(TOKEN_PATHS):
            count = sum(one.path == call.path for one in self.calls)
            if self.tokens:
                return (*self.tokens[min(count, len(self.tokens)) - 1], {})
            if call.path.endswith(OAUTH):
                return 200, {"access_token": f"token-{count}", "token_type": "Bearer", "expires_in": 3600}, {}
            return 200, {"responseCode": "2007300", "accessToken": f"token-{count}", "expiresIn": "900"}, {}
        return self._answers.popleft() if self._answers else (500, {"detail": "nothing to say"}, {})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms
    server: "_Server"

    def _answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self.command, self.path, headers, self.rfile.read(length))
        with self.server.lock:
            status, body, more = self.server.counterpart.answer_to(call)
        if body == LOST:
            self.close_connection = True
            return
        raw = body if isinstance(body, bytes) else json.dumps(body if body != BROKEN else {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw) + (100 if body == BROKEN else 0)))
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(raw)
        self.close_connection = body == BROKEN

    do_GET = do_POST = _answer  # noqa: N815 - the names that http.server wants

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, counterpart: Counterpart) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.counterpart = counterpart
        self.lock = threading.Lock()

    def handle_error(self, *_: object) -> None:
        """A caller that leaves in the middle is what some tests are about."""


@contextmanager
def counterpart(it: Counterpart | None = None) -> Iterator[Counterpart]:
    """A counterpart on a free port, or this one."""
    it = it or Counterpart()
    server = _Server(it)
    it.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield it
    finally:
        server.shutdown()
        server.server_close()


@cache
def key_pair(name: str) -> tuple[rsa.RSAPrivateKey, str, str]:
    """A key of this test run: itself, its private PEM, its public PEM. Each name has its own."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return key, private.decode(), public.decode()


FEE = FeePlan(percent=Decimal("1.5"))
SECRET = "the-client-secret"
SERVER_KEY = "the-server-key"


def snap(profile: str, url: str = "http://127.0.0.1:9", **changed: Any) -> Snap:
    """Settings of one merchant at one aggregator."""
    values: dict[str, Any] = {
        "fee": FEE,
        "profile": profile,
        "base_url": url,
        "client_id": "CLIENT-7",
        "client_secret": SecretStr(SECRET),
        "private_key": SecretStr(key_pair("ours")[1]),
        "provider_public_keys": SecretStr(key_pair("provider")[2]),
        "partner_id": "PARTNER-7",
        "merchant_id": "10007",
        "channel_id": "95221",
        "read_timeout": 5.0,
    }
    return Snap(**(values | changed))


def midtrans(url: str = "http://127.0.0.1:9", **changed: Any) -> Midtrans:
    """Settings of one merchant at Midtrans."""
    values: dict[str, Any] = {
        "fee": FEE,
        "base_url": url,
        "server_key": SecretStr(SERVER_KEY),
        "merchant_id": "G10007",
        "read_timeout": 5.0,
    }
    return Midtrans(**(values | changed))


def order(**changed: Any) -> ChargeOrder:
    """One valid order of Rp 150,000; a test changes what it is about."""
    values: dict[str, Any] = {
        "reference": "INV-2026~004.711_x",
        "external_id": "26112509000000000000000000004711",
        "amount_minor": 15_000_000,
        "currency": "IDR",
        "description": "Welding, level II – Kelas “Malam”",
        "created_at": datetime(2026, 11, 25, 2, 0, 0, 250_000, UTC),
        "expires_at": datetime(2026, 11, 25, 2, 15, 0, 250_000, UTC),
        "return_url": "https://platform.example/orders/4711?tab=pay",
        "notify_url": "https://jembatan.example/api/v1/payments/callback/ovo",
        "learner": Learner("learner-4711", "Siti Rahma", "siti@example.id", "+6281234567890"),
        "program_code": "WELD-II",
    }
    return ChargeOrder(**(values | changed))


def refund_order(**changed: Any) -> RefundOrder:
    """A refund of the whole order."""
    values: dict[str, Any] = {
        "reference": "INV-2026~004.711_x",
        "gateway_reference": "THEIRS-1",
        "refund_key": "RF-0001",
        "external_id": "26112510000000000000000000004712",
        "amount_minor": 15_000_000,
        "payment_amount_minor": 15_000_000,
        "currency": "IDR",
        "reason": "Seat cancelled",
    }
    return RefundOrder(**(values | changed))


def charge_answer(**changed: Any) -> dict[str, Any]:
    """What Midtrans answers to a charge."""
    return {
        "status_code": "201",
        "status_message": "GoPay transaction is created",
        "transaction_id": "231c79c5-e39e-4993-86da-cadcaee56c1d",
        "order_id": "INV-1",
        "gross_amount": "150000.00",
        "currency": "IDR",
        "payment_type": "gopay",
        "transaction_time": "2026-11-25 09:00:00",
        "transaction_status": "pending",
        "expiry_time": "2026-11-25 09:15:00",
        "actions": [
            {"name": "get-status", "method": "GET", "url": "https://m.example/status"},
            {"name": "deeplink-redirect", "method": "GET", "url": "https://gopay.example/app"},
            {"name": "generate-qr-code", "method": "GET", "url": "https://m.example/qr"},
            {"name": "generate-qr-code-v2", "method": "GET", "url": "https://m.example/qr2"},
            {"name": "cancel", "method": "POST", "url": "https://m.example/cancel"},
        ],
        **changed,
    }


def status_answer(word: str, code: str = "200", **changed: Any) -> dict[str, Any]:
    """What Midtrans answers to the question what a charge is."""
    return charge_answer(status_code=code, transaction_status=word, **changed)
