"""Exceptions in the console: the list with its filters, one with its evidence, and the ways to end it."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Request
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from api import words
from api.console.filters import Filters, choices
from api.console.forms import Filled, NotTaken, shown_with, taken
from api.console.visitor import Form, Sent, Turned, Visitor, shown, visiting
from api.exceptions import cursor_after, place_of
from api.items import items
from checkout import resolve as ending
from common.errors import BadInput
from records import exception_list, exception_requests, exception_work, exceptions, payout, refund_charges
from records.approval import NobodyNamed
from records.calendar import expected_by
from records.db import unit_of_work
from records.exception_proposals import proposals
from records.exceptions import NotOpen, NotPossible, ReconciliationException
from records.payment import Payment
from records.payout_explained import in_words
from records.refund import Refund

router = APIRouter()
PER_PAGE = 50
Reader = Annotated[Visitor, Depends(visiting("exceptions:read"))]
Writer = Annotated[Visitor, Depends(visiting("exceptions:write"))]
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]


@dataclass(frozen=True)
class Row:
    """One exception in the list."""

    found: ReconciliationException
    age_days: int
    is_awaited: bool


@router.get("/exceptions")
def listed(visitor: Reader, request: Request) -> HTMLResponse:
    """Exceptions as the filters say, page by page."""
    filters = Filters(dict(request.query_params))
    cursor = request.query_params.get("cursor")
    after = place_of(cursor) if cursor else None
    with unit_of_work() as session:
        found = exception_list.page(session, filters.which, filters.order, after=after, limit=PER_PAGE + 1)
        page = found[:PER_PAGE]
        waiting = exception_requests.awaited(session, [one.id for one in page])
        count, at_risk = exception_list.totals(session, filters.which)
    answer = shown(
        "exceptions.html",
        visitor,
        filters=filters,
        choices=choices(),
        rows=[Row(one, exception_list.age_days(one), one.id in waiting) for one in page],
        count=count,
        at_risk_minor=at_risk,
        next=filters.address(cursor=cursor_after(page[-1], filters.order)) if len(found) > PER_PAGE else None,
        is_first=after is None,
    )
    answer.headers["HX-Push-Url"] = filters.address()  # what htmx puts into the browser's address line
    return answer


@router.get("/exceptions/{number:int}")
def one(visitor: Reader, number: Number, request: Request) -> HTMLResponse:
    """One exception: what both sides say, what happened, what could end it."""
    return _page(visitor, number, Filled.by_address(request, "action", "payment", "payout"))


@router.post("/exceptions/{number:int}/end")
def end(visitor: Writer, number: Number, sent: Sent) -> Response:
    """End it as the person says, or ask a second one whether it may be ended so."""
    return taken(
        sent,
        f"/console/exceptions/{number}",
        lambda: _end(visitor, number, sent),
        lambda filled: _page(visitor, number, filled),
    )


def _end(visitor: Visitor, number: int, sent: Form) -> str:
    action = sent.text("action")
    other = "payout" if "payout" in sent.fields else "payment"  # the field of its form for the other side
    problems: dict[str, str] = {}
    if action not in exception_work.ACTIONS:
        problems["action"] = "Choose how it ends."
    if action == "match" and not sent.text(other):
        problems[other] = f"Name the {other} that it is."
    if not sent.text("reason"):
        problems["reason"] = "Say why, for whoever reads it next year."
    if action == "refund" and not visitor.may("refunds:write"):
        problems["action"] = "To give money back you need the right refunds:write."
    if problems:
        raise NotTaken(problems)
    try:
        with unit_of_work() as session:
            is_match = action == "match"
            outcome = ending.resolve(
                session,
                number,
                action,
                by=visitor.actor,
                reason=sent.text("reason"),
                payment_id=_payment_named(session, sent.text(other))
                if is_match and other == "payment"
                else None,
                payout=sent.text(other) if is_match and other == "payout" else None,
            )
    except BadInput as error:
        raise NotTaken({"payment": str(error)}) from None
    except NotOpen as error:
        if error.is_unknown:
            raise _unknown() from None
        raise NotTaken({"": f"{error}."}, 409) from None
    except (NotPossible, NobodyNamed) as error:
        raise NotTaken({"": f"{error}."}, 409) from None
    if outcome.refund is not None:
        return "refund"
    return "asked" if outcome.approval is not None else "ended"


def _page(visitor: Visitor, number: int, filled: Filled) -> HTMLResponse:
    with unit_of_work() as session:
        found = session.get(ReconciliationException, number)
        if found is None:
            raise _unknown()
        (item,) = items(session, [found])
        sides = payout.evidence(session, found)
        return shown_with(
            "exception.html",
            visitor,
            filled,
            found=found,
            item=item,
            sides=sides,
            explained=in_words((sides or {}).get("explanation")),
            class_words=words.of_class(found.class_, found.is_payout),
            age_days=exception_list.age_days(found),
            expected_by=expected_by(found),
            awaiting=exception_requests.awaited(session, [number]).get(number),
            proposals=proposals(session, found),
            history=exceptions.history(session, number),
            actions=_actions(visitor, found),
            refund=refund_charges.of_exceptions(session, [number]).get(number),
            most_words=exception_work.MOST_WORDS,
            payment_id=_payment_of(session, found),
        )


def _actions(visitor: Visitor, found: ReconciliationException) -> list[str]:
    """What this person may ask for here."""
    fits = exception_work.possible(found)
    return [action for action in fits if action != "refund" or visitor.may("refunds:write")]


def _payment_of(session: Session, found: ReconciliationException) -> UUID | None:
    """Our payment that it is about, or of the refund that it is about."""
    if found.is_payout or found.subject_id is None:
        return None
    if not found.is_refund:
        return found.subject_id
    return session.scalar(sa.select(Refund.payment_id).where(Refund.id == found.subject_id))


def _payment_named(session: Session, which: str) -> UUID:
    """The payment of that reference or id; raises BadInput where there is none."""
    try:
        named = Payment.id == UUID(which)
    except ValueError:
        named = Payment.reference == which
    found = session.scalar(sa.select(Payment.id).where(named))
    if found is None:
        raise BadInput("Our ledger has no payment with this reference or id.")
    return found


def _unknown() -> Turned:
    return Turned(404, "Not found", "There is no such exception. Its number may have been mistyped.")
