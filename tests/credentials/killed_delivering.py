"""Export credentials, and die by SIGKILL right before or right after the N-th call.

Usage: killed_delivering.py RUN_ID before|after N MODULE, of calls to a service; or RUN_ID anywhere N MODULE,
of calls into our own code and returns of them: lives to the end where there are fewer, and prints how many
there were. MODULE's `worked` does the work. No part of the project knows of this: Python's own profiler sees
the calls.
"""

import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / room) for room in ("credentials", "records", "providers"))


def main(run_id: UUID, when: str, deadly: int, module: str) -> None:
    worked = import_module(module).worked
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

    sys.setprofile(count)
    threading.setprofile(count)
    worked(run_id)
    sys.setprofile(None)
    print(calls)


if __name__ == "__main__":
    main(UUID(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
