"""Completions for programs: hand in a class, as JSON or as a file, and see what the ministry says of it."""

import io
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api import cursors, waiting
from api.access import REFUSALS, Caller, allowed
from api.completion_models import (
    Code,
    CompletionReports,
    CompletionReportShown,
    CompletionsAccepted,
    CompletionsWish,
    Participants,
    ParticipantShown,
    ParticipantState,
    Settled,
    Settlement,
)
from api.cursors import Cursor
from api.idempotency import IdempotencyKey, answer_kept, is_repeated, keep_answer
from api.problem_kinds import BODY, OURS, described, headers_described
from api.problems import Problem, not_found
from common.errors import BadInput, UnusableFile
from common.raw import nameless
from common.settings import settings
from ministry import completions
from ministry.completions import UnknownProgram, Wish
from records import approval, audit, completion, completion_sheet
from records.completion import Completion, CompletionReport
from records.completion_report import Refused
from records.completion_rows import WHOLE, Fault, Row
from records.db import unit_of_work
from records.person import Person, masked_nik
from records.process import ProcessRun
from records.program import Program

router = APIRouter(prefix="/api/v1/integrations/siplatih", tags=["siplatih"])

Reader = Annotated[Caller, Depends(allowed("siplatih:read"))]
Writer = Annotated[Caller, Depends(allowed("siplatih:write"))]
ReportId = Annotated[
    UUID,
    Path(description="From the answer that took it on", examples=["019ab1c2-9a10-7c3e-9d55-0a4b6f1e2d3c"]),
]
CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
LISTED = 1_000
_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_NAME = "the sheet"
_TAKEN: dict[int | str, dict[str, Any]] = {
    202: {"headers": headers_described("Location", "Preference-Applied")},
}
_WRONG = ("program-unknown", "completions-refused", "idempotency-key-reused", *OURS, *REFUSALS)


async def _body(request: Request) -> bytes:
    return await request.body()


@router.post(
    "/report-completion",
    status_code=202,
    summary="Report who has completed a program",
    response_description="The class was taken on; its process reports it",
    responses={**_TAKEN, **described(*BODY, *_WRONG)},
)
def report_completion(
    wish: CompletionsWish,
    caller: Writer,
    response: Response,
    body: Annotated[bytes, Depends(_body)],
    prefer: waiting.Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> CompletionsAccepted:
    """Hand in a whole class. Every row is checked first, and `errors` names everything that is wrong; then
    nothing is sent, unless `allow_partial`. The same class again is the same report, as often as you like."""
    rows = [
        Row(number, one) if isinstance(one, dict) else Row(number, {}, {WHOLE: "it is no object"})
        for number, one in enumerate(wish.participants, 1)
    ]
    return _take_on(
        Wish(
            lpk_registration_number=wish.lpk_registration_number,
            program_code=wish.program_code,
            day=wish.completion_date,
            rows=rows,
            by=approval.actor("client", caller.name),
            allow_partial=wish.allow_partial,
            is_correction=wish.correction,
        ),
        caller,
        response,
        prefer,
        (idempotency_key, b"completion\n" + body),
        _where_in_json,
    )


@router.post(
    "/report-completion/sheet",
    status_code=202,
    summary="Report a class from a sheet",
    response_description="The class was taken on; its process reports it",
    openapi_extra={
        "requestBody": {
            "description": "The file as it is: CSV in UTF-8 or XLSX, 16 MiB at most. NIKs are text",
            "required": True,
            "content": {CSV: _FILE, XLSX: _FILE},
        }
    },
    responses={**_TAKEN, **described("unusable-sheet", "too-large", "invalid-request", *_WRONG)},
)
def report_completion_sheet(
    caller: Writer,
    response: Response,
    body: Annotated[bytes, Depends(_body)],
    program_code: Annotated[Code, Query(description="Yours of the program", examples=["LPK-2024-001"])],
    lpk_registration_number: Annotated[Code, Query(description="The LPK's", examples=["LPK-12345-2023"])],
    completion_date: Annotated[
        str, Query(description="YYYY-MM-DD, not in the future", examples=["2024-07-15"], max_length=32)
    ],
    allow_partial: Annotated[
        Literal["true", "false"], Query(description="Report the good rows though others cannot be")
    ] = "false",
    correction: Annotated[
        Literal["true", "false"], Query(description="Whoever was reported with other values is corrected")
    ] = "false",
    prefer: waiting.Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> CompletionsAccepted:
    """As with JSON, from the template filled in. Rows are named by their line in the file."""
    scratch = settings().home / "scratch"
    try:
        with nameless(body, scratch) as path:
            rows = completion_sheet.read(path, _NAME, scratch)
    except UnusableFile as error:
        # What stands in the file may be personal: where it was seen, and not what.
        where = f", line {error.line}" if error.line else ""
        raise Problem("unusable-sheet", f"{error.name}{where}: {error.reason}. Nothing was done.") from None
    words = "\n".join((program_code, lpk_registration_number, completion_date, allow_partial, correction))
    return _take_on(
        Wish(
            lpk_registration_number=lpk_registration_number,
            program_code=program_code,
            day=completion_date,
            rows=rows,
            by=approval.actor("client", caller.name),
            allow_partial=allow_partial == "true",
            is_correction=correction == "true",
        ),
        caller,
        response,
        prefer,
        (idempotency_key, f"completion sheet\n{words}\n".encode() + body),
        _where_in_sheet,
    )


@router.get(
    "/report-completion/template",
    summary="A sheet to fill in",
    response_class=Response,
    response_description="The file",
    responses={
        200: {"content": {CSV: _FILE, XLSX: _FILE}},
        **described("invalid-request", *OURS, *REFUSALS),
    },
)
def download_completion_template(
    caller: Reader,
    format: Annotated[Literal["csv", "xlsx"], Query(description="What file it is")] = "xlsx",
) -> Response:
    """Columns `nik`, `full_name`, `completion_status`, `final_score`, `certificate_number`, `learner_id`. In
    the workbook those that a spreadsheet would mangle are text already."""
    if format == "csv":
        body, media_type = completion_sheet.csv_template().encode(), f"{CSV}; charset=utf-8"
    else:
        written = io.BytesIO()
        completion_sheet.write_xlsx_template(written, settings().siplatih.completion_statuses)
        body, media_type = written.getvalue(), XLSX
    name = {"Content-Disposition": f'attachment; filename="participants.{format}"'}
    return Response(body, media_type=media_type, headers=name)


@router.get(
    "/completions",
    summary="Reports of completions",
    response_description="A page of reports",
    responses=described("invalid-request", "invalid-cursor", *OURS, *REFUSALS),
)
def list_completion_reports(
    caller: Reader,
    program_code: Annotated[
        Code | None, Query(description="Only of this program", examples=["LPK-2024-001"])
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="How many on a page")] = 50,
    cursor: Cursor = None,
) -> CompletionReports:
    """Reports, newest first."""
    query = sa.select(CompletionReport.id).join(Program, Program.id == CompletionReport.program_id)
    if program_code is not None:
        query = query.where(Program.program_code == program_code)
    if cursor is not None:
        query = query.where(CompletionReport.id < cursors.place(cursor))
    with unit_of_work() as session:
        ids = list(session.scalars(query.order_by(CompletionReport.id.desc()).limit(limit + 1)))
        items = [CompletionReportShown.model_validate(completion.shown(session, id_)) for id_ in ids[:limit]]
    more = cursors.cursor(ids[limit - 1]) if len(ids) > limit else None
    return CompletionReports(items=items, next_cursor=more)


@router.get(
    "/completions/{report_id}",
    summary="A report of completions",
    response_description="The report, and how far it is",
    responses=described("not-found", "invalid-request", *OURS, *REFUSALS),
)
def read_completion_report(report_id: ReportId, caller: Reader) -> CompletionReportShown:
    """Counts, rates and what was left out."""
    with unit_of_work() as session:
        if session.get(CompletionReport, report_id) is None:
            raise not_found("There is no such report.")
        return CompletionReportShown.model_validate(completion.shown(session, report_id))


@router.get(
    "/completions/{report_id}/participants",
    summary="Participants of a report",
    response_description="A page of participants",
    responses=described("not-found", "invalid-request", "invalid-cursor", *OURS, *REFUSALS),
)
def list_completion_participants(
    report_id: ReportId,
    caller: Reader,
    state: Annotated[ParticipantState | None, Query(description="Only those in this state")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="How many on a page")] = 100,
    cursor: Cursor = None,
) -> Participants:
    """What the register says of each. No names, and of each NIK as much as may be shown."""
    query = (
        sa.select(Completion, Person)
        .join(Person, Person.id == Completion.person_id)
        .options(sa.orm.undefer(Person.nik))
        .where(Completion.report_id == report_id, Completion.superseded_at.is_(None))
    )
    if state is not None:
        query = query.where(Completion.state == state)
    if cursor is not None:
        query = query.where(Completion.id > cursors.place(cursor))
    with unit_of_work() as session:
        if session.get(CompletionReport, report_id) is None:
            raise not_found("There is no such report.")
        found = session.execute(query.order_by(Completion.id).limit(limit + 1)).all()
        items = [_participant(one, who) for one, who in found[:limit]]
    more = cursors.cursor(found[limit - 1][0].id) if len(found) > limit else None
    return Participants(items=items, next_cursor=more)


@router.post(
    "/completions/{report_id}/settle",
    summary="Say what became of lost answers",
    response_description="How many participants it was about",
    responses=described("not-found", *BODY, "idempotency-key-reused", *OURS, *REFUSALS),
)
def settle_completion_report(
    report_id: ReportId, said: Settlement, caller: Writer, idempotency_key: IdempotencyKey = None
) -> Settled:
    """For participants in state `unknown`: the ministry has been asked, and has all of them or none. Its
    process goes on with that."""
    with unit_of_work() as session:
        report = session.get(CompletionReport, report_id)
        if report is None:
            raise not_found("There is no such report.")
        try:
            reason = audit.checked_reason(said.reason)
        except BadInput as why:
            raise _invalid("body.reason", f"{why}.") from None
        if is_repeated(session, caller, idempotency_key, f"settle {report_id}\n{said.model_dump_json()}"):
            return Settled.model_validate(answer_kept(session, caller, idempotency_key))
        by = approval.actor("client", caller.name)
        moved = completion.settle(session, report, is_there=said.is_there, by=by, reason=reason)
        done = Settled(settled=len(moved))
        keep_answer(session, caller, idempotency_key, done.model_dump())
        return done


def _take_on(
    wish: Wish,
    caller: Caller,
    response: Response,
    prefer: str | None,
    named: tuple[str | None, bytes],
    where: Any,
) -> CompletionsAccepted:
    key, request = named
    try:
        with unit_of_work() as session:
            is_repeated(session, caller, key, request)
            taken = completions.ask_for(session, wish)
    except UnknownProgram as unknown:
        problem = Problem("program-unknown", f"{unknown}.")
        raise problem from None
    except Refused as refused:
        raise _refused(refused, where) from None
    if waiting.until_ended(taken.run.id, prefer):
        response.headers["Preference-Applied"] = "wait"
    path = f"/api/v1/processes/{taken.run.id}"
    response.headers["Location"] = path
    with unit_of_work() as session:
        return CompletionsAccepted(
            process_id=taken.run.id,
            status_url=settings().page_url(path),
            state=session.get_one(ProcessRun, taken.run.id).state,
            report_id=taken.report.id,
            is_new=taken.is_new,
            refused=taken.report.refused,
        )


def _refused(refused: Refused, where: Any) -> Problem:
    listed: Sequence[Fault] = refused.faults[:LISTED]
    more = f" The first {LISTED:,} faults are named." if len(refused.faults) > LISTED else ""
    problem = Problem("completions-refused", f"{refused}.{more}")
    problem.errors = [{"where": where(one), "reason": one.reason} for one in listed]
    return problem


def _where_in_json(fault: Fault) -> str:
    return f"body.{fault.path}"


def _where_in_sheet(fault: Fault) -> str:
    if not fault.row:
        return f"query.{fault.path}" if fault.path == "completion_date" else "the sheet"
    return f"row {fault.row}{', ' if '.' in fault.path else ''}{fault.path.partition('].')[2]}"


def _participant(one: Completion, who: Person) -> ParticipantShown:
    names = ParticipantShown.model_fields.keys() - {"nik"}
    return ParticipantShown(**{name: getattr(one, name) for name in names}, nik=masked_nik(who))


def _invalid(where: str, detail: str) -> Problem:
    problem = Problem("invalid-request", detail)
    problem.errors = [{"where": where, "reason": detail}]
    return problem
