"""A time for a whole call: a socket's time-out counts from each byte to the next, so a drip never ends."""

import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpcore

MOST_UNSENT = 64 * 1024
# So long after an answer a connection counts as living without being looked at: httpcore looks at each idle
# one twice a call, with all other callers locked out, and at each look another thread takes the interpreter.
TRUSTED_SECONDS = 0.5


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
    """A connection whose every step keeps to the deadline of the call that uses it.

    What is written leaves with the next read, in one piece: httpcore writes head and body apart, and each
    would wake up the other side, and have us wait for our turn, by itself.
    """

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline
        self._unsent = bytearray()
        self._heard_at = float("-inf")

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with suppress(httpcore.WriteError):  # as httpcore does: an early answer may have come all the same
            self._send(timeout)
        heard = self._stream.read(max_bytes, self._deadline.at_most(timeout))
        if heard:
            self._heard_at = time.monotonic()
        return heard

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._unsent += buffer
        if len(self._unsent) > MOST_UNSENT:
            self._send(timeout)

    def _send(self, timeout: float | None) -> None:
        if self._unsent:
            unsent, self._unsent = bytes(self._unsent), bytearray()
            self._stream.write(unsent, self._deadline.at_most(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        tls = self._stream.start_tls(ssl_context, server_hostname, self._deadline.at_most(timeout))
        return self._over(tls)

    def _over(self, stream: httpcore.NetworkStream) -> "Timed":
        return Timed(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable" and time.monotonic() - self._heard_at < TRUSTED_SECONDS:
            return False
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
