"""Enrolments: who has a seat in which program, as the platform tells us.

The platform tells what happened and when; each statement is kept once, and what is true now follows from all
of them by their times, whatever the order in which they came. A learner is the platform's: whichever client
tells, one learner and one program are one enrolment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from records.db import Base, among

EnrolmentState = Literal["enrolled", "completed", "withdrawn"]
STATES: tuple[str, ...] = get_args(EnrolmentState)
HAS_SEAT: frozenset[str] = frozenset({"enrolled", "completed"})
_TIME = TIMESTAMP(timezone=True)


class Enrolment(Base):
    """One learner in one program, as all statements together say it.

    state_at: when that came about; since: from when there has been a seat, or none any more. is_free: nothing
    is to be paid for it. payment_id: the payment that the platform named last. learner_id: none once erased.
    """

    __tablename__ = "enrolments"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    learner_id: Mapped[str | None] = mapped_column(sa.Text)
    program_code: Mapped[str] = mapped_column(sa.Text(collation="C"))
    state: Mapped[str] = mapped_column(sa.Text)
    state_at: Mapped[datetime] = mapped_column(_TIME)
    since: Mapped[datetime] = mapped_column(_TIME)
    is_free: Mapped[bool]
    payment_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("payments.id"))
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    updated_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))


class EnrolmentStatement(Base):
    """One thing that the platform told; only ever inserted. is_free, payment_id: none if it did not say."""

    __tablename__ = "enrolment_statements"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    enrolment_id: Mapped[UUID] = mapped_column(sa.ForeignKey("enrolments.id"))
    state: Mapped[str] = mapped_column(sa.Text)
    occurred_at: Mapped[datetime] = mapped_column(_TIME)
    is_free: Mapped[bool | None]
    payment_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("payments.id"))
    told_by: Mapped[str] = mapped_column(sa.Text)
    told_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))


@dataclass(frozen=True)
class Statement:
    """What the platform says of one learner in one program; checked already."""

    learner_id: str
    program_code: str
    state: str
    occurred_at: datetime
    is_free: bool | None = None
    payment_id: UUID | None = None


@dataclass(frozen=True)
class Told:
    """What became of a statement: the enrolment as it is now, and whether it was news."""

    enrolment: Enrolment
    is_new: bool


_COLUMNS = """unnest(CAST(:learners AS text[]), CAST(:programs AS text[]), CAST(:states AS text[]),
    CAST(:times AS timestamptz[]), CAST(:free AS boolean[]), CAST(:payments AS uuid[])) WITH ORDINALITY
    AS told (learner_id, program_code, state, occurred_at, is_free, payment_id, place)"""

# In one order, whatever the list's: two lists at once wait for each other and never in a ring.
_ROWS = sa.text(
    f"""INSERT INTO enrolments (learner_id, program_code, state, state_at, since, is_free)
    SELECT DISTINCT ON (learner_id COLLATE "C", program_code COLLATE "C")
        learner_id, program_code, state, occurred_at, occurred_at, false
    FROM {_COLUMNS} ORDER BY learner_id COLLATE "C", program_code COLLATE "C", place
    ON CONFLICT (learner_id, program_code) DO NOTHING"""  # noqa: S608 - our own text
)
_HELD = sa.text(
    f"""SELECT id FROM enrolments WHERE (learner_id, program_code) IN
        (SELECT learner_id, program_code COLLATE "C" FROM {_COLUMNS})
    ORDER BY id FOR UPDATE"""  # noqa: S608 - our own text
)
_STATEMENTS = sa.text(
    f"""INSERT INTO enrolment_statements (enrolment_id, state, occurred_at, is_free, payment_id, told_by)
    SELECT e.id, told.state, told.occurred_at, told.is_free, told.payment_id, :by
    FROM {_COLUMNS}
    JOIN enrolments e ON e.learner_id = told.learner_id AND e.program_code = told.program_code COLLATE "C"
    ORDER BY told.place
    ON CONFLICT ON CONSTRAINT enrolment_statements_once DO NOTHING
    RETURNING enrolment_id, state, occurred_at, is_free, payment_id"""  # noqa: S608 - our own text
)
# The last statement by its time says what is true. Two of one moment go in the order of a seat's life, so
# that the order in which they came decides nothing; of a payment, or of being free, the last that said any.
_FOLDED = sa.text(
    """UPDATE enrolments e
    SET state = now_is.state, state_at = now_is.occurred_at, since = now_is.since,
        is_free = coalesce(now_is.is_free, false), payment_id = now_is.payment_id, updated_at = now()
    FROM (
        SELECT s.enrolment_id,
            (array_agg(s.state ORDER BY s.occurred_at DESC, s.rank DESC))[1] AS state,
            max(s.occurred_at) AS occurred_at,
            min(s.occurred_at) FILTER (WHERE s.turns = s.all_turns) AS since,
            (array_agg(s.is_free ORDER BY s.occurred_at DESC, s.rank DESC, s.id DESC)
                FILTER (WHERE s.is_free IS NOT NULL))[1] AS is_free,
            (array_agg(s.payment_id ORDER BY s.occurred_at DESC, s.rank DESC, s.id DESC)
                FILTER (WHERE s.payment_id IS NOT NULL))[1] AS payment_id
        FROM (
            SELECT t.*, max(t.turns) OVER (PARTITION BY t.enrolment_id) AS all_turns
            FROM (
                SELECT w.*, count(*) FILTER (WHERE w.has_seat IS DISTINCT FROM w.had_seat) OVER (
                        PARTITION BY w.enrolment_id ORDER BY w.occurred_at, w.rank, w.id) AS turns
                FROM (
                    SELECT r.*, lag(r.has_seat) OVER (
                            PARTITION BY r.enrolment_id ORDER BY r.occurred_at, r.rank, r.id) AS had_seat
                    FROM (
                        SELECT *, state <> 'withdrawn' AS has_seat,
                            array_position(ARRAY['enrolled', 'completed', 'withdrawn'], state) AS rank
                        FROM enrolment_statements WHERE enrolment_id = ANY(:ids)
                    ) r
                ) w
            ) t
        ) s GROUP BY s.enrolment_id
    ) now_is
    WHERE e.id = now_is.enrolment_id"""
)


def tell(session: Session, statements: Sequence[Statement], *, by: str) -> list[Told]:
    """Keep what the platform says, each statement once, and bring what is true now up to date.

    In the caller's transaction; what became of each comes back in their order. by: an actor.
    """
    if not statements:
        return []
    given = {
        "learners": [one.learner_id for one in statements],
        "programs": [one.program_code for one in statements],
        "states": [one.state for one in statements],
        "times": [one.occurred_at for one in statements],
        "free": [one.is_free for one in statements],
        "payments": [one.payment_id for one in statements],
    }
    session.execute(_ROWS, given)
    ids = list(session.scalars(_HELD, given))
    new = {tuple(row) for row in session.execute(_STATEMENTS, given | {"by": by})}
    if new:
        session.execute(_FOLDED, {"ids": [row[0] for row in new]})
    rows = session.scalars(
        sa.select(Enrolment).where(Enrolment.id == among(ids)).execution_options(populate_existing=True)
    )
    known = {(one.learner_id, one.program_code): one for one in rows}
    found = []
    for one in statements:
        enrolment = known[one.learner_id, one.program_code]
        told = (enrolment.id, one.state, one.occurred_at, one.is_free, one.payment_id)
        found.append(Told(enrolment, told in new))
        new.discard(told)  # the same twice in one list is news once
    return found


def of_learner(session: Session, learner_id: str) -> list[tuple[Enrolment, list[EnrolmentStatement]]]:
    """A learner's enrolments with what was told of each, by time."""
    mine = sa.select(Enrolment).filter_by(learner_id=learner_id).order_by(Enrolment.program_code)
    found = []
    for one in session.scalars(mine):
        told = sa.select(EnrolmentStatement).filter_by(enrolment_id=one.id)
        order = (EnrolmentStatement.occurred_at, EnrolmentStatement.id)
        found.append((one, list(session.scalars(told.order_by(*order)))))
    return found


def forget(session: Session, learner_id: str) -> int:
    """Take the learner out of their enrolments, which stay as seats of nobody; tells of how many."""
    taken = session.execute(
        sa.update(Enrolment)
        .where(Enrolment.learner_id == learner_id)
        .values(learner_id=None)
        .returning(Enrolment.id)
    )
    return len(taken.all())
