"""Statements for programs, with a key: the list, and one run in figures."""

from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from api import cursors
from api.access import REFUSALS, Caller, allowed
from api.cursors import Cursor
from api.exceptions import Day
from api.pages import STATEMENT_EXAMPLE, StatementFigures
from api.payment_models import GatewayName
from api.problem_kinds import OURS, described
from api.problems import not_found
from records import reconciliation
from records.db import unit_of_work
from records.reconciliation import Reconciliation

router = APIRouter(prefix="/api/v1/reconciliations", tags=["reconciliations"])
Reader = Annotated[Caller, Depends(allowed("reconciliations:read"))]
_LARGEST = 2**31 - 1


class Reconciliations(BaseModel):
    """A page of statements, the last recorded first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [STATEMENT_EXAMPLE], "next_cursor": None}]}
    )

    items: list[StatementFigures] = Field(description="The statements of this page")
    next_cursor: str | None = Field(
        description="Give it as `cursor` for the next page; null: this is the last"
    )


@router.get(
    "",
    summary="Reconciliations",
    response_description="A page of statements",
    responses=described("invalid-request", "invalid-cursor", *OURS, *REFUSALS),
)
def list_reconciliations(
    caller: Reader,
    gateway: Annotated[GatewayName | None, Query(description="Only this wallet")] = None,
    business_date: Annotated[
        Day | None, Query(description="Only this business day", examples=["2026-11-24"])
    ] = None,
    versions: Annotated[
        str, Query(pattern="^(current|all)$", description="The newest version of each day, or `all`")
    ] = "current",
    limit: Annotated[int, Query(ge=1, le=200, description="How many on a page")] = 50,
    cursor: Cursor = None,
) -> Reconciliations:
    """What the nightly runs have recorded; each with its figures."""
    run = Reconciliation
    query = sa.select(run).order_by(run.no.desc()).limit(limit + 1)
    if versions == "current":
        query = query.where(run.is_current)
    if gateway is not None:
        query = query.where(run.gateway == gateway)
    if business_date is not None:
        query = query.where(run.business_date == business_date)
    if cursor is not None:
        query = query.where(run.no < min(cursors.place(cursor).int, _LARGEST))
    with unit_of_work() as session:
        found = list(session.scalars(query))
        items = [
            StatementFigures.model_validate(reconciliation.as_json(session, one)) for one in found[:limit]
        ]
    more = len(found) > limit
    return Reconciliations(
        items=items, next_cursor=cursors.cursor(UUID(int=found[limit - 1].no)) if more else None
    )


@router.get(
    "/{run_id}",
    summary="One reconciliation",
    response_description="The statement in figures",
    responses=described("not-found", "invalid-request", *OURS, *REFUSALS),
)
def read_reconciliation(
    run_id: Annotated[
        UUID, Path(description="Names the statement", examples=[str(STATEMENT_EXAMPLE["run_id"])])
    ],
    caller: Reader,
) -> StatementFigures:
    """Counts and money of every class on both sides, the files, and whether the proof balances."""
    with unit_of_work() as session:
        found = session.get(Reconciliation, run_id)
        if found is None:
            raise not_found("There is no such statement.")
        return StatementFigures.model_validate(reconciliation.as_json(session, found))
