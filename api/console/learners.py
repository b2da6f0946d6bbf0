"""Learners in the console: find one, see what became of them, and work what the nightly look has found."""

from typing import Annotated
from urllib.parse import quote, urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api import cursors, learner_story, words
from api.console.forms import Filled, NotTaken, shown_with, taken
from api.console.visitor import Form, Sent, Turned, Visitor, shown, visiting
from api.problems import Problem
from common.errors import BadInput
from records import audit, entitlement, timeline
from records.db import unit_of_work
from records.entitlement import CLASSES, STATES, Filter, Finding, NotOpen

router = APIRouter()
# Learners of every client, with their payments: who has this beside exceptions:read is staff, as for refunds.
LEARNERS = "learners:read"
PER_PAGE = 50
Reader = Annotated[Visitor, Depends(visiting(LEARNERS))]
Writer = Annotated[Visitor, Depends(visiting("exceptions:write"))]
LearnerId = Annotated[str, Path()]
FindingId = Annotated[UUID, Path()]


@router.get("/learners")
def listed(visitor: Reader, request: Request, find: str = "") -> Response:
    """The learner that was asked for, where there is one; else what differs, as the filters say."""
    asked = find.replace("\0", "").strip()
    class_, state = (_one_of(request, name, known) for name, known in (("class", CLASSES), ("state", STATES)))
    is_all = request.query_params.get("state") == "all"
    which = Filter(class_ or None, None if is_all else state or "open")
    cursor = request.query_params.get("cursor")
    with unit_of_work() as session:
        learner_id = timeline.find(session, asked) if asked else None
        if learner_id is not None:
            return RedirectResponse(learner_address(learner_id), 303)
        after = _place(cursor)
        found = entitlement.page(session, which, after=after, limit=PER_PAGE + 1)
        values = {
            "run": entitlement.newest_run(session),
            "count": entitlement.count(session, which),
        }
    chosen = {"class": class_, "state": "all" if is_all else state or "open"}
    page = found[:PER_PAGE]
    more = chosen | {"cursor": cursors.cursor(page[-1].id)} if len(found) > PER_PAGE else None
    return shown(
        "learners.html",
        visitor,
        status=404 if asked else 200,
        asked=asked,
        rows=[(one, learner_address(one.learner_id) if one.learner_id else None) for one in page],
        chosen=chosen,
        classes=[("", "Any difference"), *((name, words.FINDINGS[name].title) for name in CLASSES)],
        states=[*((name, words.FINDING_STATES[name].capitalize()) for name in STATES), ("all", "All states")],
        next=f"/console/learners?{urlencode(more)}" if more else None,
        is_first=after is None,
        **values,
    )


@router.get("/learners/findings/{finding_id:uuid}")
def one_finding(visitor: Reader, finding_id: FindingId, request: Request) -> HTMLResponse:
    """One difference: what it means, what happened to it, and the form that explains it."""
    return _finding_page(visitor, finding_id, Filled.by_address(request, "reason"))


@router.post("/learners/findings/{finding_id:uuid}/explain")
def explain(visitor: Writer, finding_id: FindingId, sent: Sent) -> Response:
    """Explain it as the person says."""
    return taken(
        sent,
        f"/console/learners/findings/{finding_id}",
        lambda: _explain(visitor, finding_id, sent),
        lambda filled: _finding_page(visitor, finding_id, filled),
    )


@router.get("/learners/{learner_id:path}")
def one(visitor: Reader, learner_id: LearnerId) -> HTMLResponse:
    """What became of one learner, program by program."""
    with unit_of_work() as session:
        known = None if "\0" in learner_id else timeline.of_learner(session, learner_id)
        if known is None:
            raise Turned(404, "Not found", "We know no such learner. The address may have been mistyped.")
        found = learner_story.timeline(known)
    return shown("learner.html", visitor, found=found)


def learner_address(learner_id: str) -> str:
    """The address of a learner's page."""
    return f"/console/learners/{quote(learner_id, safe='')}"


def _explain(visitor: Visitor, finding_id: UUID, sent: Form) -> str:
    if not sent.text("reason"):
        raise NotTaken({"reason": "Say why, for whoever reads it next year."})
    try:
        with unit_of_work() as session:
            entitlement.explain(session, finding_id, by=visitor.actor, reason=sent.text("reason"))
    except BadInput as error:
        raise NotTaken({"reason": f"{error}."}) from None
    except NotOpen as error:
        if error.is_unknown:
            raise _unknown() from None
        raise NotTaken({"": f"{error}."}, 409) from None
    return "explained"


def _finding_page(visitor: Visitor, finding_id: UUID, filled: Filled) -> HTMLResponse:
    with unit_of_work() as session:
        found = session.get(Finding, finding_id)
        if found is None:
            raise _unknown()
        return shown_with(
            "finding.html",
            visitor,
            filled,
            found=found,
            history=entitlement.history(session, finding_id),
            learner=learner_address(found.learner_id) if found.learner_id else None,
            most_words=audit.LONGEST_REASON,
        )


def _one_of(request: Request, name: str, known: tuple[str, ...]) -> str:
    """What a list of the form says; what it does not offer limits nothing."""
    asked = request.query_params.get(name, "")
    return asked if asked in known else ""


def _place(cursor: str | None) -> UUID | None:
    """Where the page begins; an address that was mistyped shows the first one."""
    try:
        return cursors.place(cursor) if cursor else None
    except Problem:
        return None


def _unknown() -> Turned:
    return Turned(404, "Not found", "There is no such finding. Its address may have been mistyped.")
