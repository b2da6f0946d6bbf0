"""Exceptions as a sheet: finance downloads it, fills two columns, uploads it."""

import io
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from api.access import REFUSALS
from api.exception_models import SheetDone
from api.exceptions import OrderBy, Reader, Which, Writer
from api.idempotency import IdempotencyKey, answer_kept, is_repeated, keep_answer
from api.problem_kinds import OURS, described
from api.problems import Problem
from common.errors import UnusableFile
from common.raw import nameless
from common.settings import settings
from records import exception_sheet, sheet_files
from records.approval import NobodyNamed
from records.db import unit_of_work
from records.exception_sheet import LISTED

router = APIRouter(prefix="/api/v1/exceptions", tags=["exceptions"])

CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_NAME = "the sheet"


@router.get(
    "/sheet",
    summary="Exceptions as a sheet to fill",
    response_class=Response,
    response_description="The file",
    responses={
        200: {"content": {CSV: _FILE, XLSX: _FILE}},
        **described("invalid-request", *OURS, *REFUSALS),
    },
)
def download_exceptions_sheet(
    caller: Reader,
    which: Which,
    order: OrderBy = "risk",
    format: Annotated[Literal["csv", "xlsx"], Query(description="What file it is")] = "csv",
) -> Response:
    """One row for each exception, at most 100,000, with the columns `action` and `reason` to fill.

    Words for `action`: `explain`, `write_off`, `adopt`. No cell is a formula.
    """
    with unit_of_work() as session:
        rows = exception_sheet.rows(session, which, order)
        if format == "csv":
            body, media_type = "".join(sheet_files.as_csv(rows)).encode(), f"{CSV}; charset=utf-8"
        else:
            written = io.BytesIO()
            sheet_files.write_xlsx(rows, written)
            body, media_type = written.getvalue(), XLSX
    name = {"Content-Disposition": f'attachment; filename="exceptions.{format}"'}
    return Response(body, media_type=media_type, headers=name)


async def _body(request: Request) -> bytes:
    return await request.body()


@router.post(
    "/sheet",
    summary="Work a sheet that was filled",
    response_description="What it did, or would do",
    openapi_extra={
        "requestBody": {
            "description": "The file as it is: CSV or XLSX, 16 MiB at most",
            "required": True,
            "content": {CSV: _FILE, XLSX: _FILE},
        }
    },
    responses=described(
        "unusable-sheet",
        "sheet-refused",
        "too-large",
        "invalid-request",
        "idempotency-key-reused",
        *OURS,
        *REFUSALS,
    ),
)
def upload_exceptions_sheet(
    caller: Writer,
    body: Annotated[bytes, Depends(_body)],
    dry_run: Annotated[Literal["true", "false"], Query(description="Only say what would be done")] = "false",
    idempotency_key: IdempotencyKey = None,
) -> SheetDone:
    """Every filled row is worked, or none: then `errors` names each wrong row, why, and what to do.

    Write-offs become one question to a second person. Rows whose two columns are empty are left alone.
    """
    scratch = settings().home / "scratch"
    try:
        with nameless(body, scratch) as path:
            uploaded = exception_sheet.read(path, _NAME, scratch)
        with unit_of_work() as session:
            named = f"sheet {dry_run}\n".encode() + body
            if is_repeated(session, caller, idempotency_key, named):
                return SheetDone.model_validate(answer_kept(session, caller, idempotency_key))
            done = exception_sheet.apply(
                session, uploaded, by=f"client:{caller.name}", dry_run=dry_run == "true"
            )
            if done.faults:
                raise _refused(done)
            told = SheetDone.model_validate({name: getattr(done, name) for name in SheetDone.model_fields})
            keep_answer(session, caller, idempotency_key, told.model_dump(mode="json"))
            return told
    except UnusableFile as error:
        raise Problem("unusable-sheet", f"{error}. Nothing was done.") from None
    except NobodyNamed as error:
        raise Problem("sheet-refused", f"{error}.") from None


def _refused(done: exception_sheet.Report) -> Problem:
    listed = done.faults[:LISTED]
    more = f" The first {LISTED:,} are named." if len(done.faults) > LISTED else ""
    problem = Problem(
        "sheet-refused",
        f"Nothing was done: {len(done.faults):,} of {done.filled:,} filled rows cannot be worked.{more}",
    )
    problem.errors = [
        {"where": f"row {fault.row}", "reason": f"{fault.why}; {fault.to_do}"} for fault in listed
    ]
    return problem
