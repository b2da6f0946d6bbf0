"""Refunds for programs: ask for one, see what became of those there are."""

from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Response
from sqlalchemy.orm import Session

from api import waiting
from api.access import REFUSALS, Caller, allowed
from api.idempotency import IdempotencyKey, is_repeated
from api.problem_kinds import BODY, OURS, described, headers_described
from api.problems import Problem, not_found
from api.refund_models import RefundAccepted, RefundEvent, Refunds, RefundWish, RefundWithHistory, ShownRefund
from api.unambiguous import UnambiguousRoute
from checkout import refund as asking
from checkout.create import Refusal
from checkout.refund import Wish
from common.money import MINOR_PER_UNIT
from common.settings import settings
from records import approval, refund, refund_room
from records.db import unit_of_work
from records.payment import Payment
from records.process import ProcessRun
from records.refund import Refund

router = APIRouter(
    prefix="/api/v1/payments/{payment_id:uuid}/refunds", tags=["refunds"], route_class=UnambiguousRoute
)

Reader = Annotated[Caller, Depends(allowed("refunds:read"))]
Writer = Annotated[Caller, Depends(allowed("refunds:write"))]
PaymentId = Annotated[
    UUID, Path(description="Ours, from the creation", examples=["019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c"])
]


@router.post(
    "",
    status_code=202,
    summary="Give money back",
    response_description="The refund was taken on; its process makes it, or waits for a second person",
    responses={
        202: {"headers": headers_described("Location", "Preference-Applied")},
        **described(
            *BODY,
            "not-found",
            "not-refundable",
            "refund-too-large",
            "partial-refund-not-offered",
            "refund-key-reused",
            "idempotency-key-reused",
            *OURS,
            *REFUSALS,
        ),
    },
)
def create_refund(
    payment_id: PaymentId,
    wish: RefundWish,
    caller: Writer,
    response: Response,
    prefer: waiting.Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> RefundAccepted:
    """Give a paid payment back, or a part of it. Repeat the same request as often as you like: it is one
    refund. Above the operator's limit a second person has to approve it first."""
    amount_minor = None if wish.amount is None else wish.amount * MINOR_PER_UNIT
    with unit_of_work() as session:
        _own(session, caller, payment_id)
        is_repeated(session, caller, idempotency_key, f"refund {payment_id}\n{wish.model_dump_json()}")
        try:
            by = approval.actor("client", caller.name)
            asked = asking.ask_for(session, payment_id, Wish(wish.refund_key, amount_minor, wish.reason, by))
        except Refusal as refusal:
            raise _problem(refusal) from None
    if waiting.until_ended(asked.run.id, prefer):
        response.headers["Preference-Applied"] = "wait"
    path = f"/api/v1/processes/{asked.run.id}"
    response.headers["Location"] = path
    with unit_of_work() as session:
        found = session.get_one(Refund, asked.refund.id)
        run = session.get_one(ProcessRun, asked.run.id)
        question = approval.open_one(session, "refund", str(found.id))
        return RefundAccepted(
            process_id=run.id,
            status_url=settings().page_url(path),
            state=run.state,
            approval_id=question.id if question else None,
            refund=ShownRefund.model_validate(refund.resource(found, asked.payment.reference)),
        )


@router.get(
    "",
    summary="Refunds of a payment",
    response_description="Its refunds with their histories, and what is left",
    responses=described("not-found", *OURS, *REFUSALS),
)
def list_refunds(payment_id: PaymentId, caller: Reader) -> Refunds:
    """Every refund of a payment, also those that were made at the gateway without you."""
    with unit_of_work() as session:
        found = _own(session, caller, payment_id)
        items = [
            RefundWithHistory.model_validate(
                refund.resource(one, found.reference)
                | {"events": [_event(session_event) for session_event in refund.history(session, one)]}
            )
            for one in refund.of_payment(session, found.id)
        ]
        return Refunds(items=items, left=refund_room.left_minor(session, found) // MINOR_PER_UNIT)


def _own(session: Session, caller: Caller, payment_id: UUID) -> Payment:
    """The caller's own payment; another client's is not there."""
    query = sa.select(Payment).where(Payment.id == payment_id, Payment.client_id == caller.client_id)
    found = session.scalars(query).one_or_none()
    if found is None:
        raise not_found("There is no such payment.")
    return found


def _event(one: object) -> RefundEvent:
    return RefundEvent.model_validate({name: getattr(one, name) for name in RefundEvent.model_fields})


def _problem(refusal: Refusal) -> Problem:
    problem = Problem(refusal.slug, refusal.detail)
    if refusal.field is not None:
        problem.errors = [{"where": f"body.{refusal.field}", "reason": refusal.detail}]
    return problem
