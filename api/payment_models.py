"""A payment as the API takes and shows it: every member checked, described and with an example."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StringConstraints,
    model_validator,
)
from pydantic.config import JsonDict

from api import return_urls
from common.settings import GATEWAYS

_NO_CONTROL = r"^[^\x00-\x1f\x7f-\x9f]*$"
Text = Annotated[str, StringConstraints(min_length=1, pattern=_NO_CONTROL)]
# Spelt out, as `\s` is not the same everywhere: Python, Rust and JavaScript shall read it alike.
EMAIL = r"^[^@\x00-\x20\x7f-\xa0]+@[^@\x00-\x20\x7f-\xa0]+\.[^@\x00-\x20\x7f-\xa0]+$"
_EXACT_EVERYWHERE = 2**53 - 1  # the largest whole number that every reader of JSON keeps as it is
Status = Literal[
    "created", "pending", "paid", "partially_refunded", "refunded", "expired", "cancelled", "denied",
    "reversed", "unknown",
]  # fmt: skip


def _gateway(name: str) -> str:
    if name not in GATEWAYS:
        raise ValueError(f"there is no such gateway; there are {', '.join(GATEWAYS)}")
    return name


def _not_a_folder(reference: str) -> str:
    """It stands in addresses of the gateways, where these two names mean something else."""
    if reference in (".", ".."):
        raise ValueError("this name cannot stand in an address")
    return reference


GatewayName = Annotated[
    str, AfterValidator(_gateway), Field(examples=["gopay"], json_schema_extra={"enum": list(GATEWAYS)})
]
Reference = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9._~-]{1,32}$"),
    AfterValidator(_not_a_folder),
    Field(examples=["INV-2026-004711"], json_schema_extra={"not": {"enum": [".", ".."]}}),
]


class Learner(BaseModel):
    """Who pays. Kept encrypted, shown to the gateway as far as it wants it, and in no answer of ours."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[Text, Field(max_length=64)] = Field(
        description="The platform's id", examples=["learner-4711"]
    )
    name: Annotated[Text, Field(max_length=120)] | None = Field(
        None, description="As the wallet may show it", examples=["Siti Rahma"]
    )
    email: Annotated[str, StringConstraints(max_length=254, pattern=EMAIL)] | None = Field(
        None, description="Some wallets take it", examples=["siti@example.id"]
    )
    phone: Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{8,15}$")] | None = Field(
        None, description="Digits, also with +62; a push needs it", examples=["+6281234567890"]
    )


_ORDER: JsonDict = {
    "reference": "INV-2026-004711",
    "gateway": "gopay",
    "amount": 150000,
    "currency": "IDR",
    "learner": {"id": "learner-4711", "name": "Siti Rahma", "phone": "+6281234567890"},
    "program_code": "WELD-II",
    "description": "Welding, level II",
    "return_url": "https://platform.example/orders/4711",
    "expires_in": 900,
}


class Order(BaseModel):
    """A payment to take."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_ORDER]})

    reference: Reference = Field(
        description="Yours for this payment, sent unchanged to the gateway: 1 to 32 of "
        "A-Z a-z 0-9 . _ ~ -. Unique; the same again is the same payment"
    )
    gateway: GatewayName = Field(description="The wallet")
    amount: StrictInt = Field(
        gt=0,
        le=_EXACT_EVERYWHERE,
        description="Whole rupiah; each wallet has limits of its own",
        examples=[150000],
    )
    currency: Literal["IDR"] = Field(description="Rupiah", examples=["IDR"])
    learner: Learner = Field(description="Who pays")
    program_code: Annotated[Text, Field(max_length=64)] | None = Field(
        None, description="The training program", examples=["WELD-II"]
    )
    description: Text = Field(
        max_length=120, description="What the learner reads at the gateway", examples=["Welding, level II"]
    )
    return_url: Annotated[
        str,
        StringConstraints(max_length=512, pattern=return_urls.CHARACTERS),
        AfterValidator(return_urls.checked),
    ] = Field(
        description="Where the learner comes back to: https, or the link of an app. It says nothing about "
        "the money: wait for the event, or verify",
        examples=["https://platform.example/orders/4711"],
        json_schema_extra={"format": "uri"},
    )
    expires_in: Annotated[StrictInt, Field(gt=0, le=31_536_000)] | None = Field(
        None, description="Seconds that the learner has; the wallet's default without it", examples=[900]
    )


class Action(BaseModel):
    """What the learner does next. Choose by `type`, never by place."""

    type: Literal["redirect", "deeplink", "qr", "push"] = Field(
        description="Open a page, open the app, show a picture to scan, or answer the push on the phone"
    )
    url: str | None = Field(
        None, description="Not for `push`", examples=["https://gopay.example/pay/513f1f01"]
    )
    expires_in: int | None = Field(
        None, description="Seconds, where it is less than the payment's own", examples=[55]
    )


class Event(BaseModel):
    """One thing that happened to the payment."""

    at: datetime = Field(description="When it happened")
    from_status: Status | None = Field(description="Empty for the first", examples=["pending"])
    to_status: Status = Field(description="The same as before where nothing moved", examples=["paid"])
    cause: str = Field(description="What made us look or move", examples=["notification"])
    source: str | None = Field(
        description="Which notification, client or question of ours it was", examples=["notification 4711"]
    )
    note: str | None = Field(
        description="In plain words", examples=["The gateway was asked and says settlement."]
    )


_PAYMENT: JsonDict = {
    "payment_id": "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c",
    "reference": "INV-2026-004711",
    "gateway": "gopay",
    "gateway_reference": "513f1f01-c9da-474c-9fc9-d5c64364b709",
    "amount": 150000,
    "currency": "IDR",
    "status": "pending",
    "reason": None,
    "actions": [{"type": "deeplink", "url": "https://gopay.example/pay/513f1f01"}],
    "created_at": "2026-11-25T03:00:00Z",
    "paid_at": None,
    "expires_at": "2026-11-25T03:15:00Z",
    "refunded_amount": 0,
    "advice": None,
}
_WITH_HISTORY: JsonDict = _PAYMENT | {
    "events": [
        {
            "at": "2026-11-25T03:00:00Z",
            "from_status": None,
            "to_status": "created",
            "cause": "api",
            "source": "create",
            "note": "The platform asked for the payment.",
        }
    ]
}
_VERIFIED: JsonDict = _WITH_HISTORY | {
    "status_source": {
        "by": "gateway",
        "at": "2026-11-25T03:04:05Z",
        "detail": None,
        "next_question_at": "2026-11-25T03:05:00Z",
    }
}


class Shown(BaseModel):
    """A payment. No personal data."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PAYMENT]})

    payment_id: UUID = Field(description="Ours; names the payment here")
    reference: str = Field(description="Yours")
    gateway: str = Field(description="The wallet")
    gateway_reference: str | None = Field(description="The gateway's own id, once it has the charge")
    amount: int = Field(description="Whole rupiah")
    currency: str = Field(description="Always `IDR`")
    status: Status = Field(
        description="`created` → `pending` → `paid` → `partially_refunded` → `refunded`; or `expired`, "
        "`cancelled`, `denied`; `reversed`: taken back after payment; `unknown`: asked and not answered, "
        "heals by itself"
    )
    reason: str | None = Field(description="Why it was denied, where the gateway says")
    actions: list[Action] = Field(description="What the learner does next; only while it is pending")
    created_at: datetime = Field(description="When you asked for it")
    paid_at: datetime | None = Field(description="When it was paid, as the gateway says")
    expires_at: datetime | None = Field(description="Until when the learner can pay")
    refunded_amount: int = Field(description="What went back, in whole rupiah")
    advice: str | None = Field(None, description="What to do next, where that is not plain")


class ShownWithHistory(Shown):
    """A payment and all that happened to it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WITH_HISTORY]})

    events: list[Event] = Field(description="Its history, in order")


class StatusSource(BaseModel):
    """Where the status in this answer comes from."""

    by: Literal["gateway", "record"] = Field(
        description="`gateway`: it answered just now; `record`: it did not, see `detail`"
    )
    at: datetime | None = Field(description="When the gateway last answered")
    detail: str | None = Field(
        description="Why it was not asked, or did not answer",
        examples=["it was asked within the last second"],
    )
    next_question_at: datetime | None = Field(description="When we ask it again by ourselves")


class Verified(ShownWithHistory):
    """A payment after asking its gateway."""

    model_config = ConfigDict(json_schema_extra={"examples": [_VERIFIED]})

    status_source: StatusSource = Field(description="Where the status comes from")


class WhichPayment(BaseModel):
    """Names a payment, in one of two ways."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"reference": "INV-2026-004711"}],
            "oneOf": [
                {"required": [one], "properties": {one: {"type": "string"}, other: {"type": "null"}}}
                for one, other in (("reference", "payment_id"), ("payment_id", "reference"))
            ],
        },
    )

    payment_id: UUID | None = Field(
        None, description="Ours, from the answer to the creation", examples=[_PAYMENT["payment_id"]]
    )
    reference: Reference | None = Field(None, description="Yours, as it was at the creation")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.payment_id is None) == (self.reference is None):
            raise ValueError("give either payment_id or reference")
        return self


class Payments(BaseModel):
    """A page of payments, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_PAYMENT], "next_cursor": None}]})

    items: list[Shown] = Field(description="The payments of this page, without their history")
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null: the last")
