"""A time for a whole call: a socket's time-out counts from each byte to the next, so a drip never ends."""

import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore


class Deadline(threading.local):
    """What is left of the present call's time, for each thread by itself; no end between calls."""

    def __init__(self) -> None:
        self._seconds: float | None = None
        self._until: float | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """A call that may take so long, from its first step on the network."""
        self._seconds, self._until = seconds, None
        try:
            yield
        finally:
            self._seconds = None

    def at_most(self, seconds: float | None) -> float | None:
        """That many seconds or what is left, if less; raises httpcore.ReadTimeout where nothing is."""
        if self._seconds is None:
            return seconds
        if self._until is None:
            self._until = time.monotonic() + self._seconds
        left = self._until - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left if seconds is None else min(seconds, left)


class Timed(httpcore.NetworkStream):
    """A connection whose every step keeps to the deadline of the call that uses it."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.at_most(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.at_most(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        tls = self._stream.start_tls(ssl_context, server_hostname, self._deadline.at_most(timeout))
        return Timed(tls, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class TimedBackend(httpcore.SyncBackend):
    """Connections that keep to a deadline once they stand; connecting has a time-out that is whole."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        return Timed(super().connect_tcp(host, port, timeout, local_address, socket_options), self._deadline)
