"""HEAD for what anybody may read: the headers of the answer to GET, without its body.

Who follows a link before a person does (a network that makes a card of it, a link checker, a proxy) often
asks with HEAD first, and takes a 405 for a broken link. Nothing that is used up by being read is among these.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.public_pages import is_public

_KEYS = "/.well-known/"


class HeadAsGet:
    """ASGI middleware: HEAD of a public address is worked as GET, and its body is not sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Work it as GET; what else is asked for goes on as it came."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or not _is_read(scope["path"]):
            await self.app(scope, receive, send)
            return

        async def send_headers(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self.app({**scope, "method": "GET"}, receive, send_headers)


def _is_read(path: str) -> bool:
    return is_public(path) or path.startswith(_KEYS)
