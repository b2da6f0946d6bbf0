"""HTTP to the outside: one client per service with explicit time-outs, and its errors in our words."""

import json
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from common.errors import Ambiguous, AuthFailed, BadInput, ProviderError, RateLimited, Rejected, Transient
from common.services import Outside
from providers.deadline import Deadline, TimedBackend

Answer = TypeVar("Answer")
POOL_SECONDS = 10.0
# Shorter than the 5 s after which many servers close an idle connection: a call that moves money and meets
# the closing would have to be asked for, though it never arrived.
IDLE_SECONDS = 3.0
# Connections kept for the next call, as many as may be needed at once: httpcore closes each that becomes idle
# while there are more, used or not, and opening them anew for each call is what a busy moment lacks time for.
IDLE = 48
LONGEST_ANSWER = 4 * 1024**2
_deadline = Deadline()
_OF_THE_TRANSPORT = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


class _Pace:
    """Holds calls back so that no more than `rate` a second leave this client, whatever the threads."""

    def __init__(self, rate: float) -> None:
        self._gap = 1 / rate
        self._free_at = 0.0
        self._lock = threading.Lock()

    def __call__(self, _request: httpx.Request) -> None:
        with self._lock:
            now = time.monotonic()
            pause = self._free_at - now
            self._free_at = max(self._free_at, now) + self._gap
        if pause > 0:
            time.sleep(pause)


@cache
def trusted(ca_bundle: Path | None = None) -> ssl.SSLContext:
    """The authorities that we trust, as httpx does, or those of a PEM file; to read them takes longer than a
    call."""
    if ca_bundle is None:
        return httpx.create_ssl_context()
    try:
        context = ssl.create_default_context(cafile=str(ca_bundle.expanduser()))
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"the CA bundle {ca_bundle} cannot be used: {type(error).__name__}") from None
    # A server that forgets to send its intermediate certificate is trusted by that one in the file.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def client(service: Outside, *, ca_bundle: Path | None = None) -> httpx.Client:
    """A client for one service; redirects are not followed (a token must not travel to another host)."""
    opened = httpx.Client(
        verify=trusted(ca_bundle),
        timeout=httpx.Timeout(service.read_timeout, connect=service.connect_timeout, pool=POOL_SECONDS),
        limits=httpx.Limits(
            max_connections=64, max_keepalive_connections=IDLE, keepalive_expiry=IDLE_SECONDS
        ),
        follow_redirects=False,
        headers={"Accept": "application/json", "User-Agent": "jembatan"},
        event_hooks={"request": [_Pace(service.rate)]},
    )
    # httpx has no time-out for a whole call. Its own connections are bound to one here, rather than a
    # transport of ours given to it, which would switch off the proxies that the environment names.
    for transport in (opened._transport, *opened._mounts.values()):
        if isinstance(transport, httpx.HTTPTransport):
            transport._pool._network_backend = TimedBackend(_deadline)
    return opened


def compact(members: Any) -> bytes:
    """A body, serialised once, without a space and in UTF-8: what is hashed and what is sent."""
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()


def call(
    http: httpx.Client,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes = b"",
    auth: tuple[str, str] | None = None,
) -> httpx.Response:
    """One call with its whole answer, which may come in drips but not for ever: twice the read time-out.

    headers: beside those of the client, none of them twice. It goes to the client's transport itself: what
    httpx does above that (rounds of authentication, redirects, cookies) takes a third of a call's time, and
    none of it is wanted.
    Raises httpx.TransportError, also for an answer that is longer than any of these services gives.
    """
    if auth is not None:
        headers = {**headers, "Authorization": _basic(*auth)}
    request = httpx.Request(
        method,
        _url(url),
        headers=[*http.headers.raw, *_raw(headers)],
        content=content,
        extensions={"timeout": http.timeout.as_dict()},
    )
    for hook in http.event_hooks["request"]:
        hook(request)
    body = bytearray()
    with _deadline.within(2 * (http.timeout.read or 0)):
        response = http._transport_for_url(request.url).handle_request(request)
        try:
            for part in response.iter_bytes():
                body += part
                if len(body) > LONGEST_ANSWER:
                    raise httpx.ReadError("too long an answer")
        except httpx.DecodingError:
            raise httpx.ReadError("an answer that cannot be unpacked") from None
        finally:
            response.close()
    kept = [one for one in response.headers.raw if one[0].lower() not in _OF_THE_TRANSPORT]
    return httpx.Response(response.status_code, headers=kept, content=bytes(body))


@lru_cache(maxsize=64)
def _url(text: str) -> httpx.URL:
    """Read once: to read an address takes as long as to send the call, and most calls go to the same few."""
    return httpx.URL(text)


@lru_cache(maxsize=16)
def _basic(name: str, password: str) -> str:
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]


def failed(provider: str, operation: str, error: httpx.TransportError, *, is_read: bool) -> ProviderError:
    """The error for a call without an answer. is_read: asking again changes nothing."""
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return Transient(provider, operation, "cannot be reached")
    if isinstance(error, httpx.UnsupportedProtocol):
        return Transient(provider, operation, f"has no address: set JEMBATAN_{provider.upper()}__BASE_URL")
    reason = "gave no answer in time" if isinstance(error, httpx.TimeoutException) else "broke off its answer"
    return Transient(provider, operation, reason) if is_read else Ambiguous(provider, operation, reason)


def rate_limited(provider: str, operation: str, response: httpx.Response) -> RateLimited:
    """The error for a service that asks for fewer calls."""
    seconds = _seconds(response.headers.get("retry-after"))
    return RateLimited(provider, operation, "asks for fewer calls", retry_after=seconds)


def refused(provider: str, operation: str, response: httpx.Response, *, is_read: bool) -> ProviderError:
    """The error for an answer that is no success and not in the service's own form, by its HTTP status.

    What such an answer says of a call that is no read is not known, but for a refused key.
    """
    status = response.status_code
    request_id = response.headers.get("x-request-id")
    if status == 429:
        return rate_limited(provider, operation, response)

    def known(kind: type[ProviderError], reason: str) -> ProviderError:
        # not a code of the service: a proxy's 404 says nothing of a transaction
        return kind(provider, operation, reason, code=f"HTTP {status}", request_id=request_id)

    if status == 401 or (status == 403 and is_read):
        return known(AuthFailed, "refuses our key")
    if status >= 500:
        return known(Transient if is_read else Ambiguous, "has an error of its own")
    if not is_read:
        return known(Ambiguous, "answers in a form that is not its own")
    reason = "answers with a redirect" if 300 <= status < 400 else "refuses the call"
    return known(Rejected, reason)


def again_if_safe(call: Callable[[], Answer]) -> Answer:
    """The call, again up to twice where its error says that it surely did not happen.

    Waits only seconds, or as long as the service asks for when that is short; longer waits belong to the
    process, which gives its worker back meanwhile.
    """
    try:
        return call()  # nearly always all there is
    except ProviderError as error:
        if not _is_worth_another_try(error):
            raise
        first = [error]

    def again() -> Answer:
        if first:
            raise first.pop()  # the first try, for tenacity to count and wait after
        return call()

    return _retrying(again)


def _is_worth_another_try(error: BaseException) -> bool:
    if isinstance(error, RateLimited):
        return error.retry_after <= 3
    return isinstance(error, Transient)


_retrying = Retrying(  # one for all: what it notes of a call is its thread's own
    stop=stop_after_attempt(3),
    wait=wait_random_exponential(multiplier=0.3, max=3),
    retry=retry_if_exception(_is_worth_another_try),
    reraise=True,
    before_sleep=None,
)


def _seconds(text: str | None) -> float:
    """Retry-After in seconds, at most an hour; 30 where it is absent or a date."""
    return min(float(text), 3600.0) if text and text.isdecimal() else 30.0
