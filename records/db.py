"""The database: one engine per address, units of work, and bringing the schema up to date."""

import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase, Session, configure_mappers

from common.errors import NotReachable
from common.settings import settings

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
TRUSTED_SECONDS = 0.5  # that long an idle connection is not asked whether it still lives
SINGLE_AT_ONCE = 16  # connections for statements that stand for themselves
_WAIT_SECONDS = 30.0  # for one of them, as long as the engine's pool waits
# To plan a statement of several parts takes longer than to work it; by default its first five are planned.
_PLAN_ONCE = b"SET plan_cache_mode = force_generic_plan"
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
    sa.event.listen(made, "engine_disposed", lambda _: _singles(url).close())
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


class _Singles:
    """Connections in which each statement stands for itself; the one that was used last goes first."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[tuple[psycopg.Connection, float]] = []  # and since when; to add and take is atomic
        self._places = threading.BoundedSemaphore(SINGLE_AT_ONCE)

    def take(self) -> psycopg.Connection:
        """One that lives. Raises NotReachable where there is none in time."""
        if not self._places.acquire(timeout=_WAIT_SECONDS):
            raise NotReachable("the database is too busy: all connections are in use")
        try:
            return self._living() or self._opened()
        except BaseException:
            self._places.release()
            raise

    def give_back(self, used: psycopg.Connection, *, is_sound: bool) -> None:
        """Keep it for the next statement, or close it where it broke."""
        if is_sound:
            self._idle.append((used, time.monotonic()))
        else:
            used.close()
        self._places.release()

    def close(self) -> None:
        """Close those that lie idle."""
        while self._idle:
            self._idle.pop()[0].close()

    def _opened(self) -> psycopg.Connection:
        opened = psycopg.connect(self._url, autocommit=True, connect_timeout=10)
        opened.execute(_PLAN_ONCE)
        return opened

    def _living(self) -> psycopg.Connection | None:
        while True:
            try:
                kept, since = self._idle.pop()
            except IndexError:
                return None
            if time.monotonic() - since < TRUSTED_SECONDS:
                return kept
            try:
                kept.execute(b"")
                return kept
            except psycopg.Error:
                kept.close()


@cache
def _singles(url: str) -> _Singles:
    return _Singles(url)


@contextmanager
def at_once() -> Iterator[psycopg.Connection]:
    """A connection as the driver gives it, in which each statement stands for itself.

    For the few statements that a payer waits for: the mapper takes longer to word and read one, and its pool
    to give and take a connection, than the database to work it.
    """
    url = database_url()
    engine(url)  # whoever disposes of it closes these as well
    singles = _singles(url)
    opened = singles.take()
    is_sound = False
    try:
        yield opened
        is_sound = True
    except psycopg.OperationalError:
        raise
    except BaseException:
        is_sound = not opened.broken
        raise
    finally:
        singles.give_back(opened, is_sound=is_sound)


Row = TypeVar("Row", bound=Base)


def read_only(model: type[Row], columns: Mapping[str, Any]) -> Row:
    """What a statement of our own has written or read, in the form of its model: to be read, in no session.

    columns: those that are missing have no value. The mapper's own way to make one takes longer than the
    database's to write it.
    """
    no_values = _no_values(model)
    made: Any = sa.inspect(model).class_manager.new_instance()
    made.__dict__.update(no_values)
    made.__dict__.update(columns)
    return cast(Row, made)


@cache
def _no_values(model: type[Base]) -> dict[str, None]:
    configure_mappers()
    return dict.fromkeys(sa.inspect(model).columns.keys())


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
