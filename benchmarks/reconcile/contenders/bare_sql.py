"""The least that PostgreSQL itself needs: COPY, one full join, one INSERT of all outcomes.

No check of any value beyond its type, no duplicates, no exceptions, no proof. The lines go into an
unlogged table without index and are not analysed: the fastest of the ways tried.
"""

import psycopg

from benchmarks.reconcile.contenders import Job
from benchmarks.reconcile.contenders.outcomes import BLOCK
from benchmarks.reconcile.made_up_day import DAY

LINES = """CREATE UNLOGGED TABLE peer_lines (
    reference text COLLATE "C", gateway_reference text, type text, status text, amount numeric, fee numeric,
    currency text, occurred_at timestamptz)"""
OUTCOMES = f"""INSERT INTO peer_outcomes
SELECT p.id, coalesce(p.reference, l.reference),
    CASE WHEN p.id IS NULL THEN 'missing_in_ledger'
        WHEN l.reference IS NULL THEN
            CASE WHEN p.paid_at >= '{DAY}T23:30:00+07:00' THEN 'timing' ELSE 'missing_at_gateway' END
        WHEN l.currency <> p.currency THEN 'currency_mismatch'
        WHEN l.amount * 100 <> p.amount_minor THEN 'amount_mismatch'
        WHEN (l.status = 'paid') <> (p.status IN ('paid', 'partially_refunded', 'refunded'))
            THEN 'status_mismatch'
        WHEN l.fee * 100 <> (p.amount_minor * 20000 + 50000000) / 100000000 * 100 THEN 'fee_mismatch'
        ELSE 'matched' END,
    p.amount_minor, (l.amount * 100)::bigint
FROM (SELECT * FROM payments WHERE gateway = 'gopay') p
FULL JOIN peer_lines l ON l.reference = p.reference"""


def run(job: Job) -> None:
    """COPY, join, INSERT, commit."""
    with psycopg.connect(job.database_url) as db:
        db.execute(LINES)
        copy_lines = "COPY peer_lines FROM STDIN (FORMAT csv, HEADER)"
        with db.cursor().copy(copy_lines) as copy, job.report.open("rb") as report:
            while block := report.read(BLOCK):
                copy.write(block)
        db.execute(OUTCOMES)
