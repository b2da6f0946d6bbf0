"""Payouts: what gateways have settled against what the bank has booked; docs/payouts.md has the rules.

"ledger" is our side (what the reports say is to be paid out), "report" the bank's, as in a reconciliation.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ENUM, JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import money
from records.classes import CLASSES
from records.db import Base
from records.exceptions import ReconciliationException
from records.reconciliation import exceptions_open

_CLASS = ENUM(*CLASSES, name="reconciliation_class", create_type=False)


class PayoutRun(Base):
    """The proof of one gateway's payouts over some bank days, by version. Amounts in minor units."""

    __tablename__ = "payout_runs"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    gateway: Mapped[str] = mapped_column(sa.Text)
    first_day: Mapped[date]
    last_day: Mapped[date]
    version: Mapped[int]
    is_current: Mapped[bool]
    sources: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    rules: Mapped[dict[str, Any]] = mapped_column(JSONB)
    classes: Mapped[dict[str, dict[str, Any]]] = mapped_column(JSONB)
    ledger_rows: Mapped[int]
    report_rows: Mapped[int]
    ledger_minor: Mapped[Decimal]
    report_minor: Mapped[Decimal]
    overlap_rows: Mapped[int]
    is_balanced: Mapped[bool]
    proof: Mapped[dict[str, Any]] = mapped_column(JSONB)
    recorded_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=sa.text("now()"))


class PayoutOutcome(Base):
    """What one run found of one payout or bank entry; only ever inserted (a trigger holds that)."""

    __tablename__ = "payout_outcomes"
    run_id: Mapped[UUID] = mapped_column(sa.ForeignKey("payout_runs.id"), primary_key=True)
    identity: Mapped[UUID] = mapped_column(primary_key=True)
    class_: Mapped[str] = mapped_column("class", _CLASS)
    ledger_minor: Mapped[int | None] = mapped_column(sa.BigInteger)
    report_minor: Mapped[int | None] = mapped_column(sa.BigInteger)
    details: Mapped[dict[str, Any]] = mapped_column(JSONB)


class Payout(Base):
    """What is known of a payout now, or of an entry that pays none: from the run that looked furthest."""

    __tablename__ = "payouts"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    gateway: Mapped[str] = mapped_column(sa.Text)
    identity: Mapped[UUID]
    class_: Mapped[str] = mapped_column("class", _CLASS)
    ledger_minor: Mapped[int | None] = mapped_column(sa.BigInteger)
    report_minor: Mapped[int | None] = mapped_column(sa.BigInteger)
    entry_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("bank_entries.id"))
    day: Mapped[date]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB)
    as_of: Mapped[date]
    last_run_id: Mapped[UUID] = mapped_column(sa.ForeignKey("payout_runs.id"))


def as_json(session: Session, run: PayoutRun) -> dict[str, Any]:
    """The run for programs, in the form of a reconciliation: ledger is what is due, report is the bank."""
    payouts = session.scalars(sa.select(PayoutOutcome).filter_by(run_id=run.id))
    ordered = sorted(payouts, key=lambda one: (CLASSES.index(one.class_), str(one.details["day"])))
    return {
        "run_id": str(run.id),
        "gateway": run.gateway,
        "first_day": run.first_day.isoformat(),
        "last_day": run.last_day.isoformat(),
        "ledger_rows": run.ledger_rows,
        "report_rows": run.report_rows,
        "ledger_amount": money.plain(int(run.ledger_minor)),
        "report_amount": money.plain(int(run.report_minor)),
        "classes": {
            name: {
                "count": run.classes[name]["count"],
                "ledger_amount": money.plain(int(run.classes[name]["ledger_minor"])),
                "report_amount": money.plain(int(run.classes[name]["report_minor"])),
            }
            for name in CLASSES
        },
        "overlap_rows": run.overlap_rows,
        "sources": run.sources,
        "balanced": run.is_balanced,
        "exceptions_open": exceptions_open(session, run.id),
        "version": run.version,
        "payouts": [one.details for one in ordered],
    }


def resource(payout: Payout) -> dict[str, Any]:
    """A payout for programs: both sides, amounts as strings with two decimals."""
    return {
        "payout_id": str(payout.id),
        **payout.details,
        "as_of": payout.as_of.isoformat(),
        "run_id": str(payout.last_run_id),
    }


def evidence(session: Session, found: ReconciliationException) -> dict[str, Any] | None:
    """Both sides of the payout that an exception is about, as its run found them; None for other types."""
    if not found.is_payout:
        return None
    return session.get_one(PayoutOutcome, (found.last_run_id, found.subject_id)).details


def search(
    session: Session,
    *,
    gateway: str | None = None,
    class_: str | None = None,
    first_day: date | None = None,
    last_day: date | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[Payout]:
    """Payouts as they are known now, the newest first; a page that follows the id `before`."""
    query = sa.select(Payout).order_by(Payout.id.desc()).limit(limit)
    if gateway is not None:
        query = query.where(Payout.gateway == gateway)
    if class_ is not None:
        query = query.where(Payout.class_ == class_)
    if first_day is not None:
        query = query.where(Payout.day >= first_day)
    if last_day is not None:
        query = query.where(Payout.day <= last_day)
    if before is not None:
        query = query.where(Payout.id < before)
    return list(session.scalars(query))
