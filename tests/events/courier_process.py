"""A courier in a process of its own, that dies by SIGKILL at the N-th call into our own code.

A program of the nursery: N; N = 0 lives until there is nothing left to deliver, and prints the number of
calls. No part of the project knows of this: Python's own profiler counts the calls.
"""

import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType

import sqlalchemy as sa

from api.courier import Courier
from records.db import unit_of_work
from records.platform_events import PlatformEvent

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / room) for room in ("api", "records", "providers"))


def main(deadly: int) -> None:
    calls = 0
    lock = threading.Lock()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        if event in ("call", "return") and frame.f_code.co_filename.startswith(OURS):
            with lock:
                calls += 1
                if calls == deadly:
                    os.kill(os.getpid(), signal.SIGKILL)

    def is_done() -> bool:
        waiting = sa.select(sa.func.count()).where(PlatformEvent.state == "waiting")
        with unit_of_work() as session:
            return not session.scalar(waiting)

    courier = Courier()
    threading.setprofile(count)
    courier.start()
    threading.setprofile(None)
    while not is_done():
        time.sleep(0.05)
    print(calls)
