"""Serve the API in this process and die by SIGKILL at the N-th call into the code of payments.

A program of the nursery: N PORT; N = 0 lives until it is stopped. No part of the project knows of this:
Python's own profiler counts the calls. What only waits for news (the relay, the courier) is not counted.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import uvicorn

from api.app import app

ROOT = Path(__file__).resolve().parents[2]
OURS = (
    *(str(ROOT / room) for room in ("checkout", "providers")),
    *(str(ROOT / "records" / name) for name in ("charge.py", "payment.py", "notification.py")),
    *(str(ROOT / "api" / name) for name in ("payments.py", "callbacks.py", "intake.py")),
)


def main(deadly: int, port: int) -> None:
    calls = 0

    def count(frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        if event in ("call", "return") and frame.f_code.co_filename.startswith(OURS):
            calls += 1
            if calls == deadly:
                os.kill(os.getpid(), signal.SIGKILL)

    if deadly:
        threading.setprofile(count)
        sys.setprofile(count)
    uvicorn.run(app, port=port, log_level="warning")
