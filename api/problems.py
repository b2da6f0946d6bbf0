"""Errors as RFC 9457 problem details: a stable `type` for programs, a sentence for people.

A browser that asks for a page gets the same words as a page.
"""

import logging
from http import HTTPStatus
from typing import Any

import psycopg
import sqlalchemy as sa
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from api.headers import secure
from api.rendering import page
from common.errors import BadInput, NotReachable

log = logging.getLogger("jembatan.api")
MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:jembatan:problem:"
_BY_STATUS = {400: "bad-request", 404: "not-found", 405: "method-not-allowed", 406: "not-acceptable"}


class ProblemBody(BaseModel):
    """The members of a problem; `errors` names each invalid parameter of a request."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="What kind of problem; stable", examples=[f"{_TYPE}not-found"])
    title: str = Field(description="The kind in words", examples=["Not found"])
    status: int = Field(description="The HTTP status", examples=[404])
    detail: str | None = Field(None, description="This very case", examples=["There is no such process."])


class Problem(Exception):
    """A request that ends with a problem.

    slug: last part of the stable type; headers: go with the answer, such as Retry-After.
    """

    def __init__(self, status: int, slug: str, title: str, detail: str, **headers: str) -> None:
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.errors: list[dict[str, str]] = []
        super().__init__(detail)


def not_found(detail: str) -> Problem:
    """Nothing is under this address."""
    return Problem(404, "not-found", "Not found", detail)


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may end with these problems, for its documentation."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": ProblemBody.model_json_schema()}},
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Let every error of the app end as a problem."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    for kind in (NotReachable, sa.exc.OperationalError, sa.exc.TimeoutError, psycopg.OperationalError):
        app.add_exception_handler(kind, _on_database)
    app.add_exception_handler(BadInput, _on_setting)
    app.add_exception_handler(Exception, _on_bug)


def _answer(request: Request, problem: Problem, **more: Any) -> Response:
    wants_page = "text/html" in request.headers.get("accept", "")
    if wants_page and not request.url.path.startswith("/api/"):
        return page(
            "problem.html",
            status=problem.status,
            headers=problem.headers,
            title=problem.title,
            detail=problem.detail,
        )
    return answered(problem, **more)


def answered(problem: Problem, **more: Any) -> Response:
    """The problem as an answer for programs."""
    body = {
        "type": _TYPE + problem.slug,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        **more,
    }
    return JSONResponse(body, problem.status, problem.headers, media_type=MEDIA_TYPE)


def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _answer(request, error, **({"errors": error.errors} if error.errors else {}))


def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    slug = _BY_STATUS.get(error.status_code, f"http-{error.status_code}")
    phrase = HTTPStatus(error.status_code).phrase.capitalize()
    detail = "There is nothing under this address." if error.status_code == 404 else f"{error.detail}."
    problem = Problem(error.status_code, slug, phrase, detail)
    problem.headers = dict(error.headers or {})
    return _answer(request, problem)


def _on_invalid(request: Request, error: Exception) -> Response:
    """Names the parameters and what is wrong with them; never the values, which may be personal."""
    assert isinstance(error, RequestValidationError)
    errors = [
        {"where": ".".join(str(part) for part in one["loc"]), "reason": one["msg"]} for one in error.errors()
    ]
    problem = Problem(
        422, "invalid-request", "Invalid request", "; ".join(f"{e['where']}: {e['reason']}" for e in errors)
    )
    return _answer(request, problem, errors=errors)


def _on_database(request: Request, _error: Exception) -> Response:
    detail = "The database does not answer at the moment. Nothing was changed; try again in a few seconds."
    return _answer(
        request, Problem(503, "database-unavailable", "Database unavailable", detail, Retry_After="5")
    )


def _on_setting(request: Request, error: Exception) -> Response:
    """A setting of ours is wrong: the log says which, the caller cannot mend it."""
    log.error("a request failed for a setting: %s", error)
    detail = "This part of the service is not set up rightly; its operator has to look. Nothing was changed."
    return _answer(request, Problem(503, "not-set-up", "Not set up", detail, Retry_After="60"))


def _on_bug(request: Request, _error: Exception) -> Response:
    detail = "Something went wrong on our side; the log of the API has the details."
    answer = _answer(request, Problem(500, "internal-error", "Internal error", detail))
    secure(answer.headers, request.url.path)  # this answer is made outside the middleware
    return answer
