"""The embedded PostgreSQL: one for all, gone with the last, repaired when it was killed."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import psycopg
import pytest
from stack_at_work import ROOT, a_home, environment_for, processes_of, wait_until

from common.settings import settings
from jembatan.stack import StackError, database, prefect_database_url
from jembatan.stack.database import ensure_prefect_database
from jembatan.stack.home import Home
from jembatan.stack.postgres import serving

USE = """
import sys, psycopg
from pathlib import Path
from jembatan.stack import database
with database(Path(sys.argv[1])) as url, psycopg.connect(url) as connection:
    print(connection.execute("SELECT pg_postmaster_start_time()").fetchone()[0], flush=True)
    sys.stdin.read()
"""


def user_of(home: Home) -> subprocess.Popen[str]:
    """Another process that uses the database until its input is closed."""
    return subprocess.Popen(
        [sys.executable, "-c", USE, str(home.path)],
        env=environment_for(home),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_ten_at_once_start_one_server_and_the_last_stops_it(home: Home) -> None:
    users = [user_of(home) for _ in range(10)]
    started = {user.stdout.readline() for user in users if user.stdout}
    assert len(started) == 1
    assert "20" in started.pop()
    for user in users[1:]:
        user.communicate()
    assert processes_of(home)
    users[0].communicate()
    assert not processes_of(home)
    assert [user.returncode for user in users] == [0] * 10


def test_data_is_there_again_after_kill_9_of_the_server(home_with_data: Home) -> None:
    with serving(home_with_data) as server:
        with database(home_with_data.path) as url, psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        psutil.Process(server.pid).kill()
        wait_until(lambda: not server.is_alive, "death of the server")
        server.ensure()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
    assert not processes_of(home_with_data)


def test_a_user_that_is_killed_does_not_keep_the_server(home_with_data: Home) -> None:
    user = user_of(home_with_data)
    assert user.stdout
    assert user.stdout.readline()
    user.kill()
    user.wait()
    with database(home_with_data.path) as url:  # the server that is still there is taken over
        psycopg.connect(url).close()
    assert not processes_of(home_with_data)


@pytest.mark.parametrize(
    "remains",
    ["", "12", f"{psutil.Process().pid}\n/elsewhere\n", "1\n/\n0\n5432\n/tmp\n\n"],
    ids=["empty", "cut short", "of a living process", "of another server"],
)
def test_a_stale_or_half_written_pid_file_is_no_obstacle(home_with_data: Home, remains: str) -> None:
    with database(home_with_data.path):
        pass
    (home_with_data.postgres / "postmaster.pid").write_text(remains)
    with database(home_with_data.path) as url:
        psycopg.connect(url).close()
    assert not processes_of(home_with_data)


@pytest.mark.slow
def test_a_killed_initdb_leaves_nothing_that_looks_like_a_database(home: Home) -> None:
    home.prepare()
    unfinished = home.path / "postgres.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    with database(home.path) as url:
        psycopg.connect(url).close()
    assert not unfinished.exists()


@pytest.mark.slow
def test_a_home_with_a_long_path_has_its_socket_elsewhere() -> None:
    with a_home() as short:
        home = Home(short.path / ("long-" * 20) / 'it\'s a "home"')
        with serving(home) as server, database(home.path) as url:
            folder = server.socket_folder
            assert folder.parent == Path(tempfile.gettempdir())
            assert folder.stat().st_mode & 0o777 == 0o700
            psycopg.connect(url).close()
        assert not processes_of(home)
        assert not folder.exists()


def test_both_databases_speak_utf_8_and_the_names_of_the_world(home_with_data: Home) -> None:
    with database(home_with_data.path) as url, psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute("SELECT lower('ÀÉ'), current_setting('timezone')").fetchone() == (
            "àé",
            "UTC",
        )
        names = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
        assert {"jembatan", "prefect"} <= names
        connection.execute("CREATE EXTENSION pg_trgm")  # without which the Prefect server does not start


def test_values_do_not_reach_the_log(home_with_data: Home) -> None:
    with database(home_with_data.path) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE people (nik text PRIMARY KEY)")
        connection.execute("INSERT INTO people VALUES ('3174012501990001')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO people VALUES ('3174012501990001')")
    log = home_with_data.log("postgres").read_text()
    assert "duplicate key" in log
    assert "3174012501990001" not in log


def test_a_database_that_is_configured_is_used_and_none_is_started(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JEMBATAN_DATABASE_URL", "postgresql://me:secret@db.example:5433/ledger")
    settings.cache_clear()
    with database(home.path) as url:
        assert url == "postgresql://me:secret@db.example:5433/ledger"
    assert not home.path.exists()


@pytest.mark.parametrize(
    ("ours", "prefects"),
    [
        (
            "postgresql://postgres@/jembatan?host=/home/a/.jembatan/postgres&port=5432",
            "postgresql+asyncpg://postgres@/prefect?host=/home/a/.jembatan/postgres&port=5432",
        ),
        ("postgresql://me:p%40ss@db:5433/ledger", "postgresql+asyncpg://me:p%40ss@db:5433/prefect"),
        (
            "postgresql+psycopg://me@db/ledger?sslmode=require&application_name=x",
            "postgresql+asyncpg://me@db:5432/prefect?ssl=require",
        ),
        ("postgresql://me@[::1]/ledger", "postgresql+asyncpg://me@[::1]:5432/prefect"),
    ],
)
def test_prefects_database_is_beside_ours(ours: str, prefects: str) -> None:
    assert prefect_database_url(ours) == prefects


def test_prefects_database_is_made_on_a_server_that_is_not_ours_if_we_may(home_with_data: Home) -> None:
    with database(home_with_data.path) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE prefect RENAME TO put_aside")
        connection.execute("CREATE ROLE clerk LOGIN")
        with pytest.raises(StackError, match="may not create databases"):
            ensure_prefect_database(url.replace("postgres@", "clerk@"))
        for _ in range(2):
            ensure_prefect_database(url)
        connection.execute("DROP DATABASE prefect")
        connection.execute("ALTER DATABASE put_aside RENAME TO prefect")


def test_a_server_that_does_not_answer_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="JEMBATAN_DATABASE_URL does not answer"):
        ensure_prefect_database(f"postgresql://me@/ledger?host={tmp_path}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")
def test_folders_above_the_data_may_be_passed_through_but_not_listed() -> None:
    with a_home() as home:
        assert home.path.parent.stat().st_mode & 0o777 == 0o700
        with database(home.path) as url:
            psycopg.connect(url).close()
        assert home.path.parent.stat().st_mode & 0o777 == 0o701
        assert home.postgres.stat().st_mode & 0o777 == 0o700
        assert home.keys.stat().st_mode & 0o777 == 0o700
