"""Work one batch of programs in this process and die by SIGKILL at the N-th call into our own code.

Usage: register_killed_at.py N PROCESS_RUN_ID…; N = 0 lives to the end. Prints the number of calls. No part of
the project knows of this: Python's own profiler counts the calls.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / room) for room in ("tasks", "ministry", "records", "providers", "flows"))


def main(deadly: int, run_ids: list[UUID]) -> None:
    from flows.register_program import register_program

    calls = 0

    def count(frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        if event in ("call", "return") and frame.f_code.co_filename.startswith(OURS):
            calls += 1
            if calls == deadly:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(count)
    sys.setprofile(count)
    state = register_program(processes=run_ids, return_state=True)
    sys.setprofile(None)
    print(calls, state.type.value, state.message)


if __name__ == "__main__":
    main(int(sys.argv[1]), [UUID(one) for one in sys.argv[2:]])
