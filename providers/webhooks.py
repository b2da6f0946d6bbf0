"""Sending an event to a client's endpoint: signed after Standard Webhooks, and only to the open internet.

Whoever names an endpoint decides what this machine connects to, so each connection goes through the guard.
Specification: https://github.com/standard-webhooks/standard-webhooks (1.0.0), read 2026-11-25.
"""

import contextlib
import email.utils
import ipaddress
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import httpcore
import httpx
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from common import clock
from common.errors import BadInput
from common.settings import settings
from providers import guard, http
from providers.deadline import Deadline
from providers.guard import Guard, Resolver, Unfit
from providers.guard import is_allowed as is_allowed  # where an event may go

CONNECT_SECONDS = 3.0  # to each address of the name
READ_SECONDS = 10.0
TOTAL_SECONDS = 15.0  # of one attempt, however slowly the answer drips; less than the lease of an event
MOST_READ = 16 * 1024  # bytes of an answer's body, of which only the status counts
MOST_HEARD = 128 * 1024  # bytes of a whole answer, head and early answers too
LONGEST_URL = 2048
_TIMEOUTS = {"connect": CONNECT_SECONDS, "read": READ_SECONDS, "write": READ_SECONDS, "pool": CONNECT_SECONDS}

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)*{_LABEL}")
_ENDS_AS_ADDRESS = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)")  # 127.1, 2130706433, 0x7f.1: resolvers read them


def checked_url(url: str) -> str:
    """The endpoint's address as it is kept and called; raises BadInput where it can be none.

    `https` with a host name, any port. In the sandbox also `http`, and a loopback address as host. Where the
    name leads to is looked at for each connection.
    """
    is_sandbox = settings().env == "sandbox"
    schemes = ("https", "http") if is_sandbox else ("https",)
    if len(url) > LONGEST_URL:
        raise BadInput(f"An endpoint's address has at most {LONGEST_URL:,} characters")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        raise BadInput(
            "That is no address; an endpoint's looks like https://platform.example/events"
        ) from None
    if parsed.scheme not in schemes:
        raise BadInput(f"An endpoint's address begins with {' or '.join(f'{name}://' for name in schemes)}")
    if parsed.userinfo:
        raise BadInput("An endpoint's address holds no user and password: events are signed instead")
    if "#" in url:
        raise BadInput("An endpoint's address has no fragment, the part that begins with #")
    if not _is_fit_host(parsed.raw_host.decode(), is_sandbox):
        raise BadInput("An endpoint's address needs a public host name, such as platform.example")
    if parsed.port is not None and not 1 <= parsed.port <= 65535:
        raise BadInput("An endpoint's port is a number from 1 to 65535")
    return str(parsed)


def _is_fit_host(host: str, is_sandbox: bool) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        is_name = _NAME.fullmatch(host) is not None and _ENDS_AS_ADDRESS.fullmatch(host) is None
        return is_name and ("." in host or is_sandbox)
    return is_sandbox and guard.is_loopback(address)


def signed(secrets: Sequence[str], event_id: str, at: datetime, content: str) -> dict[str, str]:
    """The three headers that prove an attempt to be ours. secrets: each signs, so that one can be changed.

    Raises BadInput where there is no secret, or one is none.
    """
    try:
        signatures = [Webhook(secret).sign(event_id, at, content) for secret in secrets]
    except (ValueError, EmptyWebhookSecretError):
        raise BadInput("a signing secret is not usable") from None
    if not signatures:
        raise BadInput("there is no signing secret")
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


@dataclass(frozen=True)
class Answer:
    """What came of one attempt.

    `delivered`; `gone`: the endpoint wants no more; `refused`: it answered, and did not take this event;
    `down`: it takes nothing at present. problem: what is said of the endpoint, without address and content.
    """

    outcome: Literal["delivered", "gone", "refused", "down"]
    problem: str = ""
    retry_after: float = 0.0  # seconds


class Sender:
    """Sends one event after the other, over one connection as long as the endpoint keeps it. For one thread.

    resolve: as socket.getaddrinfo. tls: whom to trust; by default the authorities that httpx trusts.
    """

    def __init__(self, resolve: Resolver = socket.getaddrinfo, tls: ssl.SSLContext | None = None) -> None:
        self._time = Deadline()
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls or http.trusted(),
            max_connections=1,
            network_backend=Guard(resolve, self._time, MOST_HEARD),
        )

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def send(self, url: str, secrets: Sequence[str], event_id: str, content: str) -> Answer:
        """Try once, whatever comes of it; redirects are not followed."""
        try:
            target = httpx.URL(checked_url(url))
            headers = signed(secrets, event_id, clock.now(), content)
        except BadInput:
            return Answer("down", "has an address or a signing secret that is not usable: set it anew")
        headers |= {"content-type": "application/json", "user-agent": "jembatan"}
        try:
            with (
                self._time.within(TOTAL_SECONDS),
                self._pool.stream(
                    "POST",
                    httpcore.URL(
                        scheme=target.raw_scheme,
                        host=target.raw_host,
                        port=target.port,
                        target=target.raw_path,
                    ),
                    headers=list(headers.items()),
                    content=content.encode(),
                    extensions={"timeout": _TIMEOUTS},
                ) as response,
            ):
                _read_a_little(response)
                return _judged(response)
        except httpcore.TimeoutException as error:
            in_vain = isinstance(error, httpcore.ConnectTimeout)
            return Answer("down", "cannot be reached" if in_vain else "gave no answer in time")
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            return Answer("down", _in_our_words(error))


def _read_a_little(response: httpcore.Response) -> None:
    """A short body to its end, so that the connection can be used again; of a long one the beginning."""
    size = 0
    # The status is here already; how the body ends changes nothing.
    with contextlib.suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        for part in response.iter_stream():
            size += len(part)
            if size > MOST_READ:
                return


def _judged(response: httpcore.Response) -> Answer:
    status = response.status
    if 200 <= status < 300:
        return Answer("delivered")
    if status == 410:
        return Answer("gone", "gone")
    if 300 <= status < 400:
        return Answer("refused", f"answered with a redirect ({status})")
    answered = {name.lower(): value for name, value in response.headers}
    wait = _seconds(answered.get(b"retry-after", b"").decode("latin-1"))
    is_down = status in (429, 502, 503, 504)
    return Answer("down" if is_down else "refused", f"answered {status}", wait)


def _seconds(text: str) -> float:
    """Retry-After, in seconds or as a date; 0 where it is neither."""
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(text) - clock.now()).total_seconds())
    except (ValueError, TypeError, OverflowError):  # TypeError: a date without a zone
        return 0.0


def _in_our_words(error: Exception) -> str:
    """Why there is no answer. Never a library's own text: it could name an address."""
    if isinstance(error, Unfit):
        return str(error)
    return "cannot be reached" if isinstance(error, httpcore.ConnectError) else "broke off its answer"
