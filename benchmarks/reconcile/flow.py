"""The whole flow run, as a person meets it: from the call to Prefect's API to the process run's outcome."""

import os
import time
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from benchmarks.reconcile import made_up_day
from benchmarks.reconcile.measure import WrongAnswer
from common.settings import settings
from deployments.names import RECONCILE_ON_DEMAND
from jembatan.stack import stack
from providers.reports.sources import read_blocks
from records import files, ledger
from records.db import connection, unit_of_work
from records.process import ENDED, ProcessRun

PAYMENTS = 10_000
GIVE_UP_SECONDS = 120
LOOK_EVERY_SECONDS = 0.05


def measure(home: Path) -> float:
    """Seconds from create_flow_run to the outcome, with a server, a worker and the sandbox of our own."""
    home.mkdir(exist_ok=True)
    os.environ["JEMBATAN_HOME"] = str(home)
    settings.cache_clear()
    with stack(worker=True, api=False, sandbox=True) as running:
        day, kept = _prepare(home)
        assert running.prefect_api_url is not None
        with httpx.Client(base_url=running.prefect_api_url) as prefect:
            return _run(prefect, day, kept)


def _prepare(home: Path) -> tuple[made_up_day.MadeUpDay, str]:
    """Ledger imported, report kept."""
    folder = home / "day"
    folder.mkdir()
    day = made_up_day.make(folder, PAYMENTS)
    with connection() as db:
        ledger.import_file(db, day.ledger, size_limit=settings().report_size_limit, scratch=folder)
    kept = files.keep(day.report.name, read_blocks(day.report))
    return day, kept


def _run(prefect: httpx.Client, day: made_up_day.MadeUpDay, kept: str) -> float:
    deployment = _json(prefect.get(f"/deployments/name/{RECONCILE_ON_DEMAND}"))
    parameters = {"gateway": "gopay", "business_date": made_up_day.DAY, "source": f"sha256:{kept}"}
    start = time.monotonic()
    address = f"/deployments/{deployment['id']}/create_flow_run"
    run = _json(prefect.post(address, json={"parameters": parameters}))
    outcome = _outcome(run["id"], start + GIVE_UP_SECONDS)
    seconds = time.monotonic() - start
    found = {name: row["count"] for name, row in outcome["classes"].items() if row["count"]}
    right = {name: count for name, (count, _, _) in day.answer().items()}
    if found != right or not outcome["balanced"]:
        raise WrongAnswer(f"the flow run's classes: {found} where {right} is true")
    return seconds


def _outcome(flow_run_id: str, until: float) -> dict[str, Any]:
    """The outcome of the process run that this flow run works, as soon as it is there."""
    while time.monotonic() < until:
        with unit_of_work() as session:
            run = session.scalars(sa.select(ProcessRun).filter_by(flow_run_id=flow_run_id)).first()
            if run is not None and run.state in ENDED:
                if run.outcome is None:
                    raise RuntimeError(f"the flow run ended as {run.state}: {run.error}")
                return run.outcome
        time.sleep(LOOK_EVERY_SECONDS)
    raise TimeoutError(f"no outcome after {GIVE_UP_SECONDS} s")


def _json(answer: httpx.Response) -> Any:
    return answer.raise_for_status().json()
