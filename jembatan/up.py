"""`jembatan up`: the whole local stack in the foreground, watched until Ctrl-C."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from types import FrameType

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from common import clock
from common.settings import settings
from jembatan.stack import home as homes
from jembatan.stack import locks, running
from jembatan.stack.database import server_or_none
from jembatan.stack.errors import StackError
from jembatan.stack.home import Home
from jembatan.stack.keys import sandbox_keys
from jembatan.stack.local import LocalStack
from jembatan.stack.processes import sweep

_TICK = 0.5
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NOHUP = (signal.SIGHUP, signal.SIG_IGN)


class _Stop(BaseException):
    """Somebody asked us to end. No Exception: nothing on the way may take it for a failure of its own."""


def up(sandbox: bool = True) -> int:
    """Start everything, say where it is, keep it alive until Ctrl-C or SIGTERM.

    Gives back the exit code: 0 stopped when asked, 1 another one runs on this home, 3 a part does not start.
    """
    console = Console(highlight=False, soft_wrap=True)
    home = homes.current()
    try:
        home.prepare()
        with locks.alone_or_none(home.lock(running.UP)) as alone:
            if not alone:
                return _say_who_runs(console, home)
            return _run(console, home, sandbox)
    except StackError as error:
        console.print(f"[red]✗[/] {escape(str(error))}")
        return 3


def _run(console: Console, home: Home, sandbox: bool) -> int:
    began, started_at = time.monotonic(), clock.now()
    home.record.unlink(missing_ok=True)  # of one that was killed
    if sandbox and settings().env == "production":
        console.print("[yellow]•[/] Production: the sandbox is not started.")
        sandbox = False
    try:
        with _stopping_on_signals():
            if left := sweep(home):
                console.print(f"[yellow]•[/] Ended {left} processes of a `jembatan up` that was killed.")
            with (
                _only_worker(console, home),
                console.status("Starting the database…") as status,
                server_or_none(home) as server,
            ):
                local = LocalStack(
                    home,
                    server,
                    on_ready=lambda title, seconds: _tick(console, title, seconds),
                    on_note=lambda note: console.print(f"[yellow]•[/] {escape(note)}"),
                )
                _tick(console, "database", time.monotonic() - began)
                if settings().env == "sandbox":
                    sandbox_keys(home)
                status.update("Starting the Prefect server and all the rest…")
                try:
                    local.start(prefect=True, worker=True, sandbox=sandbox, api=True)
                    status.stop()
                    _say_where(console, home, local, time.monotonic() - began)
                    _watch(home, local, started_at)
                finally:
                    _ignore_signals()
                    home.record.unlink(missing_ok=True)
                    local.stop()
    except _Stop:
        console.print("Stopped.")
    return 0


@contextmanager
def _only_worker(console: Console, home: Home) -> Iterator[None]:
    """Have the home's worker to ourselves; a command that has one for a while is waited for."""
    right = locks.open_lock(home.lock(running.WORKER))
    try:
        if not locks.take(right, wait=False):
            console.print("[yellow]•[/] Another command on this home runs flows; waiting until it has ended.")
            locks.take(right)
        yield
    finally:
        os.close(right)


def _watch(home: Home, local: LocalStack, started_at: datetime) -> None:
    recorded: dict[str, int] = {}
    url = local.stack.database_url if local.server else ""  # a configured one may hold a password
    while True:
        if (children := local.pids()) != recorded:
            running.write(home, replace(local.stack, database_url=url), started_at, children)
            recorded = children
        time.sleep(_TICK)
        local.mend()


@contextmanager
def _stopping_on_signals() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        _ignore_signals()  # the first one is enough: stopping takes seconds and must not be cut short
        raise _Stop

    # SIGHUP that is ignored already means nohup: the terminal may go.
    wanted = [number for number in _SIGNALS if (number, signal.getsignal(number)) != _NOHUP]
    before = {number: signal.signal(number, stop) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _tick(console: Console, title: str, seconds: float) -> None:
    console.print(f"[green]✓[/] {title:<16}{seconds:6.1f} s")


def _say_where(console: Console, home: Home, local: LocalStack, seconds: float) -> None:
    stack = local.stack
    table = Table(title=f"Jembatan is up after {seconds:.1f} s", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("API", f"{stack.api_url}  (described at /docs)")
    table.add_row("Console", f"{stack.api_url}/console  (a key: jembatan clients create YOUR-NAME …)")
    table.add_row("Prefect UI", stack.prefect_ui_url)
    table.add_row("Sandbox", stack.sandbox_url or "not started")
    table.add_row("Database", escape(stack.database_url) if local.server else "that of JEMBATAN_DATABASE_URL")
    table.add_row("Home", escape(str(home.path)))
    table.add_row("Logs", escape(str(home.logs)))
    table.add_row("Stop", "Ctrl-C")
    console.print(table)


def _say_who_runs(console: Console, home: Home) -> int:
    who = running.read(home)
    if who is None:
        console.print(
            f"Another `jembatan up` is just starting or stopping on {home.path}; try again in a moment."
        )
        return 1
    since = f"{who.started_at.astimezone():%Y-%m-%d %H:%M:%S}"
    console.print(f"Jembatan already runs on {home.path}: process {who.pid}, since {since}.")
    for name, url in (
        ("API", who.stack.api_url),
        ("Prefect UI", who.stack.prefect_ui_url),
        ("Sandbox", who.stack.sandbox_url),
    ):
        if url:
            console.print(f"  {name:<11}{url}")
    return 1
