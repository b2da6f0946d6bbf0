"""Key rotation: everything that is sealed, in every table, is sealed anew under the newest key.

Columns are found in the database itself: each `bytea` is sealed unless it stands in UNSEALED, so that a new
table is never forgotten. Batches are short transactions and hold no lock while they work; what somebody
changes meanwhile is sealed by the newest key already. Safe to end and begin again at any moment.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from common.errors import BadInput
from records.db import connection
from records.sealed import make_hash_keys, seal_anew

UNSEALED = frozenset(
    {
        ("achievements", "digest"),
        ("api_keys", "hash"),
        ("completion_reports", "content"),
        ("completions", "fingerprint"),
        ("console_sessions", "hash"),
        ("credential_checks", "fingerprint"),
        ("credential_checks", "nik_hash"),
        ("european_credentials", "digest"),
        ("idempotency_keys", "fingerprint"),
        ("learner_sessions", "hash"),
        ("learner_tickets", "browser_hash"),
        ("learner_tickets", "hash"),
        ("linkedin_connections", "member_hash"),
        ("notifications", "event"),
        ("payments", "fingerprint"),
        ("personal_data_audit", "learner_hash"),
        ("persons", "nik_hash"),
        ("program_versions", "fingerprint"),
        ("status_lists", "places"),
        ("training_centres", "logo"),
    }
)
BATCH = 500
_PASSES = 5
_COLUMNS = b"""
    SELECT t.relname, a.attname, (
        SELECT array_agg(k.attname::text ORDER BY place) FROM pg_index i
        CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS part(number, place)
        JOIN pg_attribute k ON k.attrelid = t.oid AND k.attnum = part.number
        WHERE i.indrelid = t.oid AND i.indisprimary)
    FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p') AND NOT t.relispartition
        AND a.atttypid = 'bytea'::regtype
    ORDER BY t.relname, a.attname"""


@dataclass(frozen=True)
class Column:
    """A column of sealed values, and the primary key by which its rows are found."""

    table: str
    name: str
    key: tuple[str, ...]


@dataclass(frozen=True)
class Done:
    """What came of a column. values: how many are sealed there; anew: how many of them it sealed anew."""

    column: Column
    values: int
    anew: int


def sealed_columns(db: psycopg.Connection) -> list[Column]:
    """Every column that holds sealed values."""
    found = db.execute(_COLUMNS).fetchall()
    return [Column(table, name, tuple(key)) for table, name, key in found if (table, name) not in UNSEALED]


def rotate(tell: Callable[[Column, int, int], None] = lambda *_: None) -> list[Done]:
    """Seal everything anew that is not under the newest key; goes on until a whole pass finds nothing.

    tell: hears after each batch how many values of a column were seen, and how many of them sealed anew.
    Raises BadInput where a value opens with no key, or where some part of the system goes on to seal with an
    older one.
    """
    make_hash_keys()
    total: dict[Column, Done] = {}
    for _ in range(_PASSES):
        with connection() as db:
            columns = sealed_columns(db)
        passed = [_pass(column, tell) for column in columns]
        for one in passed:
            before = total[one.column].anew if one.column in total else 0
            total[one.column] = Done(one.column, one.values, before + one.anew)
        if not any(one.anew for one in passed):
            return list(total.values())
    raise BadInput("some part of the system still seals with an older key: start it again, then rotate again")


def _pass(column: Column, tell: Callable[[Column, int, int], None]) -> Done:
    values = anew = 0
    after: Sequence[Any] | None = None
    while True:
        with connection() as db:
            rows = db.execute(*_page(column, after)).fetchall()
            changes = [(new, *row) for row in rows if (new := _sealed_anew(column, bytes(row[-1])))]
            if changes:
                db.execute("SELECT set_config('jembatan.seals_anew', 'on', true)")
                with db.cursor() as cursor:
                    cursor.executemany(_change(column), changes)
        values, anew = values + len(rows), anew + len(changes)
        tell(column, values, anew)
        if len(rows) < BATCH:
            return Done(column, values, anew)
        after = rows[-1][:-1]


def _sealed_anew(column: Column, value: bytes) -> bytes | None:
    try:
        return seal_anew(value)
    except BadInput as error:
        raise BadInput(f"{column.table}.{column.name}: {error}") from None


def _page(column: Column, after: Sequence[Any] | None) -> tuple[sql.Composed, list[Any]]:
    """The next rows by primary key: the key's values, then the sealed one."""
    key = sql.SQL(", ").join(map(sql.Identifier, column.key))
    beyond: sql.Composable = sql.SQL("")
    if after is not None:
        places = sql.SQL(", ").join([sql.Placeholder()] * len(column.key))
        beyond = sql.SQL("AND ({}) > ({})").format(key, places)
    query = sql.SQL("SELECT {}, {name} FROM {} WHERE {name} IS NOT NULL {} ORDER BY {} LIMIT {}").format(
        key,
        sql.Identifier(column.table),
        beyond,
        key,
        sql.Literal(BATCH),
        name=sql.Identifier(column.name),
    )
    return query, list(after or ())


def _change(column: Column) -> sql.Composed:
    """Only where the value is still the one that was read: else somebody has sealed another one meanwhile."""
    fits = sql.SQL(" AND ").join(
        sql.SQL("{} = %s").format(sql.Identifier(one)) for one in (*column.key, column.name)
    )
    return sql.SQL("UPDATE {} SET {} = %s WHERE {}").format(
        sql.Identifier(column.table), sql.Identifier(column.name), fits
    )
