"""One payment in the console: its story, its refunds, and the form that asks to give money back."""

import secrets
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Request
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.console.filters import rupiah_typed
from api.console.forms import Filled, NotTaken, shown_with, taken
from api.console.learners import LEARNERS, learner_address
from api.console.visitor import Form, Sent, Turned, Visitor, shown, visiting
from checkout import refund as asking
from checkout.create import Refusal
from checkout.refund import LONGEST_REASON, Wish
from common.money import MINOR_PER_UNIT
from common.settings import settings
from records import approval, refund, refund_room
from records import payment as payments
from records.approval import Approval
from records.db import unit_of_work
from records.payment import Payment, PaymentEvent
from records.refund import Refund

router = APIRouter()
# Scopes of refunds open the payments of every client here: who has them beside exceptions:read is finance.
Reader = Annotated[Visitor, Depends(visiting("refunds:read"))]
Writer = Annotated[Visitor, Depends(visiting("refunds:write"))]
_SENT_BEFORE = (
    "You have sent this form before, with another amount or reason: that refund is listed above. Send it "
    "again only if you want one more."
)
PaymentId = Annotated[UUID, Path()]


@dataclass(frozen=True)
class Given:
    """A refund with its history, and the open question about it."""

    refund: Refund
    history: list[PaymentEvent]
    question: Approval | None


@router.get("/payments")
def find(visitor: Reader, reference: str = "") -> Response:
    """The payment of that reference, where there is one."""
    reference = reference.replace("\0", "").strip()
    with unit_of_work() as session:
        found = (
            session.scalar(sa.select(Payment.id).where(Payment.reference == reference)) if reference else None
        )
    if found is None:
        return shown("payments.html", visitor, status=404 if reference else 200, reference=reference)
    return RedirectResponse(f"/console/payments/{found}", 303)


@router.get("/payments/{payment_id:uuid}")
def one(visitor: Reader, payment_id: PaymentId, request: Request) -> HTMLResponse:
    """One payment and everything that happened to it."""
    return _page(visitor, payment_id, Filled.by_address(request, "amount", "reason"))


@router.post("/payments/{payment_id:uuid}/refunds")
def give_back(visitor: Writer, payment_id: PaymentId, sent: Sent) -> Response:
    """Ask to give money back; the same form sent twice is one refund."""
    return taken(
        sent,
        f"/console/payments/{payment_id}",
        lambda: _give_back(visitor, payment_id, sent),
        lambda filled: _page(visitor, payment_id, filled),
    )


def _give_back(visitor: Visitor, payment_id: UUID, sent: Form) -> str:
    problems: dict[str, str] = {}
    amount = None
    if sent.text("amount"):
        amount = rupiah_typed(sent.text("amount"))
        if not amount:
            problems["amount"] = "Write whole rupiah in digits, such as 150000, or leave it empty for all."
    if not sent.text("reason"):
        problems["reason"] = "Say why, for the gateway and for those who look later."
    if problems:
        raise NotTaken(problems)
    wish = Wish(sent.text("refund_key"), amount, sent.text("reason"), visitor.actor)
    try:
        with unit_of_work() as session:
            asked = asking.ask_for(session, payment_id, wish)
    except sa.exc.NoResultFound:
        raise _unknown() from None
    except Refusal as refusal:
        if (
            refusal.slug == "refund-key-reused"
        ):  # a page from before, sent once more with something else in it
            anew = Form({name: value for name, value in sent.fields.items() if name != "refund_key"})
            raise NotTaken({"": _SENT_BEFORE}, 409, anew) from None
        where = refusal.field if refusal.field in ("amount", "reason") else ""
        status = 409 if refusal.slug == "not-refundable" else 422
        raise NotTaken({where: refusal.detail}, status) from None
    return "asked" if asked.approval is not None else "begun"


def _page(visitor: Visitor, payment_id: UUID, filled: Filled) -> HTMLResponse:
    with unit_of_work() as session:
        found = session.get(Payment, payment_id)
        if found is None:
            raise _unknown()
        given = [
            Given(one, refund.history(session, one), approval.open_one(session, "refund", str(one.id)))
            for one in refund.of_payment(session, found.id)
        ]
        return shown_with(
            "payment.html",
            visitor,
            filled,
            found=found,
            history=payments.history(session, found.id),
            given=given,
            left_minor=refund_room.left_minor(session, found),
            why_not=_why_not(session, found),
            learner=learner_address(found.learner_id) if found.learner_id and visitor.may(LEARNERS) else None,
            limit_minor=settings().refund_approval_above * MINOR_PER_UNIT,
            refund_key=filled.sent.text("refund_key") or f"console-{secrets.token_hex(8)}",
            longest_reason=LONGEST_REASON,
        )


def _why_not(session: Session, found: Payment) -> str:
    """Why nothing of it can be given back, where that is so."""
    try:
        asking.check_state(found)
    except Refusal as refusal:
        return refusal.detail
    return "" if refund_room.left_minor(session, found) else asking.NOTHING_LEFT


def _unknown() -> Turned:
    return Turned(404, "Not found", "There is no such payment. Its address may have been mistyped.")
