"""Approvals in the console: what waits for a second person, and the place where that person decides."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from api import cursors, words
from api.console.forms import Filled, NotTaken, shown_with, taken
from api.console.visitor import Form, Sent, Turned, Visitor, shown, visiting
from checkout import approvals
from common import clock
from records import approval, exception_requests
from records.approval import Approval
from records.db import unit_of_work
from records.exceptions import NotOpen, NotPossible, ReconciliationException
from records.payment import Payment
from records.refund import Refund

router = APIRouter()
PER_PAGE = 50
MOST_EXCEPTIONS = 200  # of one question on its page
Reader = Annotated[Visitor, Depends(visiting("approvals:read"))]
Writer = Annotated[Visitor, Depends(visiting("approvals:write"))]
Which = Annotated[UUID, Path()]


@router.get("/approvals")
def listed(visitor: Reader, request: Request) -> HTMLResponse:
    """What was asked of a second person, newest first; what still waits where nothing else is asked for."""
    asked = request.query_params.get("state", "open")
    state = asked if asked in (*approval.STATES, "all") else "open"
    cursor = request.query_params.get("cursor")
    before = cursors.place(cursor) if cursor else None
    with unit_of_work() as session:
        wanted = None if state == "all" else state
        found = approval.search(session, state=wanted, before=before, limit=PER_PAGE + 1)
    more = (
        f"?state={state}&cursor={cursors.cursor(found[PER_PAGE - 1].id)}" if len(found) > PER_PAGE else None
    )
    return shown(
        "approvals.html",
        visitor,
        state=state,
        states=[(name, text.capitalize()) for name, text in (words.APPROVAL_STATES | {"all": "all"}).items()],
        found=found[:PER_PAGE],
        now=clock.now(),
        next=more,
        is_first=before is None,
    )


@router.get("/approvals/{approval_id:uuid}")
def one(visitor: Reader, approval_id: Which, request: Request) -> HTMLResponse:
    """What is asked, by whom, until when; and the form to decide it."""
    return _page(visitor, approval_id, Filled.by_address(request))


@router.post("/approvals/{approval_id:uuid}/decide")
def decide(visitor: Writer, approval_id: Which, sent: Sent) -> Response:
    """Say yes or no, in the name of who is signed in."""
    return taken(
        sent,
        f"/console/approvals/{approval_id}",
        lambda: _decide(visitor, approval_id, sent),
        lambda filled: _page(visitor, approval_id, filled),
    )


def _decide(visitor: Visitor, approval_id: UUID, sent: Form) -> str:
    word, reason = sent.text("word"), " ".join(sent.text("reason").split())
    problems: dict[str, str] = {}
    if word not in ("approve", "refuse"):
        problems["word"] = "Approve it or refuse it."
    if word == "refuse" and not reason:
        problems["reason"] = "Say why you refuse, for who asked."
    if len(reason) > approval.MOST_WORDS:
        problems["reason"] = f"A reason has {approval.MOST_WORDS} characters at most."
    if problems:
        raise NotTaken(problems)
    try:
        with unit_of_work() as session:
            approvals.decide(session, approval_id, by=visitor.actor, approve=word == "approve", reason=reason)
    except approval.Unknown:
        raise _unknown() from None
    except approval.OwnRequest:
        said = "You asked for this yourself, so somebody else has to approve it. You can take it back."
        raise NotTaken({"": said}, 403) from None
    except (approval.NotDecided, NotOpen, NotPossible) as refused:
        raise NotTaken({"": f"{refused}."}, 409) from None
    return word


def _page(visitor: Visitor, approval_id: UUID, filled: Filled) -> HTMLResponse:
    with unit_of_work() as session:
        found = session.get(Approval, approval_id)
        if found is None:
            raise _unknown()
        refund, payment, about = _subject(session, found)
        return shown_with(
            "approval.html",
            visitor,
            filled,
            found=found,
            state="expired" if found.is_over(clock.now()) else found.state,
            is_open=found.state == "open" and not found.is_over(clock.now()),
            is_own=visitor.is_same(found.requested_by),
            refund=refund,
            payment=payment,
            about=about[:MOST_EXCEPTIONS],
            more=max(0, len(about) - MOST_EXCEPTIONS),
            most_words=approval.MOST_WORDS,
        )


def _subject(
    session: Session, found: Approval
) -> tuple[Refund | None, Payment | None, list[tuple[ReconciliationException, str]]]:
    """What it is about: a refund and its payment, or exceptions, each with the reason it was asked with."""
    if found.subject == "refund":
        refund = session.get_one(Refund, UUID(found.subject_id))
        return refund, session.get_one(Payment, refund.payment_id), []
    request, wanted = exception_requests.of_subject(session, found.subject_id)
    payment = session.get(Payment, request.payment_id) if request.payment_id else None
    about = [(session.get_one(ReconciliationException, one.exception_id), one.reason) for one in wanted]
    return None, payment, about


def _unknown() -> Turned:
    return Turned(404, "Not found", "There is no such approval. Its address may have been mistyped.")
