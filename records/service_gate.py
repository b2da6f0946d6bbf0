"""The gate before an outside service, one for all workers: how fast it is called, and whether at all.

A service that does not answer is left alone: after FAILURES calls in a row without an answer the gate is shut
for a minute, then two, four … half an hour. Then one call goes, a trial; if it is answered, the gate is open
again. What waits meanwhile waits in the database and holds no worker.

Pace and state are one row, because several workers, on several machines, call the service together. Turns are
taken in small blocks, so that a call costs a fraction of a statement.
"""

import math
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import clock
from common.errors import Transient
from records import process
from records.db import Base, at_once, unit_of_work
from records.process import ProcessRun

FAILURES = 5
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(minutes=30)
TRIAL = timedelta(minutes=2)  # longer than the longest call: after that another one may try
BLOCK_SECONDS = 0.1  # worth of calls that one takes at a time
SHUT = "service-shut"
# Errors of processes that wait for nothing but the service: they go on together when it is back.
MENDED_BY_TIME = (SHUT, "not-reachable", "unknown")
_TIME = TIMESTAMP(timezone=True)


class ServiceGate(Base):
    """One service. shut_until: when a trial may go; reason: why it is shut; free_at: when a call may go."""

    __tablename__ = "service_gates"
    service: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    failures: Mapped[int] = mapped_column(server_default="0")
    shut_since: Mapped[datetime | None] = mapped_column(_TIME)
    shut_until: Mapped[datetime | None] = mapped_column(_TIME)
    trial_until: Mapped[datetime | None] = mapped_column(_TIME)
    reason: Mapped[str | None] = mapped_column(sa.Text)
    free_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))


class Shut(Transient):
    """The service is left alone at the moment: nothing was sent. until: when the next call may go."""

    def __init__(self, service: str, reason: str, since: datetime, until: datetime) -> None:
        self.until = until
        super().__init__(
            service,
            "gate",
            f"left alone since {_wib(since)} ({reason}); tried again at {_wib(until)}",
        )


@dataclass
class Turns:
    """Calls that may go now. is_trial: it is the one that finds out whether the service is back."""

    left: int
    is_trial: bool = False
    are_failures_noted: bool = False


def take_turns(service: str, rate: float) -> Turns:
    """Wait for the next calls' turn under the rate (calls a second) that all workers keep together.

    Raises Shut, at once, where the service is not called now.
    """
    with at_once() as db:
        gate = db.execute(
            "SELECT failures, shut_since, shut_until, trial_until, reason FROM service_gates"
            " WHERE service = %s",
            [service],
        ).fetchone()
        is_trial = gate is not None and gate[1] is not None
        if gate is not None and is_trial:
            _begin_trial(db, service, *gate[1:])
        count = 1 if is_trial else max(1, math.floor(rate * BLOCK_SECONDS))
        pause = _reserved(db, service, count / rate)
    if pause > 0:
        time.sleep(pause)
    return Turns(count, is_trial, are_failures_noted=gate is not None and gate[0] > 0)


def _begin_trial(
    db: psycopg.Connection,
    service: str,
    since: datetime,
    until: datetime,
    trial_until: datetime | None,
    reason: str,
) -> None:
    now = clock.now()
    if now < until:
        raise Shut(service, reason, since, until)
    got = db.execute(
        "UPDATE service_gates SET trial_until = %s WHERE service = %s AND shut_until <= %s"
        " AND (trial_until IS NULL OR trial_until <= %s) RETURNING 1",
        [now + TRIAL, service, now, now],
    ).fetchone()
    if got is None:  # somebody else tries just now
        raise Shut(service, reason, since, max(until, now) + FIRST_PAUSE / 4)


def _reserved(db: psycopg.Connection, service: str, seconds: float) -> float:
    """Reserve so much of the common pace; tells how long from now it begins. By the database's clock."""
    row = db.execute(
        "INSERT INTO service_gates AS gate (service, free_at)"
        " VALUES (%(service)s, clock_timestamp() + %(seconds)s * interval '1 second')"
        " ON CONFLICT (service) DO UPDATE SET free_at ="
        "  greatest(gate.free_at, clock_timestamp()) + %(seconds)s * interval '1 second'"
        " RETURNING extract(epoch FROM free_at - clock_timestamp())::float8 - %(seconds)s",
        {"service": service, "seconds": seconds},
    ).fetchone()
    return max(0.0, float(row[0])) if row else 0.0


def answered(service: str, turns: Turns) -> None:
    """The service has answered, whatever it said: the gate is open, and nothing is counted against it."""
    if not (turns.is_trial or turns.are_failures_noted):
        return
    turns.is_trial = turns.are_failures_noted = False
    with at_once() as db:
        db.execute(
            "UPDATE service_gates SET failures = 0, shut_since = NULL, shut_until = NULL, trial_until = NULL,"
            " reason = NULL WHERE service = %s",
            [service],
        )


def failed(service: str, turns: Turns, reason: str) -> datetime | None:
    """One call more got no answer; tells until when the gate is shut, if it is now."""
    with unit_of_work() as session:
        gate = session.get_one(ServiceGate, service, with_for_update=True)
        turns.are_failures_noted = True
        if gate.shut_until is not None and not turns.is_trial:
            return gate.shut_until  # a call that was under way when it was shut
        gate.failures += 1
        if gate.failures < FAILURES and not turns.is_trial:
            return None
        beyond = min(max(gate.failures - FAILURES, 0), 16)
        return _shut(gate, reason, clock.now() + min(FIRST_PAUSE * 2**beyond, LONGEST_PAUSE))


def shut(service: str, reason: str, pause: timedelta) -> datetime:
    """Leave the service alone for so long, as it asks itself or because our key is refused."""
    with unit_of_work() as session:
        gate = session.get_one(ServiceGate, service, with_for_update=True)
        return _shut(gate, reason, clock.now() + pause)


def _shut(gate: ServiceGate, reason: str, until: datetime) -> datetime:
    gate.shut_since = gate.shut_since or clock.now()
    gate.shut_until, gate.trial_until, gate.reason = until, None, reason
    return until


def is_shut(session: Session, service: str) -> Shut | None:
    """Why a call would not go now, and until when; None where it would."""
    gate = session.get(ServiceGate, service)
    if gate is None or gate.shut_since is None or gate.shut_until is None or gate.shut_until <= clock.now():
        return None
    return Shut(service, gate.reason or "", gate.shut_since, gate.shut_until)


def wait_while_shut(session: Session, service: str, runs: Collection[ProcessRun]) -> None:
    """Let new processes wait until the gate may open, rather than start a worker for nothing."""
    shut_now = is_shut(session, service)
    if shut_now is not None:
        error = {"type": SHUT, "message": str(shut_now)}
        process.wait_many(session, [run.id for run in runs], shut_now.until, error)


def _wib(at: datetime) -> str:
    return f"{at.astimezone(clock.JAKARTA):%d %b %H:%M} WIB"
