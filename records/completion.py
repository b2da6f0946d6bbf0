"""Completions: who is reported to the ministry as having ended a program, and how far that is.

One row is one statement about one person in one program; it is not changed, only its state moves. Other
values of the same person are another row, which supersedes it.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, get_args
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import clock
from records import completion_credentials, process
from records.db import Base
from records.program import Program

PROCESS = "report-completion"
CompletionState = Literal["waiting", "sent", "accepted", "rejected", "unknown"]
STATES: tuple[str, ...] = get_args(CompletionState)
# What the register said, or did not say. `sent` is written before a call; whoever finds it after the call's
# worker has died cannot know what became of it.
MOVES: dict[str, frozenset[str]] = {
    "waiting": frozenset({"sent"}),
    "sent": frozenset({"accepted", "rejected", "unknown", "waiting"}),
    "unknown": frozenset({"sent", "accepted", "waiting"}),
    "rejected": frozenset({"waiting"}),
    "accepted": frozenset(),
}
_TIME = TIMESTAMP(timezone=True)


class CompletionReport(Base):
    """A class that was reported to us, once: the same content again is this report.

    content: keyed hash of everything said. enrolled, completed, certified and the rates: of the whole class,
    with those of earlier reports and of rows that were refused. reported_before: participants that the
    ministry has already, or that another report is at. refused: rows that were left out, without values.
    """

    __tablename__ = "completion_reports"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    program_id: Mapped[UUID] = mapped_column(sa.ForeignKey("training_programs.id"))
    completion_date: Mapped[date]
    content: Mapped[bytes] = mapped_column(sa.LargeBinary)
    enrolled: Mapped[int]
    completed: Mapped[int]
    certified: Mapped[int]
    completion_rate: Mapped[Decimal] = mapped_column(sa.Numeric(4, 1))
    certification_rate: Mapped[Decimal] = mapped_column(sa.Numeric(4, 1))
    reported_before: Mapped[int]
    refused: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    allow_partial: Mapped[bool]
    is_correction: Mapped[bool]
    requested_by: Mapped[str] = mapped_column(sa.Text)
    process_run_id: Mapped[UUID] = mapped_column(sa.ForeignKey("process_runs.id"))
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))


class Completion(Base):
    """One person's completion as it is reported. row: place in its report; chunk: with whom it is sent.

    fingerprint: keyed hash of all values: another one is a correction. problem: why it was not taken.
    """

    __tablename__ = "completions"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    report_id: Mapped[UUID] = mapped_column(sa.ForeignKey("completion_reports.id"))
    row: Mapped[int]
    chunk: Mapped[int]
    program_id: Mapped[UUID] = mapped_column(sa.ForeignKey("training_programs.id"))
    lpk_registration_number: Mapped[str] = mapped_column(sa.Text(collation="C"))
    person_id: Mapped[UUID] = mapped_column(sa.ForeignKey("persons.id"))
    certificate_number: Mapped[str | None] = mapped_column(sa.Text)
    completion_status: Mapped[str] = mapped_column(sa.Text)
    final_score: Mapped[Decimal | None] = mapped_column(sa.Numeric(5, 2))
    completion_date: Mapped[date]
    name: Mapped[bytes | None] = mapped_column(sa.LargeBinary, deferred=True)
    fingerprint: Mapped[bytes] = mapped_column(sa.LargeBinary)
    state: Mapped[str] = mapped_column(sa.Text, server_default="waiting")
    code: Mapped[str | None] = mapped_column(sa.Text)
    problem: Mapped[str | None] = mapped_column(sa.Text)
    sent_at: Mapped[datetime | None] = mapped_column(_TIME)
    answered_at: Mapped[datetime | None] = mapped_column(_TIME)
    supersedes: Mapped[UUID | None] = mapped_column(sa.ForeignKey("completions.id"))
    superseded_at: Mapped[datetime | None] = mapped_column(_TIME)
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))


class CompletionCall(Base):
    """One call to the register for one chunk. answer: what it said, whole and sealed: the receipt.

    outcome: how many of each state came of it, or why there was no answer; none: its worker died. Or,
    without a chunk, what a person has found out of participants whose answer was lost, and who that was.
    """

    __tablename__ = "completion_calls"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    report_id: Mapped[UUID] = mapped_column(sa.ForeignKey("completion_reports.id"))
    chunk: Mapped[int | None]
    participants: Mapped[int]
    sent_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    answered_at: Mapped[datetime | None] = mapped_column(_TIME)
    outcome: Mapped[str | None] = mapped_column(sa.Text)
    answer: Mapped[bytes | None] = mapped_column(sa.LargeBinary, deferred=True)
    decided_by: Mapped[str | None] = mapped_column(sa.Text)


def apply(
    session: Session,
    completions: Sequence[Completion],
    to_state: CompletionState,
    *,
    code: str | None = None,
    problem: str | None = None,
) -> list[Completion]:
    """Move participants: the one door for every change of state; tells who has moved.

    What follows from `accepted`, which is reached once and never left, follows in this transaction.
    """
    at = clock.now()
    moved = []
    for one in completions:
        if to_state not in MOVES[one.state]:
            continue
        one.state, one.code, one.problem = to_state, code, problem
        if to_state == "sent":
            one.sent_at, one.answered_at = at, None
        elif to_state in ("accepted", "rejected"):
            one.answered_at = at
        moved.append(one)
    session.flush()
    if to_state == "accepted":
        completion_credentials.issue(session, moved)
    return moved


def held(session: Session, program_id: UUID, person_ids: Collection[UUID]) -> dict[UUID, Completion]:
    """What the register accepted of these persons before something else was said of them, the newest of it:
    it has that as long as it has not accepted a correction."""
    found = session.scalars(
        sa.select(Completion)
        .filter_by(program_id=program_id, state="accepted")
        .where(Completion.person_id.in_(person_ids), Completion.superseded_at.is_not(None))
        .order_by(Completion.id)
    )
    return {one.person_id: one for one in found}


def corrected(session: Session, report: CompletionReport) -> list[Completion]:
    """Participants of a report whom the register accepted with other values than before."""
    if not report.is_correction:
        return []
    wanted = sa.select(Completion).where(
        Completion.report_id == report.id,
        Completion.supersedes.is_not(None),
        Completion.superseded_at.is_(None),
        Completion.state == "accepted",
    )
    return list(session.scalars(wanted.options(sa.orm.undefer(Completion.name)).order_by(Completion.row)))


def locked(session: Session, ids: Sequence[UUID]) -> list[Completion]:
    """These participants as they are now, for this transaction alone, in the order of the report."""
    found = session.scalars(
        sa.select(Completion)
        .where(Completion.id.in_(ids))
        .order_by(Completion.row)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return list(found)


def counts(session: Session, report_id: UUID) -> dict[str, int]:
    """How many participants of a report are in each state; every state is there. Superseded ones are not."""
    found = session.execute(
        sa.select(Completion.state, sa.func.count())
        .where(Completion.report_id == report_id, Completion.superseded_at.is_(None))
        .group_by(Completion.state)
    )
    return dict.fromkeys(STATES, 0) | {state: int(number) for state, number in found}


def settle(
    session: Session, report: CompletionReport, *, is_there: bool, by: str, reason: str
) -> list[Completion]:
    """What a person found out of participants whose answer was lost: the register has them, or it does not.

    The report's process goes on: to its end, or with sending them. Tells whom it was about. reason: checked.
    """
    unknown = session.scalars(
        sa.select(Completion)
        .filter_by(report_id=report.id, state="unknown", superseded_at=None)
        .with_for_update()
    ).all()
    moved = apply(session, unknown, "accepted" if is_there else "waiting")
    if moved:
        found = "the register has them" if is_there else "the register does not have them"
        session.add(
            CompletionCall(
                report_id=report.id,
                participants=len(moved),
                answered_at=clock.now(),
                outcome=f"{found}: {reason}",
                decided_by=by,
            )
        )
        process.retry(session, report.process_run_id)
    return moved


def calls(session: Session, report_id: UUID) -> list[CompletionCall]:
    """The calls of a report, oldest first."""
    return list(
        session.scalars(sa.select(CompletionCall).filter_by(report_id=report_id).order_by(CompletionCall.id))
    )


def shown(session: Session, report_id: UUID) -> dict[str, Any]:
    """The report as others see it: JSON values, no personal data."""
    report = session.get_one(CompletionReport, report_id)
    program = session.get_one(Program, report.program_id)
    run = session.get_one(process.ProcessRun, report.process_run_id)
    return {
        "report_id": str(report.id),
        "process_id": str(report.process_run_id),
        "process_state": run.state,
        "program_code": program.program_code,
        "lpk_registration_number": program.lpk_registration_number,
        "completion_date": report.completion_date.isoformat(),
        "enrolled": report.enrolled,
        "completed": report.completed,
        "certified": report.certified,
        "completion_rate": str(report.completion_rate),
        "certification_rate": str(report.certification_rate),
        "participants": counts(session, report_id),
        "reported_before": report.reported_before,
        "refused": report.refused,
        "is_correction": report.is_correction,
        "created_at": report.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }
