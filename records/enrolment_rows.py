"""Enrolments as they are handed in: every row checked by every rule, each fault with its row and what to do.

Pure: no database. A row comes from JSON or from a sheet; no sentence of this module repeats a value.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common import clock
from records.completion_rows import WHOLE, Fault, Row, why_no_learner
from records.enrolment import STATES

MEMBERS = (
    "learner_id", "program_code", "state", "occurred_at", "payment_reference", "payment_id", "is_free",
)  # fmt: skip
NEEDED = MEMBERS[:4]
MOST = 50_000
AHEAD = timedelta(minutes=5)  # by so much another machine's clock may be before ours
_MEMBER = re.compile(r"[A-Za-z_]{1,40}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")
_MOMENT = re.compile(clock.MOMENT)
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Said:
    """One row that can be taken as it is. index: its place in the list, from 0; row: as people count it."""

    index: int
    row: int
    learner_id: str
    program_code: str
    state: str
    occurred_at: datetime
    is_free: bool | None = None
    payment_reference: str | None = None
    payment_id: UUID | None = None


@dataclass
class Checked:
    """What came of the check: rows that can be taken, and everything that is wrong with the others."""

    good: list[Said] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def check(rows: Sequence[Row]) -> Checked:
    """Every row by every rule."""
    found = Checked()
    if not 0 < len(rows) <= MOST:
        reason = f"a list has 1 to {MOST:,} enrolments and this has {len(rows):,}"
        reason += ": send it in parts" if rows else ": send those that there are"
        found.faults.append(Fault("", 0, reason))
        return found
    latest = clock.now() + AHEAD
    for index, row in enumerate(rows):
        faults: list[tuple[str, str]] = []
        said = _said(index, row, latest, faults)
        if said is not None and not faults:
            found.good.append(said)
        found.faults += [Fault(path_of(index, name), row.number, why) for name, why in faults]
    return found


def path_of(index: int, name: str) -> str:
    """Where a member stands, as a fault names it: `[16].learner_id`."""
    return f"[{index}].{name}" if name else f"[{index}]"


def _said(index: int, row: Row, latest: datetime, faults: list[tuple[str, str]]) -> Said | None:
    """The row's values; what is wrong with them goes to `faults`."""
    given = {name: value for name, value in row.values.items() if value is not None}
    if WHOLE in row.damaged:
        faults.append((WHOLE, row.damaged[WHOLE]))
        return None
    for name in given:
        if name not in MEMBERS:
            shown = name if _MEMBER.fullmatch(name) else "?"
            faults.append((shown, f"there is no such member: there are {', '.join(MEMBERS)}"))
    faults += [(name, why) for name, why in row.damaged.items()]
    learner_id, program_code = _learner(given, faults), _code(given, faults)
    state, occurred_at = _state(given, faults), _moment(given, latest, faults)
    reference, payment_id = _reference(given, faults), _payment_id(given, faults)
    is_free = _free(given, faults)
    if reference and payment_id:
        faults.append(("payment_id", "it is named by its reference too: give one of both"))
    if is_free and (reference or payment_id):
        faults.append(("is_free", "it is free and names a payment: say one of both"))
    if not (learner_id and program_code and state and occurred_at):
        return None
    return Said(
        index, row.number, learner_id, program_code, state, occurred_at, is_free, reference, payment_id
    )


def _learner(given: Mapping[str, Any], faults: list[tuple[str, str]]) -> str | None:
    if "learner_id" not in given:
        faults.append(("learner_id", "it is missing: give the platform's own id of the learner"))
        return None
    why = why_no_learner(given["learner_id"])
    if why is not None:
        faults.append(("learner_id", why))
        return None
    return str(given["learner_id"]).strip()


def _code(given: Mapping[str, Any], faults: list[tuple[str, str]]) -> str | None:
    raw = given.get("program_code")
    if raw is None:
        faults.append(("program_code", "it is missing: give the code under which the program is registered"))
        return None
    if not isinstance(raw, str) or not raw.strip() or len(raw) > 64 or _CONTROL.search(raw):
        faults.append(("program_code", "it is 1 to 64 characters of text"))
        return None
    return raw.strip()


def _state(given: Mapping[str, Any], faults: list[tuple[str, str]]) -> str | None:
    raw = given.get("state")
    if not isinstance(raw, str) or raw not in STATES:
        faults.append(("state", f"it is one of {', '.join(STATES)}"))
        return None
    return raw


def _moment(given: Mapping[str, Any], latest: datetime, faults: list[tuple[str, str]]) -> datetime | None:
    raw = given.get("occurred_at")
    if raw is None:
        faults.append(("occurred_at", "it is missing: say when it happened, as 2026-11-24T09:00:00+07:00"))
        return None
    at = None
    if isinstance(raw, str) and _MOMENT.fullmatch(raw):
        try:
            at = datetime.fromisoformat(raw)
        except ValueError:
            at = None
    if at is None:
        reason = "it is no moment with its offset: write it as 2026-11-24T09:00:00+07:00"
        faults.append(("occurred_at", reason))
    elif not datetime(2000, 1, 1, tzinfo=clock.JAKARTA) <= at <= latest:
        is_late = at > latest
        reason = (
            "it is in the future: tell it once it has happened" if is_late else "it is before the year 2000"
        )
        faults.append(("occurred_at", reason))
        return None
    return at


def _reference(given: Mapping[str, Any], faults: list[tuple[str, str]]) -> str | None:
    raw = given.get("payment_reference")
    if raw is None:
        return None
    if not isinstance(raw, str) or not raw.strip() or len(raw) > 64 or _CONTROL.search(raw):
        faults.append(("payment_reference", "it is 1 to 64 characters: the reference that the payment has"))
        return None
    return raw.strip()


def _payment_id(given: Mapping[str, Any], faults: list[tuple[str, str]]) -> UUID | None:
    raw = given.get("payment_id")
    if raw is None:
        return None
    if isinstance(raw, str) and _ID.fullmatch(raw):
        return UUID(raw)
    reason = "it is no id of a payment: give the one that we gave it, or its payment_reference"
    faults.append(("payment_id", reason))
    return None


def _free(given: Mapping[str, Any], faults: list[tuple[str, str]]) -> bool | None:
    raw = given.get("is_free")
    if raw is None or isinstance(raw, bool):
        return raw
    faults.append(("is_free", "it is true or false, or left out"))
    return None
