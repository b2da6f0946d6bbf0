"""Refund lines against our refunds, on random days: the same rules as for payments, held by the oracle.

A refund is to the rules what a payment is: `confirmed` is paid, `confirmed_at` is its time, and its fee may
be empty, zero or the plan's.
"""

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import oracle
import pytest
from world import (
    DAY,
    REPORT_HEAD,
    WIB,
    at,
    counts,
    line_text,
    load_ledger,
    random_items,
    random_line,
    run_files,
    write,
)

from records import ledger
from records.db import connection

REFUND_HEAD = (
    "reference,payment_reference,gateway,gateway_reference,amount,currency,status,created_at,confirmed_at"
)


def random_refunds(rng: random.Random, count: int) -> tuple[list[oracle.Item], list[oracle.Item]]:
    """Payments of long ago, and for each of them a refund of about this day."""
    long_ago = at(DAY - timedelta(days=90), 40_000)
    refunds, payments = [], []
    for item in random_items(rng, count):
        status = rng.choices(["confirmed", "requested", "refused", "unknown"], [70, 10, 10, 10])[0]
        when = item.paid_at or item.created_at.astimezone(WIB)
        refund = replace(
            item,
            gateway="gopay",
            status="paid" if status == "confirmed" else "pending",
            paid_at=when if status == "confirmed" else None,
        )
        refunds.append(refund)
        payments.append(
            replace(item, reference=f"P{item.reference}", gateway="gopay", gateway_reference=None,
                    status="partially_refunded", created_at=long_ago, paid_at=long_ago,
                    amount=item.amount + 1_000_000)
        )  # fmt: skip
    return payments, refunds


def load_refunds(folder: Path, refunds: list[oracle.Item]) -> None:
    rows = [
        f"{one.reference},P{one.reference},gopay,{one.gateway_reference or ''},{one.amount},IDR,"
        f"{'confirmed' if one.paid_at else 'requested'},{one.created_at.isoformat()},"
        f"{one.paid_at.isoformat() if one.paid_at else ''}"
        for one in refunds
    ]
    path = write(folder / f"refunds-{uuid4().hex}.csv", REFUND_HEAD, rows)
    with connection() as db:
        done = ledger.import_file(db, path, ledger.REFUNDS, size_limit=10**9, scratch=folder)
    assert done.refused == []


@pytest.mark.parametrize("seed", range(8))
def test_refund_lines_get_the_class_of_the_rules(database: str, tmp_path: Path, seed: int) -> None:
    rng = random.Random(7_000 + seed)
    payments, refunds = random_refunds(rng, rng.choice([5, 40]))
    load_ledger(tmp_path, payments)
    load_refunds(tmp_path, refunds)
    earlier: list[oracle.Result] = []
    for offset in (-1, 0, 1):
        day = DAY + timedelta(days=offset)
        lines = []
        for _ in range(rng.choice([10, 80])):
            line = random_line(rng, refunds, day)
            lines.append(replace(line, fee=None if line.fee == 0 else line.fee))
        lines += rng.choices(lines, k=len(lines) // 10)
        expected = oracle.reconcile(refunds, [lines], day, earlier=earlier)
        texts = [line_text(line).replace(",payment,", ",refund,") for line in lines]
        statement = run_files([write(tmp_path / f"{uuid4().hex}.csv", REPORT_HEAD, texts)], day, tmp_path)
        assert counts(statement) == expected.counts()
        earlier.append(expected)


def test_a_refund_made_in_the_dashboard_is_not_in_our_ledger_and_no_duplicate(
    database: str, tmp_path: Path
) -> None:
    payments, refunds = random_refunds(random.Random(1), 3)
    load_ledger(tmp_path, payments)
    foreign = f"FOREIGN-1,G9,refund,paid,50000,,IDR,{at(DAY, 36_000).isoformat()}"
    # The gateway may give it the payment's own reference: refunds and payments never pair with each other.
    named = f"P{refunds[0].reference},G8,refund,paid,60000,,IDR,{at(DAY, 36_000).isoformat()}"
    statement = run_files(
        [write(tmp_path / "report.csv", REPORT_HEAD, [foreign, named])], DAY - timedelta(days=40), tmp_path
    )
    found = counts(statement)
    assert found["missing_in_ledger"] == (2, Decimal(0), Decimal(110_000))
    assert found["duplicate_at_gateway"][0] == 0
