"""Who is at a learner's page: the browser's session, its language, and the forms that it sends.

The platform vouches for a learner; a one-use link or LinkedIn's answer opens the session. Whatever ends a
request early is a page in the learner's language.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.console.visitor import Form, Turned, is_https, read_form_of
from api.learner_words import LANGUAGES, NAMES, Language, preferred, say
from api.rendering import page
from common.settings import settings
from records import learner_session
from records.db import unit_of_work
from records.learner_session import Learner

HOME = "/linkedin"
_LANGUAGE_COOKIE = "jembatan-language"
_LARGEST_FORM = 48 * 1024  # 3,000 characters, each up to twelve bytes as a form sends them
_A_YEAR = 365 * 86_400


class Refused(Exception):
    """A request that ends with a page that says why. name: of the words `refused_…`; status: HTTP's."""

    def __init__(self, name: str, status: int) -> None:
        self.name, self.status = name, status
        super().__init__(name)


@dataclass(frozen=True)
class Visitor:
    """A learner's browser. text: its cookie's, from which the token of its forms is made."""

    learner: Learner
    text: str = field(repr=False)

    @property
    def token(self) -> str:
        """What each form of this session carries: only its own pages know it."""
        return hashlib.sha256(b"learner's form of " + self.text.encode()).hexdigest()


def cookie_name(request: Request) -> str:
    """Over HTTPS a name that browsers take only from this very host, and only over HTTPS."""
    return "__Host-jembatan-learner" if is_https(request) else "jembatan-learner"


def cookie_text(request: Request) -> str:
    """The text of the browser's session, whether it still opens anything or not."""
    return request.cookies.get(cookie_name(request), "")


def visitor(request: Request) -> Visitor | None:
    """Who is there; None for nobody, or nobody any more."""
    text = cookie_text(request)
    with unit_of_work() as session:
        learner = learner_session.find(session, text)
    return Visitor(learner, text) if learner is not None else None


def visiting(request: Request) -> Visitor:
    """The dependency of a learner's page; raises Refused."""
    found = visitor(request)
    if found is None:
        raise Refused("session", 401)
    return found


async def form(request: Request) -> Form:
    """What a form of the learner's own pages sent; raises Refused where it is none of theirs."""
    try:
        sent = await read_form_of(request, _LARGEST_FORM)
    except Turned as turned:
        raise Refused("form", turned.status) from None
    text = cookie_text(request)
    token = hashlib.sha256(b"learner's form of " + text.encode()).hexdigest()
    if not hmac.compare_digest(sent.text("token").encode(), token.encode()):
        raise Refused("form", 403)
    return sent


Present = Annotated[Visitor, Depends(visiting)]
Sent = Annotated[Form, Depends(form)]


def enter(request: Request, answer: Response, learner: Learner) -> None:
    """Open a session of this learner in the browser; the one before it ends."""
    with unit_of_work() as session:
        learner_session.close(session, cookie_text(request))
        text = learner_session.open_for(session, learner)
    set_cookie(request, answer, text)


def set_cookie(request: Request, answer: Response, text: str) -> None:
    """Let the browser keep the session. Lax: it has to come along when LinkedIn sends the browser back."""
    answer.set_cookie(
        cookie_name(request),
        text,
        max_age=int(learner_session.LONGEST.total_seconds()),
        path="/",
        secure=is_https(request),
        httponly=True,
        samesite="lax",
    )


def leave(request: Request, answer: Response) -> None:
    """End the browser's session, here and in our records."""
    with unit_of_work() as session:
        learner_session.close(session, cookie_text(request))
    answer.delete_cookie(
        cookie_name(request), path="/", secure=is_https(request), httponly=True, samesite="lax"
    )


def language_of(request: Request) -> Language:
    """As the switch says, now or earlier; else as the browser prefers."""
    for chosen in (request.query_params.get("lang"), request.cookies.get(_LANGUAGE_COOKIE)):
        for language in LANGUAGES:
            if chosen == language:
                return language
    return preferred(request.headers.get("accept-language", ""))


def shown(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page for learners; a language that was chosen on it is remembered."""
    language = language_of(request)
    answer = page(
        template,
        status=status,
        headers={"Vary": "Accept-Language, Cookie"},
        say=say(language),
        language=language,
        languages=NAMES,
        here=HOME,
        platform_url=settings().linkedin.platform_url,
        **values,
    )
    if request.query_params.get("lang") in LANGUAGES:
        answer.set_cookie(
            _LANGUAGE_COOKIE, language, max_age=_A_YEAR, path="/", secure=is_https(request), httponly=True,
            samesite="lax",
        )  # fmt: skip
    return answer


def refused(request: Request, name: str, status: int) -> HTMLResponse:
    """The page that says why a request ends here; nothing of what was sent stands in it."""
    there = visitor(request)
    return shown(
        request, "learner_refused.html", status=status, visitor=there, why=f"refused_{name}", name=name
    )


def to_page(said: str) -> Response:
    """On to the learner's own page, which says what was done: a reload sends nothing twice."""
    return RedirectResponse(f"{HOME}?said={said}", 303)


def install(app: FastAPI) -> None:
    """Let what these functions raise end as pages."""

    def on_refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return refused(request, error.name, error.status)

    app.add_exception_handler(Refused, on_refused)
