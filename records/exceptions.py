"""Exceptions: what a statement could not match, as something that a person can work and end."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ENUM, JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import clock
from records.classes import CLASSES
from records.db import Base

_TIME = TIMESTAMP(timezone=True)
TYPES = ("payment", "refund", "payout")
STATES = (
    "open", "explained", "healed", "refunded", "matched", "written_off", "settled", "carried", "cleared",
)  # fmt: skip


class NotOpen(Exception):
    """The exception does not exist (`is_unknown`) or has been ended already; says which."""

    def __init__(self, sentence: str, *, is_unknown: bool = False) -> None:
        self.is_unknown = is_unknown
        super().__init__(sentence)


class NotPossible(Exception):
    """An end that this exception cannot have; says why, and what can be done instead."""


class ReconciliationException(Base):
    """One difference of one gateway's business day; keeps its identity over re-runs of the day.

    Of a payout: of a bank day. `expected` is then what the reports say is due, `found` what the bank booked,
    and subject_id with last_run_id names its row of payout_outcomes.
    """

    __tablename__ = "reconciliation_exceptions"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    gateway: Mapped[str] = mapped_column(sa.Text)
    business_date: Mapped[date]
    identity: Mapped[UUID]
    class_: Mapped[str] = mapped_column(
        "class", ENUM(*CLASSES, name="reconciliation_class", create_type=False)
    )
    state: Mapped[str] = mapped_column(sa.Text, server_default="open")
    is_refund: Mapped[bool]
    is_payout: Mapped[bool] = mapped_column(server_default=sa.false())
    subject_id: Mapped[UUID | None]
    reference: Mapped[str | None] = mapped_column(sa.Text(collation="C"))
    gateway_reference: Mapped[str | None] = mapped_column(sa.Text(collation="C"))
    reason: Mapped[str | None] = mapped_column(sa.Text)
    note: Mapped[str | None] = mapped_column(sa.Text)
    expected: Mapped[dict[str, Any]] = mapped_column(JSONB)
    found: Mapped[dict[str, Any]] = mapped_column(JSONB)
    ledger_minor: Mapped[int | None] = mapped_column(sa.BigInteger)
    report_minor: Mapped[int | None] = mapped_column(sa.BigInteger)
    source_name: Mapped[str | None] = mapped_column(sa.Text)
    line_no: Mapped[int | None]
    first_run_id: Mapped[UUID]
    last_run_id: Mapped[UUID]
    opened_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    closed_at: Mapped[datetime | None] = mapped_column(_TIME)
    # Money that it puts at risk, made by the database from the columns above (migration 0005 has the rule).
    risk_minor: Mapped[int] = mapped_column(sa.BigInteger, sa.FetchedValue())

    @property
    def type(self) -> str:
        """What it is about: one of TYPES."""
        return "payout" if self.is_payout else "refund" if self.is_refund else "payment"

    @property
    def currency(self) -> str:
        """The currency of its amounts: ours, where we have the payment."""
        return str(self.expected.get("currency") or self.found.get("currency") or "IDR")


class ExceptionEvent(Base):
    """One step in an exception's life; only ever inserted (a trigger holds that)."""

    __tablename__ = "exception_events"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    exception_id: Mapped[int] = mapped_column(sa.ForeignKey("reconciliation_exceptions.id"))
    at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    actor: Mapped[str] = mapped_column(sa.Text)
    from_state: Mapped[str | None] = mapped_column(sa.Text)
    to_state: Mapped[str] = mapped_column(sa.Text)
    reason: Mapped[str] = mapped_column(sa.Text)
    run_id: Mapped[UUID | None]


def locked(session: Session, exception_id: int) -> ReconciliationException:
    """The exception as it is now, its row locked until the transaction ends; raises NotOpen if unknown."""
    found = session.get(ReconciliationException, exception_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotOpen(f"There is no exception {exception_id}", is_unknown=True)
    return found


def open_one(session: Session, exception_id: int) -> ReconciliationException:
    """The same, for one that can be ended; raises NotOpen where there is nothing to end."""
    found = locked(session, exception_id)
    if found.state != "open":
        raise NotOpen(f"Exception {exception_id} is {words(found.state)} already")
    return found


def move(session: Session, exception_id: int, to_state: str, *, actor: str, reason: str) -> None:
    """End an open exception, with who and why; raises NotOpen where there is nothing to end."""
    found = open_one(session, exception_id)
    remark(session, exception_id, actor=actor, reason=reason, to_state=to_state)
    found.state, found.closed_at = to_state, clock.now()


def remark(session: Session, exception_id: int, *, actor: str, reason: str, to_state: str = "open") -> None:
    """Add to the history of an open exception; what moves nothing stays `open` on both sides."""
    session.add(
        ExceptionEvent(
            exception_id=exception_id, actor=actor, from_state="open", to_state=to_state, reason=reason
        )
    )


def words(state: str) -> str:
    """The state as it stands in a sentence."""
    return {"matched": "matched by hand"}.get(state, state.replace("_", " "))


def is_of_type(type: str) -> sa.ColumnElement[bool]:
    """What is about a payment, a refund or a payout, for a query."""
    e = ReconciliationException
    return sa.and_(e.is_refund == (type == "refund"), e.is_payout == (type == "payout"))


def search(
    session: Session,
    *,
    gateway: str | None = None,
    type: str | None = None,
    business_date: date | None = None,
    run_id: UUID | None = None,
    state: str | None = "open",
    class_: str | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[ReconciliationException]:
    """Exceptions in the order in which they were opened, a page after the id `after`."""
    e = ReconciliationException
    query = sa.select(e).where(e.id > after).order_by(e.id).limit(limit)
    for column, value in (
        (e.gateway, gateway),
        (e.business_date, business_date),
        (e.last_run_id, run_id),
        (e.state, state),
        (e.class_, class_),
    ):
        if value is not None:
            query = query.where(column == value)
    if type is not None:
        query = query.where(is_of_type(type))
    return list(session.scalars(query))


def history(session: Session, exception_id: int) -> list[ExceptionEvent]:
    """What happened to an exception, oldest first."""
    return list(
        session.scalars(
            sa.select(ExceptionEvent).filter_by(exception_id=exception_id).order_by(ExceptionEvent.id)
        )
    )
