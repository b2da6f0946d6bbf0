"""Kept connections to one service, and calls over them: HTTP/1.1, one call at a time on each.

A learner waits for such a call, and in a busy moment the interpreter is what is short: httpx and httpcore
take several times as much of it for the same call. They stay for downloads, and where a proxy stands between.
"""

import select
import socket
import ssl
import threading
import time
from collections import deque
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

import httptools
import httpx

AT_ONCE = 64
WAIT_SECONDS = 10.0  # for one of them
# Shorter than the 5 s after which many servers close an idle connection: a call that moves money and meets
# the closing would have to be asked for, though it never arrived.
IDLE_SECONDS = 3.0
# So long after an answer a connection counts as living without being looked at.
TRUSTED_SECONDS = 0.5
LONGEST_ANSWER = 4 * 1024**2
_LONGEST_HEAD = 64 * 1024
_PIECE = 64 * 1024


class Origin(NamedTuple):
    """Where a service listens, as its URLs name it."""

    is_tls: bool
    host: str
    port: int


@lru_cache(maxsize=256)
def origin_of(base: str) -> Origin:
    """Of `scheme://host:port`. Raises httpx.UnsupportedProtocol, httpx.InvalidURL."""
    url = httpx.URL(base)
    if url.scheme not in ("http", "https") or not url.host:
        raise httpx.UnsupportedProtocol("an address begins with http:// or https:// and a host")
    return Origin(
        url.scheme == "https", url.raw_host.decode(), url.port or (443 if url.scheme == "https" else 80)
    )


class Raw(NamedTuple):
    """An answer as it came, its body not unpacked."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Lines:
    """The connections of one client; any thread may call. Times in seconds."""

    def __init__(self, context: ssl.SSLContext, *, connect: float, read: float) -> None:
        self._context = context
        self._connect, self._read = connect, read
        self._idle: deque[_Line] = deque()  # the one that was used last at the end; to add and take is atomic
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def call(self, origin: Origin, sent: bytes) -> Raw:
        """Send a whole request, read the whole answer, within twice the read time-out.

        Raises httpx.TransportError: ConnectError, ConnectTimeout or PoolTimeout where nothing was sent.
        """
        if not self._places.acquire(timeout=WAIT_SECONDS):
            raise httpx.PoolTimeout("all connections are in use")
        try:
            line = self._kept(origin) or _Line(origin, self._context, self._connect)
            is_whole = False
            try:
                answer = line.call(sent, self._read, time.monotonic() + 2 * self._read)
                is_whole = True
            finally:
                if is_whole and line.may_be_kept:
                    self._keep(line)
                else:
                    line.close()
            return answer
        finally:
            self._places.release()

    def close(self) -> None:
        """Give the idle ones back."""
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _kept(self, origin: Origin) -> "_Line | None":
        with suppress(IndexError):
            while True:
                line = self._idle.pop()
                if line.origin == origin and line.lives():
                    return line
                line.close()
        return None

    def _keep(self, line: "_Line") -> None:
        self._idle.append(line)
        with suppress(IndexError):  # those at the beginning have lain there longest
            while time.monotonic() - self._idle[0].heard_at > IDLE_SECONDS:
                self._idle.popleft().close()


class _Line:
    """One connection, and the answer that is just coming in; httptools calls its `on_` methods."""

    def __init__(self, origin: Origin, context: ssl.SSLContext, seconds: float) -> None:
        self.origin = origin
        self.heard_at = float("-inf")
        self.may_be_kept = False
        self._plug = _connected(origin, context, seconds)

    def lives(self) -> bool:
        """Whether the other side has, as far as one can see, not hung up."""
        silent = time.monotonic() - self.heard_at
        if silent < TRUSTED_SECONDS:
            return True
        if silent > IDLE_SECONDS:
            return False
        looking = select.poll()
        looking.register(self._plug, select.POLLIN)
        return not looking.poll(0)

    def call(self, sent: bytes, read: float, until: float) -> Raw:
        """One request and its answer. read: seconds from one piece to the next; until: when it is over."""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()
        self._has_begun = self._has_end = self._is_done = False
        self.may_be_kept = False
        self._parser = parser = httptools.HttpResponseParser(self)
        length = 0
        with suppress(ConnectionError):  # an early answer may have come all the same
            self._timed(until, read)
            self._send(sent)
        while not self._is_done:
            self._timed(until, read)
            piece = self._receive()
            if not piece:
                if self._has_begun and not self._has_end:
                    break  # an answer that ends with its connection
                raise httpx.RemoteProtocolError("the answer breaks off")
            length += len(piece)
            if length > LONGEST_ANSWER + _LONGEST_HEAD:
                raise httpx.ReadError("too long an answer")
            try:
                parser.feed_data(piece)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade):
                raise httpx.RemoteProtocolError("the answer is no HTTP") from None
        self.heard_at = time.monotonic()
        return Raw(self._status, self._headers, bytes(self._body))

    def on_message_begin(self) -> None:
        if self._is_done:  # more than the one answer
            self.may_be_kept = False
        else:
            self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_done:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._is_done:
            return
        self._status = self._parser.get_status_code()
        self._has_begun = self._status >= 200
        self._has_end = any(name.lower() in _ENDS for name, _ in self._headers)

    def on_body(self, body: bytes) -> None:
        if not self._is_done:
            self._body += body

    def on_message_complete(self) -> None:
        if self._status >= 200 and not self._is_done:  # what is below announces the answer, and is none
            self._is_done = True
            self.may_be_kept = self._parser.should_keep_alive()

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self._plug.close()

    def _timed(self, until: float, read: float) -> None:
        left = until - time.monotonic()
        if left <= 0:
            raise httpx.ReadTimeout("the answer does not end in time")
        self._plug.settimeout(min(read, left))

    def _send(self, sent: bytes) -> None:
        try:
            self._plug.sendall(sent)
        except TimeoutError:
            raise httpx.WriteTimeout("the call is not taken in time") from None

    def _receive(self) -> bytes:
        try:
            return self._plug.recv(_PIECE)
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time") from None
        except OSError as error:
            raise httpx.ReadError(type(error).__name__) from None


_ENDS = frozenset({b"content-length", b"transfer-encoding"})


def _connected(origin: Origin, context: ssl.SSLContext, seconds: float) -> socket.socket:
    """A new connection. Raises httpx.ConnectTimeout, httpx.ConnectError."""
    plug = None
    try:
        plug = socket.create_connection((origin.host, origin.port), seconds)
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(plug, server_hostname=origin.host) if origin.is_tls else plug
    except TimeoutError:
        _hang_up(plug)
        raise httpx.ConnectTimeout("no connection in time") from None
    except OSError as error:  # also what is wrong with its certificate
        _hang_up(plug)
        raise httpx.ConnectError(type(error).__name__) from None


def _hang_up(plug: socket.socket | None) -> None:
    if plug is not None:
        plug.close()
