"""Our own way: the functions that the flow's tasks call, in their order, without a Prefect run around."""

from datetime import date
from uuid import uuid4

from benchmarks.reconcile.contenders import Job
from benchmarks.reconcile.made_up_day import DAY
from providers.reports.sources import read_blocks
from records import files, process
from records.db import unit_of_work
from tasks import reconcile_payments as tasks

STEPS = ("fetch_report", "stage_report", "classify", "prove")


def run(job: Job) -> None:
    """Keep the file, then stage, match, record and prove."""
    kept = files.keep(job.report.name, read_blocks(job.report))
    with unit_of_work() as session:
        own, _ = process.request(session, tasks.PROCESS, uuid4().hex, {})
    source = tasks.KEPT + kept
    day = tasks.Day(own.id, "gopay", date.fromisoformat(DAY), source, None, False)
    found = tasks.fetch_report.fn(day)
    sources = tasks.stage_report.fn(day, found)
    tasks.classify.fn(day, sources)
    if not tasks.prove.fn(day):
        raise RuntimeError("the proof does not balance")
