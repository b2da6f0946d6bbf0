"""A learner's timeline as the API shows it; the console shows the same."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from records.entitlement import FindingClass, FindingState

StageName = Literal["registered", "paid", "enrolled", "completed", "reported", "credential", "refunds"]
StageState = Literal["done", "under_way", "not_yet", "attention"]

_ENTRY: JsonDict = {
    "at": "2024-01-12T02:00:00Z",
    "state": "paid",
    "text": "Rp 150,000 through GoPay: paid on 12 January 2024, 09:00 WIB.",
    "reference": "INV-2024-004711",
    "id": "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c",
}
_STAGE: JsonDict = {
    "stage": "paid",
    "state": "done",
    "at": "2024-01-12T02:00:00Z",
    "text": "Paid.",
    "entries": [_ENTRY],
}
_DIFFERENCE: JsonDict = {
    "finding_id": "019ab1c2-9a10-7c3e-9d55-0a4b6f1e2d3c",
    "class": "completed_not_reported",
    "state": "open",
    "since": "2024-07-15T00:00:00Z",
    "text": "Completed, and not reported",
}
_PROGRAM: JsonDict = {
    "program_code": "LPK-2024-001",
    "program_name": "Advanced Software Development",
    "stages": [_STAGE],
    "differences": [_DIFFERENCE],
}


class Entry(BaseModel):
    """One thing of a stage: a payment, a statement of the platform, a report, an export."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ENTRY]})

    at: datetime | None = Field(description="When it came about, if that is known")
    state: str = Field(description="Its own state, as at its own endpoint", examples=["paid"])
    text: str = Field(description="What it is, for people")
    reference: str | None = Field(description="What it is called: a reference, a number, a target")
    id: UUID | None = Field(description="Its id at its own endpoint, where it has one")


class Stage(BaseModel):
    """One step of a learner's way through a program."""

    model_config = ConfigDict(json_schema_extra={"examples": [_STAGE]})

    stage: StageName = Field(description="Which step; they always come in this order")
    state: StageState = Field(description="`done`, `under_way`, `not_yet`, or `attention`: a person looks")
    at: datetime | None = Field(description="When it was done, or the newest thing of it")
    text: str = Field(description="Where it stands, for people")
    entries: list[Entry] = Field(description="What it rests on")


class Difference(BaseModel):
    """Something that the nightly look has found."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DIFFERENCE]})

    finding_id: UUID = Field(description="Names it")
    class_: FindingClass = Field(alias="class", description="What does not fit")
    state: FindingState = Field(description="Whether it is open")
    since: datetime = Field(description="From when it counts")
    text: str = Field(description="The class, for people")


class ProgramTimeline(BaseModel):
    """A learner's way through one program."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PROGRAM]})

    program_code: str | None = Field(description="The program; null for payments that name none")
    program_name: str | None = Field(description="Its name, where it is known for the register")
    stages: list[Stage] = Field(description="Always these seven, in this order")
    differences: list[Difference] = Field(
        description="What the nightly look has found; empty without the scope `exceptions:read`"
    )


class LearnerTimeline(BaseModel):
    """What became of a learner, program by program."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"learner_id": "learner-4711", "niks": ["3201********0001"], "programs": [_PROGRAM]}]
        }
    )

    learner_id: str = Field(description="The platform's id", examples=["learner-4711"])
    niks: list[str] = Field(
        description="As much of the NIK as may be shown; several where two persons have it"
    )
    programs: list[ProgramTimeline] = Field(description="By program code")
