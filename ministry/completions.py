"""Ask for a class to be reported: every row is checked first, then it is written down with its process."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from common.nik import masked_within
from common.settings import settings
from records import completion_report, completion_rows, program
from records.completion_report import Refused, Taken, Wanted
from records.completion_rows import Fault, Row
from records.program import Program


@dataclass(frozen=True)
class Wish:
    """A class that somebody wants reported. day: as it was given; by: `client:…` or `operator:…`."""

    lpk_registration_number: str
    program_code: str
    day: Any
    rows: Sequence[Row] = field(repr=False)
    by: str
    allow_partial: bool = False
    is_correction: bool = False


class UnknownProgram(Exception):
    """Nobody has asked for this program to be registered."""

    def __init__(self, program_code: str) -> None:
        super().__init__(f"There is no program {masked_within(program_code)} of this LPK: register it first")


def ask_for(session: Session, wish: Wish) -> Taken:
    """Check a class and write it down, in the caller's transaction; the same again is the same report.

    Raises UnknownProgram, and Refused with every fault where it cannot be reported: then nothing was done.
    """
    of = program.find(session, wish.lpk_registration_number, wish.program_code)
    if of is None:
        raise UnknownProgram(wish.program_code)
    day, why = completion_rows.check_day(wish.day, _starts(session, of))
    checked = completion_rows.check(wish.rows, settings().siplatih.completion_statuses)
    if day is None:
        faults = [Fault("completion_date", 0, why or "it is not usable"), *checked.faults]
        raise Refused(faults, checked.bad, len(wish.rows))
    wanted = Wanted(
        program=of,
        day=day,
        rows=wish.rows,
        allow_partial=wish.allow_partial,
        is_correction=wish.is_correction,
        requested_by=wish.by,
    )
    return completion_report.take_on(session, wanted, checked, settings().siplatih.chunk_size)


def _starts(session: Session, of: Program) -> date | None:
    """The first day of a program, as the register has it, or as it was asked for last."""
    content = program.registered_content(session, of)
    if content is None:
        newest = program.newest_version(session, of)
        content = newest.content if newest is not None else {}
    text = content.get("start_date")
    return date.fromisoformat(text) if isinstance(text, str) else None
