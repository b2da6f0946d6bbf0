"""Fetching what a badge names: keys, DID documents, status lists. Only from the open internet, in no hurry's
favour: https, no redirects, a short time, a small answer, and few of them for one badge."""

import socket
import ssl

import httpcore
import httpx

from common.errors import BadInput
from providers import http
from providers.deadline import Deadline
from providers.guard import Guard, Resolver, Unfit
from providers.webhooks import checked_url

MOST_BYTES = 1024 * 1024
MOST_HEARD = MOST_BYTES + 128 * 1024  # of a whole answer, its head too
MOST_FETCHES = 8  # for one badge
SECONDS = 5.0  # for one of them
_TIMEOUTS = {"connect": 3.0, "read": SECONDS, "write": SECONDS, "pool": 3.0}


class NotFetched(Exception):
    """Nothing came, and why, in our own words."""


class Fetcher:
    """Fetches for one check of one badge; what was fetched is not fetched again. For one thread.

    resolve: as socket.getaddrinfo. tls: whom to trust; by default the authorities that httpx trusts.
    """

    def __init__(self, resolve: Resolver = socket.getaddrinfo, tls: ssl.SSLContext | None = None) -> None:
        self._time = Deadline()
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls or http.trusted(),
            max_connections=1,
            network_backend=Guard(resolve, self._time, MOST_HEARD),
        )
        self._kept: dict[str, bytes | NotFetched] = {}

    def __enter__(self) -> "Fetcher":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def get(self, url: str, accept: str = "application/json") -> bytes:
        """What is at that address; raises NotFetched."""
        url = url.partition("#")[0]
        if url not in self._kept:
            if len(self._kept) >= MOST_FETCHES:
                raise NotFetched("it names too many addresses")
            try:
                self._kept[url] = self._fetched(url, accept)
            except NotFetched as reason:
                self._kept[url] = reason
        found = self._kept[url]
        if isinstance(found, NotFetched):
            raise found
        return found

    def _fetched(self, url: str, accept: str) -> bytes:
        try:
            target = httpx.URL(checked_url(url))
        except BadInput:
            raise NotFetched("it has an address from which nothing is fetched") from None
        address = httpcore.URL(
            scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path
        )
        try:
            with (
                self._time.within(SECONDS),
                self._pool.stream(
                    "GET",
                    address,
                    headers=[("accept", accept), ("user-agent", "jembatan")],
                    extensions={"timeout": _TIMEOUTS},
                ) as response,
            ):
                if response.status != 200:
                    raise NotFetched(f"its host answers {response.status}")
                body = bytearray()
                for part in response.iter_stream():
                    body += part
                    if len(body) > MOST_BYTES:
                        raise NotFetched("its host answers with more than 1 MiB")
                return bytes(body)
        except Unfit as reason:
            raise NotFetched(f"its host {reason}") from None
        except httpcore.TimeoutException:
            raise NotFetched("its host gave no answer in time") from None
        except (httpcore.NetworkError, httpcore.ProtocolError):
            raise NotFetched("its host cannot be reached") from None
