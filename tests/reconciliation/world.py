"""Random ledgers and reports, dense with trouble, and the way to run them through the real thing."""

import random
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import oracle
import psycopg
from oracle import Item, Line

from records import ledger, matching, process, reconciliation, staging
from records.db import connection, unit_of_work

WIB = timezone(timedelta(hours=7))
DAY = date(2026, 11, 24)
REPORT_HEAD = "reference,gateway_reference,type,status,amount,fee,currency,occurred_at"
LEDGER_HEAD = "reference,gateway,gateway_reference,amount,currency,status,created_at,paid_at"
RULES = matching.Rules(Decimal("2.0"), Decimal(0), Decimal(0), 30)


def at(day: date, seconds: int) -> datetime:
    return datetime.combine(day, datetime.min.time(), WIB) + timedelta(seconds=seconds)


def random_items(
    rng: random.Random, count: int, first: date = DAY - timedelta(days=2), days: int = 4
) -> list[Item]:
    items = []
    for number in range(count):
        day = first + timedelta(days=rng.randrange(days))
        second = rng.choice([0, 1, 84599, 84600, 84601, 86399, rng.randrange(86400)])
        status = rng.choices(
            ["paid", "pending", "expired", "refunded", "partially_refunded", "reversed", "unknown"],
            [60, 10, 5, 5, 5, 5, 5],
        )[0]
        is_timed = status in oracle.PAID or status == "reversed"
        items.append(
            Item(
                f"R{number}",
                rng.choice([f"G{number}", f"G{number}", None]),
                Decimal(rng.choice([1, 25, 10_000, 99_999, 150_000])),
                "IDR",
                status,
                at(day, second) - timedelta(minutes=5),
                at(day, second) if is_timed else None,
                rng.choices(["gopay", "ovo"], [95, 5])[0],
            )
        )
    return items


def random_line(rng: random.Random, items: Sequence[Item], day: date) -> Line:
    item = rng.choice(items)
    amount = item.amount
    theirs = item.gateway_reference or f"G{item.reference[1:]}"
    line = Line(
        rng.choices([item.reference, f"X{rng.randrange(5)}"], [93, 7])[0],
        rng.choices([theirs, f"H{rng.randrange(3)}", ""], [80, 14, 6])[0],
        rng.choices([amount, amount + 1, Decimal("0.01")], [88, 8, 4])[0],
        rng.choices([oracle.fee(amount, Decimal(2)), None, Decimal("7.5"), Decimal(0)], [75, 15, 6, 4])[0],
        rng.choices(["IDR", "USD"], [95, 5])[0],
        rng.choices(["paid", "failed", "reversed"], [85, 9, 6])[0],
        at(day, rng.randrange(4) * 20_000),
    )
    if rng.random() < 0.06:
        broken = rng.choice(["1e5", "NaN", "-3", "0", "1.234", "", "10,5"])
        return Line(**{**line.__dict__, "malformed": broken})
    return line


def line_text(line: Line) -> str:
    fee = "" if line.fee is None else str(line.fee)
    amount = line.malformed if line.malformed is not None else str(line.amount)
    cell = f'"{amount}"' if "," in amount else amount
    return (
        f"{line.reference},{line.gateway_reference},payment,{line.status},{cell},{fee},"
        f"{line.currency},{line.occurred_at.isoformat()}"
    )


def item_text(item: Item) -> str:
    paid_at = item.paid_at.isoformat() if item.paid_at else ""
    return (
        f"{item.reference},{item.gateway},{item.gateway_reference or ''},{item.amount},{item.currency},"
        f"{item.status},{item.created_at.isoformat()},{paid_at}"
    )


def write(path: Path, head: str, rows: Sequence[str]) -> Path:
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def load_ledger(folder: Path, items: Sequence[Item]) -> None:
    path = write(folder / "ledger.csv", LEDGER_HEAD, [item_text(item) for item in items])
    with connection() as db:
        done = ledger.import_file(db, path, size_limit=10**9, scratch=folder)
    assert done.refused == []


def run_day(folder: Path, reports: Sequence[Sequence[Line]], day: date = DAY) -> UUID:
    """Stage, record and prove one day as the flow does, without Prefect; returns the statement's id."""
    paths = [
        write(folder / f"report-{uuid4().hex}.csv", REPORT_HEAD, [line_text(line) for line in report])
        for report in reports
    ]
    return run_files(paths, day, folder)


def run_files(
    paths: Sequence[Path],
    day: date,
    folder: Path,
    *,
    allow_empty: bool = True,
    after_staging: Callable[[psycopg.Connection, staging.Staging], None] = lambda db, table: None,
) -> UUID:
    from providers.reports.layout import layouts
    from providers.reports.lines import open_report

    with unit_of_work() as session:
        run, _ = process.request(session, "reconcile-payments", uuid4().hex, {})
    table, sources, statement = staging.Staging(run.id), [], uuid4()
    with connection() as db:
        table.create(db)
        for number, path in enumerate(paths):
            report = open_report(path, path.name, layouts(), size_limit=10**9, scratch=folder)
            with staging.Loader(db, table, number) as loader:
                for lines in report.lines():
                    loader.add(loader.as_csv(lines.good), lines.malformed)
            sources.append(matching.Source(path.name, "0" * 64, report.rows, report.amount_minor))
        after_staging(db, table)
    with connection() as db:
        matching.record(db, statement, matching.Day(run.id, "gopay", day, RULES, allow_empty), sources)
    with connection() as db:
        assert matching.prove(db, statement)
    return statement


def counts(statement: UUID) -> dict[str, tuple[int, Decimal, Decimal]]:
    with unit_of_work() as session:
        run = session.get_one(reconciliation.Reconciliation, statement)
        return {
            name: (row["count"], Decimal(row["ledger_minor"]) / 100, Decimal(row["report_minor"]) / 100)
            for name, row in run.classes.items()
        }
