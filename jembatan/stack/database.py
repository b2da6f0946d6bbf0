"""The two databases: Jembatan's own and the Prefect server's, beside each other in one PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from common.settings import settings
from jembatan.stack.errors import StackError
from jembatan.stack.home import Home
from jembatan.stack.postgres import Server, serving
from jembatan.stack.postgres_files import SUPERUSER

PREFECT_DATABASE = "prefect"


@contextmanager
def database(home: Path) -> Iterator[str]:
    """The URL of Jembatan's database: that of JEMBATAN_DATABASE_URL, else the embedded server's, which is
    up for as long as the block runs (or longer, when others use it too)."""
    with server_or_none(Home(home.resolve())) as server:
        yield database_url(server)


@contextmanager
def server_or_none(home: Home) -> Iterator[Server | None]:
    """The embedded server, held up; None where JEMBATAN_DATABASE_URL names another one."""
    if settings().database_url:
        yield None
    else:
        with serving(home) as server:
            yield server


def database_url(server: Server | None) -> str:
    """Jembatan's database, for libpq and whatever reads its URLs."""
    if server is None:
        return settings().database_url or ""
    # The port is said although it is the default: PGPORT would change it.
    query = urlencode({"host": str(server.socket_folder), "port": 5432}, safe="/")
    return f"postgresql://{SUPERUSER}@/jembatan?{query}"


def prefect_database_url(url: str) -> str:
    """The database of the local Prefect server: on the same PostgreSQL as `url`, named `prefect`."""
    parts = {key: str(value) for key, value in conninfo_to_dict(_libpq(url)).items() if value is not None}
    host, port = parts.get("host", ""), parts.get("port", "5432")
    login = quote(parts.get("user", SUPERUSER), safe="")
    if password := parts.get("password", ""):
        login += ":" + quote(password, safe="")
    if host.startswith("/") or not host:
        query = {"host": host or "/var/run/postgresql", "port": port}
        return f"postgresql+asyncpg://{login}@/{PREFECT_DATABASE}?{urlencode(query, safe='/')}"
    address = f"[{host}]" if ":" in host else host
    # asyncpg calls libpq's sslmode `ssl`; it knows none of libpq's other settings.
    secure = "?" + urlencode({"ssl": parts["sslmode"]}) if "sslmode" in parts else ""
    return f"postgresql+asyncpg://{login}@{address}:{port}/{PREFECT_DATABASE}{secure}"


def ensure_prefect_database(url: str) -> None:
    """On a server that is not ours: make Prefect's database if it is missing and the role may."""
    try:
        with psycopg.connect(_libpq(url), autocommit=True, connect_timeout=10) as connection:
            if connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", (PREFECT_DATABASE,)
            ).fetchone():
                return
            connection.execute(f"CREATE DATABASE {PREFECT_DATABASE}".encode())
    except psycopg.errors.DuplicateDatabase:
        return
    except psycopg.errors.InsufficientPrivilege as error:
        raise StackError(
            f"The role of JEMBATAN_DATABASE_URL may not create databases; "
            f"have one named `{PREFECT_DATABASE}` created for it, or set JEMBATAN_PREFECT_API_URL."
        ) from error
    except psycopg.OperationalError as error:
        raise StackError(
            "The server of JEMBATAN_DATABASE_URL does not answer; is it up, is the URL right?"
        ) from error


def _libpq(url: str) -> str:
    """SQLAlchemy's spelling with a driver in the scheme, read as well."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql://{rest}" if separator and scheme.startswith("postgresql+") else url
