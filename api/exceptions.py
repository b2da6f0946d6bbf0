"""Exceptions for programs and people: found by what they risk or how old they are, read, ended."""

import re
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BeforeValidator

from api import cursors
from api.access import REFUSALS, Caller, allowed, needs_too
from api.cursors import Cursor
from api.exception_models import (
    Ageing,
    Bucket,
    ClassName,
    Exceptions,
    ExceptionShown,
    ExceptionWithHistory,
    Resolve,
    State,
    Type,
    shown,
    with_history,
)
from api.idempotency import IdempotencyKey, is_repeated
from api.payment_models import GatewayName
from api.problem_kinds import BODY, OURS, described
from api.problems import Problem, not_found
from api.refund_models import RefundOfException
from checkout import resolve as ending
from common import clock
from common.money import MINOR_PER_UNIT, plain
from records import approval, exception_list, exceptions, payout, refund_charges
from records.approval import NobodyNamed
from records.db import unit_of_work
from records.exception_list import Filter, Order
from records.exception_proposals import proposals
from records.exception_requests import AwaitsApproval, awaited
from records.exceptions import NotOpen, NotPossible, ReconciliationException

router = APIRouter(prefix="/api/v1/exceptions", tags=["exceptions"])

Reader = Annotated[Caller, Depends(allowed("exceptions:read"))]
Writer = Annotated[Caller, Depends(allowed("exceptions:write"))]
_LARGEST = 2**63 - 1
ExceptionId = Annotated[int, Path(ge=1, le=_LARGEST, description="Its number", examples=[4711])]


def _iso_day(text: Any) -> Any:
    """Only `2026-11-24` is a day here; Pydantic would take seconds since 1970 too."""
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError("a day is written as 2026-11-24")
    return text


Day = Annotated[date, BeforeValidator(_iso_day)]


def _which(
    gateway: Annotated[GatewayName | None, Query(description="Only this wallet")] = None,
    type: Annotated[Type | None, Query(description="Only what is about this")] = None,
    class_: Annotated[
        ClassName | None,
        Query(alias="class", description="Only this class; `timing` is left out where it is not named"),
    ] = None,
    state: Annotated[State | Literal["all"], Query(description="Only those in this state")] = "open",
    business_date_from: Annotated[
        Day | None, Query(description="Only of this business day and later ones", examples=["2026-11-01"])
    ] = None,
    business_date_to: Annotated[
        Day | None, Query(description="Only of this business day and earlier ones", examples=["2026-11-24"])
    ] = None,
    age: Annotated[
        Bucket | None, Query(description="Only of this age: 0–1, 2–3, 4–7, 8–30 days, or older")
    ] = None,
    min_risk: Annotated[
        int | None,
        Query(ge=0, le=10**15, description="Only with so much money at risk: rupiah", examples=[100000]),
    ] = None,
) -> Filter:
    return Filter(
        gateway=gateway,
        type=type,
        class_=class_,
        state=None if state == "all" else state,
        since=business_date_from,
        until=business_date_to,
        bucket=age,
        min_risk_minor=None if min_risk is None else min_risk * MINOR_PER_UNIT,
    )


Which = Annotated[Filter, Depends(_which)]
OrderBy = Annotated[
    Order, Query(description="`risk`: the most money at risk first; `age`: the oldest business day first")
]


@router.get(
    "",
    summary="Exceptions",
    response_description="A page of exceptions",
    responses=described("invalid-request", "invalid-cursor", *OURS, *REFUSALS),
)
def list_exceptions(
    caller: Reader,
    which: Which,
    order: OrderBy = "risk",
    limit: Annotated[int, Query(ge=1, le=200, description="How many on a page")] = 50,
    cursor: Cursor = None,
) -> Exceptions:
    """Differences between ledger, reports and bank; open ones where no other state is asked for."""
    after = None if cursor is None else place_of(cursor)
    with unit_of_work() as session:
        found = exception_list.page(session, which, order, after=after, limit=limit + 1)
        waiting = awaited(session, [one.id for one in found[:limit]])
    page = [ExceptionShown.model_validate(shown(one, waiting.get(one.id))) for one in found[:limit]]
    return Exceptions(
        items=page, next_cursor=cursor_after(found[limit - 1], order) if len(found) > limit else None
    )


@router.get(
    "/ageing",
    summary="How old the open exceptions are",
    response_description="Number and money at risk by gateway and age",
    responses=described(*OURS, *REFUSALS),
)
def exceptions_ageing(caller: Reader) -> Ageing:
    """Open exceptions by gateway and days since their business day; `timing` is left out."""
    today = clock.business_date(clock.now())
    with unit_of_work() as session:
        ages = exception_list.ageing(session, today)
    by_gateway: dict[str, list[exception_list.Age]] = {}
    for one in ages:
        by_gateway.setdefault(one.gateway, []).append(one)
    return Ageing.model_validate(
        {
            "as_of": today,
            "gateways": [
                {
                    "gateway": gateway,
                    "count": sum(one.count for one in found),
                    "at_risk": plain(sum(one.at_risk_minor for one in found)),
                    "buckets": [
                        {"bucket": one.bucket, "count": one.count, "at_risk": plain(one.at_risk_minor)}
                        for one in found
                    ],
                }
                for gateway, found in by_gateway.items()
            ],
        }
    )


@router.get(
    "/{exception_id:int}",
    summary="One exception",
    response_description="The exception, its evidence, its history, and what could end it",
    responses=described("not-found", "invalid-request", *OURS, *REFUSALS),
)
def read_exception(exception_id: ExceptionId, caller: Reader) -> ExceptionWithHistory:
    """What was expected and found, every step since, and proposals of what could end it."""
    return _read(exception_id)


@router.post(
    "/{exception_id:int}/resolve",
    summary="End an exception",
    response_description="The exception as it is now",
    responses={
        202: {
            "model": ExceptionWithHistory,
            "description": "It stays open: a second person has to approve, `awaiting` is the question; or "
            "`refund` has to be confirmed",
        },
        **described(
            *BODY,
            "not-found",
            "not-open",
            "awaits-approval",
            "not-possible",
            "idempotency-key-reused",
            *OURS,
            *REFUSALS,
        ),
    },
)
def resolve_exception(
    exception_id: ExceptionId,
    resolve: Resolve,
    caller: Writer,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> ExceptionWithHistory:
    """End an open exception as what a person says, with the reason, in the name of the client.

    `explain`: it is right as it is. `adopt`: the line becomes a payment of our ledger. `refund`: its money is
    given back, which needs the scope `refunds:write` too; it ends when that is confirmed: 202. `write_off`:
    the money is given up. `match`: the line is `payment_id`, or the entry of the bank is `payout`. The last
    two are approved by somebody else first: 202.
    """
    if resolve.action == "refund":
        needs_too(caller, "refunds:write")
    try:
        with unit_of_work() as session:
            named = f"resolve {exception_id}\n{resolve.model_dump_json()}"
            if not is_repeated(session, caller, idempotency_key, named):
                ending.resolve(
                    session,
                    exception_id,
                    resolve.action,
                    by=f"client:{caller.name}",
                    reason=resolve.reason,
                    payment_id=resolve.payment_id,
                    payout=resolve.payout,
                )
    except NotOpen as error:
        raise not_found(f"{error}.") if error.is_unknown else Problem("not-open", f"{error}.") from None
    except AwaitsApproval as error:
        raise Problem("awaits-approval", f"{error}.") from None
    except (NotPossible, NobodyNamed) as error:
        raise Problem("not-possible", f"{error}.") from None
    told = _read(exception_id)
    if told.state == "open":
        response.status_code = 202
    return told


def _read(exception_id: int) -> ExceptionWithHistory:
    with unit_of_work() as session:
        found = session.get(ReconciliationException, exception_id)
        if found is None:
            raise not_found("There is no such exception.")
        waiting = awaited(session, [found.id]).get(found.id)
        given_back = refund_charges.of_exceptions(session, [found.id]).get(found.id)
        question = approval.open_one(session, "refund", str(given_back.id)) if given_back else None
        return with_history(
            found,
            waiting,
            RefundOfException.of(given_back, question) if given_back else None,
            proposals(session, found),
            exceptions.history(session, found.id),
            payout.evidence(session, found),
        )


def place_of(cursor: str) -> exception_list.Place:
    """The place that a cursor means; raises a 422 problem for what is no cursor."""
    packed = cursors.place(cursor).bytes
    return exception_list.Place(_number(packed[:8]), _number(packed[8:]))


def cursor_after(found: ReconciliationException, order: Order) -> str:
    """The place after this one, in the form of all our cursors."""
    place = exception_list.place(found, order)
    packed = place.key.to_bytes(8, "big", signed=True) + place.id.to_bytes(8, "big", signed=True)
    return cursors.cursor(UUID(bytes=packed))


def _number(packed: bytes) -> int:
    return int.from_bytes(packed, "big", signed=True)
