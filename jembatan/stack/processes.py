"""Child processes of the stack: started with a log and a mark, stopped with everything they started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import psutil

from jembatan.stack.home import Home

MARK = "JEMBATAN_STACK"  # in the environment of every process of a stack: which stack, whose
_CLOCK_STEP = 5.0  # seconds by which a start time may move when the machine's clock is set
_LEASH = Path(__file__).with_name("leash.py")


class Child:
    """One running part: leader of its own session, so that a Ctrl-C reaches it through us only."""

    def __init__(
        self, home: Home, name: str, command: Sequence[str], environment: Mapping[str, str], mark: str
    ) -> None:
        self.name = name
        self.started = time.time()
        with home.open_log(name) as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(_LEASH), str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**environment, MARK: mark, "JEMBATAN_HOME": str(home.path)},
                cwd=home.prefect,  # a neutral place: Prefect reads .env and prefect.toml where it starts
            )

    @property
    def pid(self) -> int:
        """The process id, good while we have not waited for its end."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it lives."""
        return self._process.poll()

    def listens_on(self, port: int) -> bool:
        """Is it this very process that answers there? On a port that was taken meanwhile, another does."""
        try:
            connections = psutil.Process(self.pid).net_connections(kind="tcp")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False
        return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections)

    def ask_to_stop(self) -> None:
        """SIGTERM, unless it has ended."""
        if self.exit_code is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> None:
        """Give it this long to end, then end it."""
        try:
            self._process.wait(max(seconds, 0.01))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def stop_all(children: Iterable[Child], seconds: float) -> None:
    """Ask all at once and give them the same time."""
    waiting = list(children)
    for child in waiting:
        child.ask_to_stop()
    until = time.monotonic() + seconds
    for child in waiting:
        child.wait(until - time.monotonic())


def new_mark() -> str:
    """The mark of one stack: the process that owns it, and a number of its own."""
    me = psutil.Process()
    return f"{me.pid} {me.create_time():.2f} {uuid4().hex}"


def sweep(home: Home, mark: str | None = None) -> int:
    """End the processes of stacks on this home whose owner is dead, and those with this mark (flow runs
    that a killed worker left). They are known by the mark in their environment, never by a number from a
    file. Gives back how many there were."""
    found = [process for process, theirs in _marked(home) if theirs == mark or _is_orphan(theirs)]
    for process in found:
        _signal(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(found, timeout=3)
    for process in alive:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=5)
    return len(found)


def _is_orphan(mark: str) -> bool:
    pid, created, *_ = mark.split(" ")
    return not is_process(int(pid), float(created))


def is_process(pid: int, created: float) -> bool:
    """Is there a process with this id that also began at this time? An id alone is given out again."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created) < _CLOCK_STEP and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _marked(home: Home) -> list[tuple[psutil.Process, str]]:
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
        mark = environment.get(MARK)
        if mark and environment.get("JEMBATAN_HOME") == str(home.path) and process.pid != os.getpid():
            found.append((process, mark))
    return found


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return
