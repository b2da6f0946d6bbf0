"""Days of business for the pages: a ledger, a report, and the statement recorded as the flow records it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from api.figures import Figures
from common import clock
from providers.reports.layout import layouts
from providers.reports.lines import open_report
from records import matching, process, staging
from records.db import connection, database_url, unit_of_work
from records.payment import Payment

DAY = date(2026, 11, 24)
HEAD = "reference,gateway_reference,type,status,amount,fee,currency,occurred_at"
RULES = matching.Rules(Decimal("2.0"), Decimal(0), Decimal(0), 30)


def wib(hour: int, minute: int = 0, day: date = DAY) -> datetime:
    """A moment of the business day."""
    return datetime.combine(day, datetime.min.time(), clock.JAKARTA) + timedelta(hours=hour, minutes=minute)


@dataclass(frozen=True)
class Paid:
    """A payment of the ledger, and the line of the report that matches it."""

    reference: str
    rupiah: int = 100_000
    hour: int = 9
    minute: int = 0
    status: str = "paid"
    gateway: str = "gopay"
    day: date = DAY

    @property
    def at(self) -> datetime:
        return wib(self.hour, self.minute, self.day)

    def line(self, **changes: str) -> str:
        cells = {
            "reference": self.reference,
            "gateway_reference": f"G-{self.reference}",
            "type": "payment",
            "status": "paid",
            "amount": str(self.rupiah),
            "fee": str(self.rupiah // 50),
            "currency": "IDR",
            "occurred_at": self.at.isoformat(),
        }
        return ",".join((cells | changes).values())


def save(payments: Sequence[Paid]) -> None:
    """Put payments into the ledger."""
    with unit_of_work() as session:
        for one in payments:
            session.add(
                Payment(
                    reference=one.reference,
                    gateway=one.gateway,
                    gateway_reference=f"G-{one.reference}",
                    amount_minor=one.rupiah * 100,
                    currency="IDR",
                    status=one.status,
                    created_at=one.at - timedelta(minutes=3),
                    paid_at=one.at if one.status == "paid" else None,
                )
            )


def reconcile(
    folder: Path,
    lines: Sequence[str],
    *,
    day: date = DAY,
    gateway: str = "gopay",
    name: str = "settlement.csv",
    proven: bool = True,
) -> UUID:
    """Record the statement of a day from the lines of its report."""
    path = folder / f"{uuid4().hex}.csv"
    path.write_text("\n".join([HEAD, *lines]) + "\n", encoding="utf-8")
    with unit_of_work() as session:
        asked = {"gateway": gateway, "business_date": day.isoformat()}
        run, _ = process.request(session, "reconcile-payments", f"{gateway}/{day}/{uuid4()}", asked)
        process.start(session, run.id, None)
    table = staging.Staging(run.id)
    with connection() as db:
        table.create(db)
        report = open_report(path, name, layouts(), size_limit=10**9, scratch=folder)
        with staging.Loader(db, table, 0) as loader:
            for batch in report.lines():
                loader.add(loader.as_csv(batch.good), batch.malformed)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    source = matching.Source(report.name, sha256, report.rows, report.amount_minor)
    statement = uuid4()
    with connection() as db:
        matching.record(db, statement, matching.Day(run.id, gateway, day, RULES, True), [source])
    if proven:
        with connection() as db:
            assert matching.prove(db, statement)
    with unit_of_work() as session:
        process.finish(session, run.id, "succeeded", outcome={"run_id": str(statement)})
    return statement


@dataclass(frozen=True)
class Day:
    """A day with one item of each class, as the API showed it."""

    statement: UUID
    page: str
    csv: bytes
    listing: str
    at_risk_minor: int
    by_class: dict[str, Figures]


def every_class(folder: Path) -> UUID:
    """A day with one item of each class; 2 payments match."""
    fine, twice, other_currency = Paid("R-FINE"), Paid("R-TWICE", 75_000), Paid("R-CURRENCY", 150_000)
    less, unpaid = Paid("R-LESS", 350_000), Paid("R-UNPAID", 50_000, status="pending")
    fee, late, absent = Paid("R-FEE", 200_000), Paid("R-LATE", 99_000, 23, 45), Paid("R-ABSENT", 80_000)
    save([fine, twice, other_currency, less, unpaid, fee, late, absent])
    return reconcile(
        folder,
        [
            fine.line(),
            twice.line(),
            twice.line(gateway_reference="G-OTHER"),
            Paid("R-STRANGER", 45_000).line(),
            other_currency.line(currency="USD"),
            less.line(amount="345000"),
            unpaid.line(),
            fee.line(fee="4100.50"),
            Paid("R-BROKEN").line(amount="1e5"),
        ],
    )


def execute(statement: str, *values: object) -> None:
    """Do something to the database that only a test does."""
    with psycopg.connect(database_url()) as db:
        db.execute(statement.encode(), values)
