"""Process runs whose flow run came to nothing: noticed, and queued again or given to a person."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from api import prefect_server
from api.prefect_server import FlowRun, PrefectServer
from common import clock
from records import process
from records.db import unit_of_work
from records.process import ProcessRun

_SOONEST = timedelta(seconds=60)
_LATEST = timedelta(minutes=15)
_BEGINS_WITHIN = timedelta(minutes=5)
_AT_ONCE = 50


def orphans() -> list[str]:
    """Queue runs again whose worker died at work, and end their flow runs; returns what was done.

    A run that a person cancelled in Prefect stays cancelled. With Prefect down all stay as they are: nobody
    could work them anyway.
    """
    said = []
    with unit_of_work() as session:
        found = process.requeue_orphans(session)
        if any(run.flow_run_id for run in found):
            with prefect_server.connected() as prefect:
                for run in found:
                    said.append(_after_its_worker(session, prefect, run))
        else:
            said = [_QUEUED_AGAIN.format(run=run) for run in found]
    return said


_QUEUED_AGAIN = "process {run.id} ({run.process}) lost its worker and is queued again"


def _after_its_worker(session: Session, prefect: PrefectServer, run: ProcessRun) -> str:
    flow_run = prefect.flow_run(run.flow_run_id) if run.flow_run_id else None
    if flow_run is not None and flow_run.state in ("CANCELLED", "CANCELLING"):
        message = "Its flow run was cancelled at work. Retry the process if it is still wanted"
        process.finish(session, run.id, "needs_attention", error={"type": "cancelled", "message": message})
        return f"process {run.id} ({run.process}): {message}"
    if flow_run is not None:
        prefect.crash(flow_run.id, "Its worker died; the process was queued again.")
    return _QUEUED_AGAIN.format(run=run)


def stuck() -> list[str]:
    """Look after runs that Prefect took a while ago and nobody has begun; returns what was done.

    A flow run that a worker took and did not begin is queued again; one that a person cancelled, or that
    failed before it took up the process, needs a person. One that waits for a worker waits.
    """
    said = []
    with unit_of_work() as session:
        waiting = session.scalars(
            sa.select(ProcessRun)
            .where(ProcessRun.state == "queued", ProcessRun.submitted_at < clock.now() - _SOONEST)
            .order_by(ProcessRun.submitted_at)
            .limit(_AT_ONCE)
            .with_for_update(skip_locked=True)
        ).all()
        due = [run for run in waiting if _is_late(run, clock.now())]
        if not due:
            return []
        with prefect_server.connected() as prefect:
            for run in due:
                verdict = _verdict(prefect, run)
                if verdict == "again":
                    run.submitted_at = None
                    said.append(f"process {run.id} ({run.process}) was never begun and is queued again")
                elif verdict:
                    process.finish(
                        session, run.id, "needs_attention", error={"type": "not-begun", "message": verdict}
                    )
                    said.append(f"process {run.id} ({run.process}): {verdict}")
    return said


def _is_late(run: ProcessRun, now: datetime) -> bool:
    """Looked at after a minute, then ever more seldom: what dies at each start must not be started anew
    each minute for days."""
    assert run.submitted_at is not None
    pause = (run.submitted_at - run.created_at) / 2
    return now - run.submitted_at > min(max(pause, _SOONEST), _LATEST)


def _verdict(prefect: PrefectServer, run: ProcessRun) -> str:
    """`again`, a sentence for a person, or nothing where all is well."""
    found = prefect.flow_run(run.flow_run_id) if run.flow_run_id else None
    if found is None or found.state == "CRASHED":
        return "again"
    if found.state == "CANCELLED":
        return "Its flow run was cancelled before it began. Retry the process if it is still wanted"
    if found.has_ended:
        return f"Its flow run {found.state.lower()} before it took up the process. See its log, then retry"
    if _is_dead(found):
        prefect.crash(found.id, "Its worker took it and never began; the process was queued again.")
        return "again"
    return ""


def _is_dead(found: FlowRun) -> bool:
    """A worker has taken it, and in minutes it has not come as far as its first statement."""
    return found.state in ("PENDING", "RUNNING", "CANCELLING") and clock.now() - found.since > _BEGINS_WITHIN
