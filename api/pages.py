"""The pages of finance: the list of statements, one statement, and its figures for programs.

There is no sign-in yet: the API listens on loopback only, and a statement is found by its unguessable id
or by the list. The pages carry references, amounts and times, and no personal data.
"""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from api.export import exceptions_csv
from api.listing import BadCursor, listing
from api.problems import described, not_found
from api.rendering import page
from api.statement import PER_CLASS, statement
from records import reconciliation
from records.db import unit_of_work
from records.reconciliation import Reconciliation

Rupiah = Annotated[str, Field(description="Rupiah with two decimals", examples=["1245000.00"])]


class ClassFigures(BaseModel):
    """A class: how many items, and their money on each side."""

    count: int
    ledger_amount: Rupiah
    report_amount: Rupiah


class SourceFile(BaseModel):
    """A report file that was worked."""

    name: str
    sha256: str
    rows: int


class StatementFigures(BaseModel):
    """One reconciliation in figures."""

    run_id: UUID = Field(description="Names the statement")
    gateway: str = Field(examples=["gopay"])
    business_date: date = Field(description="The business day in Asia/Jakarta")
    ledger_rows: int = Field(description="Payments and refunds in scope")
    report_rows: int = Field(description="Lines worked")
    ledger_amount: Rupiah
    report_amount: Rupiah
    classes: dict[str, ClassFigures] = Field(description="All ten classes, zeros included")
    overlap_rows: int = Field(description="Lines that stood in several files and count once")
    sources: list[SourceFile]
    balanced: bool = Field(description="Whether the proof balances")
    exceptions_open: int = Field(description="Exceptions of this version that nobody has ended")
    version: int = Field(description="1 for the day's first run; a re-run makes the next one")


router = APIRouter(tags=["reconciliations"])
_GONE = "There is no such statement. It may have been mistyped, or belong to another installation."


@router.get("/", include_in_schema=False)
def home() -> RedirectResponse:
    """What people come for."""
    return RedirectResponse("/reconciliations/")


@router.get(
    "/reconciliations/",
    response_class=HTMLResponse,
    summary="The list of statements",
    responses=described(404, 422, 503),
)
def statements(
    cursor: Annotated[
        str | None, Query(description="Where the page begins; from the link on the page before")
    ] = None,
) -> HTMLResponse:
    """The newest statement of each gateway and day, and the nights that have none: a page for people."""
    try:
        with unit_of_work() as session:
            return page("statements.html", listing=listing(session, cursor))
    except BadCursor:
        raise not_found("There is no such place in the list.") from None


@router.get(
    "/reconciliations/{run_id:uuid}.json",
    summary="A statement for programs",
    responses=described(404, 422, 503),
)
def statement_json(run_id: UUID) -> StatementFigures:
    """The figures of a statement, as `jembatan reconcile --json` prints them."""
    with unit_of_work() as session:
        return StatementFigures.model_validate(reconciliation.as_json(session, _kept(session, run_id)))


@router.get(
    "/reconciliations/{run_id:uuid}/exceptions.csv",
    summary="All exceptions of a statement",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}}}, **described(404, 422, 503)},
)
def statement_csv(run_id: UUID) -> StreamingResponse:
    """Every exception with what was expected and found; cells that a spreadsheet could take for a formula
    begin with an apostrophe."""
    with unit_of_work() as session:
        kept = _kept(session, run_id)
        name = f"exceptions-{kept.gateway}-{kept.business_date.isoformat()}-v{kept.version}.csv"
    return StreamingResponse(
        exceptions_csv(run_id),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.get(
    "/reconciliations/{run_id:uuid}",
    response_class=HTMLResponse,
    summary="A statement as a page",
    responses=described(404, 422, 503),
)
def statement_page(run_id: UUID) -> HTMLResponse:
    """The statement of one run: verdict, proof, classes, and each exception; made to be printed."""
    with unit_of_work() as session:
        found = statement(session, run_id)
        if found is None:
            raise not_found(_GONE)
        listed = {group.row.name for group in found.groups} | ({"timing"} if found.awaited else set())
        return page("statement.html", statement=found, listed=listed, per_class=PER_CLASS)


def _kept(session: Session, run_id: UUID) -> Reconciliation:
    found = session.get(Reconciliation, run_id)
    if found is None:
        raise not_found(_GONE)
    return found
