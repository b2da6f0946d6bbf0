"""Reconciliations: one statement for a gateway and business day, by version, with its proof."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import money
from records import process
from records.classes import CLASSES, NO_EXCEPTION
from records.db import Base
from records.exceptions import ReconciliationException
from records.process import ProcessRun


class Reconciliation(Base):
    """The statement of one gateway's business day. Amounts in minor units."""

    __tablename__ = "reconciliations"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    no: Mapped[int] = mapped_column(sa.Identity(always=True))
    process_run_id: Mapped[UUID] = mapped_column(sa.ForeignKey("process_runs.id"))
    gateway: Mapped[str] = mapped_column(sa.Text)
    business_date: Mapped[date]
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
    early_rows: Mapped[int]  # matched here though paid on a later day: not in that day's scope again
    is_balanced: Mapped[bool | None]
    proof: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    recorded_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=sa.text("now()"))

    def count(self, *names: str) -> int:
        """How many outcomes have one of these classes."""
        return sum(int(self.classes[name]["count"]) for name in names)


def nightly_key(gateway: str, day: date) -> str:
    """Key of a day's nightly process run: the schedule and the catch-up mean the same run by it."""
    return f"{gateway}/{day.isoformat()}"


def request_input(
    gateway: str,
    day: date,
    *,
    source: str | None = None,
    layout: str | None = None,
    allow_empty: bool = False,
) -> dict[str, Any]:
    """What a process run of a reconciliation was asked: the flow's own parameters."""
    return {
        "gateway": gateway,
        "business_date": day.isoformat(),
        "source": source,
        "layout": layout,
        "allow_empty": allow_empty,
    }


def of_process(session: Session, process_run_id: UUID) -> Reconciliation | None:
    """The statement that this process run has recorded, if it came that far."""
    return session.scalars(sa.select(Reconciliation).filter_by(process_run_id=process_run_id)).one_or_none()


def current(session: Session, gateway: str, business_date: date) -> Reconciliation | None:
    """The newest version of that day's statement."""
    return session.scalars(
        sa.select(Reconciliation).filter_by(gateway=gateway, business_date=business_date, is_current=True)
    ).one_or_none()


_TIMING_CHANGED = sa.text(
    """
    WITH this AS (SELECT * FROM reconciliations WHERE id = :id), before AS (
        SELECT r.no FROM reconciliations r JOIN this t USING (gateway, business_date)
        WHERE r.version < t.version ORDER BY r.version DESC LIMIT 1
    ), now AS (
        SELECT subject_id FROM reconciliation_outcomes
        WHERE run_no = (SELECT no FROM this) AND class = 'timing'
    ), earlier AS (
        SELECT subject_id FROM reconciliation_outcomes
        WHERE run_no = (SELECT no FROM before) AND class = 'timing'
    )
    SELECT EXISTS ((TABLE now EXCEPT TABLE earlier) UNION ALL (TABLE earlier EXCEPT TABLE now))"""
)


def ask_for_next_day_again(session: Session, run: Reconciliation) -> ProcessRun | None:
    """Ask for the next day once more where it was recorded first and this day changes what it starts from.

    What this day leaves as `timing` belongs into the next day's scope. The kept files are worked again.
    """
    later = current(session, run.gateway, run.business_date + timedelta(days=1))
    if later is None or not session.scalar(_TIMING_CHANGED, {"id": run.id}):
        return None
    kept = ",".join(f"sha256:{source['sha256']}" for source in later.sources)
    asked = request_input(run.gateway, later.business_date, source=kept, allow_empty=True)
    key = f"{nightly_key(run.gateway, later.business_date)}/after-{run.id}"
    return process.request(session, "reconcile-payments", key, asked)[0]


def exceptions_open(session: Session, run_id: UUID) -> int:
    """Exceptions of that statement which nobody has closed."""
    return (
        session.scalar(
            sa.select(sa.func.count())
            .select_from(ReconciliationException)
            .where(
                ReconciliationException.last_run_id == run_id,
                ReconciliationException.state == "open",
                ReconciliationException.class_.not_in(NO_EXCEPTION),
            )
        )
        or 0
    )


def at_risk_minor(session: Session, run_id: UUID) -> int:
    """Money that the open exceptions of a statement put at risk."""
    e = ReconciliationException
    total = session.scalar(
        sa.select(sa.func.coalesce(sa.func.sum(e.risk_minor), 0)).where(
            e.last_run_id == run_id, e.state == "open", e.class_.not_in(NO_EXCEPTION)
        )
    )
    return int(total or 0)


def as_json(session: Session, run: Reconciliation) -> dict[str, Any]:
    """The run for programs: every class, zeros included, rupiah as strings with two decimals."""
    return {
        "run_id": str(run.id),
        "gateway": run.gateway,
        "business_date": run.business_date.isoformat(),
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
        "sources": [{key: source[key] for key in ("name", "sha256", "rows")} for source in run.sources],
        "balanced": bool(run.is_balanced),
        "exceptions_open": exceptions_open(session, run.id),
        "version": run.version,
    }
