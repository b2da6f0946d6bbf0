"""Refunds and approvals as the API takes and shows them: every member checked, described, with an example."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints
from pydantic.config import JsonDict

from api.processes import State
from common.money import plain
from records.approval import Approval
from records.refund import Refund

_EXACT_EVERYWHERE = 2**53 - 1
_LINE = r"^[^\x00-\x1f\x7f-\x9f]*$"
_SAID = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f]*$"  # not only blanks
RefundStatus = Literal[
    "requested", "awaiting_approval", "approved", "sent", "accepted", "confirmed", "refused", "unknown"
]
ApprovalState = Literal["open", "approved", "refused", "expired"]

_WISH: JsonDict = {"refund_key": "seat-4711-cancelled", "amount": 50000, "reason": "Course was cancelled"}
_EVENT: JsonDict = {
    "at": "2026-11-25T04:00:00Z",
    "from_status": None,
    "to_status": "requested",
    "cause": "request",
    "source": "client:platform",
    "note": "Asked for: Rp 50,000.",
}
_REFUND: JsonDict = {
    "refund_id": "019ab1c2-9a10-7c3e-9d55-0a4b6f1e2d3c",
    "payment_id": "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c",
    "reference": "INV-2026-004711",
    "refund_key": "seat-4711-cancelled",
    "gateway": "gopay",
    "gateway_key": "RJ2Q5T7HXW4B6ZKD3MN5C7VYAEF",
    "gateway_reference": None,
    "amount": 50000,
    "currency": "IDR",
    "status": "approved",
    "reason": "Course was cancelled",
    "problem": None,
    "is_foreign": False,
    "exception_id": None,
    "charge_reference": None,
    "created_at": "2026-11-25T04:00:00Z",
    "confirmed_at": None,
}
_PROCESS_ID = "019ab1c2-9a20-7c3e-9d55-0a4b6f1e2d3c"
_ACCEPTED: JsonDict = {
    "process_id": _PROCESS_ID,
    "status_url": f"https://jembatan.example/api/v1/processes/{_PROCESS_ID}",
    "state": "queued",
    "approval_id": None,
    "refund": _REFUND,
}
_OF_EXCEPTION: JsonDict = {
    "refund_id": "019ab1c2-9a10-7c3e-9d55-0a4b6f1e2d3c",
    "payment_id": "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c",
    "process_id": _PROCESS_ID,
    "amount": "275000.00",
    "charge_reference": "GP-9977",
    "status": "accepted",
    "problem": None,
    "approval_id": None,
}
_APPROVAL: JsonDict = {
    "approval_id": "019ab1c2-9b10-7c3e-9d55-0a4b6f1e2d3c",
    "subject": "refund",
    "subject_id": "019ab1c2-9a10-7c3e-9d55-0a4b6f1e2d3c",
    "summary": "Give back Rp 1,500,000 of INV-2026-004711 (gopay)",
    "amount": "1500000.00",
    "currency": "IDR",
    "state": "open",
    "requested_by": "client:platform",
    "requested_at": "2026-11-25T04:00:00Z",
    "expires_at": "2026-11-28T04:00:00Z",
    "decided_by": None,
    "decided_at": None,
    "reason": None,
}


class RefundWish(BaseModel):
    """A refund to make."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_WISH]})

    refund_key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = Field(
        description="Yours for this refund, unique for each payment: 1 to 64 of A-Z a-z 0-9 _ -. The same "
        "again is the same refund"
    )
    amount: Annotated[StrictInt, Field(gt=0, le=_EXACT_EVERYWHERE)] | None = Field(
        None, description="Whole rupiah; left out: all that is left", examples=[50000]
    )
    currency: Literal["IDR"] = Field("IDR", description="Rupiah", examples=["IDR"])
    reason: Annotated[str, StringConstraints(max_length=255, pattern=_SAID)] = Field(
        description="Why, for the gateway and for those who look later; nothing personal",
        examples=["Course was cancelled"],
    )


class RefundEvent(BaseModel):
    """One thing that happened to a refund."""

    at: datetime = Field(description="When it happened")
    from_status: RefundStatus | None = Field(description="Empty for the first", examples=["sent"])
    to_status: RefundStatus = Field(
        description="The same as before where nothing moved", examples=["confirmed"]
    )
    cause: str = Field(description="What made us look or move", examples=["notification"])
    source: str | None = Field(description="Who or what it was", examples=["client:platform"])
    note: str | None = Field(description="In plain words", examples=["Asked for: Rp 50,000."])


class ShownRefund(BaseModel):
    """A refund. No personal data."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REFUND]})

    refund_id: UUID = Field(description="Ours; names the refund here")
    payment_id: UUID = Field(description="The payment")
    reference: str = Field(description="Yours of the payment")
    refund_key: str | None = Field(description="Yours of the refund; null where it was made without us")
    gateway: str = Field(description="The wallet")
    gateway_key: str = Field(description="By which the gateway and its reports know it")
    gateway_reference: str | None = Field(description="The gateway's own number, once it has one")
    amount: int = Field(description="Whole rupiah")
    currency: str = Field(description="Always `IDR`")
    status: RefundStatus = Field(
        description="`requested` → `awaiting_approval` → `approved` → `sent` → `accepted` (the gateway has "
        "taken it) → `confirmed` (the money has moved), or `refused`; `unknown`: asked and not answered, "
        "heals by itself"
    )
    reason: str | None = Field(description="Why it was asked for")
    problem: str | None = Field(description="Why it is not further, or why it was refused; for people")
    is_foreign: bool = Field(description="Made at the gateway without us, and taken in")
    exception_id: int | None = Field(
        description="The exception that it ends, where it was asked for to end one"
    )
    charge_reference: str | None = Field(
        description="The gateway's name of the second charge that goes back; null: it is money of the payment"
    )
    created_at: datetime = Field(description="When it was asked for, or taken in")
    confirmed_at: datetime | None = Field(description="When the money moved, as the gateway says")


class RefundWithHistory(ShownRefund):
    """A refund and all that happened to it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REFUND | {"events": [_EVENT]}]})

    events: list[RefundEvent] = Field(description="Its history, in order")


class Refunds(BaseModel):
    """All refunds of a payment, oldest first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [_REFUND | {"events": [_EVENT]}], "left": 100000}]}
    )

    items: list[RefundWithHistory] = Field(description="Yours, and those made at the gateway without you")
    left: int = Field(description="What can still be given back, in whole rupiah")


class RefundOfException(BaseModel):
    """The refund that is to end an exception."""

    model_config = ConfigDict(json_schema_extra={"examples": [_OF_EXCEPTION]})

    refund_id: UUID = Field(description="Names the refund")
    payment_id: UUID = Field(
        description="Our payment; `GET /api/v1/payments/{payment_id}/refunds` tells more"
    )
    process_id: UUID | None = Field(description="The process that makes it")
    amount: str = Field(description="With two decimals", examples=["75000.00"])
    charge_reference: str | None = Field(
        description="The charge that goes back, by the gateway's name; null: the payment itself"
    )
    status: RefundStatus = Field(description="How far it has come; `confirmed` ends the exception")
    problem: str | None = Field(description="Why it is not further, or why it was refused")
    approval_id: UUID | None = Field(description="The second person's word that it waits for, if it does")

    @classmethod
    def of(cls, found: Refund, question: Approval | None) -> Self:
        """The refund, and the open question about it."""
        return cls(
            refund_id=found.id,
            process_id=found.process_run_id,
            amount=plain(found.amount_minor),
            approval_id=question.id if question else None,
            **{
                name: getattr(found, name) for name in ("payment_id", "charge_reference", "status", "problem")
            },
        )


class RefundAccepted(BaseModel):
    """A refund that was asked for, and the process that makes it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ACCEPTED]})

    process_id: UUID = Field(description="The process")
    status_url: str = Field(description="Where the process is to be read; also in `Location`")
    state: State = Field(description="The process's")
    approval_id: UUID | None = Field(description="The second person's word that it waits for, if it does")
    refund: ShownRefund = Field(description="The refund as it is now")


class ShownApproval(BaseModel):
    """A question to a second person."""

    model_config = ConfigDict(json_schema_extra={"examples": [_APPROVAL]})

    approval_id: UUID = Field(description="Names the approval here")
    subject: Literal["refund", "exception"] = Field(description="What it is about")
    subject_id: str = Field(description="The refund's id, or the exception's number")
    summary: str = Field(description="What is to be done, in words")
    amount: str = Field(description="Rupiah with two decimals", examples=["1500000.00"])
    currency: str = Field(description="Always `IDR`")
    state: ApprovalState = Field(description="`open` until somebody decides or its time is over")
    requested_by: str = Field(description="Who asked; may not approve")
    requested_at: datetime = Field(description="When")
    expires_at: datetime = Field(description="Until when it can be decided: 72 hours")
    decided_by: str | None = Field(description="Who decided", examples=["client:finance"])
    decided_at: datetime | None = Field(description="When it was decided, or expired")
    reason: str | None = Field(description="What who decided said of it")


class Approvals(BaseModel):
    """A page of approvals, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_APPROVAL], "next_cursor": None}]})

    items: list[ShownApproval] = Field(description="The approvals of this page")
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null: the last")


class ApprovalWord(BaseModel):
    """What an approver says."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "Seen with the course's cancellation"}]}
    )

    reason: Annotated[str, StringConstraints(max_length=500, pattern=_LINE)] = Field(
        "", description="In a few words; kept for good, nothing personal", examples=["Checked"]
    )


class RefusalWord(BaseModel):
    """Why something is not approved."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "Wrong amount"}]})

    reason: Annotated[str, StringConstraints(max_length=500, pattern=_SAID)] = Field(
        description="In a few words; kept for good, nothing personal", examples=["Wrong amount"]
    )
