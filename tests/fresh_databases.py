"""Databases for the tests: each comes empty and migrated, and most of them have served another test before.

To copy the template costs PostgreSQL several times what it costs to take away the rows that a test has left.
What else a test has changed (a column, a trigger, the version) is not mended: that database goes.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg import sql

LARGE = 512 * 1024  # bytes of a table from which on it is made anew instead of emptied row by row

# What a test may not have changed: every object of ours, by the number that it has kept since the template.
_SCHEMA = """
SELECT count(*), sum(hash_record_extended(fact, 0)) FROM (
    SELECT (oid, relname, relkind, relnamespace) FROM pg_class
        WHERE oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace
    UNION ALL SELECT (attrelid, attnum, attname, atttypid, attnotnull)
        FROM pg_attribute WHERE attrelid >= 16384 AND attnum > 0
    UNION ALL SELECT (oid, adrelid, adnum) FROM pg_attrdef WHERE oid >= 16384
    UNION ALL SELECT (oid, conname) FROM pg_constraint WHERE oid >= 16384
    UNION ALL SELECT (oid, tgname, tgenabled) FROM pg_trigger WHERE oid >= 16384
    UNION ALL SELECT (oid, proname, prosrc) FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT (oid, nspname) FROM pg_namespace
        WHERE oid >= 16384 AND nspname !~ '^pg_(toast_)?temp_'  -- left by any temporary table
    UNION ALL SELECT ROW(version_num) FROM alembic_version
) AS facts(fact)
"""
# A table without a page has no row; to plan a look into each of them costs more than all the rest.
_TABLES = """
SELECT c.oid, n.nspname, c.relname, CASE WHEN pg_relation_size(c.oid) > 0 THEN pg_table_size(c.oid) ELSE 0 END
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p') AND n.nspname <> 'pg_toast'
"""
_RESTART = """
SELECT setval(seqrelid, seqstart, false) FROM pg_sequence WHERE pg_sequence_last_value(seqrelid) IS NOT NULL
"""
# Asked for again and again: to have PostgreSQL wait for their end takes a tenth of a second at least.
_END_SESSIONS = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"

# Nothing of a test outlives the machine; and no test's database lives until somebody would vacuum it.
_FOR_TESTS = ("fsync = off", "full_page_writes = off", "autovacuum = off")


def set_for_tests(server: str) -> None:
    """Let a server take the least care of what it holds."""
    with psycopg.connect(server, autocommit=True) as admin:
        for setting in _FOR_TESTS:
            admin.execute(f"ALTER SYSTEM SET {setting}".encode())
        admin.execute("SELECT pg_reload_conf()")


class FreshDatabases:
    """The databases of one server, copied from one template."""

    def __init__(self, server: str, template: str) -> None:
        self._server, self._template = server, template
        self._free: list[str] = []
        with psycopg.connect(self._url(template)) as db:
            self._schema = db.execute(_SCHEMA).fetchone()
            self._tables = {oid for oid, *_ in db.execute(_TABLES)}

    @contextmanager
    def one(self) -> Iterator[str]:
        """The address of an empty, migrated database, for as long as the block runs; nobody had it before."""
        name = self._free.pop() if self._free else self._copied()
        yield self._url(name)
        with psycopg.connect(self._server, autocommit=True) as admin:
            until = time.monotonic() + 10
            while admin.execute(_END_SESSIONS, [name]).fetchone() != (0,) and time.monotonic() < until:
                time.sleep(0.003)
            free = _new_name()
            try:
                is_as_new = self._cleared(name)
                # Under its next name at once: who still knows the old one finds nothing there.
                admin.execute(_named("ALTER DATABASE {} RENAME TO {}", name, free))
            except (psycopg.OperationalError, psycopg.ProgrammingError):
                is_as_new = False
            if is_as_new:
                self._free.append(free)
            else:
                for one in (name, free):
                    admin.execute(_named("DROP DATABASE IF EXISTS {} WITH (FORCE)", one))

    def _copied(self) -> str:
        name = _new_name()
        with psycopg.connect(self._server, autocommit=True) as admin:
            admin.execute(_named("CREATE DATABASE {} TEMPLATE {}", name, self._template))
        return name

    def _cleared(self, name: str) -> bool:
        """Empty its tables; whether it is like the template again."""
        with psycopg.connect(self._url(name)) as db:
            # Rows that are only inserted in life have triggers that keep them; they rest meanwhile.
            db.execute("SET session_replication_role = replica; SET lock_timeout = '10s'")
            sizes = {}
            for oid, schema, table, size in db.execute(_TABLES).fetchall():
                if oid not in self._tables:
                    db.execute(_named("DROP TABLE IF EXISTS {} CASCADE", f"{schema}.{table}"))
                elif size and table != "alembic_version":
                    sizes[f"{schema}.{table}"] = size
            looks = [_named(f"SELECT '{one}' WHERE EXISTS (SELECT FROM {{}})", one) for one in sizes]
            filled = [one for (one,) in db.execute(sql.SQL(" UNION ALL ").join(looks))] if looks else []
            for one in filled:
                db.execute(_named("DELETE FROM {}", one))
            if large := [one for one, size in sizes.items() if size > LARGE]:
                names = sql.SQL(", ").join(_named("{}", one) for one in large)
                db.execute(sql.SQL("TRUNCATE {} CASCADE").format(names))
            db.execute(_RESTART)
            return db.execute(_SCHEMA).fetchone() == self._schema

    def _url(self, name: str) -> str:
        return self._server.replace("/jembatan", f"/{name}", 1)


def _new_name() -> str:
    return f"test_{uuid4().hex[:12]}"


def _named(statement: str, *names: str) -> sql.Composed:
    """The statement with its names, each perhaps `schema.name`."""
    return sql.SQL(statement).format(*(sql.Identifier(*name.split(".")) for name in names))  # type: ignore[arg-type]
