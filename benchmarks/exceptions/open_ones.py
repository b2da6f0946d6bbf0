"""Open exceptions of three gateways and many days, made by the real reconciliation; and the API over them."""

import csv
import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import fastexcel
import httpx
import xlsxwriter

from common import clock
from common.money import plain
from common.settings import GATEWAYS, settings
from jembatan.stack import stack
from providers.reports.layout import layouts
from providers.reports.lines import open_report
from records import client as clients
from records import ledger, matching, process, staging
from records.db import connection, database_url, unit_of_work

DAYS = 20  # every second one, back from yesterday
_RULES = matching.Rules(Decimal("2.0"), Decimal(0), Decimal(0), 30)
_LEDGER = "reference,gateway,gateway_reference,amount,currency,status,created_at,paid_at"
_REPORT = "reference,gateway_reference,type,status,amount,fee,currency,occurred_at"


@dataclass(frozen=True)
class Served:
    """Where the API and its database are."""

    api: str
    database: str


@dataclass
class Made:
    """What was made: the truth that the answers are held against."""

    count: int
    by_gateway: dict[str, tuple[int, str]]
    first: date
    one: int
    far_down: str = ""


@contextmanager
def serve(home: Path) -> Iterator[Served]:
    """The API in a process of its own, on a fresh database."""
    os.environ["JEMBATAN_HOME"] = str(home)
    settings.cache_clear()
    with stack():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", "api.app:app", "--port", str(port), "--lifespan", "off"]
        environment = os.environ | {"JEMBATAN_DATABASE_URL": database_url()}
        running = subprocess.Popen([*command, "--log-level", "warning", "--no-access-log"], env=environment)
        try:
            _wait_for(f"http://127.0.0.1:{port}/healthz")
            yield Served(f"http://127.0.0.1:{port}", database_url())
        finally:
            running.terminate()
            running.wait(20)


def key() -> dict[str, str]:
    """The header of a client that may do everything."""
    with unit_of_work() as session:
        _, made = clients.create(session, "benchmark", ["*"])
    return {"Authorization": f"Bearer {made.text}"}


def make(folder: Path, count: int) -> Made:
    """Half are payments that no line names, half are lines that no payment has; sums as they are added up."""
    cells = [(gateway, day) for day in _days() for gateway in GATEWAYS]
    each, rest = divmod(count, len(cells))
    sums = dict.fromkeys(GATEWAYS, (0, 0))
    for number, (gateway, day) in enumerate(cells):
        size = each + (number < rest)
        amounts = [10_000 + 137 * (number * 1_000 + place) % 900_000 for place in range(size)]
        _reconcile(folder, gateway, day, number, amounts)
        had, minor = sums[gateway]
        sums[gateway] = (had + size, minor + sum(amounts) * 100)
    with connection() as db:
        db.execute("ANALYZE")
        (one,) = db.execute("SELECT max(id) FROM reconciliation_exceptions").fetchone() or (0,)
    shown = {gateway: (number, plain(minor)) for gateway, (number, minor) in sums.items() if number}
    return Made(count, shown, min(_days()), one)


def _days() -> list[date]:
    today = clock.business_date(clock.now())
    return [today - timedelta(days=1 + 2 * number) for number in range(DAYS)]


def _reconcile(folder: Path, gateway: str, day: date, cell: int, amounts: list[int]) -> None:
    paid_at = datetime.combine(day, datetime.min.time(), clock.JAKARTA) + timedelta(hours=9)
    ours = [
        f"P-{cell}-{n},{gateway},G-{cell}-{n},{amount},IDR,paid,{paid_at.isoformat()},{paid_at.isoformat()}"
        for n, amount in enumerate(amounts)
        if n % 2
    ]
    theirs = [
        f"L-{cell}-{n},H-{cell}-{n},payment,paid,{amount},,IDR,{paid_at.isoformat()}"
        for n, amount in enumerate(amounts)
        if not n % 2
    ]
    ledger_csv, report_csv = folder / "ledger.csv", folder / "report.csv"
    ledger_csv.write_text("\n".join([_LEDGER, *ours]) + "\n", encoding="utf-8")
    report_csv.write_text("\n".join([_REPORT, *theirs]) + "\n", encoding="utf-8")
    with unit_of_work() as session:
        run, _ = process.request(session, "reconcile-payments", uuid4().hex, {})
    table = staging.Staging(run.id)
    with connection() as db:
        ledger.import_file(db, ledger_csv, size_limit=10**9, scratch=folder)
    with connection() as db:
        table.create(db)
        report = open_report(report_csv, "report.csv", layouts(), size_limit=10**9, scratch=folder)
        with staging.Loader(db, table, 0) as loader:
            for batch in report.lines():
                loader.add(loader.as_csv(batch.good), batch.malformed)
    source = matching.Source("report.csv", "0" * 64, report.rows, report.amount_minor)
    with connection() as db:
        matching.record(db, uuid4(), matching.Day(run.id, gateway, day, _RULES, True), [source])
        table.drop(db)


def _fill(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [row | {"action": "explain", "reason": f"FIN-118, row {n}"} for n, row in enumerate(rows)]


def _csv(body: bytes) -> bytes:
    rows = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(_fill(rows))
    return out.getvalue().encode("utf-8-sig")


def _xlsx(body: bytes) -> bytes:
    shown = fastexcel.read_excel(body).load_sheet(0, dtypes="string").to_arrow().to_pylist()
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate([dict(zip(shown[0], shown[0], strict=True)), *_fill(shown)]):
            for column, cell in enumerate(row.values()):
                sheet.write_string(number, column, cell or "")
    return out.getvalue()


# A sheet as it comes back, with every row explained.
BROUGHT_ALONG: dict[str, Callable[[bytes], bytes]] = {"csv": _csv, "xlsx": _xlsx}


def _wait_for(url: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            httpx.get(url, timeout=1).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise SystemExit("the API did not start")
