"""Credentials as the API takes and shows them: every member checked, described, with an example."""

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.config import JsonDict

from api.payment_models import EMAIL
from api.processes import State
from common.nik import is_within
from providers.europass.concepts import fields_of_education

# Printed text on one line, not only blanks: names of any script, with their marks of direction.
_LINE = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f]*$"
_LINES = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
_HIGHEST = 9999
_SCORE = r"^[0-9]{1,4}([.][0-9]{1,2})?$"
MOST_AT_ONCE = 1_000
Line = Annotated[str, StringConstraints(pattern=_LINE)]
Lines = Annotated[str, StringConstraints(pattern=_LINES, max_length=4_000)]
CredentialState = Literal["valid", "suspended", "revoked", "expired"]
ExportedState = Literal["queued", "sent", "unknown", "waiting", "done", "refused", "needs_attention"]
Target = Literal["open_badge", "europass", "linkedin"]


def _without_nik(text: str) -> str:
    if is_within(text):
        raise ValueError("There is a NIK in it, and everybody can read it")
    return text


def _as_text(score: Any) -> Any:
    """A score that comes as a number is written with two decimals, half up; a text stays as it is."""
    if isinstance(score, bool) or not isinstance(score, (int, float)):
        return score
    if isinstance(score, int) or not 0 <= score <= _HIGHEST:
        return str(score)  # as it is, for the pattern to refuse what no score can be
    return str(Decimal(repr(score)).quantize(Decimal("0.01"), ROUND_HALF_UP).copy_abs())  # -0.0 is 0.00


_FIELDS: JsonDict = {"type": "string", "enum": list[JsonValue](sorted(fields_of_education()))}


def _known_field(code: str) -> str:
    if code not in fields_of_education():
        raise ValueError("is no field of ISCED-F 2013")
    return code


Score = Annotated[
    str,
    BeforeValidator(_as_text),
    StringConstraints(pattern=_SCORE),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _SCORE},
                {"type": "number", "minimum": 0, "maximum": _HIGHEST},
            ]
        }
    ),
]

_ID = "7c0e5d4e-6d2b-4f0a-9a53-0f2f4a1d9b11"
_PAGE = f"https://jembatan.example/credentials/{_ID}"
_PROCESS_ID = "019ab1c2-9a20-7c3e-9d55-0a4b6f1e2d3c"
_ACHIEVEMENT: JsonDict = {
    "name": "Pengembangan Perangkat Lunak",
    "description": "Pelatihan berbasis kompetensi pengembang perangkat lunak.",
    "criteria": "Lulus uji kompetensi untuk semua unit.",
    "skkni_units": [{"code": "J.620100.004.02", "title": "Menggunakan Struktur Data"}],
    "kkni_level": 6,
    "hours": 320,
}
_TOLD: JsonDict = {
    "learner": {"id": "learner-4711", "name": "Siti Aminah", "email": "siti@example.id", "show_name": True},
    "program_code": "PRG-2026-0017",
    "lpk_registration_number": "LPK-3171-0042",
    "certificate_number": "CERT-2026-001234",
    "achievement": _ACHIEVEMENT,
    "issued_on": "2026-07-15",
    "expires_on": "2031-07-15",
    "score": "92.50",
}
_EXPORT: JsonDict = {
    "target": "open_badge",
    "state": "done",
    "links": {"page": _PAGE, "jws": f"{_PAGE}.jws", "png": f"{_PAGE}/badge.png"},
    "problem": None,
    "next_attempt_at": None,
    "done_at": "2026-07-15T04:00:05Z",
}
_SHOWN: JsonDict = {
    "credential_id": _ID,
    "url": _PAGE,
    "learner_id": "learner-4711",
    "program_code": "PRG-2026-0017",
    "lpk_registration_number": "LPK-3171-0042",
    "certificate_number": "CERT-2026-001234",
    "achievement": _ACHIEVEMENT,
    "issued_on": "2026-07-15",
    "expires_on": "2031-07-15",
    "score": "92.50",
    "state": "valid",
    "reason": None,
    "state_since": "2026-07-15T04:00:00Z",
    "created_at": "2026-07-15T04:00:00Z",
    "exports": [_EXPORT],
}
_MADE = _SHOWN | {
    "process_id": _PROCESS_ID,
    "status_url": f"https://jembatan.example/api/v1/processes/{_PROCESS_ID}",
}
_ACCEPTED: JsonDict = {
    "process_id": _PROCESS_ID,
    "status_url": f"https://jembatan.example/api/v1/processes/{_PROCESS_ID}",
    "state": "queued",
    "exports": 320,
}
_EVENT: JsonDict = {
    "at": "2026-09-01T02:00:00Z",
    "from_state": "valid",
    "to_state": "revoked",
    "source": "client:platform",
    "reason": "Issued in error",
}


class CredentialHolder(BaseModel):
    """Who achieved it. Kept encrypted; a badge has a hash of the e-mail address and nothing else of it."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[Line, Field(max_length=64)] = Field(
        description="The platform's id", examples=["learner-4711"]
    )
    name: Annotated[Line, Field(max_length=200)] = Field(
        description="As the certificate has it", examples=["Siti Aminah"]
    )
    email: Annotated[str, StringConstraints(max_length=254, pattern=EMAIL)] | None = Field(
        None, description="By which the learner proves that the badge is theirs", examples=["siti@example.id"]
    )
    show_name: bool = Field(
        False, description="The learner agreed that the public page shows the name", examples=[True]
    )


class SkkniUnit(BaseModel):
    """A unit of competency of the national framework."""

    model_config = ConfigDict(extra="forbid")

    code: Annotated[Line, Field(max_length=64)] = Field(description="Its code", examples=["J.620100.004.02"])
    title: Annotated[Line, Field(max_length=300)] = Field(
        description="Its title", examples=["Menggunakan Struktur Data"]
    )
    title_en: Annotated[Line, Field(max_length=300)] | None = Field(
        None, description="Its title in English, for Europass", examples=["Using data structures"]
    )


class AchievementTold(BaseModel):
    """What was achieved, in Indonesian; it stands in the badge word for word."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_ACHIEVEMENT]})

    name: Annotated[Line, Field(max_length=200)] = Field(description="What the badge is called")
    description: Lines = Field(description="What was learnt")
    criteria: Lines = Field(description="What had to be done for it")
    skkni_units: list[SkkniUnit] = Field(
        default_factory=list, max_length=100, description="Units of competency (SKKNI)"
    )
    kkni_level: Annotated[int, Field(strict=True, ge=1, le=9)] | None = Field(
        None, description="Level of the national qualifications framework (KKNI)", examples=[6]
    )
    hours: Annotated[int, Field(strict=True, ge=1, le=10_000)] | None = Field(
        None, description="Hours of training, all in all", examples=[320]
    )
    name_en: Annotated[Line, Field(max_length=200)] | None = Field(
        None, description="`name` in English, for Europass", examples=["Software development"]
    )
    description_en: Lines | None = Field(None, description="`description` in English, for Europass")
    criteria_en: Lines | None = Field(None, description="`criteria` in English, for Europass")
    isced_f: Annotated[str, AfterValidator(_known_field), WithJsonSchema(_FIELDS)] | None = Field(
        None, description="Field of education and training, by its ISCED-F 2013 code", examples=["0613"]
    )


class CredentialTold(BaseModel):
    """A credential to make. Learner, program and certificate number name it: the same again is the same."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_TOLD]})

    learner: CredentialHolder = Field(description="Who achieved it")
    program_code: Annotated[Line, Field(max_length=64)] = Field(description="The training program")
    lpk_registration_number: Annotated[Line, Field(max_length=64)] = Field(
        description="The training centre, as the ministry has it registered"
    )
    certificate_number: Annotated[Line, Field(max_length=64), AfterValidator(_without_nik)] = Field(
        description="Of the certificate; public, so no NIK may stand in it"
    )
    achievement: AchievementTold = Field(description="What was achieved")
    issued_on: date = Field(description="Day of issue (WIB), not in the future", examples=["2026-07-15"])
    expires_on: date | None = Field(
        None, description="Last day on which it is valid (WIB)", examples=["2031-07-15"]
    )
    score: Score | None = Field(
        None,
        description="As it is to be shown; a text stays as it is, a number gets two decimals",
        examples=["92.50"],
    )


class ShownExport(BaseModel):
    """Where a credential goes, and how far it has come there."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXPORT]})

    target: str = Field(description="Where to: `open_badge`, `europass`, `linkedin`")
    state: ExportedState = Field(
        description="`queued` → `sent` → `done`; `waiting`: until `next_attempt_at`; `unknown`: it may have "
        "happened, and is asked; `refused` and `needs_attention`: `problem` says why"
    )
    links: dict[str, str] = Field(description="Where the result is")
    problem: str | None = Field(description="Why it is not further; for people")
    next_attempt_at: datetime | None = Field(description="When it is tried again by itself")
    done_at: datetime | None = Field(description="When it was done")


class ShownCredential(BaseModel):
    """A credential. Of the learner only the platform's own id."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SHOWN]})

    credential_id: UUID = Field(description="Ours; names the credential here")
    url: str = Field(description="Its public page, for good; also the badge's id")
    learner_id: str = Field(description="The platform's id of the learner")
    program_code: str = Field(description="The training program")
    lpk_registration_number: str = Field(description="The training centre")
    certificate_number: str = Field(description="Of the certificate")
    achievement: AchievementTold = Field(description="What was achieved")
    issued_on: date = Field(description="Day of issue (WIB)")
    expires_on: date | None = Field(description="Last day on which it is valid (WIB)")
    score: str | None = Field(description="As it is shown")
    state: CredentialState = Field(description="`revoked` is for good; `expired` by its date alone")
    reason: str | None = Field(description="Why it is suspended or revoked")
    state_since: datetime = Field(description="When it came into this state (not into `expired`)")
    created_at: datetime = Field(description="When it was made here")
    exports: list[ShownExport] = Field(description="Where it goes")


class CredentialMade(ShownCredential):
    """A credential, and the process that exports it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_MADE]})

    process_id: UUID | None = Field(description="The process; null where nothing was left to be done")
    status_url: str | None = Field(description="Where the process is to be read")


class CredentialEventShown(BaseModel):
    """One change of a credential's state."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EVENT]})

    at: datetime = Field(description="When")
    from_state: str = Field(description="Before")
    to_state: str = Field(description="After")
    source: str = Field(description="Who said so")
    reason: str | None = Field(description="Why")


class CredentialWithHistory(ShownCredential):
    """A credential and all that happened to its state."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SHOWN | {"events": [_EVENT]}]})

    events: list[CredentialEventShown] = Field(description="Its history, in order")


class Credentials(BaseModel):
    """A page of credentials."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_SHOWN], "next_cursor": None}]})

    items: list[ShownCredential] = Field(description="The credentials of this page")
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null: the last")


class CredentialReason(BaseModel):
    """Why a credential is revoked or suspended. The public page shows it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "Issued in error"}]})

    reason: Annotated[Line, Field(max_length=255)] = Field(
        description="In a few words; public, nothing personal", examples=["Issued in error"]
    )


class NameShown(BaseModel):
    """The learner's word on the name: whether the public page shows it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"show_name": True}]})

    show_name: Annotated[bool, Field(strict=True)] = Field(
        description="`true`: the learner agreed that the public page shows name and certificate number",
        examples=[True],
    )


class ExportWish(BaseModel):
    """Which credentials to export, and where to. Either some by their ids, or all of a program."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"credential_ids": [_ID], "targets": ["open_badge"]}]},
    )

    credential_ids: list[UUID] = Field(
        default_factory=list, max_length=MOST_AT_ONCE, description="These", examples=[[_ID]]
    )
    program_code: Annotated[Line, Field(max_length=64)] | None = Field(
        None, description="All of this program", examples=["PRG-2026-0017"]
    )
    targets: list[Target] = Field(
        default=["open_badge"],
        min_length=1,
        max_length=8,
        description="Where to",
        examples=[["open_badge"]],
    )


class ExportAccepted(BaseModel):
    """An export that was asked for, and its process."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ACCEPTED]})

    process_id: UUID = Field(description="The process")
    status_url: str = Field(description="Where the process is to be read; also in `Location`")
    state: State = Field(description="The process's")
    exports: int = Field(description="How many exports it has to do")
