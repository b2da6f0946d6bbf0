"""The embedded PostgreSQL: started by the first who needs it, stopped by the last who leaves.

Every user of the server holds a shared lock on one file. Who leaves tries to get it alone: whoever gets
it is the last, and stops the server. A kill -9 lets go of the lock like everything else. Starting happens
alone behind a second lock, so that ten commands at once start one server.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import psutil
import psycopg

from jembatan.stack import locks
from jembatan.stack.errors import StackError
from jembatan.stack.home import Home
from jembatan.stack.postgres_files import SUPERUSER, check_version, create, hand_over, launch, write_settings

SOCKET = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 100  # bytes; the kernel's limit is 103 (macOS) or 107 (Linux)
STOP_SECONDS = 60
START_SECONDS = 300  # recovery after a kill -9 of a large import takes its time
_SOCKET_FOLDER_LINE = 4  # of postmaster.pid, which begins: pid, data, start, port, socket folder


@contextmanager
def serving(home: Home) -> Iterator["Server"]:
    """Hold the server up for as long as the block runs."""
    home.prepare()
    server = Server(home)
    users = locks.open_lock(home.lock("postgres-users"))
    try:
        locks.take(users, shared=True)  # waits for one who is just stopping it
        server.ensure()
        yield server
    finally:
        # Let go first: two who leave together must not each see the other still there.
        locks.release(users)
        if locks.take(users, wait=False):
            server.stop()
        os.close(users)


class Server:
    """PostgreSQL on one home, whoever started it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._postmaster: psutil.Process | None = None
        self._own: subprocess.Popen[bytes] | None = None  # the server, when it was we who started it

    def ensure(self) -> None:
        """Make the data if there is none, start the server unless it runs, wait until it answers, and
        make the databases that are missing. Safe to call at any time, by many at once."""
        with locks.alone(self.home.lock("postgres-start")):
            if not (self.home.postgres / "PG_VERSION").exists():
                create(self.home)
            check_version(self.home)
            self._postmaster = _postmaster(self.home)
            if self._postmaster is None:
                _clear_remains(self.home)
                self._start()
            self._wait_until_ready()
            with self._connect(timeout=10) as connection:
                existing = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
                for name in ("jembatan", "prefect"):
                    if name not in existing:
                        connection.execute(f"CREATE DATABASE {name}".encode())

    @property
    def is_alive(self) -> bool:
        """Does the server process live? Cheap enough to ask twice a second."""
        process = self._postmaster
        try:
            return process is not None and process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    @property
    def pid(self) -> int:
        """The server's process id; 0 when it does not run."""
        return self._postmaster.pid if self._postmaster is not None else 0

    @property
    def socket_folder(self) -> Path:
        """Where the running server's socket is."""
        return Path(_pid_file_lines(self.home)[_SOCKET_FOLDER_LINE])

    def stop(self) -> None:
        """Stop the server: roll back what is open, write everything down, remove the socket."""
        process = _postmaster(self.home)
        if process is None:
            return
        socket_folder = self.socket_folder
        process.send_signal(signal.SIGINT)  # what `pg_ctl stop --mode=fast` sends
        _, alive = psutil.wait_procs([process], timeout=STOP_SECONDS)
        for late in alive:
            late.send_signal(signal.SIGQUIT)  # at once; the next start recovers
        psutil.wait_procs(alive, timeout=STOP_SECONDS)
        if self._own is not None:
            self._own.poll()
        if socket_folder != self.home.postgres:
            with suppress(OSError):
                socket_folder.rmdir()

    def _start(self) -> None:
        write_settings(self.home, _choose_socket_folder(self.home))
        with self.home.open_log("postgres") as log:
            # Not through `pg_ctl start`, which hands the path to a shell. The server inherits our
            # descriptor of the log: that its user may not enter the folder is no matter.
            self._own = launch(self.home, "postgres", "-D", str(self.home.postgres), log=log)
        self._postmaster = psutil.Process(self._own.pid)

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + START_SECONDS
        while self.is_alive and time.monotonic() < until:
            try:
                self._connect(timeout=5).close()
            except (psycopg.OperationalError, StackError):  # still recovering
                time.sleep(0.1)
            else:
                return
        raise StackError(
            f"PostgreSQL does not start; the reason is at the end of {self.home.log('postgres')}."
        )

    def _connect(self, timeout: int) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=str(self.socket_folder),
            port=5432,
            user=SUPERUSER,
            dbname="postgres",
            autocommit=True,
            connect_timeout=timeout,
        )


def _pid_file_lines(home: Home) -> list[str]:
    """postmaster.pid, once it is whole enough to name the socket."""
    try:
        lines = (home.postgres / "postmaster.pid").read_text().splitlines()
    except OSError:
        lines = []
    if len(lines) <= _SOCKET_FOLDER_LINE or not lines[_SOCKET_FOLDER_LINE]:
        raise StackError("PostgreSQL is not up yet.")
    return lines


def _postmaster(home: Home) -> psutil.Process | None:
    """The live server of this home. The number in postmaster.pid alone proves nothing: after a crash it may
    belong to any process, so the one that has it must also work in our data directory."""
    try:
        pid = int((home.postgres / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return next((process for process in _at_work(home) if process.pid == pid), None)


def _at_work(home: Home) -> list[psutil.Process]:
    """Every PostgreSQL process on this home's data, server and backends."""
    found = []
    data = str(home.postgres.resolve())
    for process in psutil.process_iter(["name"]):
        try:
            if (process.info["name"] or "").startswith("postgres") and process.cwd() == data:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # ended meanwhile, a zombie, or not ours
            continue
    return found


def _clear_remains(home: Home) -> None:
    """After a killed server: let its backends end (they do so by themselves), end those that do not, and
    only then remove the files that keep a second server away from data and socket still in use. The server
    itself would trust the numbers in them, which may be given out again, or be a zombie's."""
    remains = _at_work(home)
    _, alive = psutil.wait_procs(remains, timeout=3)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=5)
    (home.postgres / "postmaster.pid").unlink(missing_ok=True)
    (_choose_socket_folder(home) / f"{SOCKET}.lock").unlink(missing_ok=True)


def _choose_socket_folder(home: Home) -> Path:
    """The data directory, which only its owner enters; for a home with a long path a folder of the same
    kind in the system's temporary directory. A running server's postmaster.pid says which."""
    if len(os.fsencode(home.postgres / SOCKET)) <= SOCKET_PATH_LIMIT:
        return home.postgres
    name = f"jembatan-{sha256(os.fsencode(home.path)).hexdigest()[:16]}"
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - the folder in it is the owner's alone
        folder = Path(parent, name)
        if len(os.fsencode(folder / SOCKET)) <= SOCKET_PATH_LIMIT:
            break
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid not in (os.geteuid(), home.postgres.stat().st_uid):
        raise StackError(
            f"The folder {folder} belongs to somebody else; remove it, or shorten JEMBATAN_HOME."
        )
    folder.chmod(0o700)
    hand_over(home, folder)
    return folder
