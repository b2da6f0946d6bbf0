"""Tell a completion of 12 learners and export it, and die by SIGKILL at the N-th call into our own code.

Usage: killed_making.py N; N = 0 lives to the end. Prints the number of calls. No part of the project knows of
this: Python's own profiler counts the calls.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / room) for room in ("credentials", "records", "providers"))


def main(deadly: int) -> None:
    from registry import exported, holder, told

    calls = 0

    def count(frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        if event in ("call", "return") and frame.f_code.co_filename.startswith(OURS):
            calls += 1
            if calls == deadly:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    made = told([holder(number) for number in range(12)])
    if made.run is not None:
        exported(made.run.id)
    sys.setprofile(None)
    print(calls)


if __name__ == "__main__":
    main(int(sys.argv[1]))
