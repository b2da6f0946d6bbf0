"""A NIK is plausible or it is not, and each damage has its own sentence."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import nik

GOOD = "3201010101010001"
PLACES = st.tuples(st.sampled_from(sorted(nik.PROVINCES)), st.integers(1, 99), st.integers(1, 99))
BIRTHS = st.dates(date(1920, 1, 1), date(2019, 12, 31))


@given(PLACES, BIRTHS, st.booleans(), st.integers(1, 9999))
def test_everybody_who_was_ever_registered_is_plausible(
    place: tuple[str, int, int], born: date, is_female: bool, serial: int
) -> None:
    day = born.day + nik.FEMALE * is_female
    text = f"{place[0]}{place[1]:02d}{place[2]:02d}{day:02d}{born:%m%y}{serial:04d}"
    assert nik.why_implausible(text) is None
    shown = nik.masked(text)
    assert (shown[:4], shown[4:12], shown[12:]) == (text[:4], "*" * 8, text[12:])


@given(st.text(max_size=24))
def test_any_text_gets_a_sentence_that_does_not_repeat_it(text: str) -> None:
    why = nik.why_implausible(text)
    if why is None:
        assert len(text) == 16
        assert text.isascii()
    else:
        assert len(text.strip()) < 6 or text.strip() not in why
        assert nik.masked(text) == "*" * min(len(text), 20)


def test_there_are_38_provinces_and_each_neighbour_of_their_codes_is_none() -> None:
    assert len(nik.PROVINCES) == 38
    for code in range(100):
        text = f"{code:02d}{GOOD[2:]}"
        assert (nik.why_implausible(text) is None) == (f"{code:02d}" in nik.PROVINCES), code


@pytest.mark.parametrize("code", ["95", "96"])
def test_the_new_papuan_provinces_are_real(code: str) -> None:
    assert nik.why_implausible(code + GOOD[2:]) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("97" + GOOD[2:], "statistics office"),
        ("3201010101010001\u200b", "not seen"),
        ("20" + GOOD[2:], "no province has the code 20"),
        ("3200010101010001", "regency"),
        ("3201000101010001", "district"),
        ("3201010001010001", "day of birth"),
        ("3201013201010001", "day of birth"),
        ("3201014001010001", "day of birth"),
        ("3201017201010001", "day of birth"),
        ("3201013104010001", "day of birth"),
        ("3201010113010001", "month of birth"),
        ("3201010100010001", "month of birth"),
        ("3201012902010001", "no leap year"),
        ("3201016902990001", "no leap year"),
        ("3201010101010000", "0000"),
        ("3.20101E+15", "format the column as text"),
        ("3,20101E15", "format the column as text"),
        ("3201010101010001.0", "ends in .0"),
        ("'3201010101010001", "apostrophe"),
        ("3201 0101 0101 0001", "blanks"),
        ("32.01.01.010101.0001", "blanks"),
        (" 3201010101010001", "blanks"),
        ("٣٢٠١٠١٠١٠١٠١٠٠٠١", "another script"),
        ("32O1O1O1O1O1OOO1", "letter O"),
        ("320101010101001", "15 digits"),
        ("32010101010100011", "17 digits"),
        ("", "empty"),
        ("NIK-3201", "not 16 digits"),
    ],
)
def test_each_damage_has_its_own_sentence(text: str, words: str) -> None:
    assert words in (nik.why_implausible(text) or "")


@pytest.mark.parametrize("text", ["3201012902000001", "3201016902960001", "3201013112990001"])
def test_leap_days_and_ends_of_months_are_real(text: str) -> None:
    assert nik.why_implausible(text) is None


def test_a_list_in_which_each_ends_in_zero_was_rounded() -> None:
    assert nik.is_rounded([f"32010101010100{n}0" for n in range(10, 20)])
    assert not nik.is_rounded([f"32010101010100{n}" for n in range(10, 21)])
    assert not nik.is_rounded(["3201010101010010"])
