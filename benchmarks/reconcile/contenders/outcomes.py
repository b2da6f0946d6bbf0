"""What the peers leave behind, and how those outside the database get at it: by COPY both ways."""

import io

import psycopg

from benchmarks.reconcile.made_up_day import DAY

BLOCK = 1024**2
# An ordinary table, there before the work begins; no index, no constraint.
TABLE = """CREATE TABLE peer_outcomes (
    payment_id uuid, reference text COLLATE "C", class text, ledger_minor bigint, report_minor bigint)"""
LEDGER = f"""COPY (
    SELECT id, reference, gateway_reference, amount_minor, currency, status,
        coalesce(paid_at >= '{DAY}T23:30:00+07:00', false)::int AS is_late
    FROM payments WHERE gateway = 'gopay') TO STDOUT (FORMAT csv, HEADER)"""


def read_ledger(db: psycopg.Connection) -> io.BytesIO:
    """The day's payments as CSV: through COPY in a fraction of the time that read_sql takes."""
    out = io.BytesIO()
    with db.cursor().copy(LEDGER) as copy:
        for block in copy:
            out.write(block)
    out.seek(0)
    return out


def write_outcomes(db: psycopg.Connection, csv: io.BytesIO) -> None:
    """Store outcomes given as CSV without header."""
    csv.seek(0)
    with db.cursor().copy("COPY peer_outcomes FROM STDIN (FORMAT csv)") as copy:
        while block := csv.read(BLOCK):
            copy.write(block)
