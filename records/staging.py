"""Staging: the lines of one run's report files, loaded by COPY into tables that live as long as the run.

The tables are unlogged and belong to one process run; a killed run leaves them behind, and its next
attempt, or the next run of anybody, drops them.
"""

import io
import re
from dataclasses import dataclass
from uuid import UUID

import psycopg
import pyarrow as pa
import pyarrow.csv
from psycopg import sql

_LINES = """CREATE UNLOGGED TABLE {lines} (
    source smallint NOT NULL, line_no integer NOT NULL, is_refund boolean NOT NULL,
    reference text COLLATE "C" NOT NULL, gateway_reference text COLLATE "C", status text NOT NULL,
    amount_minor bigint NOT NULL, fee_minor bigint, currency text NOT NULL, occurred_at timestamptz NOT NULL,
    payout_reference text COLLATE "C", is_extra boolean NOT NULL DEFAULT false, remark text)"""
_MALFORMED = """CREATE UNLOGGED TABLE {malformed} (
    source smallint NOT NULL, line_no integer NOT NULL, column_name text, reason text NOT NULL,
    seen text NOT NULL, reference text COLLATE "C", content text NOT NULL)"""

LINE_COLUMNS = (
    "source",
    "line_no",
    "is_refund",
    "reference",
    "gateway_reference",
    "status",
    "amount_minor",
    "fee_minor",
    "currency",
    "occurred_at",
    "payout_reference",
)
MALFORMED_COLUMNS = ("source", "line_no", "column_name", "reason", "seen", "reference", "content")


@dataclass(frozen=True)
class Staging:
    """Names of one run's staging tables."""

    run_id: UUID

    @property
    def lines(self) -> sql.Identifier:
        return sql.Identifier("staging", f"lines_{self.run_id.hex}")

    @property
    def malformed(self) -> sql.Identifier:
        return sql.Identifier("staging", f"malformed_{self.run_id.hex}")

    def create(self, db: psycopg.Connection) -> None:
        """Empty tables, whatever an earlier attempt left."""
        self.drop(db)
        db.execute(sql.SQL(_LINES).format(lines=self.lines))
        db.execute(sql.SQL(_MALFORMED).format(malformed=self.malformed))

    def drop(self, db: psycopg.Connection) -> None:
        """Remove the tables."""
        db.execute(sql.SQL("DROP TABLE IF EXISTS {}, {}").format(self.lines, self.malformed))

    def exists(self, db: psycopg.Connection) -> bool:
        """Whether the tables are there."""
        row = db.execute("SELECT to_regclass(%s)", [f"staging.lines_{self.run_id.hex}"]).fetchone()
        return row is not None and row[0] is not None


class Loader:
    """Feeds batches of one file into the staging tables through COPY."""

    def __init__(self, db: psycopg.Connection, staging: Staging, source: int) -> None:
        self.db = db
        self.staging = staging
        self.source = source
        self._copy_context = db.cursor().copy(_copy(staging.lines, LINE_COLUMNS))
        self._malformed: list[pa.RecordBatch] = []

    def __enter__(self) -> "Loader":
        self._copy = self._copy_context.__enter__()
        return self

    def as_csv(self, good: pa.RecordBatch) -> bytes:
        """Typed lines as `add` takes them; apart from it, so that another thread can prepare the next."""
        return _as_csv(good, self.source)

    def add(self, good: bytes, malformed: pa.RecordBatch) -> None:
        """Load one batch: typed lines and malformed ones (schemas of providers.reports.lines)."""
        self._copy.write(good)
        if malformed.num_rows:
            self._malformed.append(malformed)

    def __exit__(self, *error: object) -> None:
        self._copy_context.__exit__(*error)  # type: ignore[arg-type]
        if error[0] is None and self._malformed:
            with self.db.cursor().copy(_copy(self.staging.malformed, MALFORMED_COLUMNS)) as copy:
                for batch in self._malformed:
                    copy.write(_as_csv(batch, self.source))


def drop_leftovers(db: psycopg.Connection) -> int:
    """Drop staging tables whose process run has ended; returns how many."""
    rows = db.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'staging'::regnamespace AND relkind = 'r'"
    ).fetchall()
    dropped = 0
    for (name,) in rows:
        found = re.fullmatch(r"(?:lines|malformed)_([0-9a-f]{32})", name)
        if found is None:
            continue
        open_run = db.execute(
            "SELECT 1 FROM process_runs WHERE id = %s AND state IN ('queued', 'running', 'waiting')",
            [UUID(found.group(1))],
        ).fetchone()
        if open_run is None:
            db.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier("staging", name)))
            dropped += 1
    return dropped


def _copy(table: sql.Identifier, columns: tuple[str, ...]) -> sql.Composed:
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    # Frozen rows spare the first reader to look up who wrote them; the table is of this transaction.
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, FREEZE)").format(table, listed)


def _as_csv(batch: pa.RecordBatch, source: int) -> bytes:
    """The batch as CSV for COPY; the first column is the source's number, null is an empty cell."""
    whole = pa.record_batch(
        [pa.repeat(pa.scalar(source, pa.int16()), batch.num_rows), *batch.columns],
        names=["source", *batch.schema.names],
    )
    return csv_bytes(whole)


def csv_bytes(batch: pa.RecordBatch) -> bytes:
    """A batch as CSV without header, as COPY reads it: null is an empty cell, empty text is quoted."""
    out = io.BytesIO()
    pyarrow.csv.write_csv(batch, out, pyarrow.csv.WriteOptions(include_header=False))
    return out.getvalue()
