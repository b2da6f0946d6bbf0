"""Each contender in fresh processes on one PostgreSQL, by turns, from equal starts, answers checked."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psycopg
from psycopg import sql

from benchmarks.reconcile import made_up_day
from benchmarks.reconcile.contenders import CONTENDERS, JEMBATAN, Contender, outcomes
from benchmarks.reconcile.made_up_day import MadeUpDay
from records import db as records_db

Answer = dict[str, tuple[int, int, int]]  # class -> count, ledger_minor, report_minor
_LEDGER_IMPORT = "ledger_import"


class WrongAnswer(Exception):
    """A contender's classes differ from what is true of the made-up day."""


@dataclass
class Times:
    """What one contender took at one size, run by run."""

    seconds: list[float] = field(default_factory=list)
    peak_mb: float = 0.0

    @property
    def best(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return median(self.seconds)


@dataclass
class SizeResult:
    """Everything measured at one size."""

    payments: int
    ledger_import: Times
    times: dict[str, Times]
    answer: Answer


def measure(server_url: str, folder: Path, payments: int, repeat: int, *, profile: bool) -> SizeResult:
    """Make a day of that size, load its ledger, and run every contender `repeat` times by turns.

    A first turn of all is not timed: it shows that the answers are right and warms the caches. Those of
    the timed turns are checked as well. Raises WrongAnswer.
    """
    folder.mkdir()
    day = made_up_day.make(folder, payments)
    with _database(server_url, payments) as url:
        imported = Times()
        _work(_LEDGER_IMPORT, url, day.ledger, folder, imported)
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("VACUUM (ANALYZE)")  # as autovacuum does soon after such an import
        times = {contender.name: Times() for contender in CONTENDERS}
        for turn in range(repeat + 1):
            for contender in CONTENDERS:
                _run(contender, url, day, times[contender.name] if turn else Times())
        if profile:
            _run(JEMBATAN, url, day, Times(), profile=True)
    return SizeResult(payments, imported, times, day.answer())


def _run(contender: Contender, url: str, day: MadeUpDay, times: Times, *, profile: bool = False) -> None:
    """One run from an equal start: nothing left of earlier runs, nothing waiting to be written."""
    file = day.report if contender.reads_malformed else day.report_without_malformed
    with psycopg.connect(url, autocommit=True) as db:
        _clear(db)
        db.execute("CHECKPOINT")
        _work(contender.module, url, file, day.report.parent, times, profile=profile)
        found = _answer(db, contender)
    right = day.answer(malformed=contender.reads_malformed, duplicates=contender.knows_duplicates)
    if found != right:
        differing = [name for name in right.keys() | found.keys() if right.get(name) != found.get(name)]
        lines = [f"{name}: {found.get(name)} where {right.get(name)} is true" for name in sorted(differing)]
        raise WrongAnswer(f"{contender.name} at {day.payments:,}: " + "; ".join(lines))


def _work(module: str, url: str, file: Path, home: Path, times: Times, *, profile: bool = False) -> None:
    """Run one piece of work in a process of its own and note what it took."""
    command = [sys.executable, "-m", "benchmarks.reconcile.child", module, url, str(file)]
    environment = os.environ | {
        "JEMBATAN_DATABASE_URL": url,
        "JEMBATAN_HOME": str(home),
        "PREFECT_HOME": str(home / "prefect"),
    }
    done = subprocess.run(
        [*command, *(["--profile"] if profile else [])],
        env=environment,
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    *before, last = done.stdout.splitlines()
    if profile:
        sys.stdout.write("\n".join(before) + "\n")
    result = json.loads(last)
    times.seconds.append(result["seconds"])
    times.peak_mb = max(times.peak_mb, result["peak_mb"])


@contextmanager
def _database(server_url: str, payments: int) -> Iterator[str]:
    """A migrated database for one size, dropped afterwards."""
    name = sql.Identifier(f"bench_{payments}")
    url = server_url.replace("/jembatan", f"/bench_{payments}", 1)
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
        records_db.upgrade(url)
        records_db.engine(url).dispose()
        yield url
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _clear(db: psycopg.Connection) -> None:
    """Remove what earlier runs left and make the peers' table anew; the ledger stays."""
    db.execute("DROP TABLE IF EXISTS peer_lines, peer_outcomes")
    db.execute(outcomes.TABLE)
    parts = db.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits"
        " WHERE inhparent = 'reconciliation_outcomes'::regclass"
    ).fetchall()
    for (name,) in parts:
        db.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
    db.execute(
        "TRUNCATE exception_events, reconciliation_exceptions, reconciliations, process_runs, kept_files"
    )


def _answer(db: psycopg.Connection, contender: Contender) -> Answer:
    """Count and sums of each class, added up from the outcomes that were left in the database."""
    table = "reconciliation_outcomes" if contender is JEMBATAN else "peer_outcomes"
    rows: Sequence[tuple[str, int, int, int]] = db.execute(
        sql.SQL(
            "SELECT class::text, count(*), coalesce(sum(ledger_minor), 0)::bigint,"
            " coalesce(sum(report_minor), 0)::bigint FROM {} GROUP BY 1"
        ).format(sql.Identifier(table))
    ).fetchall()
    return {name: (count, ledger, report) for name, count, ledger, report in rows}
