"""Headers that every answer carries: nothing foreign is loaded, framed, guessed or kept."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PAGES = "default-src 'none'; style-src 'self'; img-src 'self' data:; "
# Swagger UI sets styles in its elements and fetches the API's description.
_DOCS = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; "
)
# The console has forms, and htmx, which fetches parts of its pages; `/verify` a form, and a script of ours
# for files that are dropped on it. No script or style stands in a page.
_CONSOLE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
)
_KEEPS_ITSELF = ("/status/", "/credentials/", "/achievements/")
# The learner's page has forms and a script for its copy buttons.
_LEARNER = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
_LEARNERS = ("/linkedin", "/api/v1/integrations/linkedin/callback")
_ALWAYS = "base-uri 'none'; frame-ancestors 'none'; form-action "


def secure(headers: MutableHeaders, path: str) -> None:
    """Set the headers for an answer under that path."""
    is_console = path == "/console" or path.startswith(("/console/", "/reconciliations/"))
    is_learners = path in _LEARNERS or path.startswith("/linkedin/")
    has_form = is_console or is_learners or path == "/verify"
    loaded = _LEARNER if is_learners else _CONSOLE if has_form else _DOCS if path == "/docs" else _PAGES
    headers["Content-Security-Policy"] = loaded + _ALWAYS + ("'self'" if has_form else "'none'")
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    # Files of the pages are asked for again each time, and answered with 304 while unchanged.
    # What anybody may read of credentials says itself how long it may be kept.
    if not path.startswith(_KEEPS_ITSELF) or "Cache-Control" not in headers:
        headers["Cache-Control"] = "no-cache" if path.startswith("/static/") else "no-store"


class SecurityHeaders:
    """ASGI middleware (plain, so that streamed answers stay streamed)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers as the answer starts."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path: str = scope["path"]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                secure(MutableHeaders(scope=message), path)
            await send(message)

        await self.app(scope, receive, send_with_headers)
