"""Reporting one class to the ministry's register, chunk by chunk; safe to end and begin again after any line.

Each participant is written down as `sent` before the call. Who is found so later may be there: their state is
`unknown`, and they go again only where the register recognises who is reported twice, in the same chunk and
after all others, or once a person has found out.
"""

import json
import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common import clock, nik
from common.errors import Ambiguous, AuthFailed, ProviderError, RateLimited, Rejected, Transient
from common.settings import settings
from ministry.line import Line, put_off
from providers.siplatih.client import Siplatih
from providers.siplatih.refusals import UnknownProgram
from providers.siplatih.wire import ParticipantAnswer, Reported
from records import audit, completion, completion_credentials, person, process, program, service_gate
from records.completion import Completion, CompletionCall, CompletionReport, CompletionState
from records.db import unit_of_work
from records.program import SERVICE, Program
from records.sealed import seal, unseal
from records.service_gate import SHUT, Shut

log = logging.getLogger("jembatan.completions")
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=5), timedelta(hours=1)
FOLLOWED_FOR = timedelta(days=14)
NOT_REGISTERED_YET = timedelta(minutes=1)
SILENT = 3  # calls in a row without an answer: the rest waits
FIELDS = ("nik", "full_name", "completion_status", "final_score", "certificate_number")
KEEPS = "The register has this participant already, and does not say that it has taken the other values"
Next = Literal["ended", "waits", "needs_attention"]


@dataclass(frozen=True)
class Step:
    """What an attempt at one report came to. states: participants by state; sentence: why it is not at its
    end."""

    report_id: UUID
    program_code: str
    next: Next
    states: dict[str, int]
    kind: str = ""
    sentence: str = ""
    until: datetime | None = None


class Stopped(Exception):
    """This attempt goes no further. until: when it may go on; None: a person has to do something."""

    def __init__(self, kind: str, sentence: str, until: datetime | None = None) -> None:
        self.kind = kind
        self.until = until
        super().__init__(sentence)


@dataclass(frozen=True)
class _Class:
    """What all chunks of a report have in common. number: the program's at the register."""

    report_id: UUID
    run_id: UUID
    program_code: str
    number: str
    day: date
    completion_rate: Decimal
    certification_rate: Decimal
    attempts: int


@dataclass(frozen=True)
class _Chunk:
    """What one call sends. was_unknown: it was sent before, and the answer was lost."""

    call_id: UUID
    ids: list[UUID]
    participants: list[dict[str, Any]] = field(repr=False)
    was_unknown: bool

    def without_persons(self, evidence: bytes) -> bytes:
        """The answer without NIKs and names that it may quote: a receipt stays when a person is erased."""
        for one in self.participants:
            evidence = evidence.replace(one["nik"].encode(), nik.masked(one["nik"]).encode())
            for name in {one["full_name"].encode(), json.dumps(one["full_name"])[1:-1].encode()}:
                if name in evidence:
                    evidence = re.sub(
                        rb"(?<![A-Za-z])" + re.escape(name) + rb"(?![A-Za-z])", b"***", evidence
                    )
        return evidence


def report_all(report_ids: Sequence[UUID]) -> list[Step]:
    """Each report as far as it goes now, in their order; what one meets, the others go on without."""
    steps = []
    for report_id in report_ids:
        try:
            steps.append(report_one(report_id))
        except Exception as error:  # whatever one report meets, the others of the batch go on
            log.exception("the report %s cannot be worked", report_id)
            with unit_of_work() as session:
                report = session.get_one(CompletionReport, report_id)
                of = session.get_one(Program, report.program_id)
                sentence = f"unexpected {type(error).__name__}; the log tells more, then retry the process"
                steps.append(_stopped(session, report, of, Stopped("unexpected", sentence)))
    return steps


def report_one(report_id: UUID) -> Step:
    """Bring one report as far as it goes now, and its process with it."""
    with unit_of_work() as session:
        report = session.get_one(CompletionReport, report_id)
        of = session.get_one(Program, report.program_id)
        _recover(session, report_id)
    try:
        with unit_of_work() as session:
            whole = _begun(session, report, of)
        _send_all(whole, Line())
    except Stopped as stopped:
        with unit_of_work() as session:
            return _stopped(session, report, of, stopped)
    with unit_of_work() as session:
        return _ended(session, report, of)


def _recover(session: Session, report_id: UUID) -> None:
    """Whoever an earlier worker was at when it died may be there."""
    found = session.scalars(
        sa.select(Completion).filter_by(report_id=report_id, state="sent").with_for_update()
    )
    completion.apply(
        session, list(found), "unknown", problem="its worker died during the call; the register may have it"
    )


def _begun(session: Session, report: CompletionReport, of: Program) -> _Class:
    """What is needed for every call; raises Stopped while the register does not know the program."""
    run = session.get_one(process.ProcessRun, report.process_run_id)
    if of.siplatih_program_id is None:
        newest = program.newest_version(session, of)
        if newest is None or newest.status not in program.UNDER_WAY:
            sentence = f"{of.program_code} is not registered. Register it, then retry this process"
            raise Stopped("program-not-registered", sentence)
        shut = service_gate.is_shut(session, SERVICE)
        until = shut.until if shut else clock.now() + NOT_REGISTERED_YET
        raise Stopped("program-not-registered", f"{of.program_code} is still being registered", until)
    return _Class(
        report_id=report.id,
        run_id=run.id,
        program_code=of.program_code,
        number=of.siplatih_program_id,
        day=report.completion_date,
        completion_rate=report.completion_rate,
        certification_rate=report.certification_rate,
        attempts=run.attempts,
    )


def _send_all(whole: _Class, line: Line) -> None:
    """Every chunk once, those last whose answer was lost in an earlier attempt: what was lost just now may be
    on its way still. Raises Stopped where going on is of no use."""
    turns: list[tuple[int, CompletionState]] = [
        (one, "waiting") for one in _chunks(whole.report_id, "waiting")
    ]
    if settings().siplatih.knows_repeats:
        new = {number for number, _ in turns}
        turns += [(one, "unknown") for one in _chunks(whole.report_id, "unknown") if one not in new]
    silent = 0
    for number, state in turns:
        silent = 0 if _send_chunk(whole, number, state, line) else silent + 1
        if silent >= SILENT:
            raise Stopped("unknown", "the register does not answer", _again_at(whole.attempts))


def _send_chunk(whole: _Class, number: int, state: CompletionState, line: Line) -> bool:
    """Send who of a chunk is in that state; again those whom a refusal of others has left untouched.

    Tells whether there was an answer. Raises Stopped where other calls would meet the same.
    """
    before = 0
    while (left := _how_many(whole.report_id, number, state)) and left != before:
        before = left
        chunk: _Chunk | None = None

        def send(register: Siplatih) -> Reported:
            nonlocal chunk
            chunk = _claimed(whole, number, state)  # only now is it certain that the call goes
            return register.report_completion(
                whole.number,
                whole.day,
                chunk.participants,
                completion_rate=whole.completion_rate,
                certification_rate=whole.certification_rate,
            )

        try:
            told = line.call(send)
        except Shut as shut:
            put_off(shut)
            raise Stopped(SHUT, str(shut), shut.until) from None
        except ProviderError as error:
            assert chunk is not None
            return _without_answer(whole, chunk, error)
        assert chunk is not None
        _note(chunk, told.participants, told)
    return True


def _claimed(whole: _Class, number: int, state: CompletionState) -> _Chunk:
    """Write down that these are sent, and to whom, before they are."""
    with unit_of_work() as session:
        rows = list(
            session.scalars(
                sa.select(Completion)
                .filter_by(report_id=whole.report_id, chunk=number, state=state, superseded_at=None)
                .options(sa.orm.undefer(Completion.name))
                .order_by(Completion.row)
                .with_for_update()
            )
        )
        niks = person.niks_of(session, [one.person_id for one in rows])
        participants = [_member(one, niks[one.person_id]) for one in rows]
        completion.apply(session, rows, "sent")
        audit.note(
            session,
            [one.person_id for one in rows],
            "sent",
            FIELDS,
            by=f"process:{whole.run_id}",
            recipient=SERVICE,
            reason=f"report of completion, {whole.program_code}",
            origin="worker",
        )
        call = CompletionCall(report_id=whole.report_id, chunk=number, participants=len(rows))
        session.add(call)
        session.flush()
        return _Chunk(call.id, [one.id for one in rows], participants, was_unknown=state == "unknown")


def _member(one: Completion, number: str) -> dict[str, Any]:
    """A participant by the register's own members; what there is none of is left out."""
    assert one.name is not None
    told: dict[str, Any] = {
        "nik": number,
        "full_name": unseal(one.name).decode(),
        "completion_status": one.completion_status,
    }
    if one.final_score is not None:
        told["final_score"] = one.final_score
    if one.certificate_number is not None:
        told["certificate_number"] = one.certificate_number
    return told


def _note(
    chunk: _Chunk, answers: Sequence[ParticipantAnswer], told: Reported | None, outcome: str = ""
) -> None:
    """Write down what became of each, and the receipt."""
    back: CompletionState = "unknown" if chunk.was_unknown else "waiting"
    with unit_of_work() as session:
        rows = {one.id: one for one in completion.locked(session, chunk.ids)}
        alike: dict[ParticipantAnswer, list[Completion]] = {}
        for id_, answer in zip(chunk.ids, answers, strict=True):
            alike.setdefault(answer, []).append(rows[id_])
        for answer, same in alike.items():
            if answer.is_repeat:
                same = _without_corrections(session, chunk, same)
            state: CompletionState = back if answer.state == "untouched" else answer.state
            completion.apply(session, same, state, code=answer.code, problem=answer.reason)
        call = session.get_one(CompletionCall, chunk.call_id)
        call.answered_at = clock.now()
        counted = Counter(one.state for one in answers)
        call.outcome = outcome or ", ".join(f"{number} {state}" for state, number in sorted(counted.items()))
        if told is not None:
            call.answer = seal(chunk.without_persons(told.evidence))


def _without_corrections(session: Session, chunk: _Chunk, repeated: Sequence[Completion]) -> list[Completion]:
    """Of those whom the register has had before, who counts as accepted. Of a correction, "reported already"
    says that it keeps what it had, or that the correction itself came before, where its answer was lost."""
    kept = {
        person_id
        for program_id in {one.program_id for one in repeated}
        for person_id in completion.held(session, program_id, [one.person_id for one in repeated])
    }
    corrections = [one for one in repeated if one.person_id in kept]
    to_state: CompletionState = "unknown" if chunk.was_unknown else "rejected"
    completion.apply(session, corrections, to_state, problem=KEEPS)
    return [one for one in repeated if one.person_id not in kept]


def _without_answer(whole: _Class, chunk: _Chunk, error: ProviderError) -> bool:
    """No answer for each participant came of a call: what is known of them, and whether to go on."""

    def all_are(state: Any) -> None:
        answer = ParticipantAnswer(state, error.code, error.reason)
        _note(chunk, [answer] * len(chunk.ids), None, str(error))

    match error:
        case Ambiguous():
            all_are("unknown")
            return False
        case RateLimited():
            all_are("untouched")
            until = clock.now() + timedelta(seconds=error.retry_after)
            raise Stopped("not-reachable", str(error), until)
        case Transient():
            all_are("untouched")
            raise Stopped("not-reachable", str(error), _again_at(whole.attempts))
        case AuthFailed():
            all_are("untouched")
            raise Stopped("auth-failed", f"{error}. Check the register's key, then retry the process")
        case UnknownProgram():
            all_are("untouched")
            sentence = (
                f"{error}. Ask the ministry what became of {whole.program_code}, then retry the process"
            )
            raise Stopped("program-unknown", sentence)
        case Rejected():
            # A no to a second call says nothing of the first one, which may have been taken.
            all_are("untouched" if chunk.was_unknown else "rejected")
            return True
        case _:
            all_are("unknown")
            return False


def _how_many(report_id: UUID, number: int, state: CompletionState) -> int:
    with unit_of_work() as session:
        of_chunk = sa.select(sa.func.count(Completion.id)).filter_by(
            report_id=report_id, chunk=number, state=state, superseded_at=None
        )
        return session.scalar(of_chunk) or 0


def _chunks(report_id: UUID, state: CompletionState) -> list[int]:
    with unit_of_work() as session:
        numbers = sa.select(Completion.chunk).filter_by(report_id=report_id, state=state, superseded_at=None)
        return list(session.scalars(numbers.distinct().order_by(Completion.chunk)))


def _again_at(attempts: int) -> datetime:
    doubled: int = 2 ** min(max(attempts - 1, 0), 10)
    return clock.now() + min(FIRST_WAIT * doubled, LONGEST_WAIT)


def _stopped(session: Session, report: CompletionReport, of: Program, stopped: Stopped) -> Step:
    states = completion.counts(session, report.id)
    run = session.get_one(process.ProcessRun, report.process_run_id)
    error = {"type": stopped.kind, "message": str(stopped)}
    if stopped.until is not None and clock.now() < run.created_at + FOLLOWED_FOR:
        process.wait(session, run.id, stopped.until, error)
        return Step(report.id, of.program_code, "waits", states, stopped.kind, str(stopped), stopped.until)
    process.finish(session, run.id, "needs_attention", outcome=_outcome(report, states), error=error)
    return Step(report.id, of.program_code, "needs_attention", states, stopped.kind, str(stopped))


def _ended(session: Session, report: CompletionReport, of: Program) -> Step:
    """Every participant was sent. What is open still is for time, or for a person."""
    states = completion.counts(session, report.id)
    if states["unknown"] > _kept(session, report.id) and settings().siplatih.knows_repeats:
        run = session.get_one(process.ProcessRun, report.process_run_id)
        sentence = f"of {_people(states['unknown'])} no answer came; they are asked about again"
        return _stopped(session, report, of, Stopped("unknown", sentence, _again_at(run.attempts)))
    if states["unknown"]:
        sentence = (
            f"Of {_people(states['unknown'])} the register has not said what became. Ask the ministry "
            f"whether it has them, then `jembatan completions settle {report.id}`"
        )
        return _stopped(session, report, of, Stopped("unknown", sentence))
    if states["waiting"]:
        sentence = f"{_people(states['waiting'])} not taken, without a reason for each"
        return _stopped(session, report, of, Stopped("not-taken", sentence, _again_at(1)))
    if states["rejected"]:
        sentence = (
            f"The register rejects {states['rejected']:,} of {_people(sum(states.values()))}: "
            f"`jembatan completions show {report.id}` says why. Correct them and report again"
        )
        return _stopped(session, report, of, Stopped("rejected", sentence))
    differ = completion_credentials.differing(session, completion.corrected(session, report))
    if differ:
        shown = ", ".join(map(str, differ[:3])) + (" …" if len(differ) > 3 else "")
        sentence = (
            f"The register has the correction, and {len(differ):,} credentials still say what was reported "
            f"before: {shown}. Revoke them, tell each anew under a new certificate number where one is due, "
            "then retry the process"
        )
        return _stopped(session, report, of, Stopped("credentials-differ", sentence))
    process.finish(session, report.process_run_id, "succeeded", outcome=_outcome(report, states))
    return Step(report.id, of.program_code, "ended", states)


def _kept(session: Session, report_id: UUID) -> int:
    """Of how many participants nothing more is learnt by asking again."""
    of_report = sa.select(sa.func.count(Completion.id)).filter_by(
        report_id=report_id, state="unknown", problem=KEEPS, superseded_at=None
    )
    return session.scalar(of_report) or 0


def _people(number: int) -> str:
    return f"{number:,} participant{'' if number == 1 else 's'}"


def _outcome(report: CompletionReport, states: dict[str, int]) -> dict[str, Any]:
    return {
        "report_id": str(report.id),
        "participants": states,
        "reported_before": report.reported_before,
        "refused": len({fault["row"] for fault in report.refused}),
        "completion_rate": str(report.completion_rate),
        "certification_rate": str(report.certification_rate),
    }
