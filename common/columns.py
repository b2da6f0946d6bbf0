"""Checks on whole columns of text at once: amounts, times, words. Exact: nothing is rounded or guessed.

Each check returns the typed values and a mask of the rows that do not fit; a value outside the mask is
exactly what the format allows, a value inside it is a placeholder.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common import clock
from common.money import CURRENCIES, MAX_MINOR, plain

AmountStyle = Literal["plain", "dot-comma", "comma-dot"]

_AMOUNT = {
    "plain": r"^0{0,20}[0-9]{1,17}(\.[0-9]{1,2})?$",  # 17 digits hold every bigint of minor units
    "dot-comma": r"^([0-9]+|[0-9]{1,3}(\.[0-9]{3})+)(,[0-9]{1,2})?$",
    "comma-dot": r"^([0-9]+|[0-9]{1,3}(,[0-9]{3})+)(\.[0-9]{1,2})?$",
}
_AMOUNT_WORDS = {"plain": "1500000.00", "dot-comma": "1.500.000,00", "comma-dot": "1,500,000.00"}

_DAY = (
    r"[12][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    r"|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))"
)
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
ISO_TIME = f"^{_DAY}T{_CLOCK}{clock.OFFSET}$"


@dataclass(frozen=True)
class Checked:
    """Typed values of one column, and where they are not to be used."""

    values: pa.Array
    bad: pa.BooleanArray
    reason: str


def amounts(
    text: pa.StringArray, style: AmountStyle = "plain", *, zero: bool, empty: bool = False
) -> Checked:
    """Minor units (int64) of amounts in the layout's own style.

    zero: whether 0 is allowed; empty: whether no amount is allowed (it is then null).
    """
    fits = pc.match_substring_regex(text, _AMOUNT[style])
    usable = pc.if_else(fits, text, "1")
    if style == "dot-comma":
        usable = pc.replace_substring(pc.replace_substring(usable, ".", ""), ",", ".")
    elif style == "comma-dot":
        usable = pc.replace_substring(usable, ",", "")
    if style != "plain":
        fits = pc.and_(fits, pc.match_substring_regex(usable, _AMOUNT["plain"]))
        usable = pc.if_else(fits, usable, "1")
    exact = pc.cast(usable, pa.decimal128(38, 2))
    small = pc.less_equal(exact, pa.scalar(Decimal(plain(MAX_MINOR)), exact.type))
    fits = pc.and_(fits, small)
    # With scale 2 a decimal128's unscaled value is the minor units; it fits the low 64 bits when small.
    words = np.frombuffer(exact.buffers()[1], dtype="<i8")[2 * exact.offset :][: 2 * len(exact) : 2]
    minor = pa.array(words)
    reason = f"not an amount of the form {_AMOUNT_WORDS[style]} with at most two decimals"
    if not zero:
        fits = pc.and_(fits, pc.greater(minor, 0))
        reason += ", above zero"
    if empty:
        is_empty = pc.equal(text, "")
        minor = pc.if_else(is_empty, pa.scalar(None, pa.int64()), minor)
        fits = pc.or_(fits, is_empty)
    return Checked(minor, pc.invert(fits), reason)


def iso_times(text: pa.StringArray, *, empty: bool = False) -> Checked:
    """ISO 8601 times with seconds and offset, as the same text; a day that does not exist is bad."""
    fits = pc.match_substring_regex(text, ISO_TIME)
    leap = pc.and_(fits, pc.match_substring(text, "-02-29T"))
    if pc.any(leap).as_py():
        years = pc.cast(pc.utf8_slice_codeunits(pc.if_else(leap, text, "2024"), 0, 4), pa.int32())
        fits = pc.and_(fits, pc.or_(pc.invert(leap), _is_leap(years)))
    values = text
    if empty:
        is_empty = pc.equal(text, "")
        fits = pc.or_(fits, is_empty)
        values = pc.if_else(is_empty, pa.scalar(None, pa.string()), text)
    return Checked(values, pc.invert(fits), "not a time of the form 2026-11-24T09:10:11+07:00 that exists")


def local_times(text: pa.StringArray, form: str, offset: str) -> pa.StringArray:
    """Times in a gateway's own form as ISO 8601 text with `offset`; what does not fit becomes empty.

    form: like `%d/%m/%Y %H:%M:%S`, of %Y %m %d %H %M %S; seconds default to 00.
    """
    pattern = "^" + re.escape(form) + "$"
    for token, name, digits in _TOKENS:
        pattern = pattern.replace(token, f"(?P<{name}>[0-9]{{{digits}}})")
    parts = pc.extract_regex(text, pattern)
    names = {field.name for field in parts.type}

    def part(name: str) -> pa.StringArray:
        return pc.fill_null(pc.struct_field(parts, name), "") if name in names else "00"

    clock = pc.binary_join_element_wise(part("H"), part("M"), part("S"), ":")
    day = pc.binary_join_element_wise(part("Y"), part("m"), part("d"), "-")
    whole = pc.binary_join_element_wise(pc.binary_join_element_wise(day, clock, "T"), offset, "")
    return pc.if_else(pc.is_valid(parts), whole, "")


def words(text: pa.StringArray, allowed: dict[str, str], what: str) -> Checked:
    """The meaning of each cell's word; words are compared as they are."""
    keys = pa.array(list(allowed))
    index = pc.index_in(text, value_set=keys)
    values = pc.take(pa.array(list(allowed.values()), pa.string()), index)
    return Checked(values, pc.is_null(index), f"unknown {what} (known: {', '.join(allowed)})")


def currencies(text: pa.StringArray) -> Checked:
    """ISO 4217 codes as they are."""
    known = pc.is_in(text, value_set=pa.array(sorted(CURRENCIES)))
    return Checked(text, pc.invert(known), "not an ISO 4217 currency code")


def texts(text: pa.StringArray, longest: int, *, empty: bool) -> Checked:
    """Free text up to `longest` characters; an allowed empty cell is null."""
    fits = pc.less_equal(pc.utf8_length(text), longest)
    if not empty:
        return Checked(
            text,
            pc.invert(pc.and_(fits, pc.not_equal(text, ""))),
            f"empty, or longer than {longest} characters",
        )
    return Checked(
        pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text),
        pc.invert(fits),
        f"longer than {longest} characters",
    )


def has_nul(text: pa.StringArray) -> pa.BooleanArray:
    """Where a cell holds a NUL byte (no text of ours may)."""
    return pc.match_substring(text, "\x00")


_TOKENS = (("%Y", "Y", 4), ("%m", "m", 2), ("%d", "d", 2), ("%H", "H", 2), ("%M", "M", 2), ("%S", "S", 2))


def _is_leap(years: pa.Int32Array) -> pa.BooleanArray:
    def divisible(by: int) -> pa.BooleanArray:
        return pc.equal(pc.subtract(years, pc.multiply(pc.divide(years, by), by)), 0)

    return pc.or_(pc.and_not(divisible(4), divisible(100)), divisible(400))
