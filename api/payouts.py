"""Payouts for programs: what gateways have paid out, held against what their reports say they owe."""

import re
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict

from api import cursors
from api.access import REFUSALS, allowed
from api.cursors import Cursor
from api.problem_kinds import OURS, described
from api.problems import not_found
from records import payout
from records.db import unit_of_work

router = APIRouter(
    prefix="/api/v1/payouts",
    tags=["reconciliations"],
    dependencies=[Depends(allowed("reconciliations:read"))],
    responses=described(*REFUSALS),
)

Class = Literal[
    "malformed_line",
    "duplicate_at_gateway",
    "missing_in_ledger",
    "currency_mismatch",
    "amount_mismatch",
    "timing",
    "missing_at_gateway",
    "matched",
]


def _written_out(value: Any) -> Any:
    """Pydantic would take a number for a day too, as seconds since 1970."""
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("write the day as 2026-11-24")
    return value


BankDay = Annotated[date, BeforeValidator(_written_out)]
GatewayName = Literal["gopay", "ovo", "linkaja"]
_EXAMPLE: JsonDict = {
    "payout_id": "01a21262-4276-7a6e-9694-da460ed71723",
    "gateway": "gopay",
    "payout": "due:2026-11-25",
    "class": "amount_mismatch",
    "reason": "under",
    "day": "2026-11-25",
    "due_on": "2026-11-25",
    "first_business_day": "2026-11-24",
    "last_business_day": "2026-11-24",
    "late_days": None,
    "lines": 3,
    "payments": "524000.00",
    "refunds": "0.00",
    "chargebacks": "0.00",
    "fees": "10480.00",
    "transfer_fee": "0.00",
    "expected": "513520.00",
    "bank": {
        "booked_on": "2026-11-25",
        "amount": "244020.00",
        "currency": "IDR",
        "account": "0012345678",
        "reference": "BNK-7781",
        "statement": "bank-2026-11-25.sta",
        "line": 12,
    },
    "difference": "-269500.00",
    "explanation": {
        "what": "missing_payment",
        "is_unique": True,
        "lines": 1,
        "references": ["KURSUS-1002"],
    },
    "unreadable": None,
    "as_of": "2026-11-25",
    "run_id": "01a21262-4276-7a6e-9694-da460ed71724",
}


class BankBooking(BaseModel):
    """What the bank booked."""

    booked_on: date = Field(description="On which day")
    amount: str = Field(description="How much; negative: it went out")
    currency: str = Field(description="ISO 4217")
    account: str = Field(description="On which account of ours")
    reference: str | None = Field(description="The bank's own name of the entry, where it gives one")
    statement: str = Field(description="File in which it stands")
    line: int = Field(description="Line of that file")


class Explanation(BaseModel):
    """Which settled lines make up the difference."""

    what: Literal[
        "missing_payment",
        "missing_payment_but_not_its_fee",
        "missing_payments",
        "refund_not_taken_off",
        "chargeback_not_taken_off",
        "repeated_line_paid",
    ] = Field(description="What the gateway seems to have done")
    is_unique: bool = Field(description="False: it is one of the references, as all are worth the same")
    lines: int = Field(description="How many lines come into question, or together make it up")
    references: list[str | None] = Field(description="Their references, the first ten of them")


class UnreadableLine(BaseModel):
    """A line of a bank statement that cannot be read."""

    column: str | None = Field(description="The column; null where it is the whole line")
    seen: str = Field(description="The text there")
    reason: str = Field(description="What is wrong with it")
    statement: str = Field(description="File in which it stands")
    line: int = Field(description="Line of that file")


class PayoutSides(BaseModel):
    """Both sides of one payout, or an entry of the bank that pays none. Amounts are rupiah as text."""

    gateway: str = Field(description="Who pays")
    payout: str | None = Field(
        description="The gateway's reference of it, or `due:` and the day on which it is due; null: no payout"
    )
    class_: Class = Field(alias="class", description="The class that it has, as in a reconciliation")
    reason: str | None = Field(description="What is to be said of the class")
    day: date = Field(description="The bank day to which it belongs: booked, or else due")
    due_on: date | None = Field(description="When it is due at the bank")
    first_business_day: date | None = Field(description="First day whose settled lines are in it")
    last_business_day: date | None = Field(description="Last day whose settled lines are in it")
    late_days: int | None = Field(description="Days between due and booked, where there are any")
    lines: int | None = Field(description="How many settled lines are in it")
    payments: str | None = Field(description="Sum of its payments")
    refunds: str | None = Field(description="Sum of its refunds, taken off")
    chargebacks: str | None = Field(description="Sum of payments of earlier payouts that are taken back")
    fees: str | None = Field(description="What the gateway keeps of the lines")
    transfer_fee: str | None = Field(description="What is kept of the payout itself")
    expected: str | None = Field(description="What the bank is to book")
    bank: BankBooking | None = Field(description="What it booked; null: nothing yet")
    difference: str | None = Field(description="Booked less expected, where they differ")
    explanation: Explanation | None = Field(description="The lines that make up the difference, if known")
    unreadable: UnreadableLine | None = Field(
        None, description="Of a line that cannot be read: what is wrong"
    )


class Payout(PayoutSides):
    """One payout with both sides, or an entry of the bank that pays none. Amounts are rupiah as text."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    payout_id: UUID = Field(description="Names it here")
    as_of: date = Field(description="Up to which bank day this was looked at")
    run_id: UUID = Field(description="The run that found it so")


class Payouts(BaseModel):
    """A page of payouts, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_EXAMPLE], "next_cursor": None}]})

    items: list[Payout] = Field(description="The payouts of this page")
    next_cursor: str | None = Field(
        description="Give it as `cursor` for the next page; null: this is the last"
    )


@router.get(
    "/{payout_id}",
    summary="One payout",
    response_description="The payout",
    responses=described("not-found", "invalid-request", *OURS),
)
def read_payout(
    payout_id: Annotated[UUID, Path(description="From the list", examples=[str(_EXAMPLE["payout_id"])])],
) -> Payout:
    """What a payout is made of, what the bank booked for it, and what its difference is."""
    with unit_of_work() as session:
        found = session.get(payout.Payout, payout_id)
        if found is None:
            raise not_found("There is no payout with this id.")
        return Payout.model_validate(payout.resource(found))


@router.get(
    "",
    summary="Payouts",
    response_description="A page of payouts",
    responses=described("invalid-request", "invalid-cursor", *OURS),
)
def list_payouts(
    gateway: Annotated[GatewayName | None, Query(description="Only this gateway")] = None,
    class_: Annotated[Class | None, Query(alias="class", description="Only this class")] = None,
    from_: Annotated[BankDay | None, Query(alias="from", description="From this bank day on")] = None,
    to: Annotated[BankDay | None, Query(description="Up to this bank day")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="How many on a page")] = 50,
    cursor: Cursor = None,
) -> Payouts:
    """Payouts as they are known now, newest first, in pages that stay steady while new ones arrive."""
    before = cursors.place(cursor) if cursor is not None else None
    with unit_of_work() as session:
        found = payout.search(
            session,
            gateway=gateway,
            class_=class_,
            first_day=from_,
            last_day=to,
            before=before,
            limit=limit + 1,
        )
    more = len(found) > limit
    return Payouts(
        items=[Payout.model_validate(payout.resource(one)) for one in found[:limit]],
        next_cursor=cursors.cursor(found[limit - 1].id) if more else None,
    )
