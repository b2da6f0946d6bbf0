"""Who is at the console: the browser's session, what its client may do, and the forms that it sends.

    visitor: Annotated[Visitor, Depends(visiting("exceptions:read"))]
    sent: Annotated[Form, Depends(form)]

A form counts only with the token of the session that it was made for.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, urlsplit

from fastapi import Depends, FastAPI, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.rendering import page
from common.settings import settings
from records import approval, console_session
from records.client import Caller, allows
from records.db import unit_of_work

SIGN_IN = "/console/sign-in"
LARGEST_FORM = 16 * 1024
_FIELDS_AT_MOST = 20


class Turned(Exception):
    """A request that ends with a page that says why. status: its HTTP status."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        self.status, self.title, self.detail = status, title, detail
        super().__init__(detail)


class NotSignedIn(Exception):
    """Nobody is signed in, or not any more."""


@dataclass(frozen=True)
class Visitor:
    """Who is signed in. token: what each form of this session carries."""

    caller: Caller
    token: str = field(repr=False)

    @property
    def name(self) -> str:
        """The client's name."""
        return self.caller.name

    @property
    def actor(self) -> str:
        """How our records name who did something here."""
        return approval.actor("client", self.caller.name)

    def may(self, scope: str) -> bool:
        """Whether the client has that scope."""
        return allows(self.caller.scopes, scope)

    def is_same(self, actor: str) -> bool:
        """Whether that actor is this person."""
        return approval.is_same(self.actor, actor)


@dataclass(frozen=True)
class Form:
    """What a form sent: one text for each field, blanks at both ends taken off."""

    fields: dict[str, str]

    def text(self, name: str) -> str:
        """The field's text; empty where it was not sent."""
        return self.fields.get(name, "")


def cookie_name(request: Request) -> str:
    """Over HTTPS a name that browsers take only from this very host, and only over HTTPS."""
    return "__Host-jembatan-console" if is_https(request) else "jembatan-console"


def is_https(request: Request) -> bool:
    """Whether the browser reaches us over HTTPS; a proxy in front may have taken that off, and may call us by
    another name. (Browsers take such a cookie from loopback too.)"""
    return request.url.scheme == "https" or (settings().public_url or "").startswith("https://")


def is_private(request: Request) -> bool:
    """Whether nobody between the browser and us can read along."""
    return is_https(request) or _is_loopback(request.url.hostname)


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def signed_in(request: Request) -> Visitor | None:
    """Who is signed in; None for nobody, or nobody any more."""
    text = request.cookies.get(cookie_name(request), "")
    if not text:
        return None
    with unit_of_work() as session:
        caller = console_session.find(session, text)
    return Visitor(caller, _token(text)) if caller else None


def visiting(*scopes: str) -> Callable[[Request], Visitor]:
    """The dependency of a page that needs one of these scopes; gives it the Visitor.

    Raises NotSignedIn, and Turned where the client may not do that.
    """

    def check(request: Request) -> Visitor:
        visitor = signed_in(request)
        if visitor is None:
            raise NotSignedIn
        if not any(map(visitor.may, scopes)):
            raise Turned(
                403,
                "Not yours to see or do",
                f"This needs the right {scopes[0]}, which {visitor.name} lacks. Ask your operator for it.",
            )
        return visitor

    return check


async def form(request: Request) -> Form:
    """What the form of a signed-in person sent; raises Turned where it is none of ours, or forged."""
    sent = await read_form(request)
    text = request.cookies.get(cookie_name(request), "")
    if text and not hmac.compare_digest(sent.text("token").encode(), _token(text).encode()):
        raise _not_ours()
    return sent


async def read_form(request: Request) -> Form:
    """The fields of a form that one of our own pages sent; raises Turned."""
    return await read_form_of(request, LARGEST_FORM)


async def read_form_of(request: Request, largest: int) -> Form:
    """The same for a form of another size. largest: bytes, as they are sent."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise _not_ours()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if kind != "application/x-www-form-urlencoded" or len(body) > largest:
        raise _not_read()
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=_FIELDS_AT_MOST, errors="strict"
        )
    except ValueError:
        raise _not_read() from None
    if any("\0" in value for _, value in pairs):
        raise _not_read()
    return Form({name: value.replace("\r\n", "\n").strip() for name, value in pairs})


def _not_read() -> Turned:
    return Turned(400, "Form not read", "This form cannot be read. Nothing was done. Open the page again.")


def _not_ours() -> Turned:
    return Turned(
        403,
        "Form not taken",
        "This form is not of your present session. Nothing was done. Open the page again and send it anew.",
    )


def _token(text: str) -> str:
    """What the forms of a session carry: made of the cookie's text, so only its own pages know it."""
    return hashlib.sha256(b"form of " + text.encode()).hexdigest()


def home_of(asked: str) -> str:
    """Where to go after the sign-in: a page that it opens, whatever was asked for."""
    there = urlsplit(asked)
    is_ours = there.path == "/console" or there.path.startswith(("/console/", "/reconciliations/"))
    if there.scheme or there.netloc or not is_ours or not asked.isprintable() or "\\" in asked:
        return "/console"
    return asked


def install(app: FastAPI) -> None:
    """Let what these functions raise end as pages."""
    app.add_exception_handler(NotSignedIn, _to_sign_in)
    app.add_exception_handler(Turned, _turned)


def _to_sign_in(request: Request, _error: Exception) -> Response:
    """The sign-in, which leads back. A form that was sent is lost, and the page says so."""
    if request.method not in ("GET", "HEAD"):
        address = f"{SIGN_IN}?ended=1"
    else:
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        address = f"{SIGN_IN}?next={quote(asked, safe='/')}" if asked != "/console" else SIGN_IN
    if request.headers.get("hx-request"):
        return HTMLResponse("", 401, {"HX-Redirect": address})
    if request.headers.get("sec-fetch-site") == "cross-site" and request.method == "GET":
        # A link from elsewhere comes without the cookie (SameSite=Strict); one step from a page of ours
        # has it, and the sign-in lets those through who are signed in.
        return page("console/passing.html", address=address)
    return RedirectResponse(address, 303)


def _turned(request: Request, error: Exception) -> Response:
    assert isinstance(error, Turned)
    visitor = signed_in(request)
    if visitor is not None:
        return shown("problem.html", visitor, status=error.status, title=error.title, detail=error.detail)
    return page("console/problem.html", status=error.status, title=error.title, detail=error.detail)


def shown(template: str, visitor: Visitor, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page of the console for who is signed in."""
    return page(f"console/{template}", status=status, visitor=visitor, **values)


Sent = Annotated[Form, Depends(form)]
