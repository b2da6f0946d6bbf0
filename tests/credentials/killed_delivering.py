"""Export credentials, and die by SIGKILL right before or right after the N-th call.

Usage: killed_delivering.py RUN_ID before|after N MODULE, whose `worked` does the work. No part of the project
knows of this: Python's own profiler sees the calls.
"""

import os
import signal
import sys
import threading
from importlib import import_module
from typing import Any
from uuid import UUID


def main(run_id: UUID, when: str, deadly: int, module: str) -> None:
    worked = import_module(module).worked
    calls = 0
    event_of_death = "call" if when == "before" else "return"

    def count(frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        code = frame.f_code
        if (
            event == event_of_death
            and code.co_name == "call"
            and code.co_filename.endswith("providers/http.py")
        ):
            calls += 1
            if calls == deadly:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    threading.setprofile(count)
    worked(run_id)


if __name__ == "__main__":
    main(UUID(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
