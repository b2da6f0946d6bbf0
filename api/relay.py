"""The relay: hands process runs that are due to Prefect, and sees that none is lost on the way.

Every request is a row first, in the transaction of whoever asks; the relay turns rows into flow runs. So
requests are accepted while Prefect is down, and a relay that dies in between hands over nothing twice: the
flow run's key is made of the row. Several relays may live: rows are taken with SKIP LOCKED. `NOTIFY
process_runs` wakes it at once; it also looks by itself every two seconds.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa
from sqlalchemy.orm import Session

from api import catch_up, prefect_server, sweep
from api.prefect_server import NotDeployed, PrefectServer, PrefectUnavailable, Refused
from common import clock
from common.errors import NotReachable
from deployments.names import (
    ENTITLEMENTS_FLOW,
    ENTITLEMENTS_ON_DEMAND,
    EXPORT_FLOW,
    EXPORT_ON_DEMAND,
    RECONCILE_FLOW,
    RECONCILE_ON_DEMAND,
    REFUND_FLOW,
    REFUND_ON_DEMAND,
    REGISTER_FLOW,
    REGISTER_ON_DEMAND,
    REPORT_COMPLETION_FLOW,
    REPORT_COMPLETION_ON_DEMAND,
    SWEEP_FLOW,
    SWEEP_ON_DEMAND,
    VERIFY_FLOW,
    VERIFY_ON_DEMAND,
)
from records import process
from records.db import database_url, glance, unit_of_work
from records.process import ProcessRun

CHANNEL = "process_runs"
DEPLOYMENTS = {
    ENTITLEMENTS_FLOW: ENTITLEMENTS_ON_DEMAND,
    EXPORT_FLOW: EXPORT_ON_DEMAND,
    RECONCILE_FLOW: RECONCILE_ON_DEMAND,
    REFUND_FLOW: REFUND_ON_DEMAND,
    REGISTER_FLOW: REGISTER_ON_DEMAND,
    REPORT_COMPLETION_FLOW: REPORT_COMPLETION_ON_DEMAND,
    SWEEP_FLOW: SWEEP_ON_DEMAND,
    VERIFY_FLOW: VERIFY_ON_DEMAND,
}
# How many runs of a process go into one flow run at most; a flow run for each takes seconds to begin.
BATCHES = {
    EXPORT_FLOW: 500,
    REFUND_FLOW: 500,
    REGISTER_FLOW: 2_500,
    REPORT_COMPLETION_FLOW: 100,
    VERIFY_FLOW: 500,
}
# Their batches go one after the other: the register gets what was asked for in its order, and several workers
# would only wait for its one rate.
IN_ORDER = frozenset({REGISTER_FLOW, REPORT_COMPLETION_FLOW, VERIFY_FLOW})
BATCH_TAG = "batch"
POLL = 2.0  # seconds between two looks when nobody wakes it
SWEEP = 15.0
CATCH_UP = 600.0
_SLICE = 0.25  # how soon it notices that it is to stop
_LONGEST_NAME = 80

log = logging.getLogger("jembatan.relay")


class Relay:
    """A thread that works until it is stopped; trouble is logged when it begins and when it is over."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._next: dict[str, float] = {}
        self._troubles: dict[str, str] = {}

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """End within a moment; a call to Prefect that is under way is waited for."""
        self._stopping.set()
        self._thread.join(15)

    def look(self) -> None:
        """Everything that is due now, once."""
        for name, pause, job in (
            ("catch up", CATCH_UP, self._catch_up),
            ("sweep", SWEEP, self._sweep),
            ("hand over", 0.0, self._hand_over),
        ):
            now = time.monotonic()
            if now >= self._next.get(name, 0.0):
                job()
                self._next[name] = now + pause

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with _listening() as wait:
                    self._out_of_trouble("database")
                    while not self._stopping.is_set():
                        self.look()
                        wait(self._stopping)
            except (NotReachable, psycopg.OperationalError, sa.exc.OperationalError) as error:
                self._in_trouble("database", f"the database does not answer ({type(error).__name__})")
            except Exception:  # the thread must outlive whatever one look meets
                log.exception("a look at the process runs failed; looking again")
            self._stopping.wait(POLL)

    def _catch_up(self) -> None:
        with unit_of_work() as session:
            for gateway, day in catch_up.request_missed(session, clock.now()):
                log.info("%s of %s was missed and is asked for now", gateway, day)

    def _sweep(self) -> None:
        with self._noting("sweep"):
            for sentence in sweep.orphans() + sweep.stuck():
                log.warning(sentence)

    def _hand_over(self) -> None:
        with self._noting("hand over"):
            hand_over()

    @contextmanager
    def _noting(self, job: str) -> Iterator[None]:
        """What Prefect cannot take now stays as it is; that is said once, not at each look."""
        try:
            yield
        except (PrefectUnavailable, NotDeployed) as trouble:
            self._in_trouble(job, f"{trouble}; process runs wait here meanwhile")
        else:
            self._out_of_trouble(job)

    def _in_trouble(self, job: str, sentence: str) -> None:
        if sentence != self._troubles.get(job):
            log.warning(sentence)
        self._troubles[job] = sentence

    def _out_of_trouble(self, job: str) -> None:
        if self._troubles.pop(job, None):
            log.info("%s: all is well again", job)


def hand_over() -> None:
    """Make a flow run of each process run that is due, or of a batch of them, and note it; rows stay locked
    meanwhile.

    Raises PrefectUnavailable or NotDeployed with the rest left as it is.
    """
    with glance() as session:
        if not process.is_any_due(session, clock.now()):  # nearly always
            return
    trouble: Exception | None = None
    with unit_of_work() as session:
        due = process.claim_due(session, clock.now(), but=BATCHES)
        if due:
            with prefect_server.connected() as prefect:
                for run in due:
                    try:
                        _submit(session, prefect, run)
                    except NotDeployed as missing:  # other processes may well be deployed
                        trouble = missing
                    except PrefectUnavailable as gone:
                        trouble = gone
                        break
    for name, most in BATCHES.items():
        while trouble is None and _hand_over_batch(name, most) == most:
            pass
    if trouble is not None:
        raise trouble


def _hand_over_batch(name: str, most: int) -> int:
    """Make one flow run of what is due of a process, and note it in each row; tells how many those are."""
    with unit_of_work() as session:
        runs = process.claim_batch(session, name, clock.now(), most, in_order=name in IN_ORDER)
        if not runs:
            return 0
        digest = hashlib.sha256("".join(f"{run.id}:{run.attempts} " for run in runs).encode())
        with prefect_server.connected() as prefect:
            try:
                made = prefect.submit(
                    DEPLOYMENTS[name],
                    {"processes": [str(run.id) for run in runs]},
                    key=f"{name}:{digest.hexdigest()}",
                    name=_name_of(runs),
                    tag=BATCH_TAG,
                )
            except Refused as refused:
                for run in runs:
                    _give_to_a_person(session, run, refused)
                return len(runs)
        process.submitted(session, [run.id for run in runs], made.id)
    log.info("%d processes (%s) go to flow run %s", len(runs), name, made.id)
    return len(runs)


def _submit(session: Session, prefect: PrefectServer, run: ProcessRun) -> None:
    deployment = DEPLOYMENTS.get(run.process)
    try:
        if deployment is None:
            raise Refused("this version knows no deployment for it")
        made = prefect.submit(
            deployment,
            {name: value for name, value in run.input.items() if value not in (None, "")},
            key=f"{run.process}:{run.id}:{run.attempts}",
            name=_name_of([run]),
            tag=f"process:{run.id}",
        )
    except Refused as refused:
        _give_to_a_person(session, run, refused)
        return
    process.submitted(session, [run.id], made.id)
    log.info("process %s (%s) goes to flow run %s", run.id, run.process, made.id)


def _give_to_a_person(session: Session, run: ProcessRun, refused: Refused) -> None:
    """Left due it would be refused again every two seconds, and hold up those behind it."""
    message = f"{refused}. Check what was asked for; after a correction ask anew"
    process.finish(session, run.id, "needs_attention", error={"type": "not-accepted", "message": message})
    log.warning("process %s (%s): %s", run.id, run.process, refused)


def _name_of(runs: Sequence[ProcessRun]) -> str:
    """What the flow run is called in the Prefect UI."""
    name = runs[0].key.replace("/", " ")[:_LONGEST_NAME]
    return name if len(runs) == 1 else f"{name} and {len(runs) - 1} more"


@contextmanager
def _listening() -> Iterator[Callable[[threading.Event], None]]:
    """A way to wait for news: until a notification, the poll's time, or the stop, whichever is first."""
    with psycopg.connect(database_url(), autocommit=True, connect_timeout=10) as connection:
        connection.execute(f"LISTEN {CHANNEL}".encode())

        def wait(stopping: threading.Event) -> None:
            until = time.monotonic() + POLL
            while not stopping.is_set() and time.monotonic() < until:
                if list(connection.notifies(timeout=_SLICE, stop_after=1)):
                    list(connection.notifies(timeout=0))  # one look serves all that came with it
                    return

        yield wait
