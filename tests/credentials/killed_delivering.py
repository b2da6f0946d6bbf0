"""Deliver European credentials of 3 learners, and die by SIGKILL right before or right after the N-th call.

Usage: killed_delivering.py RUN_ID before|after N, of calls to the issuer; or RUN_ID anywhere N, of calls into
our own code and returns of them: lives to the end where there are fewer, and prints how many there were. No
part of the project knows of this: Python's own profiler sees the calls.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / room) for room in ("credentials", "records", "providers"))


def main(run_id: UUID, when: str, deadly: int) -> None:
    from issuing import worked

    calls = 0
    event_of_death = "call" if when == "before" else "return"

    def count(frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        code = frame.f_code
        is_call = code.co_name == "call" and code.co_filename.endswith("providers/http.py")
        is_ours = event in ("call", "return") and code.co_filename.startswith(OURS)
        if is_ours if when == "anywhere" else event == event_of_death and is_call:
            calls += 1
            if calls == deadly:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(count)
    if when == "anywhere":
        sys.setprofile(count)
    worked(run_id)
    sys.setprofile(None)
    print(calls)


if __name__ == "__main__":
    main(UUID(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
