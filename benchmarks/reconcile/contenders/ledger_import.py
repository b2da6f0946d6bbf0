"""No contender: the import of the ledger that all of them are held against."""

from common.settings import settings
from records import ledger
from records.db import connection

from benchmarks.reconcile.contenders import Job  # isort: skip


def run(job: Job) -> None:
    """Take the day's payments over, as `jembatan payments import` does."""
    with connection() as db:
        done = ledger.import_file(
            db, job.report, size_limit=settings().report_size_limit, scratch=settings().home
        )
    if done.refused_count or done.imported != done.rows:
        raise RuntimeError(f"{done.refused_count} rows of the ledger were refused")
