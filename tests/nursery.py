"""Processes for the tests that kill them: each is forked from one that has loaded its program already.

To load Prefect and our rooms takes a process several seconds, and what a test lets it do often less than one.
A program is a file with a function `main`, and is loaded once for a test session.

As a program itself: nursery.py FILE reads an order from each line of its standard input.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from shared_prefect import without_heartbeats

ROOT = Path(__file__).parents[1]


class Child:
    """A process of the nursery. Like one of `subprocess`, as far as the tests need it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.pid = int(self._wait_for("pid", 120))

    def poll(self) -> int | None:
        """Its exit code, negative for a signal, once it has ended."""
        with suppress(FileNotFoundError):
            return int((self._folder / "ended").read_text())
        return None

    def wait(self, seconds: float = 180) -> int:
        """Its exit code, when it has ended."""
        return int(self._wait_for("ended", seconds))

    def kill(self) -> None:
        """SIGKILL, if it is still there."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    @property
    def said(self) -> str:
        """What it has printed on its standard output."""
        return (self._folder / "said").read_text()

    @property
    def complained(self) -> str:
        """What it has printed on its standard error: its logs, and why it failed."""
        return (self._folder / "complained").read_text()

    def _wait_for(self, name: str, seconds: float) -> str:
        until = time.monotonic() + seconds
        while not (self._folder / name).exists():
            assert time.monotonic() < until, f"a process has not {name} in time: {self.complained}"
            time.sleep(0.01)
        return (self._folder / name).read_text()


class Nursery:
    """Starts processes of one program; they see the environment that is set when they begin."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._folder = folder
        self._loaded = subprocess.Popen(
            [sys.executable, __file__, str(program)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            text=True,
        )

    def begin(self, *arguments: Any, **environment: str) -> Child:
        """A process that calls the program's `main` with these arguments (of JSON's kinds)."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        (folder / "said").touch()
        (folder / "complained").touch()
        order = {
            "folder": str(folder),
            "arguments": arguments,
            "environment": {**os.environ, "PYTHONPATH": str(ROOT), **environment},
        }
        assert self._loaded.stdin is not None
        self._loaded.stdin.write(json.dumps(order) + "\n")
        self._loaded.stdin.flush()
        return Child(folder)

    def close(self) -> None:
        """No more of them are wanted."""
        assert self._loaded.stdin is not None
        self._loaded.stdin.close()
        self._loaded.wait()


def _serve(program: str) -> None:
    found = importlib.util.spec_from_file_location("program", program)
    assert found is not None
    assert found.loader is not None
    loaded = importlib.util.module_from_spec(found)
    found.loader.exec_module(loaded)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those in between
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _look_after(loaded, json.loads(line))


def _look_after(loaded: Any, order: dict[str, Any]) -> None:
    """In a process in between: have the child, and write down how it ends."""
    folder = Path(order["folder"])
    pid = os.fork()
    if pid == 0:
        _be(loaded, folder, order)
    _write(folder / "pid", pid)
    _, status = os.waitpid(pid, 0)
    _write(folder / "ended", os.waitstatus_to_exitcode(status))
    os._exit(0)


def _be(loaded: Any, folder: Path, order: dict[str, Any]) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(folder / "said", os.O_WRONLY), 1)
    os.dup2(os.open(folder / "complained", os.O_WRONLY), 2)
    os.environ.clear()
    os.environ.update(order["environment"])
    code = 1
    try:
        _read_settings_again()
        loaded.main(*order["arguments"])
        code = 0
    finally:
        if code:
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _read_settings_again() -> None:
    if "common.settings" in sys.modules:
        sys.modules["common.settings"].settings.cache_clear()
    if "prefect.context" in sys.modules:
        sys.modules["prefect.context"].refresh_global_settings_context()
        without_heartbeats()


def _write(path: Path, number: int) -> None:
    """Seen whole or not at all."""
    aside = path.with_name(path.name + ".new")
    aside.write_text(str(number))
    aside.rename(path)


if __name__ == "__main__":
    _serve(sys.argv[1])
