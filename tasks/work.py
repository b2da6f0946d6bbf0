"""One attempt of one process run: opened or joined, held alone, and ended in words whatever happens."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import prefect.runtime
import psycopg
import sqlalchemy as sa
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from common import clock
from common.errors import (
    AuthFailed,
    BadInput,
    NothingReported,
    NotReachable,
    ProviderError,
    Transient,
    UnusableFile,
)
from records import process
from records.db import among, unit_of_work
from records.process import Busy, ProcessRun


class _Sentence(logging.Filter):
    """Errors of our own family say what is wrong in a sentence: the log needs no stack trace of them."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], EXPECTED):
            record.exc_info = None
        return True


EXPECTED = (ProviderError, UnusableFile, NothingReported, BadInput)
for _name in ("prefect.task_runs", "prefect.flow_runs"):
    logging.getLogger(_name).addFilter(_Sentence())

PROCESS_TAG = "process:"
FIRST_WAIT = timedelta(minutes=5)
LONGEST_WAIT = timedelta(hours=1)


class Ended(Exception):
    """The attempt is over; `state` is the flow run's final state, with a message for people."""

    def __init__(self, state: State[Any]) -> None:
        self.state = state
        super().__init__(state.message)


@dataclass(frozen=True)
class Attempt:
    """What an attempt needs to know of its process run."""

    run_id: UUID
    number: int


def flow_run_id() -> UUID | None:
    """Id of the flow run that this code runs in, if any."""
    found = prefect.runtime.flow_run.id
    return UUID(found) if found else None


def join(name: str, key: Callable[[str], str], input: dict[str, Any]) -> ProcessRun:
    """The process run that this flow run works: named by its tag, known from an earlier try, or opened.

    key: makes the run's key from something unique to this flow run.
    """
    own = flow_run_id()
    tagged = [
        tag.removeprefix(PROCESS_TAG) for tag in prefect.runtime.flow_run.tags if tag.startswith(PROCESS_TAG)
    ]
    with unit_of_work() as session:
        if tagged:
            return session.get_one(ProcessRun, UUID(tagged[0]))
        if own is not None:
            known = session.scalars(sa.select(ProcessRun).filter_by(process=name, flow_run_id=own)).first()
            if known is not None:
                return known
        run, _ = process.request(session, name, key(str(own or uuid4())), input, own)
        return run


@contextmanager
def attempt(
    run: ProcessRun, *also_held: str, give_up_after: timedelta, skip_if_busy: bool = False
) -> Iterator[Attempt]:
    """Work one attempt of a process run, alone; any error ends it with its state and sentence (Ended).

    also_held: further names that nobody else may work at the same time. skip_if_busy: that somebody else
    works them is no failure, as with a schedule that comes round before the last run has ended.
    """
    try:
        with process.worked_alone(run.id.hex, *also_held):
            with unit_of_work() as session:
                known = session.get_one(ProcessRun, run.id)
                if known.state == "succeeded":
                    raise Ended(Completed(name="Skipped", message=f"process {run.id} has succeeded already"))
                number = process.start(session, run.id, flow_run_id()).attempts
            try:
                yield Attempt(run.id, number)
            except EXPECTED as error:
                raise Ended(_conclude(run.id, error, give_up_after)) from None
            except Ended:
                raise
            except Exception as error:
                fail(run.id, "unexpected", _without_values(error))
                raise
    except Busy as busy:
        raise Ended(_busy(run, str(busy), skip_if_busy=skip_if_busy)) from None


@contextmanager
def batch(run_ids: Sequence[UUID]) -> Iterator[list[ProcessRun]]:
    """Hold those runs alone that are free and not ended, one attempt more of each, in the order in which they
    were asked for. Raises Ended where none is left. A wrong setting, or a bug of ours, leaves none of them
    running for ever: a person is asked."""
    by_lock = {run_id.hex: run_id for run_id in run_ids}
    with process.held_together(list(by_lock)) as held:
        with unit_of_work() as session:
            started = process.start_batch(session, [by_lock[name] for name in held], flow_run_id())
        if not started:
            raise Ended(Completed(name="Skipped", message="Ended already, or worked by another run."))
        try:
            yield sorted(started, key=lambda run: (run.created_at, run.id))
        except Exception as error:
            is_setting = isinstance(error, BadInput)
            said = f"{error}. Mend it" if is_setting else _without_values(error)
            details = {"type": "setting" if is_setting else "unexpected"}
            details["message"] = f"{said}, then retry the process"
            with unit_of_work() as session:
                for run in started:
                    if session.get_one(ProcessRun, run.id).state == "running":
                        process.finish(session, run.id, "needs_attention", error=details)
            raise
    with unit_of_work() as session:
        process.announce(session)  # the next batch of a process whose batches go in order


def in_order(run_ids: Sequence[UUID]) -> list[ProcessRun]:
    """The runs of a batch in its order: tasks are given ids, and no rows that Prefect would keep."""
    with unit_of_work() as session:
        found = session.scalars(sa.select(ProcessRun).where(ProcessRun.id == among(run_ids)))
        by_id = {run.id: run for run in found}
    return [by_id[run_id] for run_id in run_ids]


def succeed(run_id: UUID, outcome: dict[str, Any], message: str) -> State[Any]:
    """End the process run well; the flow run's state carries the message."""
    with unit_of_work() as session:
        process.finish(session, run_id, "succeeded", outcome=outcome)
    return Completed(message=message)


def fail(run_id: UUID, kind: str, message: str, outcome: dict[str, Any] | None = None) -> State[Any]:
    """End the process run as failed, with a sentence for people."""
    with unit_of_work() as session:
        process.finish(session, run_id, "failed", outcome=outcome, error={"type": kind, "message": message})
    return Failed(message=message)


def _conclude(run_id: UUID, error: Exception, give_up_after: timedelta) -> State[Any]:
    """Wait for another attempt where time can mend it, else call a person."""
    with unit_of_work() as session:
        run = session.get_one(ProcessRun, run_id)
        now = clock.now()
        until = now + min(FIRST_WAIT * 2 ** (run.attempts - 1), LONGEST_WAIT)
        remote = not run.input.get("source")
        mends = isinstance(error, Transient) or (
            remote and isinstance(error, (UnusableFile, NothingReported)) and run.attempts < 4
        )
        details = {"type": _kind(error), "message": str(error)}
        if mends and remote and until < run.created_at + give_up_after:
            process.wait(session, run_id, until, details)
            again = until.astimezone(clock.JAKARTA)
            last = (run.created_at + give_up_after).astimezone(clock.JAKARTA)
            return Completed(
                name="Waiting",
                message=f"{error}. Tries again at {again:%H:%M} WIB, until {last:%d %b %H:%M} WIB",
            )
        details["message"] = f"{error}. {_next_step(error)}"
        process.finish(session, run_id, "needs_attention", error=details)
        return Failed(message=details["message"])


def _kind(error: Exception) -> str:
    match error:
        case BadInput():
            return "bad-input"
        case UnusableFile():
            return "unusable-file"
        case NothingReported():
            return "nothing-reported"
        case AuthFailed():
            return "auth-failed"
        case Transient():
            return "not-reachable"
        case _:
            return "rejected"


def _next_step(error: Exception) -> str:
    match error:
        case BadInput():
            return "Correct it and try again"
        case UnusableFile():
            return "Ask the gateway for a whole report and run the day again with it"
        case NothingReported():
            return "Fetch the right file, or run the day again with allow_empty if nothing was settled"
        case AuthFailed():
            return "Check the gateway's key and this machine's clock, then retry the process"
        case Transient():
            return "Retry the process once the gateway is back"
        case _:
            return "Check the gateway's settings, then retry the process"


def _busy(run: ProcessRun, held: str, *, skip_if_busy: bool) -> State[Any]:
    """Somebody else works it: say so, and leave a row of our own behind only if it is ours."""
    if held == run.id.hex:
        return Cancelled(message=f"process {run.id} is being worked by another run already")
    message = f"{held} is being worked by another run already; this one did nothing"
    if skip_if_busy:
        succeed(run.id, {"skipped": message}, message)
        return Completed(name="Skipped", message=message)
    fail(run.id, "already-running", message)
    return Cancelled(message=message)


def _without_values(error: Exception) -> str:
    """What went wrong without the values of the row: a database's message may quote them."""
    if isinstance(error, (sa.exc.SQLAlchemyError, psycopg.Error)):
        code = getattr(getattr(error, "orig", error), "sqlstate", None)
        return f"the database refused a statement (SQLSTATE {code}); the log of its flow run tells more"
    if isinstance(error, NotReachable):
        return str(error)
    return f"unexpected {type(error).__name__}; the log of its flow run tells more"
