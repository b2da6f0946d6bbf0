"""Enrolments for programs: the platform tells who has a seat in which program, one or many at once."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request

from api.access import REFUSALS, Caller, allowed
from api.enrolment_models import EnrolmentBody, EnrolmentShown, EnrolmentsTaken
from api.idempotency import IdempotencyKey, is_repeated
from api.problem_kinds import BODY, OURS, described
from api.problems import Problem
from common.errors import UnusableFile
from common.raw import nameless
from common.settings import settings
from records import approval, enrolment_intake, enrolment_sheet
from records.completion_rows import WHOLE, Fault, Row
from records.db import unit_of_work
from records.enrolment import Told
from records.enrolment_intake import Refused

router = APIRouter(prefix="/api/v1/enrolments", tags=["learners"])

Writer = Annotated[Caller, Depends(allowed("learners:write"))]
CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
LISTED = 1_000
_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_WRONG = ("enrolments-refused", "idempotency-key-reused", *OURS, *REFUSALS)


async def _body(request: Request) -> bytes:
    return await request.body()


@router.post(
    "",
    summary="Tell enrolments",
    response_description="All of it is kept",
    responses=described(*BODY, *_WRONG),
)
def tell_enrolments(
    told: Annotated[EnrolmentBody, Body()],
    caller: Writer,
    body: Annotated[bytes, Depends(_body)],
    idempotency_key: IdempotencyKey = None,
) -> EnrolmentsTaken:
    """Tell what happened to a learner's seat, or to many as a list: all are kept, or none where one is wrong.
    Tell it as often as you like and in any order: each is kept once, and the latest by its time is true."""
    rows = [
        Row(number, one) if isinstance(one, dict) else Row(number, {}, {WHOLE: "it is no object"})
        for number, one in enumerate(told if isinstance(told, list) else [told], 1)
    ]
    is_list = isinstance(told, list)
    return _take_on(
        rows,
        caller,
        (idempotency_key, b"enrolments\n" + body),
        lambda fault: f"body{fault.path}" if is_list else f"body.{fault.path.partition('].')[2]}".rstrip("."),
    )


@router.post(
    "/sheet",
    summary="Tell enrolments by a sheet",
    response_description="All of it is kept",
    openapi_extra={
        "requestBody": {
            "description": "The file as it is: CSV in UTF-8 or XLSX, 16 MiB at most, with the columns "
            "`learner_id`, `program_code`, `state`, `occurred_at`, and if you like `payment_reference`, "
            "`payment_id`, `is_free`",
            "required": True,
            "content": {CSV: _FILE, XLSX: _FILE},
        }
    },
    responses=described("unusable-sheet", "too-large", "invalid-request", *_WRONG),
)
def tell_enrolments_sheet(
    caller: Writer, body: Annotated[bytes, Depends(_body)], idempotency_key: IdempotencyKey = None
) -> EnrolmentsTaken:
    """As with JSON. Rows are named by their line in the file."""
    scratch = settings().home / "scratch"
    try:
        with nameless(body, scratch) as path:
            rows = enrolment_sheet.read(path, "the sheet", scratch)
    except UnusableFile as error:
        where = f", line {error.line}" if error.line else ""
        raise Problem("unusable-sheet", f"{error.name}{where}: {error.reason}. Nothing was done.") from None
    return _take_on(
        rows,
        caller,
        (idempotency_key, b"enrolments sheet\n" + body),
        lambda fault: ", ".join(filter(None, (f"row {fault.row}", fault.path.partition("].")[2]))),
    )


def _take_on(rows: list[Row], caller: Caller, named: tuple[str | None, bytes], where: Any) -> EnrolmentsTaken:
    key, request = named
    try:
        with unit_of_work() as session:
            is_repeated(session, caller, key, request)  # told again it is known, and the answer says so
            by = approval.actor("client", caller.name)
            told = enrolment_intake.take_on(session, rows, by=by, client_id=caller.client_id)
            items = [_shown(one) for one in told]
    except Refused as refused:
        raise _refused(refused, where) from None
    new = sum(one.is_new for one in items)
    return EnrolmentsTaken(new=new, known=len(items) - new, items=items)


def _refused(refused: Refused, where: Any) -> Problem:
    listed: list[Fault] = refused.faults[:LISTED]
    more = f" The first {LISTED:,} faults are named." if len(refused.faults) > LISTED else ""
    problem = Problem("enrolments-refused", f"{refused}.{more}")
    problem.errors = [{"where": where(one) if one.row else "body", "reason": one.reason} for one in listed]
    return problem


def _shown(told: Told) -> EnrolmentShown:
    one = told.enrolment
    names = EnrolmentShown.model_fields.keys() - {"enrolment_id", "is_new"}
    return EnrolmentShown(
        **{name: getattr(one, name) for name in names}, enrolment_id=one.id, is_new=told.is_new
    )
