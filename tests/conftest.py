"""Shared ground of the tests: a real PostgreSQL for the session, a fresh migrated database for each test."""

import os
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import psycopg
import pytest
import shared_prefect
from fresh_databases import FreshDatabases, set_for_tests
from nursery import Nursery

if TYPE_CHECKING:
    from jembatan.stack import Stack

_TOP = "TESTS_OF"  # names the process that pytest was started as, and a folder for all that it starts
_WHAT_TAKES_LONGEST = (  # more than twenty seconds each; the first needs no Prefect server of ours
    "stack/test_stack.py",
    "siplatih/test_programs.py",
    "reconciliation/test_process.py",
    "providers/test_contract.py",
    "refunds/test_refund_races.py",
    "credentials/test_europass_export.py",
    "events/test_courier.py",
    "persons/test_completions.py",
    "credentials/test_linkedin_share.py",
    "refunds/test_refund.py",
    "credentials/test_export.py",
    "refunds/test_refund_process.py",
    "payments/test_callback.py",
    "payments/test_create.py",
    "refunds/test_foreign_refunds.py",
    "refunds/test_exceptions_given_back.py",
    "browser/test_console.py",
    "browser/test_credential_pages.py",
    "payments/test_sweep.py",
    "reconciliation/test_exceptions_worked.py",
    "units/test_clients_commands.py",
    "api/test_relay.py",
    "providers/test_tokens.py",
    "stack/test_runs.py",
    "refunds/test_approving.py",
)
_TRIED = ("test_openapi_tried.py", "test_openapi_a_thousand_times.py")

# Prefect and our settings read the environment when they are imported: point both away from the
# user's own set-up before any test module does.
_SCRATCH = Path(tempfile.mkdtemp(prefix="jembatan-tests-"))
os.environ.setdefault(_TOP, f"{os.getpid()}:{_SCRATCH}")  # the processes of xdist inherit it
_OWNER, _SHARED = (kind(text) for kind, text in zip((int, Path), os.environ[_TOP].split(":", 1), strict=True))
for _name in [name for name in os.environ if name.startswith(("PREFECT_", "JEMBATAN_"))]:
    del os.environ[_name]
os.environ["PREFECT_HOME"] = str(_SCRATCH / "prefect")
os.environ["PREFECT_PROFILES_PATH"] = str(_SCRATCH / "prefect" / "profiles.toml")
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
# Without a server Prefect would start one of its own, on SQLite: no test of ours may rest on that.
os.environ["PREFECT_SERVER_EPHEMERAL_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"
# Each client of httpx reads the authorities that it trusts: 150 of them, longer than most tests take. No test
# leaves the machine or needs one, and the processes that tests start inherit this.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("nobody.pem"))
os.environ["JEMBATAN_HOME"] = str(_SCRATCH / "home")
os.environ["JEMBATAN_RETRY_SECONDS"] = "[0.1, 0.1]"
# How long an example takes says more of the machine's other work than of us.
hypothesis.settings.register_profile("tests", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    """Where several processes test, they all need the Prefect server: it starts while they collect."""
    if config.getoption("numprocesses", None):
        shared_prefect.begin(_SHARED, _OWNER)
    # Each of them collects everything. Each begins in another room, and finds the other rooms compiled.
    name, tests = os.environ.get("PYTEST_XDIST_WORKER", ""), Path(__file__).parent
    if name and [(config.invocation_params.dir / one).resolve() for one in config.args] == [tests]:
        rooms = sorted(str(one) for one in tests.iterdir() if one.is_dir() and not one.name.startswith("_"))
        first = int(name.removeprefix("gw")) * len(rooms) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        config.args = [*rooms[first:], *rooms[:first]]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing of a run stays behind."""
    if os.getpid() == _OWNER:
        shared_prefect.end(_SHARED)
    shutil.rmtree(_SCRATCH, ignore_errors=True)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Its cases would be drawn in each process, to be thrown away."""
    is_wanted = config.option.markexpr != "not slow"
    return None if is_wanted or collection_path.name != "test_openapi_a_thousand_times.py" else True


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> None:
    """The plugin of schemathesis takes a while to load, and then looks at every test there is."""
    if file_path.name in _TRIED:
        parent.config.pluginmanager.import_plugin("schemathesis.pytest.plugin")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Files and long texts are no names: some are made anew in each process, and differ between them."""
    return argname if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 80) else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: else one process is left alone with it in the end. And no two tests
    bear one name: xdist runs one of those, and calls it all. The order is the same in all processes."""
    twice = sorted(name for name, times in Counter(item.nodeid for item in items).items() if times > 1)
    if twice:
        raise pytest.UsageError(f"more than one test is called {', '.join(twice)}")
    first = {name: place for place, name in enumerate(_WHAT_TAKES_LONGEST)}
    tests = Path(__file__).parent
    items.sort(key=lambda item: (first.get(item.path.relative_to(tests).as_posix(), len(first)), item.path))


LONGEST_TEST = 45.0  # seconds, of those that cannot bear midnight


def until_midnight(at: datetime) -> float:
    """Seconds until the next day begins in Jakarta."""
    begun = (at + timedelta(hours=7)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (begun + timedelta(days=1, hours=-7) - at).total_seconds()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Address of a PostgreSQL of this test session."""
    from jembatan.stack.database import database

    with database(_SCRATCH / "postgres-home") as url:
        set_for_tests(url)
        yield url


@pytest.fixture(scope="session")
def template(server: str) -> str:
    """Name of a migrated, empty database to copy from."""
    from records import db

    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("CREATE DATABASE migrated")
    url = server.replace("/jembatan", "/migrated", 1)
    db.upgrade(url)
    db.engine(url).dispose()
    return "migrated"


FreshDatabase = Callable[[], AbstractContextManager[str]]


@pytest.fixture(scope="session")
def fresh_database(server: str, template: str) -> FreshDatabase:
    """Makes the address of an empty, migrated database, which nobody has after the block."""
    return FreshDatabases(server, template).one


@pytest.fixture(scope="session")
def made_keys() -> Path:
    """The keys that a home makes on first use, towards the sandbox and of badges; RSA keys take a while."""
    from common.settings import settings
    from credentials import ours
    from jembatan.stack.home import Home
    from jembatan.stack.keys import sandbox_keys

    home = Home(_SCRATCH / "keys-home")
    home.prepare()
    sandbox_keys(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JEMBATAN_HOME", str(home.path))
        settings.cache_clear()
        ours.keys()
    settings.cache_clear()
    return home.keys


@pytest.fixture
def database(
    fresh_database: FreshDatabase, made_keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Address of an empty, migrated database; this process works on it, with a home of its own."""
    from common.settings import settings
    from records import db

    shutil.copytree(made_keys, tmp_path / "keys")
    with fresh_database() as url:
        monkeypatch.setenv("JEMBATAN_DATABASE_URL", url)
        monkeypatch.setenv("JEMBATAN_HOME", str(tmp_path))
        settings.cache_clear()
        yield url
        db.engine(url).dispose()
        settings.cache_clear()


@pytest.fixture
def one_day() -> None:
    """Midnight in Jakarta is not within the test: shortly before it, the test waits until it is over."""
    left = until_midnight(datetime.now(UTC))
    if left < LONGEST_TEST:
        time.sleep(left)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Callable[[Path], Nursery]]:
    """Finds the nursery of a program, and opens it where it was not needed before."""
    opened: dict[Path, Nursery] = {}
    with tempfile.TemporaryDirectory(prefix="nursery-", dir=_SCRATCH) as folder:

        def of(program: Path) -> Nursery:
            if program not in opened:
                opened[program] = Nursery(program, Path(folder))
            return opened[program]

        yield of
        for one in opened.values():
            one.close()


@pytest.fixture(scope="session")
def parts(server: str) -> Iterator["Stack"]:
    """The real Prefect server that all tests share, and a sandbox of their own; settings point to both."""
    from common.settings import settings
    from jembatan.stack import stack

    os.environ["JEMBATAN_PREFECT_API_URL"] = shared_prefect.address(_SHARED, _OWNER)
    before = os.environ["JEMBATAN_HOME"]
    os.environ["JEMBATAN_HOME"] = str(_SCRATCH / "postgres-home")
    settings.cache_clear()
    with stack(prefect=True, sandbox=True) as running:
        os.environ["JEMBATAN_HOME"] = before
        keys = _SCRATCH / "postgres-home" / "keys"
        for name in ("OVO", "LINKAJA"):
            os.environ[f"JEMBATAN_{name}__PRIVATE_KEY"] = str(keys / "sandbox-client.pem")
            os.environ[f"JEMBATAN_{name}__PROVIDER_PUBLIC_KEYS"] = str(keys / "sandbox-provider.pub.pem")
        settings.cache_clear()
        shared_prefect.without_heartbeats()
        yield running
        from prefect.logging.handlers import APILogHandler

        APILogHandler().flush()  # else Prefect goes on trying at exit, when the server is gone


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The API in this process, on whatever database a test has; its relay is not started."""
    import uvicorn

    from api.app import app

    running = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="warning"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    running.should_exit = True
    thread.join(10)


@pytest.fixture
def prefect_database(parts: "Stack") -> str:
    """Address of the database of the shared Prefect server."""
    return f"postgresql://postgres@/prefect?host={_SHARED}/prefect/home/postgres"
