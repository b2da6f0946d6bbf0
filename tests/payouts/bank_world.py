"""Days of settlement, bank statements, and the way to run them through the real thing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import world
from world import LEDGER_HEAD, run_files, write

from common import money
from records import ledger, payout, payout_run
from records.db import connection, unit_of_work
from tasks import bank_statements

TUE = date(2026, 11, 24)  # a Tuesday
WED, THU, FRI = (TUE + timedelta(days=days) for days in (1, 2, 3))
SAT, SUN, MON = (TUE + timedelta(days=days) for days in (4, 5, 6))
ACCOUNT = "0012345678"
BANK_HEAD = "account,booked_on,amount,direction,currency,reference,narrative"
REPORT_HEAD = f"{world.REPORT_HEAD},payout_reference"


@dataclass(frozen=True)
class Line:
    """One line of a settlement report, in rupiah."""

    reference: str
    amount: Decimal
    fee: Decimal | None = None
    kind: str = "payment"
    status: str = "paid"
    currency: str = "IDR"
    gateway_reference: str = ""
    payout: str = ""

    def text(self, day: date) -> str:
        fee = "" if self.fee is None else str(self.fee)
        theirs = self.gateway_reference or f"G-{self.reference}"
        at = world.at(day, 36_000).isoformat()
        return (
            f"{self.reference},{theirs},{self.kind},{self.status},{self.amount},{fee},{self.currency},{at},"
            f"{self.payout}"
        )


@dataclass(frozen=True)
class Credit:
    """One booking of the bank, in rupiah; negative: a debit. payout: the reference in its narrative."""

    day: date
    amount: Decimal
    payout: str = ""
    reference: str = ""
    currency: str = "IDR"
    gateway: str = "gopay"
    malformed: str | None = None

    @property
    def narrative(self) -> str:
        return f"TRSF SANDBOX {self.gateway} PAYOUT {self.payout}".rstrip()

    def text(self) -> str:
        amount = self.malformed if self.malformed is not None else str(abs(self.amount))
        direction = "debit" if self.amount < 0 else "credit"
        return f"{ACCOUNT},{self.day},{amount},{direction},{self.currency},{self.reference},{self.narrative}"


def paid(reference: str, rupiah: int, **changes: Any) -> Line:
    """A settled payment with the fee of GoPay's plan."""
    return replace(Line(reference, Decimal(rupiah), Decimal(rupiah) * 2 / 100), **changes)


def net(*lines: Line) -> Decimal:
    """What these lines are worth in a payout."""
    return sum((line.amount - (line.fee or 0) for line in lines), Decimal(0))


def take_ledger(folder: Path, day: date, lines: Sequence[Line]) -> None:
    """The payments of these lines as our own ledger has them."""
    at = world.at(day, 36_000)
    rows = [
        f"{line.reference},gopay,G-{line.reference},{line.amount},IDR,paid,"
        f"{(at - timedelta(minutes=5)).isoformat()},{at.isoformat()}"
        for line in {line.reference: line for line in lines if line.kind == "payment"}.values()
    ]
    path = write(folder / f"ledger-{uuid4().hex}.csv", LEDGER_HEAD, rows)
    with connection() as db:
        ledger.import_file(db, path, size_limit=10**9, scratch=folder)


def settle(folder: Path, day: date, lines: Sequence[Line], *, in_ledger: bool = True) -> None:
    """A business day whose report has these lines, reconciled as the night does it."""
    if in_ledger:
        take_ledger(folder, day, lines)
    path = write(folder / f"report-{uuid4().hex}.csv", REPORT_HEAD, [line.text(day) for line in lines])
    run_files([path], day, folder)


def bank_file(folder: Path, credits: Sequence[Credit], name: str | None = None) -> Path:
    return write(folder / (name or f"bank-{uuid4().hex}.csv"), BANK_HEAD, [one.text() for one in credits])


def covering(day: date) -> Credit:
    """Another business of the account, so that its statement reaches that day."""
    return Credit(day, Decimal("-12345.67"), gateway="nobody", reference=f"FEE-{day}")


def book(folder: Path, *credits: Credit) -> None:
    """A bank statement with these bookings, imported."""
    bank_statements.take(bank_file(folder, credits))


def proof(first: date, last: date | None = None, gateway: str = "gopay") -> dict[str, Any]:
    """The payouts of these bank days, reconciled now; balanced in any case."""
    with unit_of_work() as session:
        run = payout_run.reconcile(session, gateway, first, last or first)
        outcome = payout.as_json(session, run)
    assert outcome["balanced"], run.proof
    return outcome


def classes(outcome: dict[str, Any]) -> dict[str, tuple[int, Decimal, Decimal]]:
    """The classes that have something in them."""
    return {
        name: (one["count"], Decimal(one["ledger_amount"]), Decimal(one["report_amount"]))
        for name, one in outcome["classes"].items()
        if one["count"]
    }


def only(outcome: dict[str, Any]) -> dict[str, Any]:
    (one,) = outcome["payouts"]
    found: dict[str, Any] = one
    return found


def rupiah(amount: Decimal) -> str:
    return money.plain(int(amount * 100))


def midnight(day: date) -> datetime:
    return world.at(day, 0)
