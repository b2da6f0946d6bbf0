"""The books: deterministic, complete, and their truth is what an independent comparison finds."""

from collections import Counter
from dataclasses import astuple
from datetime import date, timedelta
from decimal import Decimal

import pytest
from sandbox_oracle import Ours, Seen, classify

from sandbox.books import GATEWAYS, LEAST_SIZE, Books
from sandbox.daybook import DayBook
from sandbox.differences import day_with_differences
from sandbox.history import time_of
from sandbox.model import CLASSES

DAY = date(2026, 11, 24)
LINE_CLASSES = [one for one in CLASSES if one not in ("timing", "missing_at_gateway")]
LEDGER_CLASSES = [
    one for one in CLASSES if one not in ("malformed_line", "duplicate_at_gateway", "missing_in_ledger")
]


def ledger_of(book: DayBook) -> list[Ours]:
    """The ledger's side: payments, those of the evening before, refunds."""
    payments = [
        Ours(one.reference, one.gateway_reference, Decimal(one.amount) / 100, one.status, one.paid_at)
        for one in (*book.late, *book.payments)
    ]
    return payments + [
        Ours(one.reference, one.gateway_reference, Decimal(one.amount) / 100, "confirmed", one.confirmed_at)
        for one in book.refunds
    ]


def lines_of(book: DayBook) -> list[Seen]:
    return [
        Seen(
            one.reference,
            one.gateway_reference,
            one.kind,
            one.status,
            one.amount,
            one.fee,
            one.currency,
            time_of(one),
            one.more_cells > 0,
        )
        for one in book.lines
    ]


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_the_same_seed_and_date_give_the_same_books(gateway: str) -> None:
    one, two = (day_with_differences(7, gateway, DAY, 2_000) for _ in range(2))
    other = day_with_differences(8, gateway, DAY, 2_000)
    assert (one.payments, one.refunds, one.lines, one.truth) == (
        two.payments,
        two.refunds,
        two.lines,
        two.truth,
    )
    assert one.payments != other.payments


def test_a_days_ledger_has_ten_thousand_payments_and_twelve_of_the_evening_before() -> None:
    books = Books(seed=99)
    assert len(books.ledger_csv(DAY).splitlines()) == 1 + 10_000 + 12


def test_half_the_payments_are_gopay_three_tenths_ovo_the_rest_linkaja() -> None:
    books = Books()
    assert [len(books.day(gateway, DAY).payments) for gateway in GATEWAYS] == [5_000, 3_000, 2_000]


def test_references_are_unique_over_days_and_gateways() -> None:
    books, seen = Books(size=LEAST_SIZE), Counter[str]()
    for days in range(3):
        for gateway in GATEWAYS:
            book = books.day(gateway, DAY + timedelta(days=days))
            for one in (*book.payments, *book.refunds):
                seen.update((one.reference, one.gateway_reference))
    assert set(seen.values()) == {1}
    assert max(map(len, seen)) <= 36


def test_what_yesterday_left_as_timing_is_reported_today() -> None:
    books = Books()
    for gateway in GATEWAYS:
        yesterday, today = books.day(gateway, DAY), books.day(gateway, DAY + timedelta(days=1))
        timing = {one.reference for one in yesterday.payments if one.paid_at} - {
            line.reference for line in yesterday.lines if line.amount != "1e5"
        }
        late = {one.reference: one for one in today.late}
        assert set(late) <= timing
        assert len(late) == yesterday.truth.classes["timing"].count
        assert [late[one.reference] for one in yesterday.payments if one.reference in late] == list(
            late.values()
        )
        assert set(late) <= {line.reference for line in today.lines}


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_every_class_is_there_and_its_rows_and_sums_add_up(gateway: str) -> None:
    truth = Books().day(gateway, DAY).truth
    assert all(truth.classes[name].count for name in CLASSES)
    assert truth.report_rows == sum(truth.classes[name].count for name in LINE_CLASSES)
    assert truth.ledger_rows == sum(truth.classes[name].count for name in LEDGER_CLASSES)
    assert truth.report_amount == sum(one.report_amount for one in truth.classes.values())
    assert truth.ledger_amount == sum(one.ledger_amount for one in truth.classes.values())


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_the_truth_is_what_an_independent_comparison_finds(gateway: str) -> None:
    for seed, size in [(1, 10_000), *((seed, LEAST_SIZE) for seed in range(2, 22))]:
        day = DAY + timedelta(days=seed)
        book = day_with_differences(seed, gateway, day, size)
        found = classify(gateway, day, ledger_of(book), lines_of(book))
        injected = {
            name: [one.count, Decimal(one.ledger_amount) / 100, Decimal(one.report_amount) / 100]
            for name, one in book.truth.classes.items()
        }
        assert found == injected, f"seed {seed}"
        assert book.truth.report_rows == len(book.lines)


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_duplicates_are_exact_copies_shifted_copies_and_second_charges(gateway: str) -> None:
    book = Books().day(gateway, DAY)
    readable = [line for line in book.lines if line.amount != "1e5"]
    count = Counter(line.reference for line in readable)
    pairs = [[line for line in readable if line.reference == name] for name, n in count.items() if n == 2]
    assert any(astuple(one) == astuple(two) for one, two in pairs)
    assert sum(one.gateway_reference == two.gateway_reference for one, two in pairs) >= 2
    second = [pair for pair in pairs if pair[0].gateway_reference != pair[1].gateway_reference]
    ours = {one.reference: one.gateway_reference for one in book.payments}
    assert len(second) == 2
    assert all(right.gateway_reference == ours[right.reference] for _, right in second)


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_the_edges_of_the_day_are_in_the_books(gateway: str) -> None:
    book = Books().day(gateway, DAY)
    named = {line.reference for line in book.lines}
    at = {one.paid_at.strftime("%H:%M:%S"): one.reference in named for one in book.payments if one.paid_at}
    assert at["00:00:00"]
    assert not at["23:29:59"]
    assert not at["23:30:00"]
