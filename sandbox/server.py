"""The HTTP server: plain uvicorn, whose connections a failure can cut."""

import asyncio
import socket
import struct
import sys

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HOST = "127.0.0.1"
_NO_LINGER = struct.pack("ii", 1, 0)  # close sends RST instead of FIN


class Connection(HttpToolsProtocol):
    """One caller's connection; `scope["state"]["cut"](at_once)` ends it in the middle of whatever happens."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "cut": self.cut}

    def cut(self, at_once: bool) -> None:
        """Reset the connection, or close it after sending what was written so far."""
        if at_once:
            plug: socket.socket = self.transport.get_extra_info("socket")
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.transport.abort()
        else:
            self.transport.close()


class Server(uvicorn.Server):
    """Says in one line that it is ready, and where."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            sys.stdout.write(f"Sandbox ready at http://{host}:{port}\n")
            sys.stdout.flush()


def listen(port: int) -> socket.socket:
    """Take the port on the loopback address (0 = any free one); raises OSError when it is in use."""
    # with the protocol named, asyncio sets TCP_NODELAY: without it each answer waits 40 ms
    plug = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        plug.bind((HOST, port))
    except OSError:
        plug.close()
        raise
    return plug


def server(app: ASGIApp) -> Server:
    """A server for the sandbox; `.run(sockets=[listen(port)])` serves until stopped."""
    return Server(
        uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            access_log=False,
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
    )
