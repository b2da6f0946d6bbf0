"""Has Prefect and our flows loaded, and forks itself for each flow run.

    python -m jembatan.runs.nursery SOCKET

One thread, no connection, nothing that a run leaves behind: each run is a process of its own with the
environment, folder and streams of the `start.py` that asks for it. Between the two stands a keeper, a fork
that waits for the run, passes signals on and tells how it ended; so a nursery that dies takes no run with it.
The nursery ends when its standard input is closed, which is when its worker ends.
"""

import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jembatan.runs.start import BEGINS, COLD, LENGTH, heard

# Libraries that begin threads when they are loaded, told not to: NumPy's OpenBLAS, and pyarrow's jemalloc.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
QUIET = 5.0  # seconds without a run before it loads: when a stack comes up, others need the processor more
BACKLOG = 64
_ENGINE = COLD[-1]
_PR_SET_PDEATHSIG = 1
_DEAF_TO = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True)
class Order:
    """What a run is to begin with. streams: standard input, output and error; keeper: who watches over it."""

    environment: dict[str, str]
    folder: str
    streams: tuple[int, ...]
    keeper: int


class _Alarm:
    """Can be waited for with `select`: there is something to read when a child has ended."""

    def __init__(self) -> None:
        self._awake, self._bell = os.pipe()
        os.set_blocking(self._awake, False)
        os.set_blocking(self._bell, False)
        signal.set_wakeup_fd(self._bell)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def fileno(self) -> int:
        """What `select` waits for."""
        return self._awake

    def silence(self) -> None:
        """Until the next child ends."""
        os.read(self._awake, 512)

    def close(self) -> None:
        """In a fork, which has children of its own or none."""
        signal.set_wakeup_fd(-1)
        os.close(self._awake)
        os.close(self._bell)


def main() -> None:
    """Serve until the worker ends; returns from serving only in a fork, which then is a flow run."""
    address = Path(sys.argv[1])
    nursery = os.getpid()
    os.environ.update(ONE_THREAD)
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: sys.exit())
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        try:
            door.bind(str(address))
            door.listen(BACKLOG)
            order = _served(door)
        finally:
            if os.getpid() == nursery:
                address.unlink()
                address.parent.rmdir()
    if order is not None:
        _be_a_run(order)


def _served(door: socket.socket) -> Order | None:
    """Have a fork for each who comes in. None: the worker is gone; an order: this is the fork."""
    alarm = _Alarm()
    wait: float | None = QUIET
    to_load = _modules()
    while True:
        ready, _, _ = select.select([door, sys.stdin, alarm], [], [], wait)
        if sys.stdin in ready:
            return None
        if alarm in ready:  # a keeper has ended
            alarm.silence()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if ready == [alarm]:
                continue
        wait = 0.0
        if _ENGINE not in sys.modules:  # no run can do without it
            _load(_ENGINE)
        if door in ready:
            client, _ = door.accept()
            if os.fork() == 0:
                door.close()
                alarm.close()
                return _kept(client)
            client.close()
        elif (name := next(to_load, None)) is not None:
            _load(name)
        else:
            gc.collect()
            gc.freeze()  # so that no run copies what all of them share, only to look at it for garbage
            wait = None


def _modules() -> Iterator[str]:
    """What a run may need: the engine, then each flow. Who comes in between is served at once."""
    yield "prefect.flow_engine"
    import flows

    yield from (f"flows.{one.name}" for one in pkgutil.iter_modules(flows.__path__))


def _load(name: str) -> None:
    try:
        importlib.import_module(name)
    except Exception:  # noqa: BLE001 - the run that needs it says so in its own log; the others need not suffer
        traceback.print_exc()


def _kept(client: socket.socket) -> Order:
    """As the keeper: have the run, see it to its end, and end. Returns in the run itself."""
    for one in _DEAF_TO:  # told to a whole group: the keeper stays as long as its run
        signal.signal(one, signal.SIG_IGN)
    alarm = _Alarm()
    try:
        order = _order_of(client)
        client.sendall(BEGINS)
    except OSError:  # who asked is gone
        os._exit(1)
    run = os.fork()
    if run == 0:
        alarm.close()
        client.close()
        return order
    for stream in (0, 1, 2, *order.streams):  # they end with the run
        os.close(stream)
    _watch(client, run, alarm)
    os._exit(0)


def _order_of(client: socket.socket) -> Order:
    """What a client asks for; raises OSError where it is gone before it has said so."""
    head, streams, _, _ = socket.recv_fds(client, LENGTH, 3)
    length = int.from_bytes(head, "big")
    said = heard(client, length)
    if len(head) < LENGTH or len(streams) != 3 or len(said) < length:
        raise ConnectionAbortedError
    asked: dict[str, Any] = json.loads(said)
    return Order(asked["environment"], asked["folder"], tuple(streams), os.getpid())


def _watch(client: socket.socket, run: int, alarm: _Alarm) -> None:
    """Pass signals on to the run until it has ended, and tell how; where nobody is told any more, kill it."""
    watched: list[socket.socket | _Alarm] = [client, alarm]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if alarm in ready:
            alarm.silence()
            ended, status = os.waitpid(run, os.WNOHANG)
            if ended:
                with suppress(OSError):
                    client.sendall(str(status).encode())
                return
        if client in ready:
            try:
                numbers = client.recv(64)
            except OSError:
                numbers = b""
            if not numbers:  # who stood for the run was killed
                os.kill(run, signal.SIGKILL)
                watched.remove(client)
            for number in numbers:
                os.kill(run, number)


def _be_a_run(order: Order) -> None:
    """Become what `python -m prefect.engine` is in that environment; ends as any Python does."""
    os.setsid()  # what is typed at the worker's terminal comes by way of `start.py`, and once
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for target, stream in enumerate(order.streams):
        os.dup2(stream, target)
    for stream in order.streams:
        os.close(stream)
    _end_with(order.keeper)
    os.environ.clear()
    os.environ.update(order.environment)
    os.chdir(order.folder)
    sys.argv[1:] = []
    if not sys.flags.safe_path:
        sys.path[0] = order.folder  # as with `python -m`
    _read_settings_again()
    sys.modules.pop(_ENGINE, None)  # loaded by others of Prefect; it runs as a program now
    runpy.run_module(_ENGINE, run_name="__main__", alter_sys=True)


def _end_with(keeper: int) -> None:
    """Be killed when the keeper is: else the worker would take a run for dead that goes on."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(1)


def _read_settings_again() -> None:
    """What was read from the nursery's environment, from the run's."""
    from prefect.context import refresh_global_settings_context
    from prefect.logging.configuration import setup_logging

    from common.settings import settings

    settings.cache_clear()
    refresh_global_settings_context()
    setup_logging()


if __name__ == "__main__":
    main()
