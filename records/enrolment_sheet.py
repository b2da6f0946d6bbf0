"""Enrolments as a file: CSV or XLSX, its columns named as the members of the API."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from records.completion_rows import Row
from records.enrolment_rows import MEMBERS, MOST, NEEDED
from records.sheet_rows import read_rows

_AS_TEXT = ("learner_id", "program_code", "payment_reference", "payment_id")
_WORDS = {"true": True, "yes": True, "ya": True, "false": False, "no": False, "tidak": False}
_FORMULA = "its cell is a formula: write the value itself"
_NUMBER = "its cell is a number and no text, so that digits may be lost: format the column as text"


def read(path: Path, name: str, scratch: Path) -> list[Row]:
    """The rows of a file: cells without a text are left out, words and times as people write them in a sheet
    are put as the API takes them. Raises UnusableFile for no such table."""
    rows = read_rows(path, name, scratch, {one: (one,) for one in MEMBERS}, NEEDED, _damage, MOST)
    return [replace(row, values=_as_json(row.values)) for row in rows]


def _as_json(texts: Mapping[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {name: text.strip() for name, text in texts.items() if text.strip()}
    if "state" in given:
        given["state"] = given["state"].lower()
    if "occurred_at" in given:
        given["occurred_at"] = given["occurred_at"].replace(" ", "T", 1)
    if "is_free" in given:
        given["is_free"] = _WORDS.get(given["is_free"].lower(), given["is_free"])
    return given


def _damage(member: str, _text: str, is_formula: bool, is_number: bool) -> str | None:
    """Why a cell cannot be taken as it is."""
    if is_formula:
        return _FORMULA
    return _NUMBER if is_number and member in _AS_TEXT else None
