"""Register programs: one after the other in the order in which they were asked for, each once.

Whatever dies in between: a version says `is_outstanding` before it is sent, so the next attempt asks the
register for the code before it sends anything again. Records are read and written for CHUNK programs at a
time, calls go one by one; no transaction is open during a call.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, aliased

from ministry import line, program_turn
from ministry.line import Line
from ministry.program_turn import SOURCE, Next, Result, Turn
from records import process, program
from records.db import among, unit_of_work
from records.process import End, ProcessRun
from records.program import Move, Program, ProgramVersion
from records.service_gate import SHUT, Shut

CHUNK = 50
STORED_WITHIN = 1.0  # seconds: what the register has said is not kept in memory for longer


@dataclass(frozen=True)
class Step:
    """What one attempt came to. status: the version's; sentence: why it waits, or what a person has to do."""

    program_id: UUID
    program_code: str
    status: str
    next: Next
    siplatih_program_id: str | None = None
    kind: str = ""
    sentence: str = ""
    until: datetime | None = None


def work(runs: Sequence[ProcessRun]) -> list[Step]:
    """Bring each program as far as it goes now. Where the register is left alone, the rest is put off."""
    over = Line()
    steps: list[Step] = []
    done, size = 0, 1  # the first goes alone: it may find out that the register is not there
    while done < len(runs):
        shut = _chunk(over, runs[done : done + size], steps)
        done, size = done + size, CHUNK
        if shut is not None:
            steps += _put_off(runs[done:], shut)
            line.put_off(shut)
            break
    return steps


def _chunk(over: Line, runs: Sequence[ProcessRun], steps: list[Step]) -> Shut | None:
    """Work a few; tells if the register is left alone from now on."""
    with unit_of_work() as session:
        turns = _taken_up(session, runs, steps)
    results: list[Result] = []
    shut: Shut | None = None
    stored_at = time.monotonic()
    for turn in turns:
        if shut is None:
            try:
                results.append(program_turn.taken(over, turn))
            except Shut as error:
                shut = error
        if shut is not None:
            results.append(program_turn.waits(turn, shut, shut.until))
        if time.monotonic() - stored_at > STORED_WITHIN:
            steps += _store(results)
            results, stored_at = [], time.monotonic()
    steps += _store(results)
    return shut


def _taken_up(session: Session, runs: Sequence[ProcessRun], steps: list[Step]) -> list[Turn]:
    """What is to be done for each, in order; those that may be sent at once are marked as sent."""
    by_run = {run.id: run for run in runs}
    newer = aliased(ProgramVersion)
    is_old = sa.exists().where(
        newer.program_id == ProgramVersion.program_id, newer.version > ProgramVersion.version
    )
    rows = session.execute(
        sa.select(ProgramVersion, Program, is_old)
        .join(Program, Program.id == ProgramVersion.program_id)
        .where(ProgramVersion.process_run_id == among(by_run))
        .order_by(ProgramVersion.id)
        .with_for_update(of=ProgramVersion)
    ).all()
    turns, ends, again = [], [], []
    for version, found, has_newer in rows:
        if version.status == "registered":  # a person was faster
            ends.append(_ended(version, found))
            steps.append(_step(version, found, "ended"))
        elif has_newer:
            error = {"type": "superseded", "message": "A newer version was asked for: see that one"}
            ends.append(End(version.process_run_id, "failed", outcome_of(version, found), error))
            steps.append(_step(version, found, "ended", error["type"], error["message"]))
        else:
            if version.status in ("rejected", "conflict"):  # its process was retried by a person
                again.append(Move(version.id, "pending", "retry", SOURCE, note="Tried again."))
            turns.append(_turn(version, found, by_run[version.process_run_id]))
    process.end_all(session, ends)
    program.apply(session, again)
    program.mark_sent(session, [one.version_id for one in turns if not one.may_have_it])
    order = {run.id: at for at, run in enumerate(runs)}
    return sorted(turns, key=lambda one: order[one.run_id])


def _turn(version: ProgramVersion, found: Program, run: ProcessRun) -> Turn:
    return Turn(
        run_id=run.id,
        version_id=version.id,
        program_id=found.id,
        program_code=found.program_code,
        lpk=found.lpk_registration_number,
        name=version.content["program_name"],
        version=version.version,
        may_have_it=version.is_outstanding,
        is_change=found.siplatih_program_id is not None,
        sends=version.sends,
        sent_at=version.sent_at,
        attempts=run.attempts,
        asked_at=run.created_at,
        body=program.body_of(version),
    )


def _store(results: Sequence[Result]) -> list[Step]:
    """Write down what came of some turns, and what their processes do next."""
    if not results:
        return []
    by_version = {one.turn.version_id: one for one in results}
    with unit_of_work() as session:
        moves = _without_taken_numbers(session, [one.move for one in results], by_version)
        program.apply(session, moves)
        rows = session.execute(
            sa.select(ProgramVersion, Program)
            .join(Program, Program.id == ProgramVersion.program_id)
            .where(ProgramVersion.id == among(by_version))
        ).all()
        steps = []
        ends = []
        for version, found in rows:
            result = by_version[version.id]
            if version.status == "registered":
                ends.append(_ended(version, found))
                steps.append(_step(version, found, "ended"))
                continue
            ends.append(_end(version, found, result))
            steps.append(_step(version, found, result.next, result.kind, result.sentence, result.until))
        process.end_all(session, ends)
    return steps


def _without_taken_numbers(
    session: Session, moves: Sequence[Move], by_version: dict[UUID, Result]
) -> list[Move]:
    """The moves, but a number that another program of ours has makes a conflict."""
    numbers = {move.siplatih_program_id for move in moves if move.siplatih_program_id}
    answered = sa.any_(sa.literal(list(numbers), ARRAY(sa.Text)))
    owners = session.execute(
        sa.select(Program.siplatih_program_id, Program.id).where(Program.siplatih_program_id == answered)
    )
    taken = {number: program_id for number, program_id in owners if number is not None}
    checked = []
    for move in moves:
        result = by_version[move.version_id]
        number = move.siplatih_program_id
        owner = taken.setdefault(number, result.turn.program_id) if number else None
        if owner not in (None, result.turn.program_id):
            sentence = (
                f"The register answers with {number}, the number of another program of ours. Ask the "
                "ministry which is right; then say so: `jembatan programs registered`"
            )
            by_version[move.version_id] = changed = program_turn.for_a_person(
                result.turn, "conflict", "conflict", sentence, was_sent=move.was_sent
            )
            move = changed.move
        checked.append(move)
    return checked


def _put_off(runs: Sequence[ProcessRun], shut: Shut) -> list[Step]:
    """What was not begun waits until the register may be called again."""
    error = {"type": SHUT, "message": str(shut)}
    with unit_of_work() as session:
        process.end_all(session, [End(run.id, "waiting", error=error, until=shut.until) for run in runs])
        rows = session.execute(
            sa.select(ProgramVersion, Program)
            .join(Program, Program.id == ProgramVersion.program_id)
            .where(ProgramVersion.process_run_id == among([run.id for run in runs]))
        ).all()
    return [_step(version, found, "waits", SHUT, str(shut), shut.until) for version, found in rows]


def outcome_of(version: ProgramVersion, found: Program) -> dict[str, Any]:
    """What a process says came of it."""
    return {
        "program_id": str(found.id),
        "lpk_registration_number": found.lpk_registration_number,
        "program_code": found.program_code,
        "version": version.version,
        "status": version.status,
        "siplatih_program_id": found.siplatih_program_id,
        "registered_at": program.iso(found.registered_at),
        "faults": version.faults,
    }


def _ended(version: ProgramVersion, found: Program) -> End:
    return End(version.process_run_id, "succeeded", outcome=outcome_of(version, found))


def _end(version: ProgramVersion, found: Program, result: Result) -> End:
    error = {"type": result.kind, "message": result.sentence}
    state = {"ended": "failed", "waits": "waiting", "needs_attention": "needs_attention"}[result.next]
    outcome = None if state == "waiting" else outcome_of(version, found)
    return End(version.process_run_id, state, outcome=outcome, error=error, until=result.until)


def _step(
    version: ProgramVersion,
    found: Program,
    next_: Next,
    kind: str = "",
    sentence: str = "",
    until: datetime | None = None,
) -> Step:
    return Step(
        found.id,
        found.program_code,
        version.status,
        next_,
        found.siplatih_program_id,
        kind,
        sentence,
        until,
    )
