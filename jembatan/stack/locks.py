"""Locks between processes: flock on a file. The kernel lets go of them when the holder dies, however it
dies, so a lock that is held means somebody who lives."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def open_lock(path: Path) -> int:
    """A descriptor for the lock file, made when missing; not inherited by children."""
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def take(descriptor: int, *, shared: bool = False, wait: bool = True) -> bool:
    """Lock the descriptor; False when somebody else holds it and we do not wait."""
    flags = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    try:
        fcntl.flock(descriptor, flags)
    except BlockingIOError:
        return False
    return True


def release(descriptor: int) -> None:
    """Let go, and keep the descriptor."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until nobody else is in, then be the only one."""
    descriptor = open_lock(path)
    try:
        take(descriptor)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone_or_none(path: Path, patience: float = 1.0) -> Iterator[bool]:
    """Be the only one, or get False. `patience` (seconds) outlasts those who only ask whether it is held."""
    descriptor = open_lock(path)
    try:
        until = time.monotonic() + patience
        while not (got := take(descriptor, wait=False)) and time.monotonic() < until:
            time.sleep(0.05)
        yield got
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Is somebody alone in there now? Asks with a shared lock, so that askers do not disturb each other."""
    if not path.exists():
        return False
    descriptor = open_lock(path)
    try:
        return not take(descriptor, shared=True, wait=False)
    finally:
        os.close(descriptor)
