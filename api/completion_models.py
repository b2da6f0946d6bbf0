"""Reports of completions as the API takes and shows them. What a class cannot have is told row by row, all at
once, so participants are described here and checked in `records.completion_rows`."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic.config import JsonDict

from api.processes import State
from records.completion_rows import MOST

ParticipantState = Literal["waiting", "sent", "accepted", "rejected", "unknown"]
Code = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Said = Annotated[
    str,
    StringConstraints(
        max_length=255, pattern=r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f]*$"
    ),
]

_PERSON: JsonDict = {
    "nik": "3201010101010001",
    "full_name": "Siti Rahma",
    "completion_status": "COMPLETED",
    "final_score": 92.5,
    "certificate_number": "CERT-2024-001234",
}
_WISH: JsonDict = {
    "program_code": "LPK-2024-001",
    "lpk_registration_number": "LPK-12345-2023",
    "completion_date": "2024-07-15",
    "participants": [_PERSON],
}
_REPORT: JsonDict = {
    "report_id": "019ab1c2-9a10-7c3e-9d55-0a4b6f1e2d3c",
    "process_id": "019ab1c2-9a20-7c3e-9d55-0a4b6f1e2d3c",
    "process_state": "succeeded",
    "program_code": "LPK-2024-001",
    "lpk_registration_number": "LPK-12345-2023",
    "completion_date": "2024-07-15",
    "enrolled": 20,
    "completed": 19,
    "certified": 18,
    "completion_rate": "95.0",
    "certification_rate": "90.0",
    "participants": {"waiting": 0, "sent": 0, "accepted": 20, "rejected": 0, "unknown": 0},
    "reported_before": 0,
    "refused": [],
    "is_correction": False,
    "created_at": "2024-07-15T04:00:00Z",
}
_ACCEPTED: JsonDict = {
    "process_id": "019ab1c2-9a20-7c3e-9d55-0a4b6f1e2d3c",
    "status_url": "https://jembatan.example/api/v1/processes/019ab1c2-9a20-7c3e-9d55-0a4b6f1e2d3c",
    "state": "queued",
    "report_id": "019ab1c2-9a10-7c3e-9d55-0a4b6f1e2d3c",
    "is_new": True,
    "refused": [],
}
_ONE: JsonDict = {
    "row": 17,
    "person_id": "019ab1c2-9b00-7c3e-9d55-0a4b6f1e2d3c",
    "nik": "3201********0001",
    "certificate_number": "CERT-2024-001234",
    "completion_status": "COMPLETED",
    "final_score": "92.5",
    "state": "accepted",
    "code": None,
    "problem": None,
    "sent_at": "2024-07-15T04:00:02Z",
    "answered_at": "2024-07-15T04:00:02Z",
}
# What a participant looks like; each is checked with all others, so that every fault is told at once.
_PARTICIPANT: JsonDict = {
    "type": "object",
    "title": "Participant",
    "additionalProperties": False,
    "required": ["nik", "full_name", "completion_status"],
    "properties": {
        "nik": {
            "type": "string",
            "pattern": "^[0-9]{16}$",
            "description": "The identity number: 16 digits, as text and never as a number",
        },
        "full_name": {"type": "string", "minLength": 1, "maxLength": 200, "description": "As on the paper"},
        "completion_status": {
            "type": "string",
            "description": "`COMPLETED`, `FAILED` or `WITHDRAWN`, where nothing else is set",
        },
        "final_score": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": 100,
            "description": "At most two decimals; left out where nobody was scored",
        },
        "certificate_number": {
            "type": ["string", "null"],
            "maxLength": 64,
            "description": "Who is certified has one, and nobody else the same",
        },
        "learner_id": {
            "type": ["string", "null"],
            "maxLength": 128,
            "description": "The platform's own id of the learner; stays with us",
        },
    },
}
Participant = Annotated[Any, WithJsonSchema(_PARTICIPANT)]


class CompletionsWish(BaseModel):
    """A class to report: all who were enrolled, whatever became of them."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_WISH]})

    program_code: Code = Field(description="Yours of the program", examples=["LPK-2024-001"])
    lpk_registration_number: Code = Field(description="The LPK's", examples=["LPK-12345-2023"])
    completion_date: str = Field(
        description="When the class ended, by the date in Jakarta: YYYY-MM-DD, not in the future",
        examples=["2024-07-15"],
        max_length=32,
    )
    participants: Annotated[list[Participant], Field(min_length=1, max_length=MOST)] = Field(
        description="Everybody; the rates are computed from them and from who was reported before"
    )
    allow_partial: bool = Field(
        False, description="Report the good rows though others cannot be; without it nothing is sent then"
    )
    correction: bool = Field(
        False, description="Whoever was reported with other values is corrected; without it that is refused"
    )


class RefusedRow(BaseModel):
    """A row that was left out. Never its values."""

    path: str = Field(description="Which member of which participant", examples=["participants[16].nik"])
    row: int = Field(description="Its place from 1, or the line of the file", examples=[17])
    reason: str = Field(description="What is wrong, for people", examples=["no province has the code 97"])


class CompletionsAccepted(BaseModel):
    """A class that was taken on, and the process that reports it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ACCEPTED]})

    process_id: UUID = Field(description="The process")
    status_url: str = Field(description="Where the process is to be read; also in `Location`")
    state: State = Field(description="The process's")
    report_id: UUID = Field(description="Names the report; the form in Prefect asks for it")
    is_new: bool = Field(description="False where this very report was handed in before")
    refused: list[RefusedRow] = Field(description="With `allow_partial`: what was left out")


class ByState(BaseModel):
    """How many participants are in each state."""

    waiting: int = Field(description="Not sent yet")
    sent: int = Field(description="On their way at this moment")
    accepted: int = Field(description="The register has said yes")
    rejected: int = Field(description="The register has said no; see each one's `problem`")
    unknown: int = Field(description="Sent, and the answer was lost: the register may have them")


class CompletionReportShown(BaseModel):
    """A report and how far it is. No personal data."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REPORT]})

    report_id: UUID = Field(description="Names the report")
    process_id: UUID = Field(description="The process that reports it")
    process_state: State = Field(description="How far that is")
    program_code: str = Field(description="The program")
    lpk_registration_number: str = Field(description="The LPK's")
    completion_date: date = Field(description="When the class ended")
    enrolled: int = Field(description="The whole class, with who was reported before and who was left out")
    completed: int = Field(description="Of them, who is COMPLETED")
    certified: int = Field(description="Of them, who has a certificate number too")
    completion_rate: Decimal = Field(description="Per cent, one decimal, half up", examples=["95.0"])
    certification_rate: Decimal = Field(description="Per cent, one decimal, half up", examples=["90.0"])
    participants: ByState = Field(description="Who is reported by this report")
    reported_before: int = Field(description="Who was reported with the same values by an earlier one")
    refused: list[RefusedRow] = Field(description="What was left out, with `allow_partial`")
    is_correction: bool = Field(description="Whether it was handed in as a correction")
    created_at: datetime = Field(description="When it was handed in")


class CompletionReports(BaseModel):
    """A page of reports, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_REPORT], "next_cursor": None}]})

    items: list[CompletionReportShown] = Field(description="The reports of this page")
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null: the last")


class ParticipantShown(BaseModel):
    """One participant of a report. No name, and no more of the NIK than may be shown."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ONE]})

    row: int = Field(description="Place in the report from 1, or line of its file")
    person_id: UUID = Field(description="Names the person here")
    nik: str | None = Field(description="Masked; null of who was erased", examples=["3201********0001"])
    certificate_number: str | None = Field(description="As reported")
    completion_status: str = Field(description="As reported", examples=["COMPLETED"])
    final_score: Decimal | None = Field(description="As reported", examples=["92.5"])
    state: ParticipantState = Field(description="How far it is")
    code: str | None = Field(description="The register's own word for its no", examples=["NIK_NOT_FOUND"])
    problem: str | None = Field(description="Why it was not taken, without values")
    sent_at: datetime | None = Field(description="When it was last sent")
    answered_at: datetime | None = Field(description="When the register said yes or no")


class Participants(BaseModel):
    """A page of a report's participants, in their order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_ONE], "next_cursor": None}]})

    items: list[ParticipantShown] = Field(description="The participants of this page")
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null: the last")


class Settlement(BaseModel):
    """What the ministry says of participants whose answer was lost."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"is_there": True, "reason": "Told on the phone, TKT-118"}]},
    )

    is_there: bool = Field(description="Whether the register has all of them; else they are sent again")
    reason: Said = Field(description="How you know; kept for good, nothing personal", examples=["TKT-118"])


class Settled(BaseModel):
    """What a settlement did."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"settled": 3}]})

    settled: int = Field(description="How many participants it was about")
