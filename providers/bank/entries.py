"""What a bank statement says, whatever its format."""

from dataclasses import dataclass, field
from datetime import date

LONGEST_REFERENCE = 128
LONGEST_NARRATIVE = 2000


@dataclass(frozen=True)
class Entry:
    """One booking of an account. amount_minor: positive what came in, negative what went out.

    reference: the bank's own name of the entry, the same in every statement; empty where it gives none.
    """

    line_no: int
    account: str
    booked_on: date
    amount_minor: int
    currency: str
    reference: str
    narrative: str


@dataclass(frozen=True)
class MalformedLine:
    """A line that cannot be read; it pairs with nothing. Account and day as far as they can be read."""

    line_no: int
    column: str | None
    reason: str
    seen: str
    content: str
    account: str | None = None
    booked_on: date | None = None


@dataclass(frozen=True)
class Coverage:
    """Days of an account that a statement tells of, those without an entry included."""

    account: str
    first_day: date
    last_day: date


@dataclass
class BankStatement:
    """All of one file."""

    format: str
    entries: list[Entry] = field(default_factory=list)
    malformed: list[MalformedLine] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)
