"""Books that no test has seen: the proof finds what the sandbox's bank was made to do, to the rupiah."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bank_world import proof

from records import ledger, matching, process, staging
from records.db import connection, unit_of_work
from sandbox import bank, bank_files, gopay_files, linkaja
from sandbox.bank import Asked
from sandbox.books import LEAST_SIZE, Books
from tasks import bank_statements

FIRST = date(2026, 10, 5)  # a Monday
FORMS = {"sta": bank_files.mt940, "xml": bank_files.camt053, "csv": bank_files.table_csv}


def settle_books(books: Books, gateway: str, day: date, folder: Path) -> None:
    """Take the day's ledger over and reconcile its report, as the night does."""
    from providers.reports.layout import load_layout
    from providers.reports.lines import open_report

    for kind, text in ((ledger.PAYMENTS, books.ledger_csv(day)), (ledger.REFUNDS, books.refunds_csv(day))):
        path = folder / f"{kind.name}-{day}.csv"
        path.write_text(text)
        with connection() as db:
            ledger.import_file(db, path, kind, size_limit=10**9, scratch=folder)
    book = books.day(gateway, day)
    report = folder / f"{gateway}-{day}.csv"
    if gateway == "gopay":
        report.write_text(gopay_files.report_csv(book, gopay_files.EXPORT))
    else:
        report.write_text(linkaja.settlement_csv(book))
    layout = load_layout("midtrans-transactions" if gateway == "gopay" else "canonical")
    with unit_of_work() as session:
        run, _ = process.request(session, "reconcile-payments", f"{gateway}/{day}", {})
    table = staging.Staging(run.id)
    with connection() as db:
        table.create(db)
        opened = open_report(report, report.name, [layout], size_limit=10**9, scratch=folder)
        with staging.Loader(db, table, 0) as loader:
            for lines in opened.lines():
                loader.add(loader.as_csv(lines.good), lines.malformed)
    source = matching.Source(report.name, f"{day:%Y%m%d}".zfill(64), opened.rows, opened.amount_minor)
    rate = Decimal("2.0") if gateway == "gopay" else Decimal("1.5")
    rules = matching.Rules(rate, Decimal(0), Decimal(0), 30)
    with connection() as db:
        matching.record(db, run.id, matching.Day(run.id, gateway, day, rules), [source])
    with connection() as db:
        assert matching.prove(db, run.id)
    with unit_of_work() as session:
        from records import reconciliation

        statement = session.get_one(reconciliation.Reconciliation, run.id)
        found = reconciliation.as_json(session, statement)
    assert found["classes"] == {name: books.truth(day)[gateway][name] for name in found["classes"]}


def take_statement(books: Books, first: date, last: date, since: date, form: str, folder: Path) -> None:
    path = folder / f"bank-{first}-{last}.{form}"
    path.write_text(FORMS[form](bank.bookings(books, first, last, Asked(since)), first, last), newline="")
    bank_statements.take(path)


def classes_of(outcome: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in outcome["classes"].items() if one["count"] and name != "timing"}


@pytest.mark.parametrize(
    ("gateway", "form", "seed"),
    [("gopay", "sta", 90_210), ("linkaja", "xml", 4_711)],
)
def test_payouts_are_what_the_sandboxs_bank_was_made_to_do(
    database: str, tmp_path: Path, gateway: str, form: str, seed: int
) -> None:
    books = Books(seed=seed, size=LEAST_SIZE)
    days = [FIRST + timedelta(days=number) for number in range(7)]  # a week with its weekend
    for day in days:
        settle_books(books, gateway, day, tmp_path)
    first, last = FIRST + timedelta(days=1), FIRST + timedelta(days=8)
    take_statement(books, first, last - timedelta(days=3), FIRST, form, tmp_path)
    take_statement(books, last - timedelta(days=4), last, FIRST, form, tmp_path)  # a day is in both
    known = bank.truth(books, first, last, Asked(FIRST))[gateway]
    known_kinds = {one["kind"] for one in known["payouts"] if one["due_on"] <= str(FIRST + timedelta(days=7))}
    assert known_kinds >= {"payment_missing", "late", "unknown_credit"}
    outcome = proof(first, FIRST + timedelta(days=7), gateway)
    assert (
        classes_of(outcome)
        == bank.truth(books, first, FIRST + timedelta(days=7), Asked(FIRST))[gateway]["classes"]
    )
    found = {one["due_on"]: one for one in outcome["payouts"] if one["due_on"]}
    for one in known["payouts"]:
        if one["kind"] == "payment_missing" and one["due_on"] in found:
            said = found[one["due_on"]]["explanation"]
            assert said == {
                "what": "missing_payment",
                "is_unique": True,
                "lines": 1,
                "references": [one["missing_reference"]],
            }
