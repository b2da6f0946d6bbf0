"""Whatever dialect a bank writes, its statement says the same; a missing payment is named from any."""

import random
import tempfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from bank_dialects import ACCOUNT, Booked, in_some_dialect
from bank_world import TUE, WED, classes, net, paid, proof, settle
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.bank.entries import BankStatement
from providers.bank.layout import load_bank_layout
from providers.bank.statement import FORMATS, read_statement
from tasks import bank_statements

DAYS = st.dates(date(2026, 12, 28), date(2027, 1, 4))  # around a new year, which an entry date does not name
AMOUNTS = st.integers(1, 10**11).map(lambda sen: Decimal(sen) / 100)
WAYS = st.sampled_from([1, 1, 1, -1])
WORDS = st.text("ABCDEFGHIJ KLMNOP-0123456789", min_size=1, max_size=120).filter(str.strip)
ROWS = st.lists(st.tuples(DAYS, AMOUNTS, WAYS, WORDS), min_size=1, max_size=6)


def bookings(rows: list[tuple[date, Decimal, int, str]]) -> list[Booked]:
    return [
        Booked(day, amount * way, f"B{number}", " ".join(words.split()))
        for number, (day, amount, way, words) in enumerate(rows)
    ]


def read(content: bytes) -> BankStatement:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bank"
        path.write_bytes(content)
        layout = load_bank_layout("canonical", Path(folder))
        return read_statement(path, path.name, format=None, layout=layout, account=ACCOUNT, size_limit=10**7)


def letters(text: str) -> str:
    """A text without its blanks: where lines end is the bank's business."""
    return "".join(text.split())


@settings(max_examples=150)
@given(ROWS.map(bookings), st.sampled_from(FORMATS), st.integers(0, 2**32))
def test_every_dialect_says_what_was_booked(booked: list[Booked], form: str, seed: int) -> None:
    found = read(in_some_dialect(random.Random(seed), form, booked))
    assert (found.format, found.malformed) == (form, [])
    said = {one.reference: (one.booked_on, one.amount_minor, one.currency) for one in found.entries}
    assert said == {one.reference: (one.day, int(one.amount * 100), "IDR") for one in booked}
    narratives = {one.reference: letters(one.narrative) for one in found.entries}
    assert not [one for one in booked if letters(one.text) not in narratives[one.reference]]
    assert not any("SALDOAKHIR" in text or "?2" in text for text in narratives.values())


def test_a_word_that_sub_fields_cut_is_one_word_and_their_own_ends_part_words() -> None:
    told = ":86:166?00GUTSCHRIFT?20TRSF E-BANKING SANDBOX GOPA?21Y PAYOUT PO-1?30CENAIDJA"
    lines = [":20:S", ":25:0012345678", ":60F:C261123IDR0,", ":61:2611241124C1500,NTRFNONREF//B1", told]
    (entry,) = read("\n".join([*lines, ":62F:C261124IDR1500,", "-", ""]).encode()).entries
    assert entry.narrative == "166 GUTSCHRIFT TRSF E-BANKING SANDBOX GOPAY PAYOUT PO-1 CENAIDJA"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("seed", [3, 4])
def test_a_payment_that_is_missing_in_a_payout_is_named_from_any_dialect(
    database: str, tmp_path: Path, form: str, seed: int
) -> None:
    rng = random.Random(f"{form}{seed}")
    lines = [paid(f"A{number}", rng.randrange(20_000, 900_000, 50)) for number in range(12)]
    missing = rng.choice([one for one in lines if [net(other) for other in lines].count(net(one)) == 1])
    settle(tmp_path, TUE, lines)
    text = "TRSF E-BANKING CR 2511/FTSCY/WS95031 DOMPET ANAK BANGSA SANDBOX gopay PAYOUT"
    booked = [
        Booked(WED, net(*lines) - net(missing), "B1", text),
        Booked(WED, Decimal("-2500.50"), "B2", "BIAYA ADM"),
        Booked(WED, Decimal(1_000_000), "B3", "SETORAN TUNAI"),
    ]
    path = tmp_path / "bank"
    path.write_bytes(in_some_dialect(rng, form, booked))
    bank_statements.take(path)
    outcome = proof(WED)
    assert classes(outcome) == {"amount_mismatch": (1, net(*lines), net(*lines) - net(missing))}
    assert outcome["payouts"][0]["explanation"]["references"] == [missing.reference]
