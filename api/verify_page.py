"""The page on which anybody checks a badge: a file or a text goes in, every check comes out in words.

It works as a plain form; the script only lets a file be dropped on it. Nothing that is sent is kept.
"""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from api import form_files, public_pages
from api.finding_words import found
from api.public_pages import Public
from api.public_words import moment
from common import clock
from credentials import ours
from providers.europass.concepts import Language
from providers.open_badges import shape
from providers.open_badges.verify import Report

router = APIRouter(include_in_schema=False)
_VARY = {"Vary": "Accept-Language"}
_MOST_SHOWN = 300  # characters of what a stranger's badge says


@router.get("/verify")
def ask(request: Request) -> Response:
    """The form."""
    return _page(public_pages.of(request))


def sent(request: Request, body: bytes) -> bytes | None:
    """The badge that the page's form sent: the file, else the text; None where neither was filled."""
    fields = form_files.fields(body, request.headers.get("content-type", ""))
    badge = fields.get("file") or fields.get("text", b"")
    return badge if badge.strip() else None


def nothing(request: Request) -> Response:
    """The form again, with the word that it was empty."""
    here = public_pages.of(request)
    return _page(here, status=422, fault=here.say["nothing"])


def told(request: Request, report: Report) -> Response:
    """A report as people read it."""
    here = public_pages.of(request)
    return _page(
        here,
        report=report,
        checks=[(one, *found(here.language, one.name, one.code, one.detail)) for one in report.checks],
        says=_says(report.badge, here),
        at=moment(clock.now(), here.language),
    )


def _page(here: Public, *, status: int = 200, **values: Any) -> HTMLResponse:
    said: dict[str, Any] = {"report": None, "checks": [], "says": [], "at": "", "fault": ""} | values
    return HTMLResponse(public_pages.written("public/verify.html", here, **said), status, _VARY)


def _says(badge: dict[str, Any] | None, here: Public) -> list[tuple[str, str, str, bool]]:
    """What a badge says of itself: the words for it, the text, an address where it leads to a page of ours,
    and whether it takes a line of its own."""
    if badge is None:
        return []
    issuer = badge.get("issuer")
    subject = badge.get("credentialSubject")
    achievement = subject.get("achievement") if isinstance(subject, dict) else None
    rows = [
        ("says_achievement", _text(achievement, "name"), False),
        ("says_issuer", _text(issuer, "name"), False),
        ("says_from", _moment(badge.get("validFrom"), here.language), False),
        ("says_until", _moment(badge.get("validUntil"), here.language), False),
        ("says_issuer_id", _text(issuer, "id") or _short(issuer), True),
        ("says_page", _short(badge.get("id")), True),
    ]
    # Anybody may write our page into a badge: only one that names us as its issuer leads there.
    is_ours = shape.issuer_id(badge) == ours.issuer().id
    return [
        (here.say[name], text, _ours(text, here) if name == "says_page" and is_ours else "", is_long)
        for name, text, is_long in rows
        if text
    ]


def _text(part: Any, name: str) -> str:
    return _short(part.get(name)) if isinstance(part, dict) else ""


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"


def _moment(value: Any, language: Language) -> str:
    at = shape.moment(value)
    return moment(at, language) if at is not None else ""


def _ours(address: str, here: Public) -> str:
    """The page of a credential of ours; others' addresses are shown and lead nowhere."""
    base, _, name = address.rpartition("/credentials/")
    try:
        return f"/credentials/{UUID(name)}?lang={here.language}" if base == here.base else ""
    except ValueError:
        return ""
