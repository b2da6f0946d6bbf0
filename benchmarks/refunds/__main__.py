"""`python -m benchmarks.refunds`: measure, print, and exit 1 only when an answer was wrong."""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from benchmarks import machine
from benchmarks.payments.stage import (
    AMOUNT_MINOR,
    PROFILES,
    Stage,
    UnderWay,
    WrongAnswer,
    check,
    put_into_ledger,
    wait_until,
    write_journal,
)
from common.settings import settings
from jembatan.stack import database, stack
from records import client as clients
from records.db import unit_of_work

REFUNDS = 500
TARGET_SECONDS = 60
LIBRARIES = ("prefect", "psycopg", "httpx", "uvicorn")
ENDED = "SELECT count(*) FROM process_runs WHERE process = 'refund-payment' AND state = 'succeeded'"


def main() -> int:
    """Everything in a temporary folder; nothing is left."""
    options = _options()
    for name in [name for name in os.environ if name.startswith(("JEMBATAN_", "PREFECT_"))]:
        del os.environ[name]  # a set-up of the user's must neither be used nor changed
    with tempfile.TemporaryDirectory(prefix="jembatan-bench-") as name:
        folder = Path(name)
        os.environ["PREFECT_HOME"] = str(folder / "prefect")
        with database(folder / "machine") as url:
            machine_is = machine.describe(url, LIBRARIES)
        try:
            rows = [(gateway, *_measured(folder / gateway, gateway)) for gateway in options.gateways]
        except WrongAnswer as wrong:
            print(f"Wrong answer: {wrong}")
            return 1
    print(f"{REFUNDS} refunds: a file is asked for, Prefect works it in batches, until the last has ended")
    for gateway, asked, ended, calls in rows:
        verdict = "met" if ended <= TARGET_SECONDS else "NOT met"
        print(
            f"{gateway}: asked for in {asked:.1f} s, all confirmed after {ended:.1f} s "
            f"({TARGET_SECONDS} s: {verdict}), {calls} calls"
        )
    print(" · ".join(f"{name} {value}" for name, value in machine_is.items()))
    return 0


def _measured(folder: Path, gateway: str) -> tuple[float, float, int]:
    """Seconds until all were asked for and until all have ended, and how often the gateway was called."""
    payments = [UnderWay(gateway, f"REF-{number:06d}", is_paid=True) for number in range(REFUNDS)]
    home = folder / "home"
    home.mkdir(parents=True)
    write_journal(home / "sandbox-journal.jsonl", payments)
    os.environ["JEMBATAN_HOME"] = str(home)
    os.environ["JEMBATAN_API_PORT"] = "8470"
    os.environ["JEMBATAN_SANDBOX_PORT"] = "8480"
    os.environ["JEMBATAN_PREFECT_PORT"] = "8490"
    os.environ["JEMBATAN_CATCH_UP_DAYS"] = "0"
    settings.cache_clear()
    with stack(prefect=True, worker=True, sandbox=True, api=True) as running:
        with unit_of_work() as session:
            client, key = clients.create(session, "benchmark", ["*"], rate_per_minute=1_000_000)
        with httpx.Client(base_url=running.sandbox_url or "", timeout=60) as sandbox:
            port = urlsplit(running.sandbox_url or "").port or 0
            on = Stage(running.database_url, sandbox, port, client.id, key.text)
            return _given_back(folder, gateway, payments, on)


def _given_back(folder: Path, gateway: str, payments: list[UnderWay], on: Stage) -> tuple[float, float, int]:
    put_into_ledger(on.client_id, payments)
    on.scalar(
        "WITH paid AS (UPDATE payments SET status = 'paid', paid_at = now(), next_status_at = NULL"
        " RETURNING 1) SELECT count(*) FROM paid"
    )
    file = folder / "course.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("reference", "refund_key", "amount", "reason"))
        writer.writerows((one.reference, "course-cancelled", "", "Course was cancelled") for one in payments)
    total = str(REFUNDS * AMOUNT_MINOR // 100)
    words = [
        str(Path(sys.executable).with_name("jembatan")),
        "refunds",
        "import",
        str(file),
        "--total",
        total,
        "--by",
        "bench",
    ]
    begun = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    asked = time.monotonic() - begun
    wait_until(lambda: on.scalar(ENDED) == REFUNDS, "all refunds to be confirmed")
    ended = time.monotonic() - begun
    _checked(gateway, payments, on)
    return asked, ended, on.calls(gateway, "refund") + on.calls(gateway, "status")


def _checked(gateway: str, payments: list[UnderWay], on: Stage) -> None:
    """Both sides' books agree: each payment went back once, wholly."""
    books = {
        one["reference"]: [refund["amount"] for refund in one["refunds"]]
        for one in on.sandbox.get("/_sandbox/payments", params={"gateway": gateway}).raise_for_status().json()
    }
    whole = f"{AMOUNT_MINOR // 100}.00"
    for one in payments:
        check(books[one.reference] == [whole], f"{one.reference} went back as {books[one.reference]}")
    is_back = "SELECT count(*) FROM payments WHERE status = 'refunded' AND refunded_minor = amount_minor"
    check(on.scalar(is_back) == REFUNDS, f"{on.scalar(is_back)} payments are refunded with us")
    runs = on.scalar("SELECT count(DISTINCT flow_run_id) FROM process_runs WHERE process = 'refund-payment'")
    check(runs < REFUNDS / 10, f"{runs} flow runs for {REFUNDS} refunds")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.refunds", description=__doc__)
    parser.add_argument("gateways", nargs="*", default=["gopay"], choices=sorted(PROFILES))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
