"""The merchant's side of notifications: a real HTTP server that keeps what comes and checks signatures."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from uuid import uuid4

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from sandbox_caller import GOPAY
from sandbox_profiles import ProfileCaller

T = TypeVar("T")
YES = (200, b'{"responseCode":"2005600","responseMessage":"Successful"}', {})
Answer = tuple[int, bytes, dict[str, str]]


@dataclass
class Received:
    """One message as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def members(self) -> dict[str, Any]:
        members: dict[str, Any] = json.loads(self.body)
        return members

    def is_rsa(self, key: RSAPublicKey, text: str) -> bool:
        """Whether X-SIGNATURE is this key's over the text."""
        try:
            key.verify(base64.b64decode(self.headers["x-signature"]), text.encode(), PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True

    def is_hmac(self, secret: str, token: str) -> bool:
        """Whether X-SIGNATURE is right for a call with this token."""
        digest = hashlib.sha256(self.body).hexdigest()
        text = f"POST:{self.path}:{token}:{digest}:{self.headers['x-timestamp']}"
        right = base64.b64encode(hmac.digest(secret.encode(), text.encode(), hashlib.sha512)).decode()
        return self.headers["x-signature"] == right


@dataclass
class Box:
    """One address of the merchant. answers: given first, one by one; then always yes."""

    url: str
    received: list[Received] = field(default_factory=list)
    tokens: list[Received] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def wait(self, count: int, seconds: float = 90) -> list[Received]:
        """That many messages, or more if more have come."""
        wait_until(
            lambda: len(self.received) >= count, f"{count} messages, there are {len(self.received)}", seconds
        )
        return list(self.received)


def wait_until(look: Callable[[], T], what: str, seconds: float = 90) -> T:
    """The first true answer of `look`."""
    until = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.02)
    return seen


@dataclass
class Listener:
    """The merchant's server."""

    url: str
    boxes: dict[str, Box] = field(default_factory=dict)

    def box(self, name: str = "") -> Box:
        """A fresh address; a name makes it a known one."""
        name = name or uuid4().hex
        self.boxes[name] = Box(f"{self.url}/{name}")
        return self.boxes[name]

    def take(self, message: Received) -> Answer:
        """What is answered to a message."""
        path = message.path.partition("?")[0]
        box = self.boxes.get(path.strip("/").split("/")[0]) or self.box(path.strip("/").split("/")[0])
        if path.endswith("/access-token/b2b"):
            box.tokens.append(message)
            token = {"responseCode": "2007300", "accessToken": f"token-{len(box.tokens)}", "expiresIn": "900"}
            return 200, json.dumps(token).encode(), {}
        box.received.append(message)
        return box.answers.pop(0) if box.answers else YES


@contextmanager
def listening() -> Iterator[Listener]:
    """A server of its own while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer, more = listener.take(Received(self.path, headers, body))
            self.send_response(status)
            for name, value in ({"Content-Type": "application/json"} | more).items():
                self.send_header(name, value)
            answer = b"" if status == 204 else answer
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener = Listener(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield listener
    server.shutdown()
    server.server_close()


def is_signed(members: dict[str, Any]) -> bool:
    """Midtrans' signature, over the texts as received."""
    text = f"{members['order_id']}{members['status_code']}{members['gross_amount']}{GOPAY[0]}"
    return bool(members["signature_key"] == hashlib.sha512(text.encode()).hexdigest())


def habit(http: httpx.Client, gateway: str, **how: Any) -> None:
    http.post("/_sandbox/notifications", json={"gateway": gateway, **how}).raise_for_status()


def words(messages: list[Received]) -> list[str]:
    return [one.members["transaction_status"] for one in messages]


def checked(message: Received, caller: ProfileCaller, box: Box, key: RSAPrivateKey) -> bool:
    """Whether a message is signed by its aggregator's rule."""
    public, stamp = key.public_key(), message.headers["x-timestamp"]
    if caller.profile == "doku":
        asked = box.tokens[-1]
        assert asked.path == f"/{box.url.rpartition('/')[2]}/access-token/b2b"
        assert asked.headers["x-client-key"] == "sandbox-ovo"
        assert asked.members == {"grantType": "client_credentials"}
        assert asked.is_rsa(public, f"sandbox-ovo|{asked.headers['x-timestamp']}")
        token = message.headers["authorization"].removeprefix("Bearer ")
        assert token == f"token-{len(box.tokens)}"
        return message.is_hmac("sandbox-ovo-secret", token)
    assert "authorization" not in message.headers
    if caller.profile == "nicepay":
        return message.is_rsa(public, f"{caller.client_id}|{stamp}")
    digest = hashlib.sha256(message.body).hexdigest()
    return message.is_rsa(public, f"POST:{message.path}:{digest}:{stamp}")
