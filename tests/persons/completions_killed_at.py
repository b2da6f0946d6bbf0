"""Work one report of completions in this process and die by SIGKILL at the N-th call into our own code.

Usage: completions_killed_at.py N REPORT_ID PROCESS_RUN_ID; N = 0 lives to the end. Prints the number.
No part of the project knows of this: Python's own profiler counts the calls.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / room) for room in ("ministry", "records", "providers"))


def main(deadly: int, report_id: UUID, run_id: UUID) -> None:
    from ministry import reporting
    from records import process
    from records.db import unit_of_work

    calls = 0

    def count(frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        if event in ("call", "return") and frame.f_code.co_filename.startswith(OURS):
            calls += 1
            if calls == deadly:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(count)
    sys.setprofile(count)
    with process.held_together([run_id.hex]):
        with unit_of_work() as session:
            process.start_batch(session, [run_id], None)
        (step,) = reporting.report_all([report_id])
    sys.setprofile(None)
    print(calls, step.next)


if __name__ == "__main__":
    main(int(sys.argv[1]), UUID(sys.argv[2]), UUID(sys.argv[3]))
