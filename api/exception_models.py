"""An exception as the API shows it: what was expected and found, what it risks, what became of it."""

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from api.payment_models import GatewayName
from api.payouts import PayoutSides
from api.refund_models import RefundOfException
from common.money import plain
from records import exception_list
from records.calendar import expected_by
from records.exception_proposals import Proposal
from records.exception_requests import Awaited
from records.exceptions import ExceptionEvent, ReconciliationException

ClassName = Literal[
    "malformed_line", "duplicate_at_gateway", "missing_in_ledger", "currency_mismatch", "amount_mismatch",
    "status_mismatch", "fee_mismatch", "timing", "missing_at_gateway",
]  # fmt: skip
State = Literal[
    "open", "explained", "healed", "refunded", "matched", "written_off", "settled", "carried", "cleared"
]
Type = Literal["payment", "refund", "payout"]
Bucket = Literal["1", "3", "7", "30", "older"]
Action = Literal["explain", "write_off", "match", "adopt", "refund"]
Money = Annotated[str, Field(pattern=r"^-?\d+\.\d\d$", examples=["80000.00"])]

_APPROVAL: JsonDict = {
    "approval_id": "019ab1c2-8a01-7d02-8d11-3f0c2b7a9e10",
    "to_state": "written_off",
    "reason": "The gateway confirms that it will not pay it; FIN-118",
    "requested_by": "client:finance",
    "expires_at": "2026-11-28T02:10:00Z",
}
_EXCEPTION: JsonDict = {
    "exception_id": 4711,
    "gateway": "gopay",
    "business_date": "2026-11-24",
    "class": "duplicate_at_gateway",
    "state": "open",
    "type": "payment",
    "reference": "INV-2026-004711",
    "gateway_reference": "GP-9977",
    "payment_id": "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c",
    "refund_id": None,
    "why": "second_charge",
    "note": None,
    "expected": None,
    "found": {
        "status": "paid",
        "currency": "IDR",
        "amount": "275000.00",
        "fee": "5500.00",
        "at": "2026-11-24T02:24:40Z",
        "gateway_reference": "GP-9977",
    },
    "unreadable": None,
    "at_risk": "275000.00",
    "currency": "IDR",
    "age_days": 1,
    "expected_by": None,
    "source": {"name": "settlement-2026-11-24.csv.gz", "line": 4},
    "run_id": "019ab1c2-9c44-7b10-8e0a-6d2f1c3b4a59",
    "opened_at": "2026-11-24T19:00:04Z",
    "closed_at": None,
    "awaiting": None,
}
_PROPOSAL: JsonDict = {
    "action": "refund",
    "amount": "275000.00",
    "currency": "IDR",
    "why": "INV-2026-004711 was charged twice: as GP-9002 and later as GP-9977",
    "target": {
        "payment_id": "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c",
        "reference": "INV-2026-004711",
        "gateway_reference": "GP-9977",
    },
}
_STEP: JsonDict = {
    "at": "2026-11-24T19:00:04Z",
    "actor": "reconcile-payments",
    "from_state": None,
    "to_state": "open",
    "reason": "found",
}


class SideShown(BaseModel):
    """What one side says of the payment or refund."""

    status: str | None = Field(description="In our words", examples=["paid"])
    currency: str | None = Field(description="ISO 4217", examples=["IDR"])
    amount: Money | None = Field(description="With two decimals")
    fee: Money | None = Field(description="With two decimals; on our side by the fee plan")
    at: datetime | None = Field(description="When it was paid, or given back")
    gateway_reference: str | None = Field(description="The gateway's name of it", examples=["GP-9977"])

    @classmethod
    def of(cls, said: dict[str, Any]) -> Self | None:
        """The side kept with the exception; None where it has nothing."""
        if "amount_minor" not in said:
            return None
        return cls(
            amount=_money(said["amount_minor"]),
            fee=_money(said.get("fee_minor")),
            **{name: said.get(name) for name in ("status", "currency", "at", "gateway_reference")},
        )


class Unreadable(BaseModel):
    """What is wrong with a line that cannot be read."""

    column: str | None = Field(description="The column; null where it is the whole line", examples=["amount"])
    seen: str | None = Field(description="The text there", examples=["1e5"])
    reason: str | None = Field(description="What is wrong with it", examples=["not a plain amount"])


class Place(BaseModel):
    """Where a line stands."""

    name: str | None = Field(description="The report file", examples=["settlement-2026-11-24.csv.gz"])
    line: int = Field(description="The line in it, from 1", examples=[4])


class AwaitedApproval(BaseModel):
    """A question to a second person; until it is answered the exception stays open."""

    model_config = ConfigDict(json_schema_extra={"examples": [_APPROVAL]})

    approval_id: UUID = Field(description="Names the question; somebody else decides it")
    to_state: Literal["written_off", "matched"] = Field(description="What is asked for")
    reason: str = Field(description="Why, in the words of who asked")
    requested_by: str = Field(description="Who asked, and may not approve", examples=["client:finance"])
    expires_at: datetime = Field(description="Until when it can be decided")


class ExceptionShown(BaseModel):
    """One difference between a gateway's report and our ledger; of a payout, between reports and bank."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXCEPTION]}, populate_by_name=True)

    exception_id: int = Field(description="Its number")
    gateway: GatewayName = Field(description="The wallet")
    business_date: date = Field(
        description="The business day in Asia/Jakarta that has it; of a payout the bank day"
    )
    class_: ClassName = Field(alias="class", description="What it was found to be")
    state: State = Field(description="`open`, or how it ended")
    type: Type = Field(description="What it is about")
    reference: str | None = Field(
        description="Ours, or the one that the line names; of a payout its name: the gateway's reference, or "
        "`due:` and its day"
    )
    gateway_reference: str | None = Field(description="The gateway's, as the line has it")
    payment_id: UUID | None = Field(description="Our payment, where we have it")
    refund_id: UUID | None = Field(description="Our refund, where it is about one that we have")
    why: str | None = Field(description="Why it is in its class, such as `second_charge`, `over`")
    note: str | None = Field(description="What else is worth knowing of it")
    expected: SideShown | None = Field(description="What our ledger says; of a payout, what is due")
    found: SideShown | None = Field(description="What the report says; of a payout, what the bank booked")
    unreadable: Unreadable | None = Field(description="Of a line that cannot be read: what is wrong")
    at_risk: Money = Field(description="Money at risk, with two decimals")
    currency: str = Field(description="Currency of the money at risk")
    age_days: int = Field(description="Days since the business day; of an ended one, until it ended")
    expected_by: date | None = Field(
        description="Of what the gateway has not reported or paid yet: the day by whose end it should have"
    )
    source: Place | None = Field(description="Where the line stands")
    run_id: UUID = Field(description="The newest statement that has it")
    opened_at: datetime = Field(description="When it was found first")
    closed_at: datetime | None = Field(description="When it ended")
    awaiting: AwaitedApproval | None = Field(description="The question that a second person has to answer")


class ProposalShown(BaseModel):
    """Something that could end it, for a person to take or to leave."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PROPOSAL]})

    action: str = Field(description="`refund`, `adopt` or `match`", examples=["refund"])
    amount: Money = Field(description="With two decimals")
    currency: str = Field(description="ISO 4217", examples=["IDR"])
    why: str = Field(description="The figures behind it, in a sentence")
    target: dict[str, str] = Field(description="What it is done to: ids and references")


class Step(BaseModel):
    """One step in an exception's life."""

    model_config = ConfigDict(json_schema_extra={"examples": [_STEP]})

    at: datetime = Field(description="When")
    actor: str = Field(description="Who: a flow, `client:<name>` or `operator:<name>`")
    from_state: State | None = Field(description="The state before; null where it began")
    to_state: State = Field(description="The state after; the same where nothing moved")
    reason: str = Field(description="Why, in words")


class ExceptionWithHistory(ExceptionShown):
    """An exception with everything that happened to it, and what could end it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _EXCEPTION | {"refund": None, "payout": None, "proposals": [_PROPOSAL], "history": [_STEP]}
            ]
        }
    )

    refund: RefundOfException | None = Field(
        description="The refund that was asked for to end it, if one was"
    )

    payout: PayoutSides | None = Field(
        description="Of a payout: both sides in full, and the lines that make up the difference, if known"
    )
    proposals: list[ProposalShown] = Field(description="What could end it, as the figures suggest")
    history: list[Step] = Field(description="Each step, oldest first")


class Exceptions(BaseModel):
    """A page of exceptions."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_EXCEPTION], "next_cursor": None}]})

    items: list[ExceptionShown] = Field(description="The exceptions of this page")
    next_cursor: str | None = Field(
        description="Give it as `cursor` for the next page; null: this is the last"
    )


class Resolve(BaseModel):
    """How a person ends an exception."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"action": "explain", "reason": "The contract has this fee since 1 November; FIN-118"}
            ]
        },
    )

    action: Action = Field(
        description="`write_off` and `match` need a second person; `refund` ends it once the money is back"
    )
    reason: Annotated[str, StringConstraints(max_length=500, pattern=r"[^\x00-\x20\x7f-\xa0]")] = Field(
        description="Why; kept for good", examples=["The contract has this fee since 1 November; FIN-118"]
    )
    payment_id: UUID | None = Field(
        None,
        description="For `match`, and only there: our payment that the line is",
        examples=["019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c"],
    )

    payout: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        None,
        description="For `match`, and only there: the payout that an entry of the bank is, by its name",
        examples=["due:2026-11-25"],
    )

    @model_validator(mode="after")
    def _names_its_other_side(self) -> Self:
        named = (self.payment_id is not None) + (self.payout is not None)
        if named != (self.action == "match"):
            raise ValueError("a match names the payment that the line is, or the payout; nothing else does")
        return self


class AgeBucket(BaseModel):
    """Open exceptions of one age."""

    bucket: Bucket = Field(description="Days since the business day, at most; `older`: more than 30")
    count: int = Field(description="How many", examples=[12])
    at_risk: Money = Field(description="Money at risk, with two decimals")


class GatewayAges(BaseModel):
    """One gateway's open exceptions by age."""

    gateway: GatewayName = Field(description="The wallet")
    count: int = Field(description="How many are open", examples=[12])
    at_risk: Money = Field(description="Money at risk, with two decimals")
    buckets: list[AgeBucket] = Field(description="All five, zeros included")


_AGES: JsonDict = {
    "as_of": "2026-11-25",
    "gateways": [
        {
            "gateway": "gopay",
            "count": 3,
            "at_risk": "375000.00",
            "buckets": [
                {"bucket": "1", "count": 2, "at_risk": "285000.00"},
                {"bucket": "3", "count": 0, "at_risk": "0.00"},
                {"bucket": "7", "count": 1, "at_risk": "90000.00"},
                {"bucket": "30", "count": 0, "at_risk": "0.00"},
                {"bucket": "older", "count": 0, "at_risk": "0.00"},
            ],
        }
    ],
}


class Ageing(BaseModel):
    """How old the open exceptions are, and the money that they put at risk."""

    model_config = ConfigDict(json_schema_extra={"examples": [_AGES]})

    as_of: date = Field(description="The day from which is counted, in Asia/Jakarta")
    gateways: list[GatewayAges] = Field(description="Gateways with open exceptions")


class SheetDone(BaseModel):
    """What an uploaded sheet did, or would do."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "dry_run": False,
                    "rows": 120,
                    "filled": 46,
                    "ended": {"explained": 40, "healed": 2},
                    "asked": 4,
                    "approvals": ["019ab1c2-8a01-7d02-8d11-3f0c2b7a9e10"],
                }
            ]
        }
    )

    dry_run: bool = Field(description="Whether nothing was done")
    rows: int = Field(description="Rows of the sheet")
    filled: int = Field(description="Rows with an action")
    ended: dict[State, int] = Field(description="Exceptions that have ended, by their new state")
    asked: int = Field(description="Exceptions that wait for a second person now")
    approvals: list[UUID] = Field(description="The questions to that person: one for each currency")


def shown(found: ReconciliationException, awaited: Awaited | None) -> dict[str, Any]:
    """The members of ExceptionShown."""
    return {
        "exception_id": found.id,
        "class": found.class_,
        "payment_id": found.subject_id if found.type == "payment" else None,
        "refund_id": found.subject_id if found.type == "refund" else None,
        "why": found.reason,
        "expected": SideShown.of(found.expected),
        "found": SideShown.of(found.found),
        "unreadable": found.found if found.class_ == "malformed_line" else None,
        "at_risk": plain(found.risk_minor),
        "age_days": exception_list.age_days(found),
        "expected_by": expected_by(found),
        "source": {"name": found.source_name, "line": found.line_no} if found.line_no is not None else None,
        "run_id": found.last_run_id,
        "awaiting": vars(awaited) if awaited else None,
        **{
            name: getattr(found, name)
            for name in (
                "gateway", "business_date", "type", "state", "reference", "gateway_reference", "note",
                "currency", "opened_at", "closed_at",
            )
        },
    }  # fmt: skip


def with_history(
    found: ReconciliationException,
    awaited: Awaited | None,
    given_back: RefundOfException | None,
    proposals: list[Proposal],
    history: list[ExceptionEvent],
    payout: dict[str, Any] | None,
) -> ExceptionWithHistory:
    """The exception with all that belongs to it."""
    return ExceptionWithHistory.model_validate(
        shown(found, awaited)
        | {
            "refund": given_back,
            "payout": payout,
            "proposals": [
                {
                    "action": one.action,
                    "amount": plain(one.amount_minor),
                    "currency": one.currency,
                    "why": one.why,
                    "target": one.target,
                }
                for one in proposals
            ],
            "history": [{name: getattr(one, name) for name in Step.model_fields} for one in history],
        }
    )


def _money(minor: int | None) -> str | None:
    return None if minor is None else plain(int(minor))
