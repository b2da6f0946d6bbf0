"""The database: one engine per address, units of work, and bringing the schema up to date."""

import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase, Session

from common.errors import NotReachable
from common.settings import settings

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
TRUSTED_SECONDS = 0.5  # that long an idle connection is not asked whether it still lives
_UPGRADE_LOCK = 0x6A656D62  # any number that nobody else uses: two upgrades at once take turns


class Base(DeclarativeBase):
    """Base of all models."""


def database_url() -> str:
    """Address of our database; raises NotReachable where none was set or started."""
    url = settings().database_url
    if not url:
        raise NotReachable(
            "no database: set JEMBATAN_DATABASE_URL, or start the local one with `jembatan up`"
        )
    return url


@cache
def engine(url: str) -> sa.Engine:
    """The connection pool of one address."""
    made = sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=30,
        pool_use_lifo=True,  # the connection that was used last is the warmest
        max_overflow=0,  # what overflows is closed after use, and opening it again costs more than the use
        hide_parameters=True,  # values of rows stay out of errors, and so out of Prefect's states and logs
    )
    _look_after(made)
    return made


def _look_after(made: sa.Engine) -> None:
    """See that a connection still lives before it is used, where it lay idle: to ask each time would cost a
    payer as much as the statement."""

    @sa.event.listens_for(made, "checkin")
    def note(_: Any, kept: sa.pool.ConnectionPoolEntry) -> None:
        kept.info["idle since"] = time.monotonic()

    @sa.event.listens_for(made, "checkout")
    def look(opened: Any, kept: sa.pool.ConnectionPoolEntry, _: Any) -> None:
        if time.monotonic() - kept.info.get("idle since", time.monotonic()) < TRUSTED_SECONDS:
            return
        try:
            made.dialect.do_ping(opened)
        except psycopg.Error:
            raise sa.exc.DisconnectionError from None  # the pool opens another one


@contextmanager
def unit_of_work() -> Iterator[Session]:
    """A session that commits when the block ends well and rolls back when it does not."""
    with Session(engine(database_url()), expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def glance() -> Iterator[Session]:
    """A session in which each statement stands for itself: for one read, or a write that is one statement."""
    single = engine(database_url()).execution_options(isolation_level="AUTOCOMMIT")
    with Session(single, expire_on_commit=False) as session:
        yield session


@contextmanager
def at_once() -> Iterator[psycopg.Connection]:
    """A pooled connection as the driver gives it, in which each statement stands for itself.

    For the few statements that a payer waits for: the mapper takes longer to word and read one than the
    database to work it.
    """
    kept = engine(database_url()).raw_connection()
    opened = kept.driver_connection
    assert isinstance(opened, psycopg.Connection)
    try:
        opened.autocommit = True
        yield opened
        opened.autocommit = False
    except psycopg.OperationalError as error:
        kept.invalidate(error)
        raise
    except BaseException:
        opened.autocommit = False
        raise
    finally:
        kept.close()


def among(ids: Collection[UUID]) -> sa.ColumnElement[UUID]:
    """Any of these ids, as one parameter: a list of hundreds is a statement of its own length each time."""
    listed = sa.cast(sa.literal(id_list(ids), sa.Text), ARRAY(sa.Uuid))
    return sa.any_(listed)  # type: ignore[return-value]  # what == takes


def id_list(ids: Iterable[UUID]) -> str:
    """Ids as the database writes a list of them: the driver takes three times as long for a list of ours."""
    return "{" + ",".join(map(str, ids)) + "}"


def driver(session: Session) -> psycopg.Connection:
    """The connection on which a session works, within its transaction; it knows all that the session did."""
    session.flush()
    opened = session.connection().connection.driver_connection
    assert isinstance(opened, psycopg.Connection)
    return opened


@contextmanager
def connection() -> Iterator[psycopg.Connection]:
    """A bare connection in one transaction, for COPY and set-based statements."""
    try:
        opened = psycopg.connect(database_url(), connect_timeout=10)
    except psycopg.OperationalError as error:
        raise NotReachable(f"the database does not answer: {type(error).__name__}") from None
    with opened:
        yield opened


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the schema of that database to `revision`; safe when several start at once."""
    from alembic import command  # not above: a flow run needs none of it and starts that much sooner

    with engine(url).connect() as held:
        held.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _UPGRADE_LOCK})
        try:
            command.upgrade(_config(url), revision)
        finally:
            held.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": _UPGRADE_LOCK})


def downgrade(url: str, revision: str) -> None:
    """Take the schema back to `revision` (`base` for nothing at all)."""
    from alembic import command

    command.downgrade(_config(url), revision)


def _config(url: str) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["engine"] = engine(url)
    return config
