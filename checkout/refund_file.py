"""A file of refunds: every row checked first, then all of them asked for in one transaction, or none."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from checkout.create import Refusal
from checkout.refund import AskedFor, Wish, ask_for_many
from common import money
from common.errors import UnusableFile
from records.payment import Payment

COLUMNS = ("reference", "refund_key", "amount", "reason")
MOST_ROWS = 10_000
LARGEST_BYTES = 10 * 1024**2
_AMOUNT = re.compile(r"[1-9][0-9]{0,14}")


@dataclass(frozen=True)
class Row:
    """One refund of the file. amount: whole rupiah as text; empty for all that is left."""

    line: int
    reference: str
    refund_key: str
    amount: str
    reason: str


@dataclass(frozen=True)
class RefusedRow:
    """A row that cannot be; says which member, why, and what to do."""

    line: int
    column: str | None
    reason: str


@dataclass
class Asked:
    """What came of a file. rows: each with its refund; refused: where there are any, nothing is asked."""

    rows: list[tuple[Row, AskedFor]] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)

    @property
    def new(self) -> list[AskedFor]:
        """Refunds that were not asked for before."""
        return [one for _, one in self.rows if one.is_new]

    @property
    def total_minor(self) -> int:
        """Money that the new ones give back."""
        return sum(one.refund.amount_minor for one in self.new)


def read(path: Path) -> list[Row]:
    """The rows of a file with a header; raises UnusableFile for what is no such table."""
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise UnusableFile(path.name, f"it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnusableFile(path.name, "it is not UTF-8; save it as CSV in UTF-8") from None
    if len(raw) > LARGEST_BYTES or "\x00" in text:
        raise UnusableFile(path.name, "it is no table of refunds")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if sorted(header) != sorted(COLUMNS):
            raise UnusableFile(
                path.name, f"its first line has to name the columns {','.join(COLUMNS)}", line=1
            )
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(COLUMNS):
                reason = f"{len(cells)} cells where the header has {len(COLUMNS)}"
                raise UnusableFile(path.name, reason, line=reader.line_num)
            by_name = dict(zip(header, (cell.strip() for cell in cells), strict=True))
            rows.append(Row(reader.line_num, **by_name))
    except csv.Error as error:
        raise UnusableFile(path.name, f"it is no CSV: {error}", line=reader.line_num) from None
    if not 0 < len(rows) <= MOST_ROWS:
        raise UnusableFile(path.name, f"it has {len(rows):,} rows; 1 to {MOST_ROWS:,} can be worked at once")
    return rows


def ask(session: Session, rows: Sequence[Row], requested_by: str) -> Asked:
    """Ask for every refund of the file in this transaction, which the caller commits only where none was
    refused. Rows that were asked for before are found as they are: the file may come again."""
    result = Asked()
    by_reference = _payments(session, rows)
    seen: dict[tuple[str, str], int] = {}
    wanted: list[tuple[Row, Wish]] = []
    for row in rows:
        problem = _problem(row, by_reference, seen)
        if problem is not None:
            result.refused.append(problem)
            continue
        minor = int(row.amount) * money.MINOR_PER_UNIT if row.amount else None
        wanted.append((row, Wish(row.refund_key, minor, row.reason, requested_by)))
    asked = ask_for_many(session, [(by_reference[row.reference], wish) for row, wish in wanted])
    for (row, _), one in zip(wanted, asked, strict=True):
        if isinstance(one, Refusal):
            result.refused.append(RefusedRow(row.line, one.field or "reference", one.detail))
        else:
            result.rows.append((row, one))
    result.refused.sort(key=lambda one: one.line)
    result.rows.sort(key=lambda one: one[0].line)
    return result


def _problem(row: Row, known: dict[str, UUID], seen: dict[tuple[str, str], int]) -> RefusedRow | None:
    if row.reference not in known:
        return RefusedRow(row.line, "reference", "The ledger has no such payment. Correct the reference.")
    if row.amount and not _AMOUNT.fullmatch(row.amount):
        reason = "An amount is whole rupiah in digits, 50000; empty for all that is left."
        return RefusedRow(row.line, "amount", reason)
    first = seen.setdefault((row.reference, row.refund_key), row.line)
    if first != row.line:
        reason = f"Line {first} has this refund already. Take one out, or give it a refund_key of its own."
        return RefusedRow(row.line, "refund_key", reason)
    return None


def _payments(session: Session, rows: Sequence[Row]) -> dict[str, UUID]:
    names = {row.reference for row in rows}
    found = session.execute(sa.select(Payment.reference, Payment.id).where(Payment.reference.in_(names)))
    return {one.reference: one.id for one in found}
