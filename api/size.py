"""No request may be larger than what any of our endpoints takes; memory stays flat."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, answered

LARGEST = 1024 * 1024


class SizeLimit:
    """ASGI middleware (plain, so that bodies stay streams): over 1 MiB ends as a 413 problem."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what announces too much at once, and what brings too much as soon as it does."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > LARGEST:
            await answered(_TOO_LARGE)(scope, receive, send)
            return
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > LARGEST:
                raise _TOO_LARGE
            return message

        await self.app(scope, limited, send)


_TOO_LARGE = Problem("too-large")
