"""`python -m benchmarks.entitlements`: check, then measure, print, and exit 1 only when an answer was wrong.

10,000 learners, each in one program, of ten kinds: five kinds are in order, one is of each class.
"""

import os
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from benchmarks import machine
from common import clock
from common.settings import settings
from jembatan.stack import database
from records import enrolment, entitlement_look, process
from records.db import connection, unit_of_work, upgrade
from records.enrolment import Statement
from records.entitlement import CLASSES, PROCESS, EntitlementRun
from records.entitlement_look import Rules

LEARNERS = 10_000
KINDS = 10  # a kind is a learner's number modulo this
NO_SEAT, UNPAID, UNREPORTED, NOT_PAID_REPORTED, REFUNDED = 5, 6, 7, 8, 9
ROUNDS = 5

# Everything is a month old, so that no grace matters.
PAYMENTS = f"""
INSERT INTO payments (reference, gateway, amount_minor, refunded_minor, currency, status, created_at, paid_at,
    learner_id, program_code)
SELECT 'B-' || n, 'gopay', 15000000, CASE WHEN n % {KINDS} = {REFUNDED} THEN 15000000 ELSE 0 END, 'IDR',
    CASE WHEN n % {KINDS} = {REFUNDED} THEN 'refunded' ELSE 'paid' END,
    now() - interval '30 days', now() - interval '30 days', 'L-' || n, 'P-' || n % 200
FROM generate_series(0, {LEARNERS - 1}) n WHERE n % {KINDS} NOT IN ({UNPAID}, {NOT_PAID_REPORTED})"""
REFUNDS = """
INSERT INTO refunds (payment_id, reference, gateway, amount_minor, currency, status, created_at, confirmed_at)
SELECT id, 'R-' || reference, gateway, amount_minor, currency, 'confirmed', now(), now() - interval '9 days'
FROM payments WHERE status = 'refunded'"""
CLASSES_TOLD = f"""
WITH programs AS (
    INSERT INTO training_programs (lpk_registration_number, program_code, lpk_name_key)
    SELECT 'LPK-1', 'P-' || n, 'lpk' FROM generate_series(0, 199) n RETURNING id, program_code
), runs AS (
    INSERT INTO process_runs (process, key, state)
    SELECT 'report-completion', id::text, 'succeeded' FROM programs RETURNING id, key
), reports AS (
    INSERT INTO completion_reports (program_id, completion_date, content, enrolled, completed, certified,
        completion_rate, certification_rate, reported_before, refused, allow_partial, is_correction,
        requested_by, process_run_id)
    SELECT p.id, current_date - 20, sha256(p.program_code::bytea), 50, 50, 0, 100, 0, 0, '[]', false, false,
        'operator:bench', r.id
    FROM programs p JOIN runs r ON r.key = p.id::text RETURNING id, program_id
), people AS (
    INSERT INTO persons (nik_hash, nik, name, learner_id)
    SELECT sha256(n::text::bytea), 'x', 'x', 'L-' || n FROM generate_series(0, {LEARNERS - 1}) n
    WHERE n % {KINDS} IN (0, {NOT_PAID_REPORTED}) RETURNING id, learner_id
)
INSERT INTO completions (report_id, row, chunk, program_id, lpk_registration_number, person_id,
    completion_status, completion_date, fingerprint, state, sent_at, answered_at)
SELECT r.id, 1, 0, p.id, 'LPK-1', w.id, 'COMPLETED', current_date - 20, sha256(w.id::text::bytea), 'accepted',
    now() - interval '15 days', now() - interval '15 days'
FROM people w JOIN programs p ON p.program_code = 'P-' || substring(w.learner_id FROM 3)::integer % 200
JOIN reports r ON r.program_id = p.id"""


def main() -> int:
    """Everything in a temporary folder; nothing is left."""
    for name in [name for name in os.environ if name.startswith(("JEMBATAN_", "PREFECT_"))]:
        del os.environ[name]  # a set-up of the user's must neither be used nor changed
    with tempfile.TemporaryDirectory(prefix="jembatan-bench-") as folder:
        os.environ["JEMBATAN_HOME"] = folder
        settings.cache_clear()
        with database(Path(folder)) as url:
            os.environ["JEMBATAN_DATABASE_URL"] = url
            settings.cache_clear()
            upgrade(url)
            machine_is = machine.describe(url, ("psycopg", "sqlalchemy"))
            told = _measured_telling()
            with connection() as db:
                for statement in (PAYMENTS, REFUNDS, CLASSES_TOLD):
                    db.execute(statement.encode())
            wrong = _wrong(_look())
            if wrong:
                print(f"Wrong answer: {wrong}")
                return 1
            looks = sorted(_timed(_look) for _ in range(ROUNDS))
    print(f"{LEARNERS:,} learners in 200 programs, 5,000 of them with a finding")
    print(f"enrolments taken on in lists of 1,000: {told:.2f} s for {LEARNERS:,}")
    print(f"one look, findings and proof included: {looks[ROUNDS // 2]:.2f} s (median of {ROUNDS})")
    print(" · ".join(f"{name} {value}" for name, value in machine_is.items()))
    return 0


def _measured_telling() -> float:
    """Seconds to take on the enrolments of all who have a seat."""
    at = clock.now() - timedelta(days=25)
    statements = [one for number in range(LEARNERS) for one in _told(number, at)]
    begun = time.perf_counter()
    for first in range(0, len(statements), 1_000):
        with unit_of_work() as session:
            enrolment.tell(session, statements[first : first + 1_000], by="operator:bench")
    return time.perf_counter() - begun


def _told(number: int, at: datetime) -> list[Statement]:
    kind = number % KINDS
    if kind in (NO_SEAT, NOT_PAID_REPORTED):
        return []
    state = "completed" if kind in (0, UNREPORTED) else "enrolled"
    return [Statement(f"L-{number}", f"P-{number % 200}", state, at)]


def _look() -> UUID:
    with unit_of_work() as session:
        run, _ = process.request(session, PROCESS, str(time.perf_counter_ns()), {})
    with connection() as db:
        entitlement_look.take(db, run.id, Rules.of(settings().entitlements), clock.now())
    return run.id


def _timed(work: object) -> float:
    assert callable(work)
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _wrong(run_id: UUID) -> str:
    """What is not as it was made, if anything."""
    each = LEARNERS // KINDS
    with unit_of_work() as session:
        run = session.get_one(EntitlementRun, run_id)
        found = {name: run.classes[name]["found"] for name in CLASSES}
        if found != dict.fromkeys(CLASSES, each):
            return f"{found} in place of {each:,} of each"
        if not run.is_balanced or (run.pairs, run.in_order) != (LEARNERS, LEARNERS // 2):
            return f"{run.pairs:,} pairs, {run.in_order:,} in order, proof {run.proof}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
