"""What the register and we tell each other, in our types."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Self

from providers import reading

# The words of a register that has the program; the second for one that takes a change.
REGISTERED = frozenset({"REGISTERED", "UPDATED"})
ParticipantState = Literal["accepted", "rejected", "unknown", "untouched"]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with what was sent. path: ours, `participants[17].nik`; reason: no values.

    certificate_number: the one under which the register has a participant already; not for the eye.
    """

    path: str
    reason: str
    code: str | None = None
    certificate_number: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Registration:
    """A program as the register has it. status: None where the answer has none.

    evidence: the whole answer, to be sealed before it is stored.
    """

    siplatih_program_id: str
    program_code: str
    status: str | None
    registered_at: datetime | None = None
    lpk_registration_number: str | None = None
    program_name: str | None = None
    evidence: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, members: Any, evidence: bytes = b"") -> Self | None:
        """The registration that an answer's members tell of; None where number or code is missing."""
        number = _number_of(reading.member(members, "siplatih_program_id"))
        code = reading.word(reading.member(members, "program_code"))
        if number is None or code is None:
            return None
        return cls(
            siplatih_program_id=number,
            program_code=code,
            status=(reading.word(members["status"]) or "") if "status" in members else None,
            registered_at=reading.moment(members.get("registration_date")),
            lpk_registration_number=reading.word(members.get("lpk_registration_number")),
            program_name=reading.word(members.get("program_name")),
            evidence=evidence,
        )

    @property
    def is_registered(self) -> bool:
        """Whether the register says so: by the number that it gives, and in no word that we do not know."""
        return self.status is None or self.status.upper() in REGISTERED


@dataclass(frozen=True)
class ParticipantAnswer:
    """What the register says of one participant of a report.

    untouched: the register surely did not take this one; send it again. unknown: it may have. is_repeat: it
    has had the participant before, by this certificate; of the other values that says nothing.
    """

    state: ParticipantState
    code: str | None = None
    reason: str | None = None
    is_repeat: bool = False


@dataclass(frozen=True)
class Reported:
    """What became of each participant that was sent, in the order in which they were sent.

    evidence: the whole answer or answers, to be sealed before they are stored.
    """

    participants: tuple[ParticipantAnswer, ...]
    evidence: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Verification:
    """Whether the register vouches for a credential: only where it said so in so many words."""

    is_verified: bool
    reason: str
    evidence: bytes = field(repr=False)


def _number_of(value: Any) -> str | None:
    """The register's number of a program; an opaque text, which some write as a number."""
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**15
    return reading.word(str(value) if is_number else value)


def serialised(members: Mapping[str, Any]) -> bytes:
    """A body, serialised once: UTF-8, no space, decimals as they are written (92.5, not 92.50000000001)."""
    text = json.dumps(members, separators=(",", ":"), ensure_ascii=False, default=_number)
    return text.encode()


def _number(value: Any) -> int | float:
    if not isinstance(value, Decimal):
        raise TypeError(f"no {type(value).__name__} in a body")
    # A float prints as the shortest text that means it: for the two decimals of a score that is the score.
    return int(value) if value == value.to_integral_value() else float(value)
