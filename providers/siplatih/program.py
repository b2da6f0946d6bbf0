"""A training program as the register takes it: every member checked before anything is sent.

    checked(members, section) tells all faults by field path, and warnings apart, and repeats no value.

Rules: the platform's own reading of the register (docs/siplatih.md), as nobody has published any.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from common import nik
from common.services import Siplatih as Section
from providers.siplatih import provinces, skkni
from providers.siplatih.wire import Fault

LONGEST_CODE, LONGEST_NAME, LONGEST_TEXT = 64, 200, 1000
MOST_ENTRIES = 500
YEARS = range(2000, 2100)
MEMBERS = (
    "program_code",
    "program_name",
    "program_name_en",
    "lpk_registration_number",
    "lpk_name",
    "program_type",
    "sector",
    "sub_sector",
    "duration_days",
    "duration_hours",
    "start_date",
    "end_date",
    "location",
    "skkni_code",
    "participant_capacity",
    "instructor_qualifications",
    "curriculum",
)
LOCATION = ("address", "city", "province", "postal_code")
INSTRUCTOR = ("name", "qualification", "certification")
MODULE = ("module_name", "duration_hours", "learning_outcomes")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SNAKE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")
_POSTAL = re.compile(r"[1-9][0-9]{4}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass
class Checked:
    """What the checks found. program: as it would be sent, whole only where there are no faults."""

    program: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)

    def fault(self, path: str, reason: str) -> None:
        self.faults.append(Fault(path, reason))

    def warn(self, path: str, reason: str) -> None:
        self.warnings.append(Fault(path, reason))


def checked(members: Any, section: Section) -> Checked:
    """Check a program member by member and against itself; tells everything that is wrong, not the first."""
    found = Checked()
    if not isinstance(members, Mapping):
        found.fault("", "a program is an object with members")
        return found
    _unknown(found, "", members, MEMBERS)
    made = found.program
    made["program_code"] = _code(found, members, "program_code")
    made["program_name"] = _text(found, "program_name", members.get("program_name"), LONGEST_NAME)
    english = members.get("program_name_en")
    made["program_name_en"] = (
        made["program_name"]
        if english in (None, "")
        else _text(found, "program_name_en", english, LONGEST_NAME)
    )
    made["lpk_registration_number"] = _code(found, members, "lpk_registration_number", least=3)
    made["lpk_name"] = _text(found, "lpk_name", members.get("lpk_name"), LONGEST_NAME)
    made["program_type"] = _one_of(found, "program_type", members, section.program_types)
    for name in ("sector", "sub_sector"):
        made[name] = _snake(found, name, members.get(name))
    for name in ("duration_days", "duration_hours", "participant_capacity"):
        made[name] = _count(found, name, members.get(name))
    for name in ("start_date", "end_date"):
        made[name] = _day(found, name, members.get(name))
    made["location"] = _location(found, members.get("location"))
    made["skkni_code"] = _skkni(found, members)
    made["instructor_qualifications"] = _entries(
        found, "instructor_qualifications", members.get("instructor_qualifications"), _instructor
    )
    made["curriculum"] = _entries(found, "curriculum", members.get("curriculum"), _module)
    if members.get("curriculum") == []:
        found.fault("curriculum", "at least one module is needed")
    _durations(found, made)
    return found


def _durations(found: Checked, made: dict[str, Any]) -> None:
    """Days against the calendar, hours against days and curriculum."""
    start, end = made["start_date"], made["end_date"]
    days, hours = made["duration_days"], made["duration_hours"]
    if start and end:
        calendar = (date.fromisoformat(end) - date.fromisoformat(start)).days + 1
        if calendar < 1:
            found.fault("end_date", "it is before start_date")
        elif days and days > calendar:
            found.fault(
                "duration_days", f"from start_date to end_date there are only {calendar} days, both included"
            )
    if days and hours and hours > 24 * days:
        found.fault("duration_hours", f"{days} days have only {24 * days} hours")
    modules = [one.get("duration_hours") for one in made["curriculum"] or []]
    total = sum(one for one in modules if one)
    if hours and total > hours:
        found.warn("curriculum", f"its modules add up to {total} hours, more than duration_hours")


def _location(found: Checked, given: Any) -> dict[str, str | None] | None:
    if not isinstance(given, Mapping):
        found.fault("location", "an object with address, city, province and postal_code is needed")
        return None
    _unknown(found, "location.", given, LOCATION)
    made = {
        "address": _text(found, "location.address", given.get("address"), LONGEST_TEXT),
        "city": _text(found, "location.city", given.get("city"), LONGEST_NAME),
        "province": _province(found, given.get("province")),
        "postal_code": None,
    }
    postal = given.get("postal_code")
    if not isinstance(postal, str) or not _POSTAL.fullmatch(postal.strip()):
        is_number = isinstance(postal, int) and not isinstance(postal, bool)
        wants = "five digits that do not begin with 0, as text"
        found.fault("location.postal_code", f"it is a number; it has to be {wants}" if is_number else wants)
    else:
        made["postal_code"] = postal.strip()
    return made


def _province(found: Checked, given: Any) -> str | None:
    text = _text(found, "location.province", given, LONGEST_NAME)
    if text is None:
        return None
    name = provinces.province(text)
    if name is None:
        near = provinces.nearest(text)
        hint = f"; {near} is near" if near else ""
        found.fault("location.province", f"none of the 38 provinces has this name{hint}")
    elif name != text:
        found.warn("location.province", f"it is sent as {name}")
    return name


def _skkni(found: Checked, members: Mapping[str, Any]) -> str | None:
    code = _code(found, members, "skkni_code", least=3)
    if code is not None and (warning := skkni.warning(code)):
        found.warn("skkni_code", warning)
    return code


def _instructor(found: Checked, path: str, given: Mapping[str, Any]) -> dict[str, Any]:
    _unknown(found, f"{path}.", given, INSTRUCTOR)
    return {name: _text(found, f"{path}.{name}", given.get(name), LONGEST_NAME) for name in INSTRUCTOR}


def _module(found: Checked, path: str, given: Mapping[str, Any]) -> dict[str, Any]:
    _unknown(found, f"{path}.", given, MODULE)
    outcomes = given.get("learning_outcomes")
    made: list[str | None] = []
    if not isinstance(outcomes, list) or len(outcomes) > MOST_ENTRIES:
        found.fault(f"{path}.learning_outcomes", f"a list of texts is needed, {MOST_ENTRIES} at most")
    else:
        made = [
            _text(found, f"{path}.learning_outcomes[{at}]", one, LONGEST_TEXT)
            for at, one in enumerate(outcomes)
        ]
    return {
        "module_name": _text(found, f"{path}.module_name", given.get("module_name"), LONGEST_NAME),
        "duration_hours": _count(found, f"{path}.duration_hours", given.get("duration_hours")),
        "learning_outcomes": made,
    }


def _entries(
    found: Checked, path: str, given: Any, each: Callable[[Checked, str, Mapping[str, Any]], dict[str, Any]]
) -> list[dict[str, Any]] | None:
    if not isinstance(given, list) or len(given) > MOST_ENTRIES:
        found.fault(path, f"a list of objects is needed, {MOST_ENTRIES} at most")
        return None
    made = []
    for at, one in enumerate(given):
        if isinstance(one, Mapping):
            made.append(each(found, f"{path}[{at}]", one))
        else:
            found.fault(f"{path}[{at}]", "an object is needed")
    return made


def _unknown(found: Checked, before: str, given: Mapping[Any, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            shown = nik.masked_within(_CONTROL.sub("", str(name)))[:64]
            found.fault(f"{before}{shown}", "there is no such member")


def _text(found: Checked, path: str, given: Any, longest: int) -> str | None:
    """A text in NFC, trimmed; names of one word and with an apostrophe are fine."""
    if not isinstance(given, str):
        found.fault(path, "it is missing" if given is None else "a text is needed")
        return None
    text = unicodedata.normalize("NFC", given).strip()
    if not text:
        found.fault(path, "it is empty")
    elif _CONTROL.search(text):
        found.fault(path, "it has characters that cannot be printed")
    elif len(text) > longest:
        found.fault(path, f"it is longer than {longest} characters")
    elif nik.is_within(text) and not path.startswith("instructor_qualifications["):  # those are sealed
        found.fault(path, "there is a NIK in it, and this is shown to many: take it out")
    else:
        return text
    return None


def _code(found: Checked, members: Mapping[str, Any], name: str, least: int = 1) -> str | None:
    text = _text(found, name, members.get(name), LONGEST_CODE)
    if text is not None and len(text) < least:
        found.fault(name, f"it is shorter than {least} characters")
        return None
    return text


def _snake(found: Checked, path: str, given: Any) -> str | None:
    text = _text(found, path, given, LONGEST_NAME)
    if text is not None and not _SNAKE.fullmatch(text):
        found.fault(path, "it has to be capitals and digits with _ between words: INFORMATION_TECHNOLOGY")
        return None
    return text


def _one_of(found: Checked, path: str, members: Mapping[str, Any], words: tuple[str, ...]) -> str | None:
    text = _text(found, path, members.get(path), LONGEST_NAME)
    if text is not None and text not in words:
        found.fault(path, f"it has to be {' or '.join(words)}")
        return None
    return text


def _count(found: Checked, path: str, given: Any) -> int | None:
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= 1_000_000:
        found.fault(path, "it is missing" if given is None else "a whole number from 1 is needed")
        return None
    return given


def _day(found: Checked, path: str, given: Any) -> str | None:
    if given is None:
        found.fault(path, "it is missing")
        return None
    if isinstance(given, str) and _DATE.fullmatch(given.strip()):
        try:
            day = date.fromisoformat(given.strip())
        except ValueError:
            found.fault(path, "the calendar has no such day")
            return None
        if day.year in YEARS:
            return day.isoformat()
        found.fault(path, f"the year has to be from {YEARS[0]} to {YEARS[-1]}")
        return None
    found.fault(path, "a day is written as 2024-01-15")
    return None
