"""Check a badge of anybody's, for programs: a picture, a JWT or JSON as the body. No API key."""

import threading
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api import form_files, verify_page
from api.problem_kinds import OURS, described
from api.problems import Problem
from credentials import checking
from providers.open_badges.verify import Report

router = APIRouter(tags=["badges"])
AT_ONCE = 6  # of the requests that the API can hold: each may wait for the servers of strangers
_places = threading.BoundedSemaphore(AT_ONCE)

_CHECK: JsonDict = {
    "name": "signature",
    "outcome": "passed",
    "code": "fits",
    "detail": "Its signature fits: nothing was changed since it was signed.",
}
_REPORT: JsonDict = {
    "state": "valid",
    "container": "png",
    "form": "jws",
    "reason": None,
    "checks": [_CHECK],
    "badge": {"id": "https://issuer.example/credentials/4711"},
}


class BadgeCheck(BaseModel):
    """One check of a badge."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CHECK]})

    name: Literal["shape", "signature", "key", "status", "dates"] = Field(description="What was checked")
    outcome: Literal["passed", "failed", "unknown", "not_done"] = Field(
        description="`unknown`: it could not be found out, which is no pass"
    )
    code: str = Field(description="Why; stable, for programs")
    detail: str = Field(description="Why, in a sentence")


class BadgeReport(BaseModel):
    """What became of a badge."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REPORT]})

    state: Literal[
        "valid", "not_yet_valid", "expired", "revoked", "suspended", "bad_signature", "unknown_issuer",
        "status_unavailable", "malformed",
    ] = Field(description="What follows from all checks; only `valid` is good")  # fmt: skip
    container: Literal["png", "svg", "json", "jws"] | None = Field(description="What it came in")
    form: Literal["jws", "embedded"] | None = Field(description="How it is signed")
    reason: str | None = Field(description="Of the issuer, where it was revoked or suspended")
    checks: list[BadgeCheck] = Field(description="Each check, in order")
    badge: dict[str, Any] | None = Field(description="What it says; true only where it is `valid`")


async def _body(request: Request) -> bytes:
    return await request.body()


@router.post(
    "/verify",
    response_model=BadgeReport,
    summary="Check a badge",
    response_description="Every check by its name",
    responses=described("too-large", "busy", *OURS),
    openapi_extra={
        "requestBody": {
            "description": "The badge: a PNG or SVG with a badge in it, a JWT, or JSON with a proof in it. "
            "Nothing is no badge, and is answered as such",
            "required": False,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
def verify_badge(request: Request, body: Annotated[bytes, Depends(_body)]) -> BadgeReport | Response:
    """Is it signed by whom it says, unchanged, still good, in time? Badges of other issuers too: their keys
    and lists are fetched. Nothing of it is kept. (The form of the page for people comes here too, as
    `multipart/form-data`, and gets a page.)"""
    is_form = form_files.is_form(request.headers.get("content-type", ""))
    badge = verify_page.sent(request, body) if is_form else body
    if badge is None:
        return verify_page.nothing(request)
    if not _places.acquire(blocking=False):
        raise Problem("busy")
    try:
        report = checking.check(badge)
    finally:
        _places.release()
    return verify_page.told(request, report) if is_form else told(report)


def told(report: Report) -> BadgeReport:
    """A report as programs read it."""
    return BadgeReport(
        state=report.state,
        container=report.container,
        form=report.form,
        reason=report.reason,
        checks=[
            BadgeCheck(name=one.name, outcome=one.outcome, code=one.code, detail=one.detail)
            for one in report.checks
        ],
        badge=report.badge,
    )
