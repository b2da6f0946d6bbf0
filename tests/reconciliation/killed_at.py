"""Run one reconciliation in this process and die by SIGKILL at the N-th call into our own code.

A program of the nursery: N GATEWAY DATE SOURCE [PROCESS_RUN_ID]; N = 0 lives to the end and prints the number
of calls. No part of the project knows of this: Python's own profiler counts the calls.
"""

import os
import signal
import sys
import threading
from datetime import date
from pathlib import Path

from prefect import tags

from flows.reconcile_payments import reconcile_payments
from flows.wallet import Wallet

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / room) for room in ("tasks", "records", "providers", "flows"))
# Heal asks with eight threads, and how many connections they open depends on who is faster. Without what
# happens on the connections equal runs make equally many calls.
CONNECTIONS = str(ROOT / "providers" / "deadline.py")


def main(deadly: int, gateway: str, day: str, source: str, process_run: str | None = None) -> None:
    calls = 0
    lock = threading.Lock()

    def count(frame, event, _argument):
        nonlocal calls
        where = frame.f_code.co_filename
        if event in ("call", "return") and where.startswith(OURS) and where != CONNECTIONS:
            with lock:
                calls += 1
                if calls == deadly:
                    os.kill(os.getpid(), signal.SIGKILL)

    with tags(*([f"process:{process_run}"] if process_run else [])):
        threading.setprofile(count)
        sys.setprofile(count)
        state = reconcile_payments(
            gateway=Wallet(gateway), business_date=date.fromisoformat(day), source=source, return_state=True
        )
        sys.setprofile(None)
    print(calls, state.type.value, state.message)
