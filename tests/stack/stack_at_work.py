"""Homes of their own, and `jembatan up` as the process that it is in life."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import pytest

from common.settings import settings
from jembatan.stack.home import Home

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
UP = "import sys; from jembatan.up import up; sys.exit(up())"


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now, far from the usual ones."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def wait_until(look: Callable[[], T], what: str, seconds: float = 120) -> T:
    """The first true answer of `look`."""
    until = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.05)
    return seen


class Up:
    """A `jembatan up` on a home."""

    def __init__(self, home: Home, environment: dict[str, str]) -> None:
        self.home = home
        self.environment = environment
        self.process: subprocess.Popen[str] | None = None
        self.log = home.path.with_name(home.path.name + ".out")

    def __enter__(self) -> "Up":
        return self

    def __exit__(self, *_: object) -> None:
        """A test that failed leaves nothing at work."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def start(self) -> dict[str, Any]:
        """Start it and wait until it says that it runs; gives back its record."""
        self.process = self.launch()
        wait_until(lambda: self.record or self.ended, "up", 180)
        assert self.record, self.said + "".join(log.read_text() for log in self.home.logs.glob("*.log"))
        return self.record

    def launch(self) -> subprocess.Popen[str]:
        """Start it, and do not wait."""
        return subprocess.Popen(
            [sys.executable, "-c", UP],
            env=self.environment,
            cwd=ROOT,
            text=True,
            stdout=self.log.open("a"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def ended(self) -> bool:
        """Has it ended by itself?"""
        return self.process is not None and self.process.poll() is not None

    @property
    def record(self) -> dict[str, Any] | None:
        """What stack.json says, if it is of the process that we started."""
        try:
            record: dict[str, Any] = json.loads(self.home.record.read_text())
        except (OSError, ValueError):
            return None
        return record if self.process is not None and record["pid"] == self.process.pid else None

    @property
    def said(self) -> str:
        """All that it has printed."""
        return self.log.read_text()

    def stop(self, number: signal.Signals = signal.SIGINT, seconds: float = 90) -> int:
        """End it and wait."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(seconds)


def processes_of(home: Home) -> list[psutil.Process]:
    """Everything that belongs to the home: marked children, and PostgreSQL on its data."""
    found = []
    for process in psutil.process_iter(["name"]):
        try:
            marked = "JEMBATAN_STACK" in (environ := process.environ())
            if (marked and environ.get("JEMBATAN_HOME") == str(home.path)) or (
                process.info["name"] == "postgres" and process.cwd() == str(home.postgres)
            ):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def kill_all(processes: list[psutil.Process]) -> None:
    """kill -9, whoever is still there."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def is_up(url: str) -> bool:
    """Does it answer with a 200?"""
    try:
        browser = {"Accept": "text/html, */*"}
        return httpx.get(url, timeout=20, follow_redirects=True, headers=browser).status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def a_home() -> Iterator[Home]:
    """An empty home under a short path; everything on it is ended afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="jembatan-", dir="/tmp")).resolve()
    home = Home(folder / "home")
    try:
        yield home
    finally:
        kill_all(processes_of(home))
        shutil.rmtree(folder, ignore_errors=True)


def environment_for(home: Home, **more: str) -> dict[str, str]:
    """The environment of somebody who uses this home, on ports of its own."""
    api, prefect, sandbox = free_ports(3)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "JEMBATAN_"))}
    return kept | {
        "JEMBATAN_HOME": str(home.path),
        "JEMBATAN_API_PORT": str(api),
        "JEMBATAN_PREFECT_PORT": str(prefect),
        "JEMBATAN_SANDBOX_PORT": str(sandbox),
        "PYTHONPATH": str(ROOT),
        # Where a command of ours did not say which server it means, Prefect would start one on SQLite.
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        **more,
    }


@contextmanager
def configured(environment: dict[str, str]) -> Iterator[None]:
    """This process, with the settings of that environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("JEMBATAN_", "PREFECT_"))]:
            patch.delenv(name)
        for name, value in environment.items():
            if name.startswith("JEMBATAN_") or name == "PREFECT_SERVER_EPHEMERAL_ENABLED":
                patch.setenv(name, value)
        settings.cache_clear()
        yield
    settings.cache_clear()
