"""One Prefect server for all processes of a test run: to start one costs as much as dozens of tests.

As a program itself: shared_prefect.py FOLDER PID serves from that folder until the process PID has ended.
"""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
from fresh_databases import set_for_tests

PATIENCE = 180.0  # seconds
# What no test asks of a server: each of these looks at every event, or at the clock.
_NOT_NEEDED = ("SCHEDULER", "LATE_RUNS", "FOREMAN", "CANCELLATION_CLEANUP", "PAUSE_EXPIRATIONS", "TRIGGERS")


@contextmanager
def prefect_server(database_url: str, folder: Path) -> Iterator[str]:
    """Address of the API of a Prefect server on that PostgreSQL, which is up while the block runs."""
    from jembatan.stack.database import prefect_database_url

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "PREFECT_HOME": str(folder),
        "PREFECT_PROFILES_PATH": str(folder / "profiles.toml"),
        "PREFECT_API_DATABASE_CONNECTION_URL": prefect_database_url(database_url),
        "PREFECT_SERVER_UI_ENABLED": "false",
    }
    environment |= {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in _NOT_NEEDED}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_until_up(f"http://127.0.0.1:{port}/api", running, folder / "log")
        yield f"http://127.0.0.1:{port}/api"
    finally:
        running.terminate()
        running.wait(60)


def without_heartbeats() -> None:
    """Flow runs of this process send none: at its end each waits up to a second for who would send them.

    Prefect knows no word for it in the environment.
    """
    from prefect.settings import get_current_settings

    get_current_settings().flows.heartbeat_frequency = None


def begin(folder: Path, owner: int) -> None:
    """Have the shared one started, unless that has happened; it ends with its owner at the latest."""
    with (folder / "prefect.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "prefect.pid").exists():
            return
        (folder / "prefect").mkdir(exist_ok=True)  # Prefect itself makes its home when it is imported
        with (folder / "prefect" / "keeper.log").open("wb") as log:
            keeper = subprocess.Popen(
                [sys.executable, __file__, str(folder), str(owner)],
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (folder / "prefect.pid").write_text(str(keeper.pid))


def address(folder: Path, owner: int) -> str:
    """Where the shared one answers."""
    begin(folder, owner)
    keeper = psutil.Process(int((folder / "prefect.pid").read_text()))
    until = time.monotonic() + PATIENCE
    while not (folder / "prefect.url").exists():
        log = (folder / "prefect" / "keeper.log").read_text()
        assert keeper.is_running(), f"the shared Prefect server did not start: {log}"
        assert time.monotonic() < until, f"the shared Prefect server is not up yet: {log}"
        time.sleep(0.1)
    return (folder / "prefect.url").read_text()


def end(folder: Path) -> None:
    """Stop the shared one, if it was begun, and wait until it is gone."""
    with suppress(FileNotFoundError, psutil.NoSuchProcess):
        keeper = psutil.Process(int((folder / "prefect.pid").read_text()))
        keeper.terminate()
        psutil.wait_procs([keeper], timeout=90)


def _wait_until_up(url: str, running: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        assert running.poll() is None, log.read_text()
        try:
            if httpx.get(f"{url}/health", timeout=20).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError("Prefect did not start: " + log.read_text())


def _serve(folder: Path, owner: psutil.Process) -> None:
    from jembatan.stack.database import database

    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with database(folder / "prefect" / "home") as postgres:
        set_for_tests(postgres)
        with prefect_server(postgres, folder / "prefect") as url:
            aside = folder / "prefect.url.new"
            aside.write_text(url)
            aside.rename(folder / "prefect.url")
            while owner.is_running() and owner.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.5)


if __name__ == "__main__":
    with suppress(psutil.NoSuchProcess):
        _serve(Path(sys.argv[1]), psutil.Process(int(sys.argv[2])))
