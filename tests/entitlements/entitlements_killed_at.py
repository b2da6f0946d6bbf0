"""Take one look through Prefect in this process and die by SIGKILL at the N-th call into our own code.

A program of the nursery: N [PROCESS_RUN_ID]; N = 0 lives to the end and prints the number of calls. No part
of the project knows of this: Python's own profiler counts the calls.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from prefect import tags

from flows.reconcile_entitlements import reconcile_entitlements

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / room) for room in ("tasks", "records", "flows"))


def main(deadly: int, process_run: str | None = None) -> None:
    calls = 0
    lock = threading.Lock()

    def count(frame, event, _argument):
        nonlocal calls
        if event in ("call", "return") and frame.f_code.co_filename.startswith(OURS):
            with lock:
                calls += 1
                if calls == deadly:
                    os.kill(os.getpid(), signal.SIGKILL)

    with tags(*([f"process:{process_run}"] if process_run else [])):
        threading.setprofile(count)
        sys.setprofile(count)
        state = reconcile_entitlements(return_state=True)
        sys.setprofile(None)
    print(calls, state.type.value, state.message)
