"""Work one batch of programs in this process and die by SIGKILL at the N-th call into our own code.

Usage: register_killed_at.py N PROCESS_RUN_ID…; N = 0 lives to the end. Prints the number of calls. No part of
the project knows of this: Python's own profiler counts the calls.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / room) for room in ("tasks", "ministry", "records", "providers", "flows"))


def died_at(deadly: int, work: Callable[[], Any]) -> None:
    """Do the work, a flow that gives its state, and die in it."""
    calls = 0

    def count(frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        if event in ("call", "return") and frame.f_code.co_filename.startswith(OURS):
            calls += 1
            if calls == deadly:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(count)
    sys.setprofile(count)
    state = work()
    sys.setprofile(None)
    print(calls, state.type.value, state.message)


if __name__ == "__main__":
    from flows.register_program import register_program

    run_ids = [UUID(one) for one in sys.argv[2:]]
    died_at(int(sys.argv[1]), lambda: register_program(processes=run_ids, return_state=True))
