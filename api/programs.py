"""Training programs for the ministry's register: ask for one, see how far it is, say what a person knows."""

import json
from collections.abc import Sequence
from datetime import datetime, time
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import StringConstraints, WithJsonSchema
from sqlalchemy.orm import Session

from api import cursors, waiting
from api.access import REFUSALS, Caller, allowed
from api.cursors import Cursor
from api.idempotency import IdempotencyKey, is_repeated
from api.problem_kinds import BODY, OURS, described, headers_described
from api.problems import Problem, not_found
from api.program_models import (
    Decision,
    ProgramAccepted,
    ProgramEvent,
    Programs,
    ProgramStatus,
    ProgramWithHistory,
    ShownProgram,
)
from common import clock
from common.errors import BadInput
from common.settings import settings
from ministry import decisions, programs
from ministry.programs import Faulty
from providers.siplatih.wire import Fault
from records import approval, program
from records.db import unit_of_work
from records.process import ProcessRun
from records.program import Program, ProgramVersion, Refused

router = APIRouter(prefix="/api/v1/integrations/siplatih", tags=["siplatih"])

Reader = Annotated[Caller, Depends(allowed("siplatih:read"))]
Writer = Annotated[Caller, Depends(allowed("siplatih:write"))]
ProgramId = Annotated[
    UUID, Path(description="Ours, from the request", examples=["019ab1c2-9a10-7c3e-9d55-0a4b6f1e2d3c"])
]
ProgramBody = Annotated[
    dict[str, Any], WithJsonSchema({"$ref": "#/components/schemas/TrainingProgram"}, mode="validation")
]
_MOST_NAMED = 5


@router.post(
    "/register",
    status_code=202,
    summary="Register a training program",
    response_description="The program was taken on; its process registers it",
    responses={
        202: {"headers": headers_described("Location", "Preference-Applied")},
        **described(
            *BODY,
            "program-under-way",
            "program-registered",
            "idempotency-key-reused",
            *OURS,
            *REFUSALS,
        ),
    },
)
def register_program(
    body: ProgramBody,
    caller: Writer,
    response: Response,
    prefer: waiting.Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> ProgramAccepted:
    """Have a program registered with the ministry, once: the same program again is the same registration.
    Everything that is wrong with it is told at once, and then nothing is sent."""
    wish, faults = programs.wish_of(body)
    with unit_of_work() as session:
        used(session, caller, idempotency_key, "register", body)
        try:
            asked = programs.ask_for(session, wish, by=by(caller), also=faults)
        except Faulty as faulty:
            raise invalid(faulty.faults) from None
        except Refused as refused:
            raise Problem(refused.slug, str(refused)) from None
    run_id = asked.run.id
    accept(response, run_id, prefer)
    with unit_of_work() as session:
        found = session.get_one(Program, asked.program.id)
        version = session.get_one(ProgramVersion, asked.version.id)
        return ProgramAccepted(
            process_id=run_id,
            status_url=settings().page_url(f"/api/v1/processes/{run_id}"),
            state=session.get_one(ProcessRun, run_id).state,
            program=ShownProgram.model_validate(program.resource(found, version)),
        )


@router.get(
    "/programs",
    summary="Training programs",
    response_description="A page of programs",
    responses=described("invalid-request", "invalid-cursor", *OURS, *REFUSALS),
)
def list_programs(
    _: Reader,
    status: Annotated[ProgramStatus | None, Query(description="Only those whose newest version is")] = None,
    program_code: Annotated[
        Annotated[str, StringConstraints(max_length=64, pattern=r"^[^\x00]*$")] | None,
        Query(description="Only this code", examples=["LPK-2024-001"]),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="How many on a page")] = 50,
    cursor: Cursor = None,
) -> Programs:
    """Programs with their newest version, newest first."""
    query = program.listed(status=status, program_code=program_code)
    if cursor is not None:
        query = query.where(Program.id < cursors.place(cursor))
    with unit_of_work() as session:
        rows = session.execute(query.order_by(Program.id.desc()).limit(limit + 1)).all()
    shown = [ShownProgram.model_validate(program.resource(one, version)) for one, version in rows[:limit]]
    more = len(rows) > limit
    return Programs(items=shown, next_cursor=cursors.cursor(rows[limit - 1][0].id) if more else None)


@router.get(
    "/programs/{program_id}",
    summary="One training program",
    response_description="The program and its history",
    responses=described("not-found", "invalid-request", *OURS, *REFUSALS),
)
def read_program(program_id: ProgramId, _: Reader) -> ProgramWithHistory:
    """A program, its newest version, and all that happened to it."""
    with unit_of_work() as session:
        return _whole(session, program_id)


@router.post(
    "/programs/{program_id}/decision",
    summary="Say what became of a program at the ministry",
    response_description="The program and its history",
    responses=described(
        *BODY,
        "not-found",
        "program-under-way",
        "not-undecided",
        "number-taken",
        "idempotency-key-reused",
        *OURS,
        *REFUSALS,
    ),
)
def decide_program(
    program_id: ProgramId, word: Decision, caller: Writer, idempotency_key: IdempotencyKey = None
) -> ProgramWithHistory:
    """For a program whose state only the ministry knows (`unknown`, `conflict`): it is registered under a
    number, or it is to be sent again."""
    at = None
    if word.registered_on is not None:
        at = datetime.combine(word.registered_on, time.min, clock.JAKARTA)
    with unit_of_work() as session:
        if is_repeated(session, caller, idempotency_key, f"decide {program_id}\n{word.model_dump_json()}"):
            return _whole(session, program_id)
        try:
            if word.siplatih_program_id is not None:
                decisions.say_registered(
                    session,
                    program_id,
                    word.siplatih_program_id,
                    by=by(caller),
                    note=word.reason,
                    registered_at=at,
                )
            else:
                decisions.send_again(session, program_id, by=by(caller), note=word.reason)
        except LookupError:
            raise not_found("There is no such program.") from None
        except Refused as refused:
            raise Problem(refused.slug, str(refused)) from None
        except BadInput as wrong:
            raise Problem("invalid-request", f"{wrong}.") from None
    with unit_of_work() as session:
        return _whole(session, program_id)


def _whole(session: Session, program_id: UUID) -> ProgramWithHistory:
    found = session.get(Program, program_id)
    version = program.newest_version(session, found) if found else None
    if found is None or version is None:
        raise not_found("There is no such program.")
    events = [ProgramEvent.model_validate(one) for one in program.history(session, found)]
    return ProgramWithHistory.model_validate(program.resource(found, version) | {"events": events})


def by(caller: Caller) -> str:
    """The caller as records name it."""
    return approval.actor("client", caller.name)


def used(session: Session, caller: Caller, key: str | None, what: str, body: Any) -> bool:
    """Note the request's own key; True where this very request was there before. Another one is a problem."""
    return is_repeated(session, caller, key, f"siplatih {what}\n{json.dumps(body)}")


def accept(response: Response, run_id: UUID, prefer: str | None) -> None:
    """Name the process in the answer, and wait for its end as far as the request prefers that."""
    if waiting.until_ended(run_id, prefer):
        response.headers["Preference-Applied"] = "wait"
    response.headers["Location"] = f"/api/v1/processes/{run_id}"


def invalid(faults: Sequence[Fault]) -> Problem:
    """Every fault of a body, each by its member; the sentence names the first few."""
    errors = [{"where": f"body.{one.path}".rstrip("."), "reason": one.reason} for one in faults]
    named = "; ".join(f"{one['where']}: {one['reason']}" for one in errors[:_MOST_NAMED])
    more = len(errors) - _MOST_NAMED
    problem = Problem("invalid-request", f"{named}; and {more} more" if more > 0 else named)
    problem.errors = errors
    return problem
