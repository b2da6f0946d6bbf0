"""An address is what it looks like: the router overlooks a line feed at its end, a proxy in front may not."""

from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import answered, not_found


class PlainAddress:
    """ASGI middleware (plain, so that bodies stay streams): what cannot be printed is under no address."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse paths with control characters: `/metrics%0A` is not `/metrics`."""
        if scope["type"] == "http" and not scope["path"].isprintable():
            await answered(not_found("There is nothing under this address."))(scope, receive, send)
            return
        await self.app(scope, receive, send)
