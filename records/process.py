"""Process runs: one row for each business process asked for, its state, attempts, outcome and error."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, insert
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from common import clock
from common.errors import NotReachable
from records.db import Base, among, database_url

OPEN = ("queued", "running", "waiting")
ENDED = ("succeeded", "failed", "needs_attention")
MOST_LOST_WORKERS = 5
GATHERS = timedelta(seconds=10)  # a worker begins a flow run within that time, where it is not busy
_TIME = TIMESTAMP(timezone=True)


class ProcessRun(Base):
    """One process that was asked for: the same trigger twice is one row (`process`, `key`)."""

    __tablename__ = "process_runs"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    process: Mapped[str] = mapped_column(sa.Text)
    key: Mapped[str] = mapped_column(sa.Text)
    state: Mapped[str] = mapped_column(sa.Text, server_default="queued")
    attempts: Mapped[int] = mapped_column(server_default="0")
    lost_workers: Mapped[int] = mapped_column(server_default="0")  # in a row
    input: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    outcome: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    flow_run_id: Mapped[UUID | None]
    next_attempt_at: Mapped[datetime | None] = mapped_column(_TIME)
    submitted_at: Mapped[datetime | None] = mapped_column(_TIME)
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    started_at: Mapped[datetime | None] = mapped_column(_TIME)
    ended_at: Mapped[datetime | None] = mapped_column(_TIME)


def request(
    session: Session, process: str, key: str, input: dict[str, Any], flow_run_id: UUID | None = None
) -> tuple[ProcessRun, bool]:
    """Open the process run of that key, or join the one there is; tells whether it is new.

    flow_run_id: the flow run that works it already; without one it waits for a relay.
    """
    given = {"flow_run_id": flow_run_id, "submitted_at": clock.now()} if flow_run_id else {}
    made = session.scalar(
        insert(ProcessRun)
        .values(process=process, key=key, input=input, **given)
        .on_conflict_do_nothing(index_elements=["process", "key"])
        .returning(ProcessRun.id)
    )
    run = session.scalars(sa.select(ProcessRun).filter_by(process=process, key=key)).one()
    return run, made is not None


_REQUEST = sa.text(
    """INSERT INTO process_runs (process, key, input, flow_run_id, submitted_at)
       SELECT :process, key, CAST(input AS jsonb), CAST(:flow_run_id AS uuid),
           CAST(:submitted_at AS timestamptz)
       FROM unnest(CAST(:keys AS text[]), CAST(:inputs AS text[]))
           WITH ORDINALITY AS wanted (key, input, place)
       ORDER BY place
       ON CONFLICT (process, key) DO NOTHING"""
)


def request_many(
    session: Session, process: str, wanted: Mapping[str, dict[str, Any]], flow_run_id: UUID | None = None
) -> dict[str, ProcessRun]:
    """The same for many keys, each with its input, in one statement; the runs by their keys. New ones go in
    the order of the keys."""
    if not wanted:
        return {}
    inputs = [json.dumps(one) for one in wanted.values()]
    given = {"flow_run_id": flow_run_id, "submitted_at": clock.now() if flow_run_id else None}
    session.execute(_REQUEST, {"process": process, "keys": list(wanted), "inputs": inputs, **given})
    keys = sa.literal(list(wanted), ARRAY(sa.Text))
    found = sa.select(ProcessRun).where(ProcessRun.process == process, ProcessRun.key == sa.any_(keys))
    return {run.key: run for run in session.scalars(found)}


def of_flow_run(session: Session, process: str, flow_run_id: UUID) -> ProcessRun | None:
    """The run of a process that this flow run opened, if it did."""
    wanted = sa.select(ProcessRun).filter_by(process=process, flow_run_id=flow_run_id)
    return session.scalars(wanted.order_by(ProcessRun.created_at)).first()


def start(session: Session, run_id: UUID, flow_run_id: UUID | None) -> ProcessRun:
    """Count one more attempt of the run, worked by that flow run."""
    run = session.get_one(ProcessRun, run_id, with_for_update=True)
    run.state = "running"
    run.attempts += 1
    run.flow_run_id = flow_run_id or run.flow_run_id
    run.started_at = clock.now()
    run.next_attempt_at = run.ended_at = None
    return run


def finish(
    session: Session,
    run_id: UUID,
    state: str,
    *,
    outcome: dict[str, Any] | None = None,
    error: dict[str, str] | None = None,
) -> None:
    """End the run as `succeeded`, `failed` or `needs_attention` (whose error says what a person does)."""
    run = session.get_one(ProcessRun, run_id, with_for_update=True)
    run.state, run.outcome, run.error, run.lost_workers = state, outcome, error, 0
    run.ended_at, run.next_attempt_at = clock.now(), None


def wait(session: Session, run_id: UUID, until: datetime, error: dict[str, str]) -> None:
    """Let the run wait for its next attempt; nothing is held meanwhile."""
    run = session.get_one(ProcessRun, run_id, with_for_update=True)
    run.state, run.next_attempt_at, run.error = "waiting", until, error
    run.submitted_at, run.lost_workers = None, 0


def wait_many(session: Session, run_ids: Collection[UUID], until: datetime, error: dict[str, str]) -> None:
    """Let those of these runs wait that nobody has been given yet."""
    session.execute(
        sa.update(ProcessRun)
        .where(
            ProcessRun.id == among(run_ids), ProcessRun.state == "queued", ProcessRun.submitted_at.is_(None)
        )
        .values(state="waiting", next_attempt_at=until, error=error)
        .execution_options(synchronize_session="fetch")
    )


def forget(session: Session, name: str, before: datetime) -> None:
    """Delete old runs that ended well, of a process that runs so often that only the newest are of use."""
    session.execute(
        sa.delete(ProcessRun).where(
            ProcessRun.process == name, ProcessRun.state == "succeeded", ProcessRun.created_at < before
        )
    )


def retry(session: Session, run_id: UUID) -> bool:
    """Queue a run again that ended badly or waits; False where there is nothing to retry."""
    run = session.get_one(ProcessRun, run_id, with_for_update=True)
    if run.state not in ("failed", "needs_attention", "waiting"):
        return False
    _queue(run)
    return True


def is_any_due(session: Session, at: datetime) -> bool:
    """Whether there may be anything to hand to Prefect: one question instead of one for each process."""
    return bool(session.scalar(sa.select(sa.exists().where(_is_due(at)))))


def claim_due(
    session: Session, at: datetime, limit: int = 20, *, but: Collection[str] = ()
) -> list[ProcessRun]:
    """Runs that are to be handed to Prefect now, locked for the caller; other relays skip them.

    but: processes whose runs are handed over in batches (`claim_batch`). The days of one gateway go in their
    order: a later one waits while an earlier one is queued or worked. One that waits for its gateway holds up
    nobody.
    """
    earlier = aliased(ProcessRun)
    goes_first = sa.exists().where(
        earlier.process == ProcessRun.process,
        earlier.state.in_(("queued", "running")),
        earlier.input["gateway"].astext == ProcessRun.input["gateway"].astext,
        earlier.input["business_date"].astext < ProcessRun.input["business_date"].astext,
    )
    return list(
        session.scalars(
            sa.select(ProcessRun)
            .where(_is_due(at), ~goes_first, ProcessRun.process.not_in(but))
            .order_by(ProcessRun.created_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )


def claim_batch(
    session: Session, name: str, at: datetime, limit: int, *, in_order: bool = False
) -> list[ProcessRun]:
    """Runs of one process that go into one flow run now, locked for the caller; other relays skip them.

    A full batch goes at once. Fewer wait while a batch that was just handed over has not begun: what is asked
    for meanwhile gathers, and a burst does not become a flow run for each. in_order: nothing goes while an
    earlier batch has not ended.
    """
    if in_order:
        one_goes = sa.exists().where(
            ProcessRun.process == name,
            sa.or_(
                ProcessRun.state == "running",
                sa.and_(ProcessRun.state == "queued", ProcessRun.submitted_at.is_not(None)),
            ),
        )
        lock = sa.select(sa.func.pg_try_advisory_xact_lock(_lock_key(f"batches of {name}")))
        if not session.scalar(lock) or session.scalar(sa.select(one_goes)):
            return []
    due = list(
        session.scalars(
            sa.select(ProcessRun)
            .where(ProcessRun.process == name, _is_due(at))
            .order_by(ProcessRun.created_at, ProcessRun.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )
    if not due or len(due) == limit:
        return due
    one_begins = sa.exists().where(
        ProcessRun.process == name, ProcessRun.state == "queued", ProcessRun.submitted_at > at - GATHERS
    )
    return [] if session.scalar(sa.select(one_begins)) else due


def _is_due(at: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(
        sa.and_(ProcessRun.state == "queued", ProcessRun.submitted_at.is_(None)),
        sa.and_(ProcessRun.state == "waiting", ProcessRun.next_attempt_at <= at),
    )


def start_batch(session: Session, run_ids: Collection[UUID], flow_run_id: UUID | None) -> list[ProcessRun]:
    """Count one more attempt of each run that has not ended, worked by that flow run; those are returned."""
    free = (
        sa.select(ProcessRun.id)
        .where(ProcessRun.id == among(run_ids), ProcessRun.state.not_in(ENDED))
        .order_by(ProcessRun.id)
        .with_for_update()
        .cte("free")
    )
    started = session.scalars(
        sa.update(ProcessRun)
        .where(ProcessRun.id == free.c.id)
        .values(
            state="running",
            attempts=ProcessRun.attempts + 1,
            flow_run_id=flow_run_id or ProcessRun.flow_run_id,
            started_at=clock.now(),
            next_attempt_at=None,
            ended_at=None,
        )
        .returning(ProcessRun)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return sorted(started, key=lambda run: run.id)


def put_off(
    session: Session, names: Collection[str], until: datetime, error: dict[str, str], mended: Collection[str]
) -> None:
    """Let all that waits for the same wait until then, in one statement, so that it goes on in its order.

    names: of processes; mended: types of errors that wait for the same: one that was a trial would wait
    longer by its own pauses, and be overtaken by all behind it. What another session holds stays.
    """
    waits_for_the_same = sa.and_(
        ProcessRun.state == "waiting",
        ProcessRun.next_attempt_at != until,
        ProcessRun.error["type"].astext.in_(mended),
    )
    is_new = sa.and_(ProcessRun.state == "queued", ProcessRun.submitted_at.is_(None))
    found = (
        sa.select(ProcessRun.id)
        .where(ProcessRun.process.in_(names), sa.or_(is_new, waits_for_the_same))
        .with_for_update(skip_locked=True)
    )
    session.execute(
        sa.update(ProcessRun)
        .where(ProcessRun.id.in_(found))
        .values(state="waiting", next_attempt_at=until, error=error, submitted_at=None)
        .execution_options(synchronize_session=False)
    )


@dataclass(frozen=True)
class End:
    """How an attempt of one run ended: for good, or until its next attempt."""

    run_id: UUID
    state: str
    outcome: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    until: datetime | None = None


def end_all(session: Session, ends: Collection[End]) -> None:
    """End many attempts in one go; the caller works these runs alone. As `finish` and `wait` do for one."""
    now = clock.now()
    rows = [
        {
            "id": one.run_id,
            "state": one.state,
            "outcome": one.outcome,
            "error": one.error,
            "next_attempt_at": one.until,
            "ended_at": now if one.state in ENDED else None,
            "submitted_at": None if one.state == "waiting" else now,
            "lost_workers": 0,
        }
        for one in ends
    ]
    if rows:
        session.execute(sa.update(ProcessRun), rows)


def announce(session: Session) -> None:
    """Wake the relays: what waited for something to end may go now."""
    session.execute(sa.text("NOTIFY process_runs"))


def submitted(session: Session, run_ids: Collection[UUID], flow_run_id: UUID) -> None:
    """Note that Prefect has taken these runs, as one flow run; the caller has locked them."""
    session.execute(
        sa.update(ProcessRun)
        .where(ProcessRun.id == among(run_ids))
        .values(state="queued", submitted_at=clock.now(), flow_run_id=flow_run_id)
        .execution_options(synchronize_session=False)
    )


def requeue_orphans(session: Session, idle: timedelta = timedelta(seconds=20)) -> list[ProcessRun]:
    """Queue again what is `running` though nobody works it: its worker holds no lock any more.

    What has lost its worker that often is likely to be the cause: a person has to look.
    """
    found = []
    before = clock.now() - idle
    rows = session.scalars(
        sa.select(ProcessRun)
        .where(ProcessRun.state == "running", ProcessRun.started_at < before)
        .with_for_update(skip_locked=True)
    )
    for run in rows:
        free = session.scalar(
            sa.text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _lock_key(run.id.hex)}
        )
        if not free:
            continue
        run.lost_workers += 1
        if run.lost_workers >= MOST_LOST_WORKERS:
            sentence = (
                f"Its worker died {run.lost_workers} times. Read the worker's log, then retry the process"
            )
            run.state, run.ended_at = "needs_attention", clock.now()
            run.error = {"type": "worker-lost", "message": sentence}
        else:
            _queue(run)
            found.append(run)
    return found


def _queue(run: ProcessRun) -> None:
    run.state, run.submitted_at, run.next_attempt_at, run.ended_at = "queued", None, None, None


class Busy(Exception):
    """Somebody else works this at the moment."""


@contextmanager
def worked_alone(*names: str) -> Iterator[None]:
    """Hold locks on names (a run's id, a gateway's day) as long as this process lives; raises Busy.

    The locks belong to a database session of their own, so a killed worker gives them up by itself.
    """
    try:
        session = psycopg.connect(database_url(), autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise NotReachable(f"the database does not answer: {type(error).__name__}") from None
    with session:
        for name in names:
            got = session.execute("SELECT pg_try_advisory_lock(%s)", [_lock_key(name)]).fetchone()
            if got is None or not got[0]:
                raise Busy(name)
        yield


@contextmanager
def held_together(names: Sequence[str]) -> Iterator[set[str]]:
    """Hold locks on as many of the names as are free, as `worked_alone` does; gives those that are held."""
    try:
        session = psycopg.connect(database_url(), autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise NotReachable(f"the database does not answer: {type(error).__name__}") from None
    by_key = {_lock_key(name): name for name in names}
    with session:
        got = session.execute(
            "SELECT key FROM unnest(%s::bigint[]) AS key WHERE pg_try_advisory_lock(key)", [list(by_key)]
        )
        yield {by_key[key] for (key,) in got.fetchall()}


def _lock_key(name: str) -> int:
    """A stable 63-bit number for a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
