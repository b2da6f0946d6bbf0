"""The stack for one command: what a running `jembatan up` offers, else a part of its own for a while."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from common.settings import settings
from jembatan.stack import home as homes
from jembatan.stack import locks, running
from jembatan.stack.addresses import Stack, environment
from jembatan.stack.database import server_or_none
from jembatan.stack.errors import StackError
from jembatan.stack.home import Home
from jembatan.stack.keys import sandbox_keys
from jembatan.stack.local import LocalStack
from jembatan.stack.processes import sweep
from jembatan.stack.running import Running


@contextmanager
def stack(
    *, prefect: bool = False, worker: bool = False, sandbox: bool = False, api: bool = False
) -> Iterator[Stack]:
    """The database with its tables up to date, and what else is asked for, while the block runs.

    A running `jembatan up` of this home is used as far as it goes. What it does not offer is started here,
    quietly, on free ports, and stopped on leaving. `worker` brings the Prefect server and the registered
    deployments with it; as a home has one worker at a time, a second command that wants one waits. Without
    it, two commands at once each have their own Prefect server, on one database.

    Meanwhile this process's environment and `settings()` point to the stack. Import Prefect inside the
    block: it reads its settings when it is imported. (Where it was imported before, it reads them again,
    but its log handlers keep what they had.) Call from the main thread: parts end with the thread that
    started them. Raises StackError.
    """
    home = homes.current()
    home.prepare()
    if settings().env == "sandbox":
        sandbox_keys(home)
    elif sandbox:
        raise StackError("Production refuses the sandbox; unset JEMBATAN_ENV to work with it.")
    prefect = prefect or worker
    with ExitStack() as on_leave:
        server = on_leave.enter_context(server_or_none(home))
        there = on_leave.enter_context(_worker_or_up(home)) if worker else running.read(home)
        offered = there.stack if there else Stack("")
        local = LocalStack(home, server)
        on_leave.callback(local.stop)
        sweep(home)
        local.start(
            prefect=prefect and not offered.prefect_api_url,
            worker=worker and not offered.prefect_api_url,
            sandbox=sandbox and not offered.sandbox_url,
            api=api and not offered.api_url,
        )
        result = replace(
            local.stack,
            prefect_api_url=local.stack.prefect_api_url or (offered.prefect_api_url if prefect else None),
            sandbox_url=local.stack.sandbox_url or offered.sandbox_url,
            api_url=local.stack.api_url or offered.api_url,
        )
        on_leave.enter_context(_pointing_to(home, result))
        yield result


@contextmanager
def _worker_or_up(home: Home) -> Iterator[Running | None]:
    """The right to this home's only worker, or the `jembatan up` that has it (waits while one starts)."""
    right = locks.open_lock(home.lock(running.WORKER))
    try:
        while (there := running.read(home)) is None and not locks.take(right, wait=False):
            time.sleep(0.2)
        yield there
    finally:
        os.close(right)


@contextmanager
def _pointing_to(home: Home, target: Stack) -> Iterator[None]:
    wanted = environment(home, target)
    names = {name for name in (*wanted, *os.environ) if wanted.get(name) != os.environ.get(name)}
    before = {name: os.environ.get(name) for name in names}
    # Prefect takes a while to read its settings again: where nobody asked for it, what it has read may stay.
    is_asked_for, was_loaded = target.prefect_api_url is not None, "prefect" in sys.modules
    _set({name: wanted.get(name) for name in names}, for_prefect=is_asked_for and was_loaded)
    try:
        yield
    finally:
        for_prefect = "prefect" in sys.modules and (is_asked_for or not was_loaded)
        if for_prefect:
            _let_prefect_finish()
        _set(before, for_prefect=for_prefect)


def _set(values: Mapping[str, str | None], *, for_prefect: bool) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    settings.cache_clear()
    if for_prefect:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


def _let_prefect_finish() -> None:
    """Its logs and events leave in the background: wait for them, or they find the server gone."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogHandler

    APILogHandler().flush()
    EventsWorker.drain_all(timeout=5)
