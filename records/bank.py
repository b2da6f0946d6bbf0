"""Bank statements that were taken over, and their entries: each booking once, in however many it stands."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from records.db import Base


class BankStatement(Base):
    """One statement file, by its content. `overlap_rows`: entries that were there from another statement."""

    __tablename__ = "bank_statements"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    sha256: Mapped[str] = mapped_column(sa.Text, sa.ForeignKey("kept_files.sha256"), unique=True)
    name: Mapped[str] = mapped_column(sa.Text)
    format: Mapped[str] = mapped_column(sa.Text)
    rows: Mapped[int]
    overlap_rows: Mapped[int]
    malformed_rows: Mapped[int]
    imported_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=sa.text("now()"))


class BankCoverage(Base):
    """Days of an account that a statement tells of, those without an entry included."""

    __tablename__ = "bank_coverage"
    statement_id: Mapped[UUID] = mapped_column(sa.ForeignKey("bank_statements.id"), primary_key=True)
    account: Mapped[str] = mapped_column(sa.Text(collation="C"), primary_key=True)
    first_day: Mapped[date] = mapped_column(primary_key=True)
    last_day: Mapped[date]


class BankEntry(Base):
    """One booking. Credits are positive, debits negative; the narrative is kept where it is a gateway's."""

    __tablename__ = "bank_entries"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    account: Mapped[str] = mapped_column(sa.Text(collation="C"))
    booked_on: Mapped[date]
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.Text)
    identity: Mapped[str] = mapped_column(sa.Text(collation="C"))
    copy: Mapped[int]
    narrative: Mapped[str | None] = mapped_column(sa.Text)
    seen: Mapped[int] = mapped_column(server_default="1")
    statement_id: Mapped[UUID] = mapped_column(sa.ForeignKey("bank_statements.id"))
    line_no: Mapped[int]


class BankMalformedLine(Base):
    """A line of a statement that cannot be read."""

    __tablename__ = "bank_malformed_lines"
    statement_id: Mapped[UUID] = mapped_column(sa.ForeignKey("bank_statements.id"), primary_key=True)
    line_no: Mapped[int] = mapped_column(primary_key=True)
    booked_on: Mapped[date]
    account: Mapped[str | None] = mapped_column(sa.Text(collation="C"))
    column_name: Mapped[str | None] = mapped_column(sa.Text)
    reason: Mapped[str] = mapped_column(sa.Text)
    seen: Mapped[str] = mapped_column(sa.Text)
    narrative: Mapped[str | None] = mapped_column(sa.Text)
    identity: Mapped[str] = mapped_column(sa.Text)
    copy: Mapped[int]


@dataclass(frozen=True)
class NewEntry:
    """An entry as its file has it; reference empty where the bank gives none."""

    line_no: int
    account: str
    booked_on: date
    amount_minor: int
    currency: str
    reference: str
    narrative: str


@dataclass(frozen=True)
class NewMalformedLine:
    """A line that cannot be read; account and day as far as they can."""

    line_no: int
    column: str | None
    reason: str
    seen: str
    content: str
    account: str | None
    booked_on: date | None


@dataclass(frozen=True)
class Taken:
    """What became of a file."""

    statement: BankStatement
    new_entries: int
    is_new: bool


def take(
    session: Session,
    kept: str,
    name: str,
    format: str,
    entries: list[NewEntry],
    malformed: list[NewMalformedLine],
    coverage: list[tuple[str, date, date]],
    is_gateways: Callable[[str], bool],
) -> Taken:
    """Take a statement over, whole or not at all; what another statement has brought is only counted.

    kept: SHA-256 of the kept file; the same file again changes nothing, but for narratives that a pattern
    of now knows as a gateway's. An entry is the same by account, day, amount, currency and the bank's
    reference (its narrative, where it has none); the k-th copy in one file is the k-th copy in another.
    """
    # One at a time: two imports at once would count each other's entries as new.
    session.execute(sa.text("LOCK TABLE bank_statements IN SHARE ROW EXCLUSIVE MODE"))
    known = session.scalars(sa.select(BankStatement).filter_by(sha256=kept)).one_or_none()
    statement = known or BankStatement(
        sha256=kept,
        name=name,
        format=format,
        rows=len(entries) + len(malformed),
        overlap_rows=0,
        malformed_rows=len(malformed),
    )
    if known is None:
        session.add(statement)
        session.flush()
    rows = _rows(statement.id, entries, is_gateways)
    before = session.scalar(sa.select(sa.func.count()).select_from(BankEntry)) or 0
    for start in range(0, len(rows), 2_000):
        added = insert(BankEntry).values(rows[start : start + 2_000])
        session.execute(
            added.on_conflict_do_update(
                constraint="bank_entries_identity",
                set_={
                    "seen": BankEntry.seen + (0 if known else 1),
                    "narrative": sa.func.coalesce(BankEntry.narrative, added.excluded.narrative),
                },
            )
        )
    new_entries = (session.scalar(sa.select(sa.func.count()).select_from(BankEntry)) or 0) - before
    if known is None:
        statement.overlap_rows = len(entries) - new_entries
        _keep_the_rest(session, statement.id, malformed, coverage, is_gateways)
        session.flush()
    return Taken(statement, new_entries, known is None)


def _rows(
    statement_id: UUID, entries: list[NewEntry], is_gateways: Callable[[str], bool]
) -> list[dict[str, Any]]:
    copies: Counter[tuple[Any, ...]] = Counter()
    rows = []
    for entry in entries:
        named = f"ref:{entry.reference}" if entry.reference else f"text:{_digest(entry.narrative)}"
        key = (entry.account, entry.booked_on, entry.amount_minor, entry.currency, named)
        copies[key] += 1
        rows.append(
            {
                "account": entry.account,
                "booked_on": entry.booked_on,
                "amount_minor": entry.amount_minor,
                "currency": entry.currency,
                "identity": named,
                "copy": copies[key],
                "narrative": entry.narrative if is_gateways(entry.narrative) else None,
                "statement_id": statement_id,
                "line_no": entry.line_no,
            }
        )
    return rows


def _digest(text: str) -> str:
    return sha256(" ".join(text.split()).encode()).hexdigest()


def _keep_the_rest(
    session: Session,
    statement_id: UUID,
    malformed: list[NewMalformedLine],
    coverage: list[tuple[str, date, date]],
    is_gateways: Callable[[str], bool],
) -> None:
    for account, first_day, last_day in coverage:
        row = {"statement_id": statement_id, "account": account, "first_day": first_day, "last_day": last_day}
        session.execute(insert(BankCoverage).values(row).on_conflict_do_nothing())
    latest = max(last_day for _, _, last_day in coverage)
    copies: Counter[str] = Counter()
    for line in malformed:
        identity = _digest(line.content)
        copies[identity] += 1
        row = {
            "statement_id": statement_id,
            "line_no": line.line_no,
            "booked_on": line.booked_on or latest,  # one without a day counts on the statement's last
            "account": line.account,
            "column_name": line.column,
            "reason": line.reason,
            "seen": line.seen,
            "narrative": line.content if is_gateways(line.content) else None,
            "identity": identity,
            "copy": copies[identity],
        }
        session.execute(insert(BankMalformedLine).values(row).on_conflict_do_nothing())


def covered_days(session: Session, account: str) -> list[tuple[date, date]]:
    """Spans of days that statements tell of: of that account, or of any where it is empty."""
    query = sa.select(BankCoverage.first_day, BankCoverage.last_day)
    if account:
        query = query.where(BankCoverage.account == account)
    return [(first, last) for first, last in session.execute(query.distinct().order_by(sa.text("1, 2")))]
