"""Work one batch of refunds in this process and die by SIGKILL at the N-th call into our own code.

A program of the nursery: N PROCESS_RUN_ID…; N = 0 lives to the end. Prints the number of calls. No part of
the project knows of this: Python's own profiler counts the calls.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

from flows.refund_payment import refund_payment

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / room) for room in ("tasks", "checkout", "records", "providers", "flows"))


def main(deadly: int, *run_ids: str) -> None:
    calls = 0

    def count(frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        if event in ("call", "return") and frame.f_code.co_filename.startswith(OURS):
            calls += 1
            if calls == deadly:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(count)
    sys.setprofile(count)
    state = refund_payment(processes=[UUID(one) for one in run_ids], return_state=True)
    sys.setprofile(None)
    print(calls, state.type.value, state.message)
