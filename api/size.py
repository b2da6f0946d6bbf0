"""No request may be larger than what any of our endpoints takes; memory stays flat."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problem_kinds import KINDS
from api.problems import Problem, answer, wants_page

LARGEST = 1024 * 1024
PAYMENTS = "/api/v1/payments/"
LARGEST_OF_PAYMENTS = 64 * 1024  # each member of theirs is looked at, and none of ours is larger
CALLBACKS = "/api/v1/payments/callback/"  # keep to their own limit, and refuse in their gateway's form
READ_ON = 64 * 1024 * 1024  # of what a browser sends beyond, before it is told
# A file or a whole class, and so more than any message.
LARGER = dict.fromkeys(
    (
        "/api/v1/exceptions/sheet",
        "/api/v1/enrolments",
        "/api/v1/enrolments/sheet",
        "/api/v1/integrations/siplatih/report-completion",
        "/api/v1/integrations/siplatih/report-completion/sheet",
    ),
    16 * 1024 * 1024,
) | {"/verify": 5 * 1024 * 1024}


class SizeLimit:
    """ASGI middleware (plain, so that bodies stay streams): more than LARGEST, or LARGER, ends as a 413."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what announces too much at once, and what brings too much as soon as it does."""
        path = scope.get("path", "")
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD") or path.startswith(CALLBACKS):
            await self.app(scope, receive, send)
            return
        largest = LARGER.get(path, LARGEST_OF_PAYMENTS if path.startswith(PAYMENTS) else LARGEST)
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > largest:
            if wants_page(scope):
                await _let_it_end(receive)
            await answer(Request(scope), Problem("too-large"))(scope, receive, send)
            return
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > largest:
                # Of all errors FastAPI lets only this one through while it reads a body.
                raise HTTPException(413, KINDS["too-large"].detail.rstrip("."))
            return message

        await self.app(scope, limited, send)


async def _let_it_end(receive: Receive) -> None:
    """Read on and keep nothing, within bounds: a browser that still sends shows no page but a broken line."""
    seen = 0
    while seen < READ_ON:
        message = await receive()
        seen += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
