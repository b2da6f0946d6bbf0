"""The list of statements, newest day first, and the nights that have none: what finance opens first."""

import base64
import binascii
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from api import figures
from api.figures import Figures
from common.settings import GATEWAYS
from deployments.names import RECONCILE_FLOW
from records.process import ProcessRun
from records.reconciliation import Reconciliation

PER_PAGE = 60
UNFINISHED_AT_MOST = 12


class BadCursor(ValueError):
    """A place in the list that we did not hand out."""


@dataclass(frozen=True)
class Row:
    """One statement in the list."""

    run: Reconciliation
    figures: Figures

    @property
    def matched(self) -> int:
        """Items on which both sides agree."""
        return self.run.count("matched")

    @property
    def items(self) -> int:
        """Everything there was to match: the larger side."""
        return max(self.run.ledger_rows, self.run.report_rows)


@dataclass(frozen=True)
class Unfinished:
    """A day's reconciliation that was asked for and has no statement that balances."""

    gateway: str
    business_date: date
    state: str
    message: str
    next_attempt_at: datetime | None


@dataclass(frozen=True)
class Listing:
    """A page of the list: days with their statements, and where the next page begins."""

    days: list[tuple[date, list[Row]]]
    unfinished: list[Unfinished]
    next_cursor: str | None
    is_first: bool


def listing(session: Session, cursor: str | None) -> Listing:
    """The page after `cursor`; raises BadCursor."""
    run = Reconciliation
    query = sa.select(run).filter_by(is_current=True)
    if cursor is not None:
        day, gateway = _place(cursor)
        query = query.where(
            sa.or_(run.business_date < day, sa.and_(run.business_date == day, run.gateway > gateway))
        )
    found = list(session.scalars(query.order_by(run.business_date.desc(), run.gateway).limit(PER_PAGE + 1)))
    shown, more = found[:PER_PAGE], found[PER_PAGE:]
    known = figures.by_statement(session, [one.id for one in shown])
    rows = [Row(one, known.get(one.id, Figures())) for one in shown]
    return Listing(
        days=[(day, list(group)) for day, group in groupby(rows, lambda row: row.run.business_date)],
        unfinished=unfinished(session) if cursor is None else [],
        next_cursor=_cursor(shown[-1]) if more else None,
        is_first=cursor is None,
    )


def unfinished(session: Session) -> list[Unfinished]:
    """The newest process run of each day that has no current statement which balances."""
    gateway, day = ProcessRun.input["gateway"].astext, ProcessRun.input["business_date"].astext
    done = sa.exists().where(
        Reconciliation.gateway == gateway,
        sa.cast(Reconciliation.business_date, sa.Text) == day,
        Reconciliation.is_current,
        Reconciliation.is_balanced.is_(True),
    )
    newest = (
        sa.select(ProcessRun)
        .ext(distinct_on(gateway, day))
        .where(
            ProcessRun.process == RECONCILE_FLOW, ProcessRun.state != "succeeded", gateway.is_not(None), ~done
        )
        .order_by(gateway, day, ProcessRun.created_at.desc())
        .subquery()
    )
    kept = sa.orm.aliased(ProcessRun, newest)
    found = session.scalars(
        sa.select(kept)
        .order_by(newest.c.input["business_date"].astext.desc(), newest.c.input["gateway"].astext)
        .limit(UNFINISHED_AT_MOST)
    )
    return [
        Unfinished(
            gateway=run.input["gateway"],
            business_date=date.fromisoformat(run.input["business_date"]),
            state=run.state,
            message=(run.error or {}).get("message", ""),
            next_attempt_at=run.next_attempt_at,
        )
        for run in found
    ]


def _cursor(run: Reconciliation) -> str:
    text = f"{run.business_date.isoformat()} {run.gateway}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[date, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        day, _, gateway = text.partition(" ")
        if gateway not in GATEWAYS:
            raise BadCursor(cursor)
        return date.fromisoformat(day), gateway
    except (binascii.Error, UnicodeError, ValueError):
        raise BadCursor(cursor) from None
