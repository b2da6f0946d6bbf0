"""One program's turn at the register: looked up where it may be there already, sent where it is not.

Ends in a change of the version and in what its process does next. What is not known is unknown: it is never
taken for registered, never for refused, and never sent again blindly.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from common import clock
from common.errors import Ambiguous, AuthFailed, BadInput, ProviderError, Rejected, Transient
from ministry.line import Line
from providers.siplatih.refusals import Conflict, Invalid, NotOffered
from providers.siplatih.wire import Registration
from records import program
from records.db import unit_of_work
from records.program import Move, Status
from records.service_gate import SHUT, Shut

log = logging.getLogger("jembatan.programs")
IN_FLIGHT = timedelta(minutes=1)  # what was sent has arrived by then, or never will
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
FOLLOWED_FOR = timedelta(days=14)
MOST_SENDS = 5
SOURCE = "process"
WAITS = "Waits for the register, which does not answer at the moment"
Next = Literal["ended", "waits", "needs_attention"]


@dataclass(frozen=True)
class Turn:
    """One version to be worked. may_have_it: it was sent before, so the register is asked first."""

    run_id: UUID
    version_id: UUID
    program_id: UUID
    program_code: str
    lpk: str
    name: str
    version: int
    may_have_it: bool
    is_change: bool
    sends: int
    sent_at: datetime | None
    attempts: int
    asked_at: datetime
    body: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What came of a turn: the change of the version, and what its process does next."""

    turn: Turn
    move: Move
    next: Next
    kind: str = ""
    sentence: str = ""
    until: datetime | None = None


def taken(over: Line, turn: Turn) -> Result:
    """One program's turn; raises Shut where nothing was sent because the register is left alone."""
    try:
        if turn.may_have_it:
            known = _looked_up(over, turn)
            if known is not None:
                return known
            with unit_of_work() as session:
                program.mark_sent(session, [turn.version_id])
        return _sent(over, turn)
    except BadInput as error:
        return for_a_person(turn, "pending", "bad-input", f"{error}. Correct it, then retry the process")
    except Exception as error:  # whatever one program meets, the others of the batch go on
        if isinstance(error, Shut):
            raise
        log.exception("the program %s cannot be worked", turn.program_code)
        sentence = f"Unexpected {type(error).__name__}; the log tells more. Then retry the process"
        return for_a_person(turn, "unknown", "unexpected", sentence, outstanding=True)


def _sent(over: Line, turn: Turn) -> Result:
    """Send it, and say what the answer means."""
    try:
        made = over.call(lambda register: register.register_program(turn.body))
    except Conflict as error:
        return _known_there(over, turn, error)
    except NotOffered as error:
        sentence = f"{error}. Check JEMBATAN_SIPLATIH__BASE_URL, then retry the process"
        return for_a_person(turn, "pending", "not-offered", sentence, was_sent=True)
    except Rejected as error:
        return _rejected(turn, error)
    except AuthFailed as error:
        return for_a_person(turn, "pending", "auth-failed", _key_sentence(error))
    except Ambiguous as error:
        return _unknown(turn, error, was_sent=True)
    except Shut:
        raise
    except Transient as error:
        return waits(turn, error, None)
    return _registered(turn, made, "answer", "Registered.", was_sent=True)


def _looked_up(over: Line, turn: Turn) -> Result | None:
    """What the register has under the code of a program that it may have; None where it is to be sent."""
    try:
        found = over.call(lambda register: register.look_up(turn.program_code))
    except AuthFailed as error:
        return for_a_person(turn, "unknown", "auth-failed", _key_sentence(error), outstanding=True)
    except Rejected as error:
        sentence = (
            f"It was sent, its answer was lost, and the register cannot be asked ({error}). Ask the ministry "
            f"whether it has {turn.program_code}; then say so: `jembatan programs registered` or `send-again`"
        )
        return for_a_person(turn, "unknown", "cannot-be-asked", sentence, outstanding=True)
    except Shut:
        raise
    except Transient as error:
        return _unknown(turn, error)
    if found and turn.is_change:
        sentence = (
            "The change was sent and its answer was lost. The register does not tell versions apart: ask the "
            "ministry which one it has; then say so: `jembatan programs registered` or `send-again`"
        )
        return for_a_person(turn, "unknown", "cannot-be-told", sentence, outstanding=True)
    if found:
        return _adopted(turn, found)
    if turn.sent_at is not None and clock.now() < turn.sent_at + IN_FLIGHT:
        sentence = "The register does not have it yet; it may be on its way"
        move = Move(turn.version_id, "unknown", "look-up", SOURCE, problem=sentence, outstanding=True)
        return Result(turn, move, "waits", "unknown", sentence, turn.sent_at + IN_FLIGHT)
    if turn.sends >= MOST_SENDS:
        sentence = (
            f"It was sent {turn.sends} times without an answer, and the register does not have it. Ask the "
            "ministry why; `jembatan programs send-again` then sends it once more"
        )
        return for_a_person(turn, "unknown", "never-answered", sentence)
    return None


def _known_there(over: Line, turn: Turn, conflict: Conflict) -> Result:
    """The register says that it has the code: taken over where LPK and name fit, else a conflict."""
    if turn.is_change:
        sentence = (
            "The register keeps what it had: it knows the code and has no call for a change. Have it changed "
            "there by hand; then say so: `jembatan programs registered`"
        )
        return for_a_person(turn, "conflict", "conflict", sentence, was_sent=True)
    try:
        found = over.call(lambda register: register.look_up(turn.program_code))
    except (Ambiguous, AuthFailed, Transient) as error:
        return _unknown(turn, error, was_sent=True)
    except Rejected:
        found = []
    if not found:
        sentence = f"{conflict}. It does not show us what it has: ask the ministry, then say so: "
        sentence += "`jembatan programs registered` or `send-again`"
        return for_a_person(turn, "conflict", "conflict", sentence, was_sent=True)
    return _adopted(turn, found, was_sent=True)


def _adopted(turn: Turn, found: Sequence[Registration], *, was_sent: bool = False) -> Result:
    """One that the register has: ours where LPK and name are ours."""
    fitting = [
        one
        for one in found
        if one.lpk_registration_number == turn.lpk
        and program.name_key(one.program_name or "") == program.name_key(turn.name)
    ]
    if not fitting and any(None in (one.lpk_registration_number, one.program_name) for one in found):
        sentence = (
            "The register has this code and does not show whose it is. Ask the ministry whether it is ours; "
            "then say so: `jembatan programs registered` or `send-again`"
        )
        status: Status = "conflict" if was_sent else "unknown"
        return for_a_person(
            turn, status, "cannot-be-told", sentence, outstanding=not was_sent, was_sent=was_sent
        )
    if len(fitting) != 1:
        sentence = (
            "The register has this code for another LPK or under another name: a conflict. Correct the code, "
            "the LPK or the name, or say which it is: `jembatan programs registered`"
        )
        return for_a_person(turn, "conflict", "conflict", sentence, was_sent=was_sent)
    (one,) = fitting
    if not one.is_registered:
        error = Ambiguous("siplatih", "look up", "has it, and does not say that it is registered")
        return _unknown(turn, error, was_sent=was_sent)
    note = "The register had it already; LPK and name fit." if was_sent else "The register has it."
    return _registered(turn, one, "look-up", note, was_sent=was_sent)


def _registered(turn: Turn, made: Registration, cause: str, note: str, *, was_sent: bool) -> Result:
    move = Move(
        turn.version_id,
        "registered",
        cause,
        SOURCE,
        note=note,
        siplatih_program_id=made.siplatih_program_id,
        registered_at=made.registered_at,
        was_sent=was_sent,
        evidence=made.evidence,
    )
    return Result(turn, move, "ended")


def _rejected(turn: Turn, error: Rejected) -> Result:
    named = error.faults if isinstance(error, Invalid) else ()
    faults = tuple({"where": one.path, "reason": one.reason} for one in named)
    move = Move(
        turn.version_id,
        "rejected",
        "answer",
        SOURCE,
        note=str(error),
        problem=str(error),
        faults=faults,
        was_sent=True,
    )
    return Result(turn, move, "ended", "rejected", f"{error}. Correct the program and send it again")


def _unknown(turn: Turn, error: ProviderError, *, was_sent: bool = False) -> Result:
    """It may be registered: asked later. Not for ever."""
    until = error.until if isinstance(error, Shut) else _again(turn)
    if clock.now() - turn.asked_at > FOLLOWED_FOR:
        sentence = f"{error}. Whether it is registered is not known: ask the ministry, then retry the process"
        return for_a_person(turn, "unknown", "unknown", sentence, outstanding=True, was_sent=was_sent)
    move = Move(
        turn.version_id,
        "unknown",
        "no answer",
        SOURCE,
        note=str(error),
        problem=str(error),
        outstanding=True,
        was_sent=was_sent,
    )
    return Result(turn, move, "waits", "unknown", str(error), until)


def waits(turn: Turn, error: ProviderError, until: datetime | None) -> Result:
    """Nothing was sent this time; tried again later."""
    status: Status = "unknown" if turn.may_have_it else "pending"
    move = Move(turn.version_id, status, "not sent", SOURCE, problem=str(error), outstanding=turn.may_have_it)
    if clock.now() - turn.asked_at > FOLLOWED_FOR:
        sentence = f"{error}. Retry the process once the register is back"
        return Result(turn, move, "needs_attention", "not-reachable", sentence)
    kind = SHUT if isinstance(error, Shut) else "not-reachable"
    return Result(turn, move, "waits", kind, str(error), until or _again(turn))


def for_a_person(
    turn: Turn,
    status: Status,
    kind: str,
    sentence: str,
    *,
    outstanding: bool = False,
    was_sent: bool = False,
) -> Result:
    is_open = status in program.UNDER_WAY and (outstanding or turn.may_have_it)
    move = Move(
        turn.version_id,
        status,
        kind,
        SOURCE,
        note=sentence,
        problem=sentence,
        outstanding=is_open,
        was_sent=was_sent,
    )
    return Result(turn, move, "needs_attention", kind, sentence)


def _again(turn: Turn) -> datetime:
    pause: timedelta = FIRST_WAIT * 2 ** min(max(turn.attempts - 1, 0), 16)
    return clock.now() + min(pause, LONGEST_WAIT)


def _key_sentence(error: AuthFailed) -> str:
    return f"{error}. Check JEMBATAN_SIPLATIH__CLIENT_ID and its secret, then retry the process"
