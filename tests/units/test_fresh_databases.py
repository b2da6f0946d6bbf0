"""A database of the tests is as new for each of them, whatever another test has done to it."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import psycopg
import pytest

FreshDatabase = Callable[[], AbstractContextManager[str]]

ROWS = """
INSERT INTO payments (reference, gateway, amount_minor, currency, status, created_at)
    SELECT 'R-' || n, 'gopay', 15000000, 'IDR', 'created', now() FROM generate_series(1, {}) AS n;
INSERT INTO payment_events (payment_id, to_status, cause) SELECT id, 'created', 'test' FROM payments;
CREATE TABLE staging.left_behind (line int);
CREATE TABLE outcomes_of_a_run PARTITION OF reconciliation_outcomes FOR VALUES IN (77);
"""
COUNT = "SELECT count(*) FROM payments"
EVENT = (
    "INSERT INTO payment_events (payment_id, to_status, cause)"
    " VALUES (gen_random_uuid(), 'created', 'test') RETURNING id"
)


@pytest.mark.parametrize("rows", [3, 5_000])
def test_nothing_of_one_test_is_there_in_the_next(fresh_database: FreshDatabase, rows: int) -> None:
    with fresh_database() as first, psycopg.connect(first) as session:
        oid = session.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
        session.execute(ROWS.format(rows).encode())
        session.commit()
        session.execute(COUNT)  # a transaction that nobody ends
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(first)
    with fresh_database() as second, psycopg.connect(second) as session:
        again = session.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
        assert (first != second, oid == again) == (True, True)
        assert session.execute(COUNT).fetchone() == (0,)
        session.execute("SET session_replication_role = replica")
        assert session.execute(EVENT).fetchone() == (1,)
        assert session.execute("SELECT to_regclass('staging.left_behind')").fetchone() == (None,)
        assert session.execute("SELECT to_regclass('outcomes_of_a_run')").fetchone() == (None,)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE payments DROP COLUMN gateway_reference",
        "ALTER TABLE payments ADD CONSTRAINT none CHECK (false) NOT VALID",
        "ALTER TABLE payment_events DISABLE TRIGGER payment_events_append_only",
        "DROP TABLE gateway_tokens",
        "UPDATE alembic_version SET version_num = 'older'",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql RETURN 1",
    ],
)
def test_a_database_that_is_no_longer_like_the_template_is_not_used_again(
    fresh_database: FreshDatabase, change: str
) -> None:
    with fresh_database() as url, psycopg.connect(url) as session:
        oid = session.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
        session.execute(change.encode())
    with fresh_database() as url, psycopg.connect(url) as session:
        again = session.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
        assert oid != again
        assert session.execute("SELECT version_num FROM alembic_version").fetchone() != ("older",)
