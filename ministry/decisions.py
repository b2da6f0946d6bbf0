"""What a person says of a program whose state only the ministry knows: it is registered, or send it again."""

import re
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common import clock, nik
from common.errors import BadInput
from records import process, program
from records.process import ProcessRun
from records.program import Move, Program, ProgramVersion, Refused

FIRST_DAY = datetime(2000, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"[\x21-\x7e]{1,128}")


def say_registered(
    session: Session,
    program_id: UUID,
    number: str,
    *,
    by: str,
    note: str,
    registered_at: datetime | None = None,
) -> tuple[Program, ProgramVersion]:
    """The ministry has it, under that number. Ends its process. Raises Refused, LookupError, BadInput."""
    _refuse_personal(note)
    if registered_at is not None and not FIRST_DAY <= registered_at <= clock.now():
        raise BadInput("A day of registration is from 2000 on and not in the future")
    if _NUMBER.fullmatch(number) is None:
        raise BadInput("A number of the register is 1 to 128 printable characters, no blank")
    found, version, run = _open(session, program_id)
    owner = session.scalars(sa.select(Program).filter_by(siplatih_program_id=number)).one_or_none()
    if owner is not None and owner.id != found.id:
        raise Refused("number-taken", f"{number} is the number of {owner.program_code} already.")
    move = Move(
        version.id,
        "registered",
        "decision",
        by,
        note=f"Registered as {number}, says a person: {note}",
        siplatih_program_id=number,
        registered_at=registered_at,
    )
    program.apply(session, [move])
    outcome = {
        "program_id": str(found.id),
        "program_code": found.program_code,
        "status": "registered",
        "siplatih_program_id": number,
        "decided_by": by,
    }
    process.finish(session, run.id, "succeeded", outcome=outcome)
    return found, version


def send_again(session: Session, program_id: UUID, *, by: str, note: str) -> tuple[Program, ProgramVersion]:
    """The ministry does not have it: send it again. Queues its process. Raises as `say_registered`."""
    _refuse_personal(note)
    found, version, run = _open(session, program_id)
    move = Move(
        version.id,
        "pending",
        "decision",
        by,
        note=f"To be sent again, says a person: {note}",
        outstanding=False,
        counts_anew=True,
    )
    program.apply(session, [move])
    process.retry(session, run.id)
    return found, version


def _refuse_personal(note: str) -> None:
    """A reason stays in the program's history for good, in the clear."""
    if nik.is_within(note):
        raise BadInput("There is a NIK in the reason: name the case and not the person")


def _open(session: Session, program_id: UUID) -> tuple[Program, ProgramVersion, ProcessRun]:
    """A program that a person may decide about, locked with its newest version and process."""
    found = session.get(Program, program_id, with_for_update=True)
    version = program.newest_version(session, found) if found else None
    if found is None or version is None:
        raise LookupError(program_id)
    session.refresh(version, with_for_update=True)
    run = session.get_one(ProcessRun, version.process_run_id, with_for_update=True)
    if version.status == "registered":
        raise Refused(
            "not-undecided", f"It is registered already, as {found.siplatih_program_id}: nothing to decide."
        )
    if run.state in ("queued", "running"):
        raise Refused("program-under-way", "Its process works it just now. Wait until that has ended.")
    return found, version, run
