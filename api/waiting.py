"""`Prefer: wait=N`: hold an answer until its process has ended, at most 30 seconds (RFC 7240)."""

import re
import threading
import time
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import Header

from records.db import glance
from records.process import ENDED, ProcessRun

LONGEST = 30
AT_ONCE = 40  # of the requests that the API can hold: those who wait must not keep the others out
_PAUSE = 0.2
_WAIT = re.compile(r"(?:^|[,;\s])wait=([0-9]{1,6})(?:$|[,;\s])")
_places = threading.BoundedSemaphore(AT_ONCE)

# The header of a route that answers with a process.
Prefer = Annotated[
    str | None,
    Header(
        description="`wait=N`: hold the answer until the process has ended, at most N seconds, 30 at most",
        examples=["wait=1"],
    ),
]


def until_ended(run_id: UUID, prefer: str | None) -> bool:
    """Wait as the header says; tells whether it said anything. Where many wait already, nobody more does."""
    wanted = _WAIT.search(prefer or "")
    if wanted is None or not _places.acquire(blocking=False):
        return False
    try:
        until = time.monotonic() + min(int(wanted[1]), LONGEST)
        while time.monotonic() < until:
            with glance() as session:
                state = session.scalar(sa.select(ProcessRun.state).where(ProcessRun.id == run_id))
            if state in ENDED:
                break
            time.sleep(_PAUSE)
    finally:
        _places.release()
    return True
