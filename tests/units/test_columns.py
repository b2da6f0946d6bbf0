"""Column checks held against plain Python: what they accept, and what it becomes."""

import re
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import columns, money

amount_like = st.one_of(
    st.from_regex(r"\A[0-9]{1,20}(\.[0-9]{0,3})?\Z"),
    st.text("0123456789.,eE+- ", max_size=24),
    st.sampled_from(
        ["", "NaN", "Infinity", "1e5", "0", "0.00", "92233720368547758.07", "92233720368547758.08"]
    ),
)


def plain_amount(text: str) -> int | None:
    """Minor units by the rule: digits, at most two decimals, above zero, within bigint."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]{1,2})?", text):
        return None
    minor = int(Decimal(text) * 100)
    return minor if 0 < minor < 2**63 else None


@given(st.lists(amount_like, min_size=1, max_size=30))
def test_amounts_are_exact_or_bad(texts: list[str]) -> None:
    checked = columns.amounts(pa.array(texts), zero=False)
    got = [
        None if bad else value
        for value, bad in zip(checked.values.to_pylist(), checked.bad.to_pylist(), strict=True)
    ]
    assert got == [plain_amount(text) for text in texts]


@given(st.integers(1, 10**15), st.sampled_from(["dot-comma", "comma-dot"]))
def test_grouped_amounts_read_like_plain_ones(minor: int, style: columns.AmountStyle) -> None:
    text = f"{minor // 100:,}.{minor % 100:02d}"
    if style == "dot-comma":
        text = text.translate(str.maketrans(",.", ".,"))
    checked = columns.amounts(pa.array([text, text + "0"]), style, zero=False)
    assert checked.values[0].as_py() == minor
    assert checked.bad.to_pylist() == [False, True]


@given(st.lists(amount_like, min_size=2, max_size=20), st.integers(0, 5))
def test_a_slice_reads_like_the_whole(texts: list[str], start: int) -> None:
    whole = columns.amounts(pa.array(texts), zero=True, empty=True)
    part = columns.amounts(pa.array(texts)[start:], zero=True, empty=True)
    assert part.bad.to_pylist() == whole.bad.to_pylist()[start:]
    good = [i for i, bad in enumerate(part.bad.to_pylist()) if not bad]
    assert [part.values[i].as_py() for i in good] == [whole.values[start + i].as_py() for i in good]


@given(st.datetimes(datetime(1000, 1, 1), datetime(2999, 12, 31)), st.sampled_from(["Z", "+07:00", "-05:30"]))
def test_every_real_time_is_taken(at: datetime, offset: str) -> None:
    checked = columns.iso_times(pa.array([at.isoformat() + offset]))
    assert checked.bad.to_pylist() == [False]


@given(st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|\+07:00)\Z"))
def test_a_time_is_taken_only_if_it_exists(text: str) -> None:
    try:
        datetime.fromisoformat(text)
        exists = "1000" <= text[:4] <= "2999"
    except ValueError:
        exists = False
    assert columns.iso_times(pa.array([text])).bad.to_pylist() == [not exists]


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T11:22:33?",
        "2026-11-24 11:22:33+07:00",
        "2026-11-24T11:22:33",
        "2026-11-24T11:22+07:00",
        "24/11/2026",
    ],
)
def test_other_forms_of_time_are_bad(text: str) -> None:
    assert columns.iso_times(pa.array([text])).bad.to_pylist() == [True]


@given(st.integers(-(10**17), 10**17))
def test_money_prints_and_reads_back(minor: int) -> None:
    text = money.plain(minor)
    assert Decimal(text) * 100 == minor
    if minor >= 0:
        assert money.parse_minor(text) == minor


@pytest.mark.parametrize(
    "text", ["1e4", "10,000", "", " 1", "1.", ".5", "1.234", "-1", "+1", "NaN", "9" * 20, "٣"]
)
def test_money_refuses_what_is_not_plain(text: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        money.parse_minor(text)
