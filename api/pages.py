"""The statements for people: the list, one to read and to print, its figures and exceptions as files.

They open for who is signed in to the console; programs have `/api/v1/reconciliations`, with a key.
"""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from sqlalchemy.orm import Session

from api.console.visitor import Visitor, visiting
from api.export import exceptions_csv
from api.listing import BadCursor, listing
from api.problems import not_found
from api.rendering import page
from api.statement import PER_CLASS, statement
from records import reconciliation
from records.db import unit_of_work
from records.reconciliation import Reconciliation

Rupiah = Annotated[str, Field(pattern=r"^-?\d+\.\d\d$", examples=["1245000.00"])]
STATEMENT_EXAMPLE: JsonDict = {
    "run_id": "019ab1c2-9c44-7b10-8e0a-6d2f1c3b4a59",
    "gateway": "linkaja",
    "business_date": "2026-11-24",
    "ledger_rows": 1984,
    "report_rows": 1985,
    "ledger_amount": "493793595.00",
    "report_amount": "493873596.50",
    "classes": {
        "malformed_line": {"count": 0, "ledger_amount": "0.00", "report_amount": "0.00"},
        "duplicate_at_gateway": {"count": 1, "ledger_amount": "0.00", "report_amount": "80000.00"},
        "missing_in_ledger": {"count": 0, "ledger_amount": "0.00", "report_amount": "0.00"},
        "currency_mismatch": {"count": 0, "ledger_amount": "0.00", "report_amount": "0.00"},
        "amount_mismatch": {"count": 1, "ledger_amount": "100000.00", "report_amount": "100001.50"},
        "status_mismatch": {"count": 0, "ledger_amount": "0.00", "report_amount": "0.00"},
        "fee_mismatch": {"count": 0, "ledger_amount": "0.00", "report_amount": "0.00"},
        "timing": {"count": 0, "ledger_amount": "0.00", "report_amount": "0.00"},
        "missing_at_gateway": {"count": 0, "ledger_amount": "0.00", "report_amount": "0.00"},
        "matched": {"count": 1983, "ledger_amount": "493693595.00", "report_amount": "493693595.00"},
    },
    "overlap_rows": 0,
    "sources": [
        {
            "name": "settlement-2026-11-24.csv.gz",
            "sha256": "da7dd46b6933f03dfff5eb374bcb977556cea1b19fff503d288d6fc4d1e19444",
            "rows": 1985,
        }
    ],
    "balanced": True,
    "exceptions_open": 2,
    "version": 1,
}


class ClassFigures(BaseModel):
    """A class: how many items, and their money on each side."""

    count: int = Field(description="How many items", examples=[46])
    ledger_amount: Rupiah = Field(description="Their money in our ledger: rupiah with two decimals")
    report_amount: Rupiah = Field(description="Their money in the report: rupiah with two decimals")


class SourceFile(BaseModel):
    """A report file that was worked."""

    name: str = Field(description="Its name at the source", examples=["settlement-2026-11-24.csv.gz"])
    sha256: str = Field(description="What it is kept by", examples=["da7dd46b6933f03d…"])
    rows: int = Field(description="Its lines", examples=[1985])


class StatementFigures(BaseModel):
    """One reconciliation in figures."""

    model_config = ConfigDict(json_schema_extra={"examples": [STATEMENT_EXAMPLE]})

    run_id: UUID = Field(description="Names the statement")
    gateway: str = Field(description="The wallet")
    business_date: date = Field(description="The business day in Asia/Jakarta")
    ledger_rows: int = Field(description="Payments and refunds in scope")
    report_rows: int = Field(description="Lines worked")
    ledger_amount: Rupiah = Field(description="Money of the ledger's side: rupiah with two decimals")
    report_amount: Rupiah = Field(description="Money of the report's side: rupiah with two decimals")
    classes: dict[str, ClassFigures] = Field(description="All ten classes, zeros included")
    overlap_rows: int = Field(description="Lines that stood in several files and count once")
    sources: list[SourceFile] = Field(description="The report files that were worked")
    balanced: bool = Field(description="Whether the proof balances")
    exceptions_open: int = Field(description="Exceptions of this version that nobody has ended")
    version: int = Field(description="1 for the day's first run; a re-run makes the next one")


router = APIRouter(include_in_schema=False)
Reader = Annotated[Visitor, Depends(visiting("exceptions:read"))]
RunId = Annotated[UUID, Path()]
_GONE = "There is no such statement. It may have been mistyped, or belong to another installation."


@router.get("/")
def home() -> RedirectResponse:
    """What people come for."""
    return RedirectResponse("/console")


@router.get("/reconciliations/")
def statements(visitor: Reader, cursor: str | None = None) -> HTMLResponse:
    """The newest statement of each gateway and day, and the nights that have none."""
    try:
        with unit_of_work() as session:
            return page("statements.html", visitor=visitor, listing=listing(session, cursor))
    except BadCursor:
        raise not_found("There is no such place in the list.") from None


@router.get("/reconciliations/{run_id:uuid}.json")
def statement_json(visitor: Reader, run_id: RunId) -> StatementFigures:
    """The figures of a statement, as `jembatan reconcile --json` prints them."""
    with unit_of_work() as session:
        return StatementFigures.model_validate(reconciliation.as_json(session, _kept(session, run_id)))


@router.get("/reconciliations/{run_id:uuid}/exceptions.csv")
def statement_csv(visitor: Reader, run_id: RunId) -> StreamingResponse:
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


@router.get("/reconciliations/{run_id:uuid}")
def statement_page(visitor: Reader, run_id: RunId) -> HTMLResponse:
    """The statement of one run: verdict, proof, classes, and each exception; made to be printed."""
    with unit_of_work() as session:
        found = statement(session, run_id)
        if found is None:
            raise not_found(_GONE)
        listed = {group.row.name for group in found.groups} | ({"timing"} if found.awaited else set())
        return page("statement.html", visitor=visitor, statement=found, listed=listed, per_class=PER_CLASS)


def _kept(session: Session, run_id: UUID) -> Reconciliation:
    found = session.get(Reconciliation, run_id)
    if found is None:
        raise not_found(_GONE)
    return found
