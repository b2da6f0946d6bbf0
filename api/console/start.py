"""The first page: the newest statements, what waits for a second person, and what is open for how long."""

from dataclasses import dataclass
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from api import figures
from api.console.ageing import ageing
from api.console.visitor import Visitor, shown, visiting
from api.figures import Figures
from api.listing import Row, unfinished
from common import clock
from records import approval
from records.db import unit_of_work
from records.reconciliation import Reconciliation

router = APIRouter()
WAITING_AT_MOST = 10


@dataclass(frozen=True)
class Waiting:
    """What waits for a second person: the newest, and whether there are more."""

    first: list[approval.Approval]
    has_more: bool


@router.get("")
def start(visitor: Annotated[Visitor, Depends(visiting("exceptions:read", "credentials:read"))]) -> Response:
    """What a finance officer opens in the morning; who works credentials only is led to them."""
    if not visitor.may("exceptions:read"):
        return RedirectResponse("/console/credentials", 303)
    with unit_of_work() as session:
        ages = ageing(session)
        return shown(
            "start.html",
            visitor,
            today=clock.business_date(clock.now()),
            statements=_newest(session),
            unfinished=unfinished(session),
            waiting=_waiting(session) if visitor.may("approvals:read") else None,
            ages=ages,
            open=sum(one.count for one in ages),
            at_risk_minor=sum(one.at_risk_minor for one in ages),
        )


def _newest(session: Session) -> list[Row]:
    """The newest statement of each wallet."""
    run = Reconciliation
    query = sa.select(run).ext(distinct_on(run.gateway)).where(run.is_current)
    found = list(session.scalars(query.order_by(run.gateway, run.business_date.desc())))
    known = figures.by_statement(session, [one.id for one in found])
    return [Row(one, known.get(one.id, Figures())) for one in found]


def _waiting(session: Session) -> Waiting:
    found = approval.search(session, limit=WAITING_AT_MOST + 1)
    return Waiting(found[:WAITING_AT_MOST], len(found) > WAITING_AT_MOST)
