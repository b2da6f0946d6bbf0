"""The way to LinkedIn and back, for browsers: the link that opens the learner's page, and LinkedIn's answer.

Nothing that comes along in an address is shown, and nobody is sent anywhere but to LinkedIn or our own page.
"""

import logging
import re

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from api.learner_visitor import HOME, Present, cookie_text, enter, refused, to_page, visitor
from common.errors import AuthFailed, BadInput, ProviderError, Rejected
from credentials import linkedin
from providers.linkedin.answers import NeedsReconnect
from providers.linkedin.identity import NotProven
from providers.linkedin.oauth import CANCELLED
from records import learner_session
from records.db import unit_of_work
from records.learner_session import Ticket
from records.linkedin_connection import TakenByAnother

router = APIRouter(include_in_schema=False)
log = logging.getLogger("jembatan.linkedin")
_LONGEST_CODE = 4_096
_WORD = re.compile(r"[a-z_]{1,60}")


@router.get(f"{HOME}/start")
def start(request: Request, ticket: str = "") -> Response:
    """Open the learner's page with the link that the platform was given: once, within ten minutes."""
    with unit_of_work() as session:
        opened = learner_session.use(session, "page", ticket)
    if not isinstance(opened, Ticket):
        return refused(request, opened, 401)
    answer = RedirectResponse(HOME, 303)
    enter(request, answer, opened.learner)
    return answer


@router.get(f"{HOME}/connect")
def connect(request: Request, there: Present) -> Response:
    """On to LinkedIn, whose answer counts in this browser only."""
    try:
        with unit_of_work() as session:
            address, _ = linkedin.begin(session, there.learner, browser=there.text)
    except BadInput as error:
        log.error("LinkedIn cannot be connected: %s", error)
        return refused(request, "not_set_up", 503)
    return RedirectResponse(address, 303)


@router.get(linkedin.CALLBACK)
def callback(request: Request) -> Response:
    """LinkedIn's answer. Its `state` is used up before anything else is looked at."""
    asked = request.query_params
    with unit_of_work() as session:
        opened = learner_session.use(session, "consent", asked.get("state", ""), browser=cookie_text(request))
    if not isinstance(opened, Ticket):
        return refused(request, opened, 401)
    there = visitor(request)
    if there is not None and there.learner.learner_id != opened.learner.learner_id:
        return refused(request, "other_learner", 401)
    if "error" in asked:
        answer = _not_allowed(request, asked["error"])
    else:
        answer = _connected(request, asked.get("code", ""), opened)
    if there is None:
        enter(request, answer, opened.learner)
    return answer


def _not_allowed(request: Request, error: str) -> Response:
    """The learner cancelled, which is no failure; or LinkedIn refuses our app. Its words are not shown."""
    if error in CANCELLED:
        return to_page("cancelled")
    log.error("LinkedIn refuses to ask for consent: %s", error if _WORD.fullmatch(error) else "another word")
    return refused(request, "linkedin", 400)


def _connected(request: Request, code: str, ticket: Ticket) -> Response:
    if not code or len(code) > _LONGEST_CODE:
        return refused(request, "incomplete", 400)
    try:
        linkedin.finish(code, ticket)
    except TakenByAnother:
        return refused(request, "taken", 409)
    except NeedsReconnect as error:  # a token that is refused the moment it was given
        log.warning("LinkedIn was not connected: %s", error)
        return refused(request, "linkedin", 400)
    except (AuthFailed, BadInput) as error:
        log.error("LinkedIn cannot be connected: %s", error)
        return refused(request, "not_set_up", 503)
    except NotProven as error:
        log.error("LinkedIn cannot be connected: %s", error)
        return refused(request, "not_proven", 400)
    except Rejected as error:
        log.warning("LinkedIn was not connected: %s", error)
        return refused(request, "linkedin", 400)
    except ProviderError as error:
        log.warning("LinkedIn was not connected: %s", error)
        return refused(request, "no_answer", 503)
    return to_page("connected")
