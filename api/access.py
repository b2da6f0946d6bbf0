"""Who calls: a request shows an API key, and its client may do what its scopes say, so often a minute.

    caller: Annotated[Caller, Depends(allowed("payments:write"))]

One `allowed` for each route: each counts as a request of its own.
"""

import hashlib
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from functools import lru_cache
from math import ceil
from typing import Annotated
from uuid import UUID

from fastapi import Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from api.problems import Problem
from records import client as clients
from records.client import SCOPES, allows
from records.client import Caller as Caller  # what the routes call it
from records.db import at_once

# When each client called within the last minute. Counted in this process alone: several API processes let a
# client call so often each. (The library `limits` starts a thread for each call: more than all else here.)
_calls: defaultdict[UUID, deque[float]] = defaultdict(deque)
_counting = threading.Lock()
_A_MINUTE = 60.0
# Keys that were read a moment ago, by the hash of their text, with what they opened. Not longer than half of
# the minute to which the database knows when a key was last used.
_read_lately: dict[bytes, tuple[float, Caller]] = {}
_LATELY = 30.0
_MOST_KEYS = 1024

# The problems with which a route ends that has `allowed`.
REFUSALS = ("unauthenticated", "missing-scope", "too-many-requests")
SCHEME = "ApiKey"
_SAY_SO = "Send one API key as `Authorization: Bearer jbt_…`."
_REFUSED = {
    "unknown": "The API key is not valid.",
    "revoked": "The API key is not valid.",
    "expired": "The API key has expired.",
}


class _ShownKey(SecurityBase):
    """The API key that a request shows, and how OpenAPI describes it."""

    def __init__(self) -> None:
        self.scheme_name = SCHEME
        self.model = HTTPBearer(
            bearerFormat="jbt_<key id>_<secret>",
            description="An API key, which the operator hands out (`jembatan clients create`). Each endpoint "
            "names the scope that it needs; `write` includes `read`, an area alone means both, `*` all.",
        )

    async def __call__(self, request: Request) -> str:
        """The key as it was sent; raises a problem where there is not exactly one."""
        return shown_key(request.headers.getlist("authorization"))


def shown_key(headers: list[str]) -> str:
    """The key of a request with these `Authorization` headers; raises a problem where there is not one."""
    scheme, _, key = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() != "bearer":
        raise _unauthenticated(_SAY_SO)
    return key.strip()


_SHOWN_KEY = _ShownKey()


def allowed(scope: str) -> Callable[[str], Caller]:
    """The dependency of a route that needs this scope; gives it the Caller.

    Ends the request with 401 `unauthenticated`, 429 `too-many-requests` or 403 `missing-scope`.
    """
    if scope not in SCOPES:
        raise ValueError(f"there is no scope {scope}")

    def check(key: Annotated[str, Security(_SHOWN_KEY, scopes=[scope])]) -> Caller:
        return admitted(key, scope)

    return check


def admitted(key: str, scope: str, *, is_counted: bool = False) -> Caller:
    """The client of a key that may do what the scope says; raises a problem where it may not.

    is_counted: this request was counted already.
    """
    with at_once() as db:  # given back before the route asks for one
        caller = clients.find(db, key)
    if isinstance(caller, str):
        raise _unauthenticated(_REFUSED[caller])
    if len(_read_lately) >= _MOST_KEYS:
        _read_lately.clear()
    _read_lately[_digest(key)] = time.monotonic(), caller
    if not is_counted:
        count(caller)
    if not _allows(caller.scopes, scope):
        raise _missing(caller, scope)
    return caller


def presumed(key: str, scope: str) -> Caller | None:
    """Whose key it was when it was last read, if that is not long ago and it opened this: nothing is asked.

    For a statement that holds by itself that the key opens the door still (`records.client.STILL_OPEN`); the
    request is not counted yet.
    """
    found = _read_lately.get(_digest(key))
    if found is None or time.monotonic() - found[0] > _LATELY or not _allows(found[1].scopes, scope):
        return None
    return found[1]


def needs_too(caller: Caller, scope: str) -> None:
    """For a request that needs one more scope than its route; ends it with 403 where that is missing."""
    if not _allows(caller.scopes, scope):
        raise _missing(caller, scope)


def _missing(caller: Caller, scope: str) -> Problem:
    return Problem(
        "missing-scope", f"This needs the scope `{scope}`, which the client {caller.name} does not have."
    )


_allows = lru_cache(maxsize=1024)(allows)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def count(caller: Caller) -> None:
    """One request more of this client; a problem where the last sixty seconds had as many as it may make."""
    calls, now = _calls[caller.client_id], time.monotonic()
    with _counting:
        while calls and calls[0] <= now - _A_MINUTE:
            calls.popleft()
        if len(calls) < caller.rate_per_minute:
            calls.append(now)
            return
        seconds = str(max(1, ceil(calls[-caller.rate_per_minute] + _A_MINUTE - now)))
    raise Problem(
        "too-many-requests",
        f"The client {caller.name} may make {caller.rate_per_minute:,} requests a minute; "
        f"try again in {seconds} s.",
        Retry_After=seconds,
        RateLimit_Limit=str(caller.rate_per_minute),
        RateLimit_Remaining="0",
        RateLimit_Reset=seconds,
    )


def _unauthenticated(detail: str) -> Problem:
    return Problem("unauthenticated", detail, WWW_Authenticate="Bearer")
