"""HTTP to the outside: one client per service with explicit time-outs, and its errors in our words."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from common.errors import Ambiguous, AuthFailed, ProviderError, RateLimited, Rejected, Transient
from common.settings import Service

Answer = TypeVar("Answer")
POOL_SECONDS = 10.0


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


def client(service: Service) -> httpx.Client:
    """A client for one service; redirects are not followed (a token must not travel to another host)."""
    return httpx.Client(
        timeout=httpx.Timeout(service.read_timeout, connect=service.connect_timeout, pool=POOL_SECONDS),
        limits=httpx.Limits(max_connections=20, max_keepalive_connections=10),
        follow_redirects=False,
        headers={"Accept": "application/json", "User-Agent": "jembatan"},
        event_hooks={"request": [_Pace(service.rate)]},
    )


def failed(provider: str, operation: str, error: httpx.TransportError, *, is_read: bool) -> ProviderError:
    """The error for a call without an answer. is_read: asking again changes nothing."""
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return Transient(provider, operation, "cannot be reached")
    reason = "gave no answer in time" if isinstance(error, httpx.TimeoutException) else "broke off its answer"
    return Transient(provider, operation, reason) if is_read else Ambiguous(provider, operation, reason)


def refused(provider: str, operation: str, response: httpx.Response, *, is_read: bool) -> ProviderError:
    """The error for an answer that is no success, by its HTTP status."""
    status = response.status_code
    request_id = response.headers.get("x-request-id")
    if status == 429:
        return RateLimited(
            provider,
            operation,
            "asks for fewer calls",
            retry_after=_seconds(response.headers.get("retry-after")),
        )
    if status in (401, 403):
        return AuthFailed(provider, operation, "refuses our key", code=str(status), request_id=request_id)
    if status >= 500:
        kind = Transient if is_read else Ambiguous
        return kind(provider, operation, "has an error of its own", code=str(status), request_id=request_id)
    if status >= 300 and status < 400:
        return Rejected(
            provider, operation, "answers with a redirect", code=str(status), request_id=request_id
        )
    return Rejected(provider, operation, "refuses the call", code=str(status), request_id=request_id)


def again_if_safe(call: Callable[[], Answer]) -> Answer:
    """The call, again up to twice where its error says that it surely did not happen.

    Waits only seconds, or as long as the service asks for when that is short; longer waits belong to the
    process, which gives its worker back meanwhile.
    """
    retrying = Retrying(
        stop=stop_after_attempt(3),
        wait=wait_random_exponential(multiplier=0.3, max=3),
        retry=retry_if_exception(_is_worth_another_try),
        reraise=True,
        before_sleep=None,
    )
    return retrying(call)


def _is_worth_another_try(error: BaseException) -> bool:
    if isinstance(error, RateLimited):
        return error.retry_after <= 3
    return isinstance(error, Transient)


def _seconds(text: str | None) -> float:
    """Retry-After in seconds; 30 where it is absent or a date."""
    return float(text) if text and text.isdigit() else 30.0
