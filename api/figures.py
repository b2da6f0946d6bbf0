"""Figures over exceptions: how many are open, and how much money they speak of."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from records.classes import NO_EXCEPTION
from records.exceptions import ReconciliationException
from records.reconciliation import Reconciliation

_E = ReconciliationException
_IS_OPEN = _E.state == "open"
_COUNTS = (
    sa.func.count().label("listed"),
    sa.func.count().filter(_IS_OPEN).label("open"),
    sa.func.coalesce(sa.func.sum(_E.risk_minor).filter(_IS_OPEN), 0).label("at_risk"),
)


@dataclass(frozen=True)
class Figures:
    """listed: exceptions that a statement has now; open: of these; at_risk_minor: money of the open ones."""

    listed: int = 0
    open: int = 0
    at_risk_minor: int = 0


def by_class(session: Session, run_id: UUID) -> dict[str, Figures]:
    """Figures of each class of one statement, `timing` included."""
    rows = session.execute(sa.select(_E.class_, *_COUNTS).where(_E.last_run_id == run_id).group_by(_E.class_))
    return {name: Figures(listed, is_open, int(risk)) for name, listed, is_open, risk in rows}


def by_statement(session: Session, run_ids: Sequence[UUID]) -> dict[UUID, Figures]:
    """Figures of several statements, without `timing`, which is no exception."""
    rows = session.execute(
        sa.select(_E.last_run_id, *_COUNTS)
        .where(_E.last_run_id.in_(run_ids), _E.class_.not_in(NO_EXCEPTION))
        .group_by(_E.last_run_id)
    )
    return {run_id: Figures(listed, is_open, int(risk)) for run_id, listed, is_open, risk in rows}


def open_by_gateway(session: Session) -> list[tuple[str, str, int, int]]:
    """Gateway, class, number and money at risk of everything that is open, on whatever day."""
    rows = session.execute(
        sa.select(_E.gateway, _E.class_, sa.func.count(), sa.func.coalesce(sa.func.sum(_E.risk_minor), 0))
        .where(_IS_OPEN, _E.class_.not_in(NO_EXCEPTION))
        .group_by(_E.gateway, _E.class_)
    )
    return [(gateway, name, count, int(risk)) for gateway, name, count, risk in rows]


def statement_ages(session: Session) -> list[tuple[str, float]]:
    """Seconds since each gateway's newest statement that balances was recorded."""
    age = sa.func.extract("epoch", sa.func.now() - sa.func.max(Reconciliation.recorded_at))
    rows = session.execute(
        sa.select(Reconciliation.gateway, age)
        .where(Reconciliation.is_current, Reconciliation.is_balanced.is_(True))
        .group_by(Reconciliation.gateway)
    )
    return [(gateway, float(seconds)) for gateway, seconds in rows]
