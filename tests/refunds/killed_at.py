"""Work batches of refunds, each in a process of its own that dies by SIGKILL at the N-th call into our code.

Usage: killed_at.py, with lines `N PROCESS_RUN_ID…` on the standard input; N = 0 lives to the end. For each
line it prints what the worker says of itself, if it lived (the number of calls first), and then `exit CODE`.
The workers are forked, so that the imports are made once. No part of the project knows of this: Python's own
profiler counts the calls.
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


def work(deadly: int, run_ids: list[UUID]) -> None:
    calls = 0

    def count(frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        if event in ("call", "return") and frame.f_code.co_filename.startswith(OURS):
            calls += 1
            if calls == deadly:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(count)
    sys.setprofile(count)
    state = refund_payment(processes=run_ids, return_state=True)
    sys.setprofile(None)
    print(calls, state.type.value, state.message, flush=True)


for line in sys.stdin:
    number, *names = line.split()
    if (child := os.fork()) == 0:
        work(int(number), [UUID(name) for name in names])
        os._exit(0)
    print("exit", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
