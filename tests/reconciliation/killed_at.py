"""Run one reconciliation in this process and die by SIGKILL at the N-th call into our own code.

Usage: killed_at.py N GATEWAY DATE SOURCE [PROCESS_RUN_ID]; N = 0 lives to the end and prints the number of
calls. No part of the project knows of this: Python's own profiler counts the calls.
"""

import os
import signal
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / room) for room in ("tasks", "records", "providers", "flows"))


def main(deadly: int, gateway: str, day: str, source: str, process_run: str | None) -> None:
    from prefect import tags

    from flows.reconcile_payments import reconcile_payments
    from flows.wallet import Wallet

    calls = 0

    def count(frame, event, _argument):
        nonlocal calls
        if event in ("call", "return") and frame.f_code.co_filename.startswith(OURS):
            calls += 1
            if calls == deadly:
                os.kill(os.getpid(), signal.SIGKILL)

    import threading

    with tags(*([f"process:{process_run}"] if process_run else [])):
        threading.setprofile(count)
        sys.setprofile(count)
        state = reconcile_payments(
            gateway=Wallet(gateway), business_date=date.fromisoformat(day), source=source, return_state=True
        )
        sys.setprofile(None)
    print(calls, state.type.value, state.message)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:5], sys.argv[5] if len(sys.argv) > 5 else None)
