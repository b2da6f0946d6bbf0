"""Enrolments as a file: CSV or XLSX, its columns named as the members of the API."""

from pathlib import Path

from records.completion_rows import Row
from records.enrolment_rows import MEMBERS, MOST, NEEDED
from records.sheet_rows import read_rows

_AS_TEXT = ("learner_id", "program_code", "payment_reference", "payment_id")
_FORMULA = "its cell is a formula: write the value itself"
_NUMBER = "its cell is a number and no text, so that digits may be lost: format the column as text"


def read(path: Path, name: str, scratch: Path) -> list[Row]:
    """The rows of a file, each value the text of its cell. Raises UnusableFile for no such table."""
    return read_rows(path, name, scratch, {one: (one,) for one in MEMBERS}, NEEDED, _damage, MOST)


def _damage(member: str, _text: str, is_formula: bool, is_number: bool) -> str | None:
    """Why a cell cannot be taken as it is."""
    if is_formula:
        return _FORMULA
    return _NUMBER if is_number and member in _AS_TEXT else None
