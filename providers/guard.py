"""Connections to addresses that others name: only to the open internet.

Who names an address decides what this machine connects to, so it is checked where it is used: each connection
resolves the name once, refuses it if any of its addresses is internal, and goes to the very address that was
checked. TLS is verified against the name all the same.
"""

import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore

from common.settings import settings
from providers.deadline import Deadline, Timed

MOST_ADDRESSES = 4  # of one name that are tried
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[..., Sequence[tuple[Any, ...]]]  # socket.getaddrinfo, or one like it

_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
# In IPv6 only this: an IPv4 address mapped (::ffff:0:0/96) or translated (64:ff9b::/96) could be internal.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Where Python says "global" and nothing of ours may go: IANA's special-purpose registries, read 2026-11-25,
# and the public address under which each Azure machine finds its host's own services.
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "224.0.0.0/4",
        "168.63.129.16/32",
        "2001::/23",
        "2002::/16",
        "3fff::/20",
    )
)


def is_this_machine(host: str) -> bool:
    """Whether the host of an address is this machine, by its name or its number."""
    try:
        return host == "localhost" or is_loopback(ipaddress.ip_address(host))
    except ValueError:
        return False


def is_loopback(address: Address) -> bool:
    """Whether it is this machine itself."""
    return any(address in network for network in _LOOPBACK)


def is_allowed(address: Address) -> bool:
    """Whether a connection may go there: to the open internet, and in the sandbox to this machine itself."""
    if is_loopback(address):
        return settings().env == "sandbox"
    if address.version == 6 and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not any(address in network for network in _NEVER)


class Unfit(httpcore.ConnectError):
    """There is no connection, and why, in our own words."""


class Guard(httpcore.NetworkBackend):
    """Connects where the name leads to, if that is allowed. The resolver keeps to time limits of its own.

    most_heard: bytes of one answer with all that goes before and around it. httpcore reads on past each early
    answer (103) for ever, and takes the whole processor where they come without end.
    """

    def __init__(self, resolve: Resolver, attempt: Deadline, most_heard: int) -> None:
        self._resolve = resolve
        self._attempt = attempt
        self._most_heard = most_heard
        self._tcp = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = Unfit("has a name that is not found")
        for address in self._checked_addresses(host, port)[:MOST_ADDRESSES]:
            try:
                seconds = self._attempt.at_most(timeout)
                # An address, no name: nothing is resolved a second time.
                stream = self._tcp.connect_tcp(str(address), port, seconds, local_address, socket_options)
                return _Bounded(stream, self._attempt, self._most_heard)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _checked_addresses(self, host: str, port: int) -> list[Address]:
        """All addresses of the name. One that is not allowed is enough to refuse them all."""
        try:
            found = self._resolve(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return []
        addresses = [ipaddress.ip_address(one[4][0]) for one in found]
        if not all(map(is_allowed, addresses)):
            raise Unfit("has a name that leads to an internal address")
        return list(dict.fromkeys(addresses))


class _Bounded(Timed):
    """A connection whose every step keeps to the time of the whole attempt, and each answer to a size; says
    why TLS failed."""

    def __init__(self, stream: httpcore.NetworkStream, attempt: Deadline, most_heard: int) -> None:
        super().__init__(stream, attempt)
        self._most_heard = most_heard
        self._heard = 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        heard = super().read(max_bytes, timeout)
        self._heard += len(heard)
        if self._heard > self._most_heard:
            raise httpcore.ReadError
        return heard

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._heard = 0
        super().write(buffer, timeout)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            return super().start_tls(ssl_context, server_hostname, timeout)
        except httpcore.ConnectError as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                raise Unfit("shows no valid certificate") from None
            raise Unfit("does not speak TLS as it should") from None

    def _over(self, stream: httpcore.NetworkStream) -> Timed:
        return _Bounded(stream, self._deadline, self._most_heard)
