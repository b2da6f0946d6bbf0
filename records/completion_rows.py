"""The rows of a report of completions: checked all, each fault with its path and its row, no value shown.

Pure: no database. A row comes from JSON or from a sheet; what is wrong with the cell itself (a number where
text has to be, a formula) was seen by whoever read it and comes along.
"""

import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from common import clock, nik

COMPLETED = "COMPLETED"
MOST = 50_000
MEMBERS = ("nik", "full_name", "completion_status", "final_score", "certificate_number", "learner_id")
WHOLE = ""  # a row that is damaged as a whole
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")
_MEMBER = re.compile(r"[A-Za-z_]{1,40}")
_NUMBER = re.compile(r"[0-9]{1,3}(?:[.,][0-9]+)?")
_LONG_NUMBER = re.compile(r"[0-9](?:[ .\-]?[0-9]){9,}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Row:
    """One participant as given. number: place in the report from 1, or line of the file; values: by member.

    damaged: members whose cell is unusable as it is, and why.
    """

    number: int
    values: Mapping[str, Any] = field(repr=False)
    damaged: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. path: the member, `participants[16].nik`; row: as in Row, 0 for the whole."""

    path: str
    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Participant:
    """One participant who can be reported. score: at most two decimals; None where nobody scored."""

    row: int
    nik: str = field(repr=False)
    name: str = field(repr=False)
    status: str
    score: Decimal | None
    certificate: str | None
    learner_id: str | None = None

    @property
    def is_certified(self) -> bool:
        """Who has completed and got a certificate for it."""
        return self.status == COMPLETED and self.certificate is not None

    def values(self, day: date) -> bytes:
        """All that is said of this person, in one form: other bytes are a correction."""
        score = None if self.score is None else str(self.score.normalize())
        said = [self.name, self.status, score, self.certificate, day.isoformat()]
        return json.dumps(said, ensure_ascii=False).encode()


@dataclass
class Checked:
    """What came of the check. good: in the order of the report; bad: how many rows have faults.

    others, completed, certified: of the bad rows those who are nobody of another row, and what they are, as
    far as that can be read: rates are those of the whole class.
    """

    good: list[Participant] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    bad: int = 0
    others: int = 0
    completed: int = 0
    certified: int = 0


def check(rows: Sequence[Row], statuses: Collection[str]) -> Checked:
    """Every row by every rule, and the report as a whole."""
    found = Checked()
    if not 0 < len(rows) <= MOST:
        reason = f"a report has 1 to {MOST:,} participants; this has {len(rows):,}"
        found.faults.append(Fault("participants", 0, reason))
        return found
    seen_niks: dict[str, int] = {}
    seen_certificates: dict[str, int] = {}
    seen_learners: dict[str, int] = {}
    for index, row in enumerate(rows):
        faults: list[tuple[str, str]] = []
        one = _participant(row, statuses, faults)
        first = seen_niks.setdefault(one.nik, row.number) if one.nik else row.number
        if first != row.number:
            faults.append(("nik", f"row {first} has the same NIK: keep one of them"))
        if one.certificate is not None:
            other = seen_certificates.setdefault(one.certificate, row.number)
            if other != row.number:
                faults.append(
                    ("certificate_number", f"row {other} has it too: a certificate is one person's")
                )
        if one.learner_id is not None:
            other = seen_learners.setdefault(one.learner_id, row.number)
            if other != row.number and first == row.number:
                faults.append(("learner_id", f"row {other} has it too: a learner is one person"))
        if not faults:
            found.good.append(one)
            continue
        path = f"participants[{index}]"
        found.faults += [Fault(f"{path}.{name}" if name else path, row.number, why) for name, why in faults]
        found.bad += 1
        if first == row.number:
            found.others += 1
            found.completed += one.status == COMPLETED
            found.certified += one.is_certified
    if nik.is_rounded([one.nik for one in found.good]):
        reason = (
            "every NIK ends in 0: a spreadsheet has rounded them; format the column as text and fill it anew"
        )
        found.faults.append(Fault("participants", 0, reason))
    return found


def check_day(text: Any, starts: date | None) -> tuple[date | None, str | None]:
    """The completion date, or what is wrong with it. starts: the program's first day."""
    if not isinstance(text, str) or _DAY.fullmatch(text.strip()) is None:
        return None, "a date is written YYYY-MM-DD"
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        return None, "there is no such day"
    if day > clock.business_date(clock.now()):
        return None, "it is in the future (by the date in Jakarta)"
    if day.year < 2000:
        return None, "it is before the year 2000: is the year whole?"
    if starts is not None and day < starts:
        return None, f"it is before the program's start, {starts.isoformat()}"
    return day, None


def rate(part: int, whole: int) -> Decimal:
    """Per cent with one decimal, half up."""
    return (Decimal(100 * part) / whole).quantize(Decimal("0.1"), ROUND_HALF_UP)


def _participant(row: Row, statuses: Collection[str], faults: list[tuple[str, str]]) -> Participant:
    """The row's values; what is wrong with them goes to `faults`, and stands as empty here."""
    given, damaged = row.values, row.damaged
    if WHOLE in damaged:
        faults.append((WHOLE, damaged[WHOLE]))
        return Participant(row.number, "", "", "", None, None)
    for name in given:
        if name not in MEMBERS:
            faults.append((name if _MEMBER.fullmatch(name) else "?", "there is no such member"))
    for name, why in damaged.items():
        faults.append((name, why))
    status = "" if "completion_status" in damaged else _status(given, statuses, faults)
    certificate = None if "certificate_number" in damaged else _certificate(given, status, faults)
    return Participant(
        row=row.number,
        nik="" if "nik" in damaged else _nik(given, faults),
        name="" if "full_name" in damaged else _name(given, faults),
        status=status,
        score=None if "final_score" in damaged else _score(given, faults),
        certificate=certificate,
        learner_id=None if "learner_id" in damaged else _learner(given, faults),
    )


def _nik(given: Mapping[str, Any], faults: list[tuple[str, str]]) -> str:
    text = given.get("nik")
    if text is None:
        faults.append(("nik", "it is missing"))
        return ""
    if not isinstance(text, str):
        is_number = isinstance(text, (int, float))
        is_not = "it is a number: a NIK is text, else programs round its last digits"
        faults.append(("nik", is_not if is_number else "it is not text"))
        return ""
    why = nik.why_implausible(text)
    if why is not None:
        faults.append(("nik", f"{why} ({nik.masked(text)})" if text.strip() else why))
        return ""
    return text


def _name(given: Mapping[str, Any], faults: list[tuple[str, str]]) -> str:
    text = given.get("full_name")
    if not isinstance(text, str) or not text.strip():
        faults.append(("full_name", "it is missing" if text is None or text == "" else "it is not text"))
        return ""
    name = unicodedata.normalize("NFC", text.strip())
    why = None
    if _CONTROL.search(name):
        why = "it has characters that are no part of a name"
    elif len(name) > 200:
        why = "it is longer than 200 characters"
    elif name[0] in "=+-@#":
        why = "it begins like a formula, or like the error of one"
    elif _LONG_NUMBER.search(name):
        why = "it has a long number in it: are the columns in their places?"
    elif not any(map(str.isalpha, name)):
        why = "it has no letters"
    if why is not None:
        faults.append(("full_name", why))
        return ""
    return name


def _status(given: Mapping[str, Any], statuses: Collection[str], faults: list[tuple[str, str]]) -> str:
    text = given.get("completion_status")
    word = text.strip().upper() if isinstance(text, str) else ""
    if word not in statuses:
        faults.append(("completion_status", f"it is one of {', '.join(statuses)}"))
        return ""
    return word


def _score(given: Mapping[str, Any], faults: list[tuple[str, str]]) -> Decimal | None:
    """Exact: a number of JSON is taken as it was written, and a third decimal is refused and not rounded."""
    raw = given.get("final_score")
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        return None
    if isinstance(raw, bool) or not isinstance(raw, (int, float, Decimal, str)):
        faults.append(("final_score", "it is not a number"))
        return None
    text = raw.strip() if isinstance(raw, str) else repr(raw) if isinstance(raw, float) else str(raw)
    if _NUMBER.fullmatch(text) is None:
        faults.append(("final_score", "it is not a number from 0 to 100"))
        return None
    score = Decimal(text.replace(",", "."))
    if score > 100:
        faults.append(("final_score", "it is above 100"))
        return None
    if score != score.quantize(Decimal("0.01")):
        faults.append(("final_score", "it has more than two decimals"))
        return None
    return score


def _certificate(given: Mapping[str, Any], status: str, faults: list[tuple[str, str]]) -> str | None:
    raw = given.get("certificate_number")
    if raw is None or raw == "":
        return None
    if not isinstance(raw, str):
        faults.append(("certificate_number", "it is a number: write it as text, else leading zeros are lost"))
        return None
    text = raw.strip()
    why = None
    if not text or len(text) > 64 or _CONTROL.search(text):
        why = "it is 1 to 64 characters on one line"
    elif text[0] in "=+-@":
        why = "it begins like a formula"
    elif nik.is_within(text) or (isinstance(given.get("nik"), str) and text == given["nik"]):
        why = "there is a NIK in it: are the columns in their places?"
    elif status and status != COMPLETED:
        why = f"only who is {COMPLETED} has one, and this is {status}"
    if why is not None:
        faults.append(("certificate_number", why))
        return None
    return text


def _learner(given: Mapping[str, Any], faults: list[tuple[str, str]]) -> str | None:
    raw = given.get("learner_id")
    if raw is None or raw == "":
        return None
    why = why_no_learner(raw)
    if why is not None:
        faults.append(("learner_id", why))
        return None
    return str(raw).strip()


def why_no_learner(raw: Any) -> str | None:
    """Why that cannot be the platform's id of a learner; None where it can."""
    if not isinstance(raw, str) or not raw.strip() or len(raw) > 128 or _CONTROL.search(raw):
        return "it is 1 to 128 characters of text"
    if nik.is_within(raw):
        return "there is a NIK in it: give the platform's own id of the learner"
    return None
