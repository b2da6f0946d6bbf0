"""Keys: everything sealed goes under a new one while the system runs, and hashes outlive them all."""

import hashlib
import hmac
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from cryptography.fernet import Fernet
from psycopg import sql
from typer.testing import CliRunner

from common.errors import BadInput
from common.settings import settings
from records import rotation, sealed

DUMMY: dict[str, Any] = {
    "text": "x",
    "uuid": str(uuid4()),
    "bytea": b"x",
    "timestamptz": "2026-11-24T00:00:00Z",
    "date": date(2026, 11, 24),
    "bool": False,
    "jsonb": "{}",
    "_text": [],
}


@pytest.fixture
def keys(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file with one key."""
    file = tmp_path / "keys.txt"
    file.write_bytes(Fernet.generate_key())
    monkeypatch.setenv("JEMBATAN_ENCRYPTION_KEYS", str(file))
    settings.cache_clear()
    yield file
    settings.cache_clear()


def only_the_newest(keys: Path) -> None:
    keys.write_text(keys.read_text().split()[0])


def test_every_sealed_column_of_every_table_is_sealed_anew(database: str, keys: Path) -> None:
    """Whatever tables there are: each gets a row with a sealed value in each column that is not a hash."""
    with psycopg.connect(database) as db:
        columns = rotation.sealed_columns(db)
        assert len(columns) >= 8
        db.execute("SET session_replication_role = replica")  # no foreign keys, no triggers: only here
        for table in sorted({one.table for one in columns}):
            put_row(db, table, [one.name for one in columns if one.table == table])
    sealed.make_hash_keys()
    sealed.add_key()
    heard: list[int] = []
    done = rotation.rotate(lambda column, values, anew: heard.append(anew))
    assert [one.column for one in done] == columns
    assert all(one.anew == one.values >= 1 for one in done)
    assert sum(heard) >= len(columns)
    only_the_newest(keys)
    with psycopg.connect(database) as db:
        for one in columns:
            query = sql.SQL("SELECT {} FROM {}").format(sql.Identifier(one.name), sql.Identifier(one.table))
            values = [sealed.unseal(bytes(value)) for (value,) in db.execute(query).fetchall()]
            assert f"{one.table}.{one.name}".encode() in values
    assert all(one.anew == 0 for one in rotation.rotate())


def put_row(db: psycopg.Connection, table: str, names: list[str]) -> None:
    """A row whose columns hold anything that their types allow."""
    for (check,) in db.execute(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = %s::regclass", [table]
    ).fetchall():
        db.execute(
            sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(sql.Identifier(table), sql.Identifier(check))
        )
    needed = db.execute(
        """SELECT a.attname, t.typname, t.typtype, t.oid
           FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
           WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = ''
             AND a.attgenerated = '' AND a.attnotnull AND NOT a.atthasdef AND a.attname <> ALL (%s)""",
        [table, names],
    ).fetchall()
    row: dict[str, Any] = {name: sealed.seal(f"{table}.{name}".encode()) for name in names}
    for name, type_, kind, oid in needed:
        if kind == "e":
            (row[name],) = db.execute(
                "SELECT enumlabel FROM pg_enum WHERE enumtypid = %s LIMIT 1", [oid]
            ).fetchone() or ("",)
        else:
            row[name] = DUMMY.get(type_, 1)
    db.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join([sql.Placeholder()] * len(row)),
        ),
        list(row.values()),
    )


def some_tokens(database: str, count: int) -> None:
    with psycopg.connect(database) as db, db.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO gateway_tokens VALUES (%s, %s, now())",
            [(f"t{number:04d}", sealed.seal(str(number).encode())) for number in range(count)],
        )


def test_a_rotation_that_is_cut_off_goes_on_where_it_was(database: str, keys: Path) -> None:
    some_tokens(database, 2 * rotation.BATCH + 1)
    sealed.add_key()

    class CutOff(Exception):
        pass

    def cut(column: rotation.Column, values: int, anew: int) -> None:
        if anew == rotation.BATCH:
            raise CutOff

    with pytest.raises(CutOff):
        rotation.rotate(cut)
    (tokens,) = [one for one in rotation.rotate() if one.column.table == "gateway_tokens"]
    assert (tokens.values, tokens.anew) == (2 * rotation.BATCH + 1, rotation.BATCH + 1)
    only_the_newest(keys)
    with psycopg.connect(database) as db:
        for name, token in db.execute("SELECT name, token FROM gateway_tokens").fetchall():
            assert sealed.unseal(bytes(token)) == str(int(name[1:])).encode()


def test_what_is_written_meanwhile_is_not_lost(database: str, keys: Path) -> None:
    some_tokens(database, 300)
    sealed.add_key()
    stop = threading.Event()

    def write() -> None:
        with psycopg.connect(database, autocommit=True) as db:
            while not stop.is_set():
                for number in range(0, 300, 7):
                    new = sealed.seal(f"{number}".encode())
                    db.execute(
                        "UPDATE gateway_tokens SET token = %s WHERE name = %s", [new, f"t{number:04d}"]
                    )

    writer = threading.Thread(target=write)
    writer.start()
    try:
        rotation.rotate()
    finally:
        stop.set()
        writer.join()
    only_the_newest(keys)
    assert all(one.anew == 0 for one in rotation.rotate())


def test_history_can_be_sealed_anew_and_changed_in_no_other_way(database: str, keys: Path) -> None:
    """The rotation's own mark, and nothing but the sealed column; what was empty stays empty."""
    with psycopg.connect(database, autocommit=True) as db:
        db.execute(
            "INSERT INTO payment_events (payment_id, cause, to_status, evidence)"
            " VALUES (%s, 'x', 'paid', %s)",
            [uuid4(), sealed.seal(b"raw message")],
        )
        db.execute(
            "INSERT INTO payment_events (payment_id, cause, to_status) VALUES (%s, 'x', 'pending')", [uuid4()]
        )
        sealed.add_key()
        rotation.rotate()
        for mark, change in (
            ("off", "evidence = 'other'"),
            ("on", "evidence = NULL"),
            ("on", "note = 'other'"),
            ("on", "evidence = 'other', to_status = 'refunded'"),
        ):
            db.execute("SELECT set_config('jembatan.seals_anew', %s, false)", [mark])
            with pytest.raises(psycopg.errors.RestrictViolation):
                db.execute(f"UPDATE payment_events SET {change} WHERE to_status = 'paid'".encode())
        with pytest.raises(psycopg.errors.RestrictViolation):
            db.execute("UPDATE payment_events SET evidence = 'made up' WHERE to_status = 'pending'")
        with pytest.raises(psycopg.errors.RestrictViolation):
            db.execute("DELETE FROM payment_events")


def test_hashes_of_before_go_on_being_found_without_the_key_of_before(database: str, keys: Path) -> None:
    """An installation of before: its hashes were made with the oldest encryption key."""
    oldest = keys.read_bytes()
    key = hashlib.sha256(b"jembatan hash " + oldest).digest()
    before = hmac.digest(key, b"request:the body", "sha256")
    with psycopg.connect(database) as db:
        client = db.execute(
            "INSERT INTO clients (name, scopes, rate_per_minute) VALUES ('c', '{}', 1) RETURNING id"
        ).fetchone()
        db.execute("INSERT INTO idempotency_keys VALUES (%s, 'k', %s)", [(client or [None])[0], before])
    sealed.add_key()
    rotation.rotate()
    only_the_newest(keys)
    sealed._hash_key.cache_clear()  # as another process, which never knew the key of before
    assert sealed.keyed_hash("request", b"the body") == before
    of_person = sealed.keyed_hash("request", b"the body", key="persons")
    assert of_person != before
    sealed._hash_key.cache_clear()
    assert sealed.keyed_hash("request", b"the body", key="persons") == of_person


def test_a_fresh_installation_hashes_with_a_key_that_no_encryption_key_gives_away(
    database: str, keys: Path
) -> None:
    key = hashlib.sha256(b"jembatan hash " + keys.read_bytes()).digest()
    assert sealed.keyed_hash("request", b"x") != hmac.digest(key, b"request:x", "sha256")


def test_a_value_that_no_key_opens_is_named(database: str, keys: Path) -> None:
    with psycopg.connect(database) as db:
        lost = Fernet(Fernet.generate_key()).encrypt(b"x")
        db.execute("INSERT INTO gateway_tokens VALUES ('t', %s, now() + %s)", [lost, timedelta(hours=1)])
    with pytest.raises(BadInput, match=r"gateway_tokens\.token"):
        rotation.rotate()


def test_the_command_adds_a_key_and_says_when_the_older_can_go(database: str, keys: Path) -> None:
    from jembatan.cli import app

    some_tokens(database, 3)
    ran = CliRunner().invoke(app, ["keys", "rotate", "--add"])
    assert ran.exit_code == 0, ran.output
    assert "gateway_tokens" in ran.output
    names = sealed.key_names()
    assert len(names) == 2
    assert f"{names[1]} can be taken out" in ran.output
    assert not any(key in ran.output for key in keys.read_text().split())
    assert keys.stat().st_mode & 0o077 == 0
    only_the_newest(keys)
    again = CliRunner().invoke(app, ["keys", "rotate", "--json"])
    assert again.exit_code == 0, again.output
    assert '"anew": 0' in again.output
