"""A file of programs, JSON or CSV, as members for `checked`; nothing is judged here but the file itself.

JSON: one program, or a list of them. CSV in UTF-8, comma or semicolon: a line for each, columns named as the
members (`location.city`); the two lists, `instructor_qualifications` and `curriculum`, as JSON in their cell.
"""

import csv
import io
import json
import re
from dataclasses import dataclass
from typing import Any

from common.errors import UnusableFile
from providers.siplatih.program import LOCATION, MEMBERS

MOST_PROGRAMS = 10_000
LARGEST_BYTES = 50 * 1024**2
LISTS = ("instructor_qualifications", "curriculum")
NUMBERS = ("duration_days", "duration_hours", "participant_capacity")
COLUMNS = tuple(
    column
    for name in MEMBERS
    for column in ([f"location.{one}" for one in LOCATION] if name == "location" else [name])
)
_OPTIONAL = frozenset({"program_name_en"})
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Entry:
    """One program of a file. where: `line 3` of a CSV, `program 2` of a list; what people see."""

    where: str
    members: Any


def read(name: str, raw: bytes) -> list[Entry]:
    """The programs of a file, whose form is seen by its content; raises UnusableFile for what is none."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnusableFile(name, "it is not UTF-8; save it in UTF-8") from None
    if len(raw) > LARGEST_BYTES or "\x00" in text:
        raise UnusableFile(name, "it is no file of programs")
    entries = _json(name, text) if text.lstrip()[:1] in ("{", "[") else _csv(name, text)
    if not 0 < len(entries) <= MOST_PROGRAMS:
        raise UnusableFile(name, f"it has {len(entries):,} programs; 1 to {MOST_PROGRAMS:,} can be worked")
    return entries


def _json(name: str, text: str) -> list[Entry]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise UnusableFile(name, "it is no JSON", line=line) from None
    if isinstance(value, dict):
        return [Entry("program 1", value)]
    return [Entry(f"program {number}", one) for number, one in enumerate(value, 1)]


def _csv(name: str, text: str) -> list[Entry]:
    first = text.partition("\n")[0]
    # A spreadsheet set to Indonesian writes semicolons.
    delimiter = ";" if first.count(";") > first.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    entries: list[Entry] = []
    try:
        header = [column.strip().lower() for column in next(reader, [])]
        missing = [one for one in COLUMNS if one not in header and one not in _OPTIONAL]
        unknown = [one for one in header if one not in COLUMNS]
        if missing or unknown or len(set(header)) != len(header):
            wrong = (
                f"it lacks {', '.join(missing)}" if missing else "it names a column twice or an unknown one"
            )
            raise UnusableFile(name, f"its first line has to name the columns; {wrong}", line=1)
        for cells in reader:
            if not any(map(str.strip, cells)):
                continue
            line = reader.line_num
            if len(cells) != len(header):
                reason = f"{len(cells)} cells where the header has {len(header)}"
                raise UnusableFile(name, reason, line=line)
            entries.append(Entry(f"line {line}", _members(dict(zip(header, cells, strict=True)))))
    except csv.Error as error:
        raise UnusableFile(name, f"it is no CSV: {error}", line=reader.line_num) from None
    return entries


def _members(cells: dict[str, str]) -> dict[str, Any]:
    """A line's cells as members: numbers as numbers, lists out of their JSON; what is neither stays a text,
    and the check says what is wrong with it."""
    members: dict[str, Any] = {"location": {}}
    for column, cell in cells.items():
        value: Any = cell.strip() or None
        if value is not None and column in NUMBERS and _NUMBER.fullmatch(value):
            value = int(value)
        if column in LISTS:
            value = _list(value)
        if column.startswith("location."):
            members["location"][column.removeprefix("location.")] = value
        else:
            members[column] = value
    return members


def _list(text: str | None) -> Any:
    try:
        return json.loads(text) if text else []
    except (ValueError, RecursionError):
        return text
