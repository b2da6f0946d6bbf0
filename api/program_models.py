"""Training programs and checks of credentials as the API takes and shows them."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from api.processes import State

_SAID = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f]*$"  # not only blanks
ProgramStatus = Literal["pending", "registered", "rejected", "unknown", "conflict"]

PROGRAM_EXAMPLE: JsonDict = {
    "program_code": "LPK-2024-001",
    "program_name": "Advanced Software Development",
    "lpk_registration_number": "LPK-12345-2023",
    "lpk_name": "LPK Teknologi Indonesia",
    "program_type": "VOCATIONAL",
    "sector": "INFORMATION_TECHNOLOGY",
    "sub_sector": "SOFTWARE_DEVELOPMENT",
    "duration_days": 180,
    "duration_hours": 1440,
    "start_date": "2024-01-15",
    "end_date": "2024-07-15",
    "location": {
        "address": "Jl. Sudirman No. 123",
        "city": "Jakarta",
        "province": "DKI Jakarta",
        "postal_code": "10220",
    },
    "skkni_code": "J.620100.004.02",
    "participant_capacity": 50,
    "instructor_qualifications": [
        {"name": "Ratna Dewi", "qualification": "S.Kom.", "certification": "CERT-001"}
    ],
    "curriculum": [
        {"module_name": "Microservices", "duration_hours": 240, "learning_outcomes": ["Designs services"]}
    ],
}
QUESTION_EXAMPLE: JsonDict = {
    "credential_id": "550e8400-e29b-41d4-a716-446655440000",
    "credential_url": "https://platform.example/credentials/550e8400-e29b-41d4-a716-446655440000",
    "participant_nik": "3201010101900001",
    "skkni_code": "J.620100.004.02",
    "issuance_date": "2024-07-15T10:30:00Z",
}
_SHOWN: JsonDict = {
    "program_id": "019ab1c2-9a10-7c3e-9d55-0a4b6f1e2d3c",
    "lpk_registration_number": "LPK-12345-2023",
    "program_code": "LPK-2024-001",
    "program_name": "Advanced Software Development",
    "version": 1,
    "status": "registered",
    "siplatih_program_id": "SIPLATIH-2024-001234",
    "registered_at": "2024-01-10T10:00:00Z",
    "registered_version": 1,
    "sent": 1,
    "problem": None,
    "faults": [],
    "warnings": [],
    "requested_by": "client:platform",
    "process_id": "019ab1c2-8a01-7d02-8d11-3f0c2b7a9e10",
    "created_at": "2024-01-10T09:59:57Z",
    "updated_at": "2024-01-10T10:00:00Z",
}
_EVENT: JsonDict = {
    "at": "2024-01-10T10:00:00Z",
    "version": 1,
    "from_status": "pending",
    "to_status": "registered",
    "cause": "answer",
    "source": "process",
    "note": "Registered.",
}
_ACCEPTED: JsonDict = {
    "process_id": "019ab1c2-8a01-7d02-8d11-3f0c2b7a9e10",
    "status_url": "http://127.0.0.1:8400/api/v1/processes/019ab1c2-8a01-7d02-8d11-3f0c2b7a9e10",
    "state": "succeeded",
    "program": _SHOWN,
}
_CHECK: JsonDict = {
    "check_id": "019ab1c2-9a10-7c3e-9d55-0a4b6f1e2d3c",
    "credential_id": "550e8400-e29b-41d4-a716-446655440000",
    "status": "verified",
    "verified": True,
    "reason": "The register says that it is verified",
    "requested_by": "client:platform",
    "process_id": "019ab1c2-8a01-7d02-8d11-3f0c2b7a9e10",
    "created_at": "2024-07-16T02:00:00Z",
    "answered_at": "2024-07-16T02:00:03Z",
}
_CHECK_ACCEPTED: JsonDict = {
    "process_id": "019ab1c2-8a01-7d02-8d11-3f0c2b7a9e10",
    "status_url": "http://127.0.0.1:8400/api/v1/processes/019ab1c2-8a01-7d02-8d11-3f0c2b7a9e10",
    "state": "succeeded",
    "check": _CHECK,
}
_DECISION: JsonDict = {
    "decision": "registered",
    "siplatih_program_id": "SIPLATIH-2024-001234",
    "registered_on": "2024-01-10",
    "reason": "The ministry confirmed it by telephone",
}


# The bodies of these two are read as they come, so that all that is wrong with one is told at once, by rules
# that no schema can say. They describe the body and check nothing.
class Location(BaseModel):
    """Where a program takes place."""

    address: str = Field(min_length=1, max_length=1000, description="Street and number")
    city: str = Field(min_length=1, max_length=200, description="City or regency")
    province: str = Field(
        min_length=1, description="One of the 38; usual spellings are understood", examples=["DKI Jakarta"]
    )
    postal_code: str = Field(pattern="^[1-9][0-9]{4}$", description="Five digits, as text")


class Instructor(BaseModel):
    """Who teaches. Kept sealed, sent to the register, shown nowhere."""

    name: str = Field(min_length=1, max_length=200, description="Name; one word is enough")
    qualification: str = Field(min_length=1, max_length=200, description="Degree or qualification")
    certification: str = Field(min_length=1, max_length=200, description="Certificate")


class Module(BaseModel):
    """A part of the curriculum."""

    module_name: str = Field(min_length=1, max_length=200, description="Name")
    duration_hours: int = Field(ge=1, le=1_000_000, description="Hours")
    learning_outcomes: list[str] = Field(max_length=500, description="What it teaches; may be empty")


class TrainingProgram(BaseModel):
    """A training program, by the register's own member names."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [PROGRAM_EXAMPLE]})

    program_code: str = Field(
        min_length=1, max_length=64, description="Yours; with the LPK's number it names the program"
    )
    program_name: str = Field(min_length=1, max_length=200, description="Name in Indonesian")
    program_name_en: str | None = Field(
        None, max_length=200, description="Name in English; left out: `program_name`"
    )
    lpk_registration_number: str = Field(min_length=3, max_length=64, description="Of the training centre")
    lpk_name: str = Field(min_length=1, max_length=200, description="Name of the training centre")
    program_type: str = Field(description="A word of the register: `VOCATIONAL`, or as configured")
    sector: str = Field(max_length=200, description="In capitals with _", examples=["INFORMATION_TECHNOLOGY"])
    sub_sector: str = Field(max_length=200, description="As `sector`", examples=["SOFTWARE_DEVELOPMENT"])
    duration_days: int = Field(ge=1, le=1_000_000, description="No more than the calendar has")
    duration_hours: int = Field(ge=1, le=1_000_000, description="No more than 24 for each day")
    start_date: date = Field(description="First day")
    end_date: date = Field(description="Last day")
    location: Location = Field(description="Where it takes place")
    skkni_code: str = Field(min_length=3, max_length=64, description="Code of the competence standard")
    participant_capacity: int = Field(ge=1, le=1_000_000, description="Most participants")
    instructor_qualifications: list[Instructor] = Field(max_length=500, description="Who teaches")
    curriculum: list[Module] = Field(min_length=1, max_length=500, description="At least one module")
    change: bool = Field(
        False, description="Send other content of a program that is registered, as a new version"
    )
    new_lpk_number: bool = Field(
        False, description="This LPK has another registration number than its earlier programs"
    )


class CredentialQuestion(BaseModel):
    """A credential that the register is asked about."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [QUESTION_EXAMPLE]})

    credential_id: UUID = Field(description="Of the credential")
    credential_url: str = Field(max_length=2048, description="https; it should answer when it is sent")
    participant_nik: str = Field(
        pattern="^[0-9]{16}$", description="16 digits, as text. Kept sealed until the register has answered"
    )
    skkni_code: str = Field(min_length=3, max_length=64, description="Code of the competence standard")
    issuance_date: datetime = Field(description="When it was issued, with zone")


class Remark(BaseModel):
    """One thing that is wrong, or may be."""

    where: str = Field(description="Which member", examples=["location.province"])
    reason: str = Field(description="What is wrong; never its value", examples=["it is sent as DKI Jakarta"])


class ShownProgram(BaseModel):
    """A program and its newest version. Instructors are not shown."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SHOWN]})

    program_id: UUID = Field(description="Ours; names the program here")
    lpk_registration_number: str = Field(description="Of the training centre")
    program_code: str = Field(description="Yours")
    program_name: str = Field(description="Name in Indonesian")
    version: int = Field(description="Counts what was asked to be registered, from 1")
    status: ProgramStatus = Field(
        description="`pending` → `registered` or `rejected`; `unknown`: sent and not answered, asked again "
        "by itself or by a person; `conflict`: the register has the code for something else"
    )
    siplatih_program_id: str | None = Field(description="The register's number, once it is registered")
    registered_at: datetime | None = Field(description="When, as the register says")
    registered_version: int | None = Field(description="Which version the register has")
    sent: int = Field(description="How often this version was sent")
    problem: str | None = Field(description="Why it is not further; for people")
    faults: list[Remark] = Field(description="What the register minds, by member")
    warnings: list[Remark] = Field(description="What may be wrong, and was sent all the same")
    requested_by: str = Field(description="Who asked for this version")
    process_id: UUID = Field(description="The process of this version")
    created_at: datetime = Field(description="When this version was asked for")
    updated_at: datetime = Field(description="When its state was noted last")


class ProgramEvent(BaseModel):
    """One thing that happened to a program."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime = Field(description="When it happened")
    version: int = Field(description="To which version")
    from_status: ProgramStatus | None = Field(description="Empty for the first", examples=["pending"])
    to_status: ProgramStatus = Field(description="The same as before where nothing moved")
    cause: str = Field(description="What made us look or move", examples=["answer"])
    source: str = Field(description="Who or what it was", examples=["client:platform"])
    note: str | None = Field(description="In plain words", examples=["Registered."])


class ProgramWithHistory(ShownProgram):
    """A program and all that happened to it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SHOWN | {"events": [_EVENT]}]})

    events: list[ProgramEvent] = Field(description="Its history, in order")


class Programs(BaseModel):
    """A page of programs, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_SHOWN], "next_cursor": None}]})

    items: list[ShownProgram] = Field(description="The programs of this page")
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null: the last")


class ProgramAccepted(BaseModel):
    """A program that was asked to be registered, and the process that does it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ACCEPTED]})

    process_id: UUID = Field(description="The process")
    status_url: str = Field(description="Where the process is to be read; also in `Location`")
    state: State = Field(description="The process's")
    program: ShownProgram = Field(description="The program as it is now")


class Decision(BaseModel):
    """What a person found out at the ministry."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_DECISION]})

    decision: Literal["registered", "send_again"] = Field(
        description="`registered`: the ministry has it; `send_again`: it does not"
    )
    siplatih_program_id: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$")] | None = Field(
        None, description="The register's number; needed for `registered`, and only there"
    )
    registered_on: date | None = Field(None, description="Day of registration in Jakarta, if it is known")
    reason: Annotated[str, StringConstraints(max_length=500, pattern=_SAID)] = Field(
        description="How you know; kept for good, nothing personal"
    )

    @model_validator(mode="after")
    def _number_where_registered(self) -> "Decision":
        if (self.decision == "registered") != (self.siplatih_program_id is not None):
            raise ValueError("siplatih_program_id goes with `registered`, and only with it")
        return self


class ShownCheck(BaseModel):
    """A question to the register about a credential. Whom it is about is not shown."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CHECK]})

    check_id: UUID = Field(description="Names the check here")
    credential_id: UUID = Field(description="The credential")
    status: Literal["pending", "verified", "not_verified"] = Field(description="What the register said")
    verified: bool = Field(description="True only where the register said so in so many words")
    reason: str | None = Field(description="For people")
    requested_by: str = Field(description="Who asked")
    process_id: UUID = Field(description="The process")
    created_at: datetime = Field(description="When it was asked for")
    answered_at: datetime | None = Field(description="When the register answered")


class CheckAccepted(BaseModel):
    """A credential that the register will be asked about, and the process that does it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CHECK_ACCEPTED]})

    process_id: UUID = Field(description="The process")
    status_url: str = Field(description="Where the process is to be read; also in `Location`")
    state: State = Field(description="The process's")
    check: ShownCheck = Field(description="The check as it is now")


Body = dict[str, Any]
