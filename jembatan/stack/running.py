"""The record of who runs on a home: written by `jembatan up`, believed only while that process lives."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime

import psutil

from jembatan.stack import locks
from jembatan.stack.addresses import Stack
from jembatan.stack.home import Home
from jembatan.stack.processes import is_process

UP = "up"  # the lock that a running `jembatan up` holds
WORKER = "worker"  # the lock of whoever has the home's worker: another one would take its runs and end them


@dataclass(frozen=True)
class Running:
    """A `jembatan up` that lives, and what it offers."""

    pid: int
    started_at: datetime
    stack: Stack


def write(home: Home, stack: Stack, started_at: datetime, children: dict[str, int]) -> None:
    """Say that this process runs the stack; whole or not at all."""
    record = {
        "pid": os.getpid(),
        "create_time": psutil.Process().create_time(),
        "started_at": started_at.isoformat(),
        "stack": asdict(stack),
        "children": children,
    }
    unfinished = home.record.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    unfinished.chmod(0o600)
    unfinished.replace(home.record)


def read(home: Home) -> Running | None:
    """Who runs here; None when nobody does. The lock says that somebody lives, the process id and its start
    time that it is the one who wrote the record."""
    try:
        record = json.loads(home.record.read_text(encoding="utf-8"))
        found = Running(record["pid"], datetime.fromisoformat(record["started_at"]), Stack(**record["stack"]))
        is_he = is_process(found.pid, record["create_time"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if is_he and locks.is_held(home.lock(UP)) else None
