"""Payments for the platform: create, verify, cancel, read. One interface, whatever the wallet."""

import re
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query, Response
from sqlalchemy.orm import Session

from api import cursors
from api.access import REFUSALS, allowed
from api.cursors import Cursor
from api.idempotency import IdempotencyKey, is_repeated
from api.payment_models import (
    Event,
    GatewayName,
    Order,
    Payments,
    Shown,
    ShownWithHistory,
    Status,
    StatusSource,
    Verified,
    WhichPayment,
)
from api.problem_kinds import BODY, OURS, described, headers_described
from api.problems import Problem, not_found
from api.unambiguous import UnambiguousRoute
from checkout import ask, cancel, create
from checkout.create import Refusal, Terms
from common.money import MINOR_PER_UNIT
from records import payment
from records.charge import Wanted
from records.client import Caller, still_open
from records.db import glance, unit_of_work
from records.payment import Payment, PaymentEvent

router = APIRouter(prefix="/api/v1/payments", tags=["payments"], route_class=UnambiguousRoute)

Reader = Annotated[Caller, Depends(allowed("payments:read"))]
Writer = Annotated[Caller, Depends(allowed("payments:write"))]
PaymentId = Annotated[
    UUID, Path(description="Ours, from the creation", examples=["019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c"])
]
IS_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}").fullmatch
# What can be done next with a payment that was made.
_LINKS: dict[str, Any] = {
    name: {"operationId": operation, "parameters": {"payment_id": "$response.body#/payment_id"}}
    for name, operation in (("Read it", "read_payment"), ("Cancel it", "cancel_payment"))
} | {
    "Verify it": {
        "operationId": "verify_payment",
        "requestBody": {"payment_id": "$response.body#/payment_id"},
    }
}


@router.post(
    "/create",
    status_code=201,
    summary="Create a payment",
    response_description="The payment: the learner pays by one of its `actions`, or it is `denied`",
    responses={
        201: {"headers": headers_described("Location"), "links": _LINKS},
        202: {
            "model": ShownWithHistory,
            "description": "The gateway's answer was lost: status `unknown`, and `advice` says what to do",
            "headers": headers_described("Location", "Retry-After"),
            "links": _LINKS,
        },
        **described(
            *BODY,
            "reference-taken",
            "still-running",
            "amount-outside-limits",
            "expiry-outside-limits",
            "phone-required",
            "linking-required",
            "reference-reused",
            "idempotency-key-reused",
            "gateway-busy",
            *OURS,
            *REFUSALS,
        ),
    },
)
def create_payment(
    order: Order,
    caller: Writer,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> ShownWithHistory:
    """Charge a learner's wallet. Repeat the same request as often as you like: it makes one charge.

    201 with `actions` for the learner; 201 with status `denied` where the gateway refused; 202 with status
    `unknown` where its answer was lost: repeat the request, verify, or wait for the event.
    """
    made = created(order, caller, idempotency_key)
    response.status_code = made.status
    response.headers.update(made.headers)
    return made.payment


class Created(NamedTuple):
    """The answer to an order: the payment, the HTTP status, and headers of its own."""

    payment: ShownWithHistory
    status: int
    headers: dict[str, str]


def created(order: Order, caller: Caller, idempotency_key: str | None, key: str | None = None) -> Created:
    """Charge the wallet, or find what was made of the same order before. Raises Problem.

    key: the id of an API key that opened the door to this caller a moment ago. Whether it does still is held
    where the payment is opened; raises NotOpened, with nothing done, where that opens no new one.
    """
    amount_minor = order.amount * MINOR_PER_UNIT
    try:
        terms = Terms(order.gateway, amount_minor, order.expires_in, order.learner.phone is not None)
        seconds = create.check(terms)
        made, history = create.create(
            Wanted(
                client_id=caller.client_id,
                reference=order.reference,
                gateway=order.gateway,
                amount_minor=amount_minor,
                currency=order.currency,
                learner=order.learner.model_dump(exclude_none=True),
                program_code=order.program_code,
                description=order.description,
                return_url=order.return_url,
                lives_seconds=seconds,
                body=order.model_dump_json(exclude_none=True).encode(),
                idempotency_key=idempotency_key,
            ),
            still_open=None if key is None else still_open(key, caller),
        )
    except Refusal as refusal:
        raise _problem(refusal) from None
    headers = {"Location": f"{router.prefix}/{made.id}"}
    is_open = made.status in ("created", "unknown")
    if is_open:
        headers["Retry-After"] = "5"
    if history is None:
        with glance() as session:
            history = payment.history(session, made.id)
    return Created(
        ShownWithHistory.model_validate(_with_history(made, history)), 202 if is_open else 201, headers
    )


@router.post(
    "/verify",
    summary="Ask the gateway now",
    response_description="The payment as it is now, and where its status comes from",
    responses=described(*BODY, "not-found", "idempotency-key-reused", *OURS, *REFUSALS),
)
def verify_payment(which: WhichPayment, caller: Reader, idempotency_key: IdempotencyKey = None) -> Verified:
    """The payment after asking its gateway: at most once a second, and not before the gateway allows it.
    `status_source` says where the status comes from."""
    with unit_of_work() as session:
        found = _own(session, caller, which)
        is_repeated(
            session, caller, idempotency_key, f"verify {found.id}"
        )  # it asks anew: that moves nothing
    asked = ask.ask(found.id, cause="verify", source=f"client {caller.name}")
    with unit_of_work() as session:
        now = session.get_one(Payment, found.id)
        source = StatusSource(
            by="gateway" if asked.said is not None else "record",
            at=now.answered_at,
            detail=asked.why_not,
            next_question_at=now.next_status_at,
        )
        return Verified.model_validate(
            _with_history(now, payment.history(session, now.id)) | {"status_source": source}
        )


@router.post(
    "/{payment_id:uuid}/cancel",
    summary="Cancel a pending payment",
    response_description="The payment as it is now: `cancelled`, or what became of it meanwhile",
    responses=described(
        "invalid-request",
        "not-found",
        "not-cancellable",
        "gateway-unavailable",
        "idempotency-key-reused",
        *OURS,
        *REFUSALS,
    ),
)
def cancel_payment(
    payment_id: PaymentId, caller: Writer, idempotency_key: IdempotencyKey = None
) -> ShownWithHistory:
    """Cancel the charge at its gateway, where the gateway can (GoPay can). What was paid stays paid."""
    with unit_of_work() as session:
        _own(session, caller, WhichPayment(payment_id=payment_id))
        is_repeated(session, caller, idempotency_key, f"cancel {payment_id}")  # what is cancelled stays so
    try:
        found = cancel.cancel(payment_id)
    except Refusal as refusal:
        raise _problem(refusal) from None
    with unit_of_work() as session:
        return ShownWithHistory.model_validate(_with_history(found, payment.history(session, found.id)))


@router.get(
    "/{payment_id:uuid}",
    summary="One payment",
    response_description="The payment and its history",
    # `create` and `verify` stand where the id does, and are no payments to read.
    responses=described("not-found", "method-not-allowed", *OURS, *REFUSALS),
)
def read_payment(payment_id: PaymentId, caller: Reader) -> ShownWithHistory:
    """The payment with its history, as we know it; nobody is asked."""
    with glance() as session:
        found = _own(session, caller, WhichPayment(payment_id=payment_id))
        return ShownWithHistory.model_validate(_with_history(found, payment.history(session, found.id)))


@router.get(
    "",
    summary="Payments",
    response_description="A page of payments",
    responses=described("invalid-request", "invalid-cursor", *OURS, *REFUSALS),
)
def list_payments(
    caller: Reader,
    status: Annotated[Status | None, Query(description="Only those in this state")] = None,
    gateway: Annotated[GatewayName | None, Query(description="Only this wallet")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="How many on a page")] = 50,
    cursor: Cursor = None,
) -> Payments:
    """Your payments, newest first, in pages that stay steady while new ones arrive."""
    query = sa.select(Payment).where(Payment.client_id == caller.client_id)
    if status is not None:
        query = query.where(Payment.status == status)
    if gateway is not None:
        query = query.where(Payment.gateway == gateway)
    if cursor is not None:
        query = query.where(Payment.id < cursors.place(cursor))
    with unit_of_work() as session:
        found = list(session.scalars(query.order_by(Payment.id.desc()).limit(limit + 1)))
    more = len(found) > limit
    return Payments(
        items=[Shown.model_validate(payment.resource(one)) for one in found[:limit]],
        next_cursor=cursors.cursor(found[limit - 1].id) if more else None,
    )


def _own(session: Session, caller: Caller, which: WhichPayment) -> Payment:
    """The caller's own payment; another client's is not there."""
    query = sa.select(Payment).where(Payment.client_id == caller.client_id)
    if which.payment_id is not None:
        query = query.where(Payment.id == which.payment_id)
    else:
        query = query.where(Payment.reference == which.reference)
    found = session.scalars(query).one_or_none()
    if found is None:
        raise not_found("There is no such payment.")
    return found


def _with_history(found: Payment, history: list[PaymentEvent]) -> dict[str, Any]:
    advice = None
    if found.status in ("created", "unknown"):
        advice = (
            "The gateway's answer was lost; whether it has the charge is not known yet. Repeat this very "
            "request, verify it, or wait for the event. Do not make another payment for it meanwhile."
        )
    elif found.status == "pending" and not found.actions:
        advice = (
            "The gateway has the charge, and its answer with the learner's link was lost. Repeat this very "
            "request: that may bring it back. If not, cancel the payment or let it expire, and make a new "
            "one with another reference."
        )
    events = [_event(one) for one in history]
    return payment.resource(found) | {"advice": advice, "events": events}


def _event(one: PaymentEvent) -> Event:
    return Event.model_validate({name: getattr(one, name) for name in Event.model_fields})


def _problem(refusal: Refusal) -> Problem:
    problem = Problem(refusal.slug, refusal.detail)
    if refusal.field is not None:
        where = "header" if refusal.field == "Idempotency-Key" else "body"
        problem.errors = [{"where": f"{where}.{refusal.field}", "reason": refusal.detail}]
    return problem
