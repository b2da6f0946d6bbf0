"""Who calls: a request shows an API key, and its client may do what its scopes say, so often a minute.

    caller: Annotated[Caller, Depends(allowed("payments:write"))]

One `allowed` for each route: each counts as a request of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Annotated
from uuid import UUID

from fastapi import Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from api.problems import Problem
from common import clock
from records import client as clients
from records.client import SCOPES, Client, allows
from records.db import glance

# Counted in this process alone: several API processes let a client call so often each.
_LIMITER = MovingWindowRateLimiter(MemoryStorage())

# The problems with which a route ends that has `allowed`.
REFUSALS = ("unauthenticated", "missing-scope", "too-many-requests")
SCHEME = "ApiKey"
_SAY_SO = "Send one API key as `Authorization: Bearer jbt_…`."
_REFUSED = {
    "unknown": "The API key is not valid.",
    "revoked": "The API key is not valid.",
    "expired": "The API key has expired.",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """The client that makes this request."""

    client_id: UUID
    name: str
    scopes: tuple[str, ...]


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
        headers = request.headers.getlist("authorization")
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
        # A session of its own, closed again before the route asks for one.
        with glance() as session:
            client = clients.find(session, key)
        if not isinstance(client, Client):
            raise _unauthenticated(_REFUSED[client])
        _count(client)
        if not allows(client.scopes, scope):
            raise Problem(
                "missing-scope",
                f"This needs the scope `{scope}`, which the client {client.name} does not have.",
            )
        return Caller(client.id, client.name, tuple(client.scopes))

    return check


def _count(client: Client) -> None:
    """One request more of this client; a problem where the last sixty seconds had as many as it may make."""
    limit = RateLimitItemPerMinute(client.rate_per_minute)
    if _LIMITER.hit(limit, str(client.id)):
        return
    free_again = _LIMITER.get_window_stats(limit, str(client.id)).reset_time
    seconds = str(max(1, ceil(free_again - clock.now().timestamp())))
    raise Problem(
        "too-many-requests",
        f"The client {client.name} may make {client.rate_per_minute:,} requests a minute; "
        f"try again in {seconds} s.",
        Retry_After=seconds,
        RateLimit_Limit=str(client.rate_per_minute),
        RateLimit_Remaining="0",
        RateLimit_Reset=seconds,
    )


def _unauthenticated(detail: str) -> Problem:
    return Problem("unauthenticated", detail, WWW_Authenticate="Bearer")
