"""Enrolments as the API takes and shows them. What a list cannot have is told row by row, all at once, so
they are described here and checked in `records.enrolment_rows`."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic.config import JsonDict

from common import clock
from records.enrolment_rows import MOST

EnrolmentState = Literal["enrolled", "completed", "withdrawn"]
_TEXT = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f]*$"  # not only blanks

_TOLD: JsonDict = {
    "learner_id": "learner-4711",
    "program_code": "LPK-2024-001",
    "state": "enrolled",
    "occurred_at": "2024-01-12T09:00:00+07:00",
    "payment_reference": "INV-2024-004711",
}
_SHOWN: JsonDict = {
    "enrolment_id": "019ab1c2-9a10-7c3e-9d55-0a4b6f1e2d3c",
    "learner_id": "learner-4711",
    "program_code": "LPK-2024-001",
    "state": "enrolled",
    "state_at": "2024-01-12T02:00:00Z",
    "since": "2024-01-12T02:00:00Z",
    "is_free": False,
    "payment_id": "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c",
    "is_new": True,
}


class EnrolmentTold(BaseModel):
    """One thing that happened to a learner's seat in a program."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_TOLD]})

    learner_id: Annotated[str, StringConstraints(max_length=128, pattern=_TEXT)] = Field(
        description="Yours of the learner; never a NIK", examples=["learner-4711"]
    )
    program_code: Annotated[str, StringConstraints(max_length=64, pattern=_TEXT)] = Field(
        description="The code under which the program is, or will be, registered", examples=["LPK-2024-001"]
    )
    state: EnrolmentState = Field(description="What it is since then")
    occurred_at: Annotated[str, StringConstraints(pattern=f"^{clock.MOMENT}$")] = Field(
        description="When it happened, with its offset; not in the future",
        examples=["2024-01-12T09:00:00+07:00"],
        json_schema_extra={"format": "date-time"},
    )
    payment_reference: Annotated[str, StringConstraints(max_length=64, pattern=_TEXT)] | None = Field(
        None, description="The payment that pays for it, by your reference", examples=["INV-2024-004711"]
    )
    payment_id: UUID | None = Field(
        None,
        description="The same by our id; give one of both",
        examples=["019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c"],
    )
    is_free: bool | None = Field(
        None, description="Nothing is to be paid for it, as with a scholarship; then it names no payment"
    )


_REF = {"$ref": "#/components/schemas/EnrolmentTold"}
EnrolmentBody = Annotated[
    dict[str, Any] | list[Any],
    WithJsonSchema(
        {"anyOf": [_REF, {"type": "array", "items": _REF, "minItems": 1, "maxItems": MOST}]},
        mode="validation",
    ),
]


class EnrolmentShown(BaseModel):
    """A learner's seat in a program, as everything that was told together says it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SHOWN]})

    enrolment_id: UUID = Field(description="Ours of this learner in this program")
    learner_id: str = Field(description="The platform's id of the learner")
    program_code: str = Field(description="The program's code")
    state: EnrolmentState = Field(description="What was told last, by its time")
    state_at: datetime = Field(description="When that came about")
    since: datetime = Field(description="Since when there is a seat, or none any more")
    is_free: bool = Field(description="Whether nothing is to be paid for it")
    payment_id: UUID | None = Field(description="The payment that was named last")
    is_new: bool = Field(description="Whether what you told was news")


class EnrolmentsTaken(BaseModel):
    """What became of what you told, in its order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"new": 1, "known": 0, "items": [_SHOWN]}]})

    new: int = Field(description="Statements that were news")
    known: int = Field(description="Statements that were known already")
    items: list[EnrolmentShown] = Field(description="For each statement, the enrolment as it is now")
