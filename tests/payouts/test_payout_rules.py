"""Payouts of random weeks, held against the rules in plain Python; order, split, overlap mean nothing."""

import itertools
import random
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import payout_oracle as oracle
import pytest
from bank_world import MON, TUE, Credit, bank_file, covering, net, paid, proof, settle
from hypothesis import given
from hypothesis import strategies as st

from records.payout_explained import combinations
from tasks import bank_statements

DAYS = [TUE + timedelta(days=offset) for offset in range(9)]
AMOUNTS = [50_000, 100_000, 150_000]  # few, so that amounts often meet
Settled = dict[date, list[tuple[str, Decimal]]]


def random_week(rng: random.Random, folder: Path | None) -> tuple[Settled, list[Credit]]:
    """Days of settlement, recorded where there is a folder, and what the bank booked: mostly right."""
    settled: Settled = {}
    for day in DAYS[:6]:
        lines = [
            paid(
                f"{day:%d}-{number}",
                rng.choice(AMOUNTS),
                payout=rng.choice(["", "", f"PO-{day:%d}", f"PO-{rng.randrange(24, 30)}"]),
            )
            for number in range(rng.randrange(4))
        ]
        if folder is not None:
            settle(folder, day, lines)
        settled[day] = [(line.payout, net(line)) for line in lines]
    credits = []
    for payout in oracle.payouts_of(settled):
        day = payout.due + timedelta(days=rng.choice([0, 0, 0, 0, 1, 2, -1]))
        amount = payout.worth + rng.choice([0, 0, 0, 0, 1, -49_000])
        currency = rng.choices(["IDR", "USD"], [95, 5])[0]
        name = rng.choices([payout.name, "", "PO-99"], [80, 10, 10])[0]
        if rng.random() < 0.85 and amount:
            credits.append(Credit(day, amount, name, currency=currency))
    credits += [
        Credit(rng.choice(DAYS), Decimal(rng.choice(AMOUNTS) * 98 // 100)) for _ in range(rng.randrange(3))
    ]
    credits += rng.choices(credits, k=min(len(credits), rng.randrange(3)))
    return settled, credits


def came(credits: list[Credit]) -> list[oracle.Came]:
    copies: Counter[Credit] = Counter()
    found = []
    for one in credits:
        copies[one] += 1
        found.append(oracle.Came(one.day, one.amount, one.payout, one.currency, copies[one]))
    return found


def classed(outcome: dict[str, Any]) -> list[tuple[str, Decimal | None, Decimal | None]]:
    return sorted(
        (
            (
                one["class"],
                Decimal(one["expected"]) if one["expected"] is not None else None,
                Decimal(one["bank"]["amount"]) if one["bank"] else None,
            )
            for one in outcome["payouts"]
        ),
        key=_in_order,
    )


def _in_order(row: tuple[str, Decimal | None, Decimal | None]) -> str:
    return str((row[0], *(None if value is None else f"{value:.2f}" for value in row[1:])))


def expected(
    settled: Settled, credits: list[Credit], first: date, last: date, covered: set[date]
) -> list[tuple[str, Decimal | None, Decimal | None]]:
    return sorted(oracle.classify(settled, came(credits), first, last, covered), key=_in_order)


@pytest.mark.parametrize("seed", range(6))
def test_every_payout_and_entry_gets_the_class_of_the_rules(database: str, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    settled, credits = random_week(rng, tmp_path)
    others = [covering(day) for day in rng.sample(DAYS, 2)]
    bank_statements.take(bank_file(tmp_path, [*credits, *others]))
    booked = [one.day for one in (*credits, *others)]
    covered = {day for day in DAYS if min(booked) <= day <= max(booked)}
    for first, last in ((TUE, TUE + timedelta(days=2)), (MON, MON), (TUE, DAYS[-1])):
        assert classed(proof(first, last)) == expected(settled, credits, first, last, covered)


@pytest.mark.parametrize("seed", range(2))
def test_order_files_and_overlap_change_nothing(database: str, tmp_path: Path, seed: int) -> None:
    rng = random.Random(100 + seed)
    _, credits = random_week(rng, tmp_path)
    credits += [covering(TUE), covering(DAYS[-1])]
    cut = len(credits) // 2
    # In pieces that overlap and whose copies differ in number, in any order, one of them twice.
    pieces = [credits[: cut + 2], credits[cut:], rng.sample(credits, len(credits) // 3), credits[:cut]]
    pieces = [rng.sample(piece, len(piece)) for piece in pieces]
    for piece in (*pieces, pieces[0]):
        bank_statements.take(bank_file(tmp_path, piece))
    most: Counter[Credit] = Counter()
    for piece in pieces:
        for one, times in Counter(piece).items():
            most[one] = max(most[one], times)
    outcome = proof(TUE, DAYS[-1])
    in_pieces = classed(outcome)
    taken = bank_statements.take(bank_file(tmp_path, rng.sample(list(most.elements()), most.total())))[0]
    assert (taken.new_entries, taken.statement.overlap_rows) == (0, most.total())
    again = proof(TUE, DAYS[-1])
    assert classed(again) == in_pieces
    assert (outcome["version"], again["version"]) == (1, 2)
    ours = [one for one in most.elements() if one.gateway == "gopay"]
    seen = sum(sum(one.gateway == "gopay" for one in piece) for piece in pieces)
    assert outcome["report_rows"] == len(ours)
    assert outcome["overlap_rows"] == seen - len(ours)


@given(
    st.dictionaries(st.integers(1, 12), st.integers(1, 3), max_size=7),
    st.integers(1, 30),
    st.sampled_from([2, 3]),
)
def test_the_only_combination_is_the_only_one(worth: dict[int, int], total: int, size: int) -> None:

    lines = [value for value, times in worth.items() for _ in range(times)]
    ways = [
        some
        for some in itertools.combinations(range(len(lines)), size)
        if sum(lines[i] for i in some) == total
    ]
    found = combinations(worth, total, size)
    assert len(found) == min(len(ways), 2)
    if len(ways) == 1:
        assert found == [tuple(sorted(lines[place] for place in ways[0]))]


def test_the_weeks_are_dense_enough_to_show_every_class() -> None:
    seen: set[str] = set()
    for seed in range(6):
        settled, credits = random_week(random.Random(seed), None)
        for first, last in ((TUE, TUE + timedelta(days=2)), (TUE, DAYS[-1])):
            seen |= {row[0] for row in expected(settled, credits, first, last, set(DAYS))}
    assert seen == {
        "duplicate_at_gateway", "missing_in_ledger", "currency_mismatch", "amount_mismatch", "timing",
        "missing_at_gateway", "matched",
    }  # fmt: skip
