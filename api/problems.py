"""Errors as RFC 9457 problem details: a stable `type` for programs, a sentence for people.

A browser that asks for a page gets the same words as a page.
"""

import logging
from collections.abc import Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from api import public_pages
from api.headers import secure
from api.problem_kinds import KINDS, MEDIA_TYPE, TYPE, title
from api.rendering import page
from common.errors import BadInput, NotReachable
from common.nik import masked_within

log = logging.getLogger("jembatan.api")
_NO_DATABASE = (NotReachable, sa.exc.OperationalError, sa.exc.TimeoutError, psycopg.OperationalError)
MOST_ERRORS = 100  # that one answer names: a request can have a wrong member in each of its bytes
LONGEST_NAME = 100  # of a member, as far as it is repeated
_UNREADABLE = "There was an error parsing the body"  # FastAPI's words, which help nobody
# What the pages that anybody opens say of a problem, in the reader's language.
_WORDS = {"not-found": "not_found", "too-large": "too-large", "busy": "busy"}
_BY_STATUS = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}


class Problem(Exception):
    """A request that ends with a problem.

    slug: which of KINDS; detail: this very case, without it the words of its kind; headers: go with the
    answer, beside the Retry-After of its kind.
    """

    def __init__(self, slug: str, detail: str = "", **headers: str) -> None:
        kind = KINDS[slug]
        self.slug = slug
        self.status = kind.status
        self.title = title(slug)
        self.detail = detail or kind.detail
        self.headers = {"Retry-After": str(kind.retry_after)} if kind.retry_after is not None else {}
        self.headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.errors: list[dict[str, str]] = []
        super().__init__(self.detail)


def answer_to(error: Exception, path: str) -> Response:
    """The answer for programs to one of EXPECTED that was met before the app's own routes."""
    if isinstance(error, Problem):
        made = answered(error)
    elif isinstance(error, BadInput):
        log.error("a request failed for a setting: %s", error)
        made = answered(Problem("not-set-up"))
    else:
        made = answered(Problem("database-unavailable"))
    secure(made.headers, path)
    return made


def not_found(detail: str) -> Problem:
    """Nothing is under this address."""
    return Problem("not-found", detail)


EXPECTED = (Problem, BadInput, *_NO_DATABASE)


def install(app: FastAPI) -> None:
    """Let every error of the app end as a problem."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    for kind in _NO_DATABASE:
        app.add_exception_handler(kind, _on_database)
    app.add_exception_handler(BadInput, _on_setting)
    app.add_exception_handler(Exception, _on_bug)


def wants_page(scope: Scope) -> bool:
    """Whether a browser asks for something to show to a person."""
    accepted = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    return b"text/html" in accepted and not scope["path"].startswith("/api/")


def answer(request: Request, problem: Problem) -> Response:
    """The problem as a page where a browser asked, else as an answer for programs."""
    if not wants_page(request.scope):
        return answered(problem)
    if public_pages.is_public(request.url.path):
        shown = public_pages.of(request).problem(problem.status, _WORDS.get(problem.slug, "problem"))
        shown.headers.update(problem.headers)
        return shown
    is_console = request.url.path.startswith("/console")
    return page(
        "console/problem.html" if is_console else "problem.html",
        status=problem.status,
        headers=problem.headers,
        title=problem.title,
        detail=problem.detail,
    )


def answered(problem: Problem) -> Response:
    """The problem as an answer for programs."""
    body: dict[str, Any] = {
        "type": TYPE + problem.slug,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = problem.errors
    return JSONResponse(body, problem.status, problem.headers, media_type=MEDIA_TYPE)


def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return answer(request, error)


def _on_http(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself: an address, a method, or a body that it cannot read."""
    assert isinstance(error, HTTPException)
    detail = "There is nothing under this address." if error.status_code == 404 else f"{error.detail}."
    if error.detail == _UNREADABLE:
        detail = KINDS["bad-request"].detail
    problem = Problem(_BY_STATUS.get(error.status_code, "bad-request"), detail)
    problem.headers = dict(error.headers or {})
    if error.status_code == 405:
        problem.headers["Allow"] = ", ".join(sorted(_methods(request)))
    return answer(request, problem)


def _methods(request: Request) -> set[str]:
    """What may be done at this address; the framework names the methods of one route only."""
    fitting = (
        route.methods or set()
        for route in request.app.router.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
    )
    return set().union(*fitting)


def _on_invalid(request: Request, error: Exception) -> Response:
    """Names the parameters and what is wrong with them; never the values, which may be personal."""
    assert isinstance(error, RequestValidationError)
    if isinstance(error.body, bytes):  # it was not even tried as JSON
        return answer(request, Problem("unsupported-media-type"))
    found = error.errors()
    errors = [
        {"where": place(one["loc"]), "reason": one["msg"].removeprefix("Value error, ")}
        for one in found[:MOST_ERRORS]
    ]
    more = [f"and {len(found) - MOST_ERRORS:,} more"] if len(found) > MOST_ERRORS else []
    problem = Problem(
        "invalid-request", "; ".join([*(f"{e['where']}: {e['reason']}" for e in errors), *more])
    )
    problem.errors = errors
    return answer(request, problem)


def place(steps: Sequence[int | str]) -> str:
    """Where it is wrong. A member may be named anything: a NIK, half a character, a whole book."""
    named = ".".join(
        text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…" for text in map(str, steps)
    )
    return masked_within(named).encode(errors="replace").decode()


def _on_database(request: Request, _error: Exception) -> Response:
    return answer(request, Problem("database-unavailable"))


def _on_setting(request: Request, error: Exception) -> Response:
    """A setting of ours is wrong: the log says which, the caller cannot mend it."""
    log.error("a request failed for a setting: %s", error)
    return answer(request, Problem("not-set-up"))


def _on_bug(request: Request, _error: Exception) -> Response:
    made = answer(request, Problem("internal-error"))
    secure(made.headers, request.url.path)  # this answer is made outside the middleware
    return made
