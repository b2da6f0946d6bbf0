"""Entitlements: whether who paid has a seat, who has a seat paid, and who completed was reported.

A finding is one difference of one learner in one program. It keeps its row over the nights: it is opened,
stays open while the difference is there, resolves by itself once it is gone, or a person explains it. What
finds them is `entitlement_look`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import clock
from records import audit
from records.db import Base

PROCESS = "reconcile-entitlements"
FindingClass = Literal[
    "paid_not_enrolled",
    "enrolled_not_paid",
    "completed_not_reported",
    "reported_without_payment",
    "refunded_still_enrolled",
]
CLASSES: tuple[str, ...] = get_args(FindingClass)
FindingState = Literal["open", "explained", "resolved"]
STATES: tuple[str, ...] = get_args(FindingState)
_TIME = TIMESTAMP(timezone=True)


class EntitlementRun(Base):
    """One look at all pairs of learner and program: its counts and its proof.

    in_order + awaited + differing = pairs. classes: by class, how many were found, opened, … in it.
    left_out: payments and completions that name no learner or no program. proof: counted and looked at.
    """

    __tablename__ = "entitlement_runs"
    process_run_id: Mapped[UUID] = mapped_column(sa.ForeignKey("process_runs.id"), primary_key=True)
    looked_at: Mapped[datetime] = mapped_column(_TIME)
    pairs: Mapped[int] = mapped_column(sa.BigInteger)
    in_order: Mapped[int] = mapped_column(sa.BigInteger)
    awaited: Mapped[int] = mapped_column(sa.BigInteger)
    differing: Mapped[int] = mapped_column(sa.BigInteger)
    classes: Mapped[dict[str, dict[str, int]]] = mapped_column(JSONB)
    left_out: Mapped[dict[str, int]] = mapped_column(JSONB)
    rules: Mapped[dict[str, Any]] = mapped_column(JSONB)
    proof: Mapped[dict[str, list[int]]] = mapped_column(JSONB)
    is_balanced: Mapped[bool]


class Finding(Base):
    """One difference of one learner in one program. since: from when it counts, before any grace.

    facts: what it was seen in last, nothing personal. closed_at: when it was explained or resolved.
    learner_id: none once the learner was erased.
    """

    __tablename__ = "entitlement_findings"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    learner_id: Mapped[str | None] = mapped_column(sa.Text)
    program_code: Mapped[str] = mapped_column(sa.Text(collation="C"))
    class_: Mapped[str] = mapped_column("class", sa.Text)
    state: Mapped[str] = mapped_column(sa.Text)
    since: Mapped[datetime] = mapped_column(_TIME)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    opened_at: Mapped[datetime] = mapped_column(_TIME)
    closed_at: Mapped[datetime | None] = mapped_column(_TIME)
    first_run_id: Mapped[UUID] = mapped_column(sa.ForeignKey("entitlement_runs.process_run_id"))
    last_run_id: Mapped[UUID] = mapped_column(sa.ForeignKey("entitlement_runs.process_run_id"))


class FindingEvent(Base):
    """One change of a finding's state: by whom and why. Only inserted."""

    __tablename__ = "entitlement_events"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    finding_id: Mapped[UUID] = mapped_column(sa.ForeignKey("entitlement_findings.id"))
    at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    from_state: Mapped[str | None] = mapped_column(sa.Text)
    to_state: Mapped[str] = mapped_column(sa.Text)
    actor: Mapped[str] = mapped_column(sa.Text)
    reason: Mapped[str] = mapped_column(sa.Text)


class NotOpen(Exception):
    """The finding is explained or resolved already, or there is none."""

    def __init__(self, finding: Finding | None) -> None:
        self.is_unknown = finding is None
        super().__init__(
            "There is no such finding" if finding is None else f"This finding is {finding.state} already"
        )


@dataclass(frozen=True)
class Filter:
    """Which findings; None for all."""

    class_: str | None = None
    state: str | None = "open"
    learner_id: str | None = None
    program_code: str | None = None


def page(session: Session, which: Filter, *, after: UUID | None = None, limit: int = 50) -> list[Finding]:
    """Findings in the order in which they were first found; a page after that one."""
    query = sa.select(Finding).where(*_conditions(which))
    if after is not None:
        query = query.where(Finding.id > after)
    return list(session.scalars(query.order_by(Finding.id).limit(limit)))


def count(session: Session, which: Filter) -> int:
    """How many they are."""
    return session.scalar(sa.select(sa.func.count()).select_from(Finding).where(*_conditions(which))) or 0


def of_learner(session: Session, learner_id: str) -> list[Finding]:
    """Every finding of a learner, oldest first, whatever its state."""
    mine = sa.select(Finding).filter_by(learner_id=learner_id)
    return list(session.scalars(mine.order_by(Finding.opened_at, Finding.id)))


def history(session: Session, finding_id: UUID) -> list[FindingEvent]:
    """What happened to a finding, in order."""
    events = sa.select(FindingEvent).filter_by(finding_id=finding_id)
    return list(session.scalars(events.order_by(FindingEvent.id)))


def explain(session: Session, finding_id: UUID, *, by: str, reason: str) -> Finding:
    """A person says why the difference is right as it is; it stays explained as long as it is there.

    by: an actor. Raises NotOpen, and BadInput for a reason that says nothing or something personal.
    """
    why = audit.checked_reason(reason)
    finding = session.get(Finding, finding_id, with_for_update=True, populate_existing=True)
    if finding is None or finding.state != "open":
        raise NotOpen(finding)
    finding.state, finding.closed_at = "explained", clock.now()
    session.add(
        FindingEvent(finding_id=finding.id, from_state="open", to_state="explained", actor=by, reason=why)
    )
    session.flush()
    return finding


def forget(session: Session, learner_id: str, *, by: str) -> int:
    """Take an erased learner out of the findings, which end with that; tells of how many."""
    mine = session.scalars(sa.select(Finding).filter_by(learner_id=learner_id).with_for_update()).all()
    for one in mine:
        if one.state != "resolved":
            session.add(
                FindingEvent(
                    finding_id=one.id,
                    from_state=one.state,
                    to_state="resolved",
                    actor=by,
                    reason="What is personal of the learner was erased.",
                )
            )
            one.state, one.closed_at = "resolved", clock.now()
        one.learner_id = None
    session.flush()
    return len(mine)


def resource(finding: Finding) -> dict[str, Any]:
    """The finding as others see it, as JSON values."""
    return {
        "finding_id": str(finding.id),
        "learner_id": finding.learner_id,
        "program_code": finding.program_code,
        "class": finding.class_,
        "state": finding.state,
        "since": _iso(finding.since),
        "opened_at": _iso(finding.opened_at),
        "closed_at": _iso(finding.closed_at),
        "facts": finding.facts,
    }


def newest_run(session: Session) -> EntitlementRun | None:
    """The look that was taken last."""
    return session.scalars(
        sa.select(EntitlementRun).order_by(EntitlementRun.looked_at.desc()).limit(1)
    ).one_or_none()


def run_as_json(run: EntitlementRun) -> dict[str, Any]:
    """The run as others see it: JSON values, nothing of any learner."""
    return {
        "looked_at": _iso(run.looked_at),
        "pairs": run.pairs,
        "in_order": run.in_order,
        "awaited": run.awaited,
        "differing": run.differing,
        "classes": run.classes,
        "left_out": run.left_out,
        "rules": run.rules,
        "proof": run.proof,
        "balanced": run.is_balanced,
    }


def open_of(session: Session, classes: Collection[str] = CLASSES) -> dict[str, int]:
    """How many findings of each class are open."""
    rows = session.execute(
        sa.select(Finding.class_, sa.func.count()).where(Finding.state == "open").group_by(Finding.class_)
    )
    return dict.fromkeys(classes, 0) | {name: int(number) for name, number in rows}


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def _conditions(which: Filter) -> list[sa.ColumnElement[bool]]:
    asked = (
        (Finding.class_, which.class_),
        (Finding.state, which.state),
        (Finding.learner_id, which.learner_id),
        (Finding.program_code, which.program_code),
    )
    return [column == value for column, value in asked if value is not None]
