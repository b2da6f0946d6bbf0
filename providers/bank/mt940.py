"""SWIFT MT940 through the library mt-940, held to what the file says of itself.

The library reads the fields; it is tolerant, so nothing it might drop or merge passes here: each `:61:` is
one entry, each statement has one account, and its balances and entries add up. Source: SWIFT standards
MT940 (fields 25, 60a, 61, 86, 62a); mt-940 5.1.
"""

import io
import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import mt940

from common.errors import UnusableFile
from providers.bank.entries import LONGEST_NARRATIVE, BankStatement, Coverage, Entry

_OPTIONS = mt940.Options.all()
# The text of :86: as it stands: which sub-fields it has differs from bank to bank.
_PLAIN: dict[str, Any] = {"post_transaction_details": []}
_FIELD = re.compile(r"^:(?P<tag>\d{2}[A-Z]?|NS):", re.MULTILINE)
# Field 61 up to its type of transaction. The library lets an entry pass that lacks the type, and merges it
# with the next one.
_ENTRY = re.compile(r":61:\d{6}(\d{4}|\s{4})?R?[CD][A-Z]?\d[\d,]{0,14}[A-Z][A-Z0-9 ]{3}")
# What a bank says of the whole statement, after its balances: the library gives it to the last entry.
_OF_THE_STATEMENT = re.compile(r"^(:62[FM]:.*?)^:86:.*", re.MULTILINE | re.DOTALL)
_SUBFIELD = re.compile(r"\?(\d\d)")
_FULL_SUBFIELD = 27  # characters; one that long goes on in the next without a blank between
_FULL_LINE = 65  # a line of :86: that long goes on in the next without a blank between
_NO_REFERENCE = ("", "NONREF")


def read_mt940(content: bytes, name: str, account: str) -> BankStatement:
    """All statements of the file. account: whose it has to be, if that is known."""
    text = _decoded(content)
    found = BankStatement("mt940")
    starts = [match.start() for match in re.finditer(r"(?m)^:20:", text)]
    if not starts:
        raise UnusableFile(name, "this is no MT940: it has no field :20:", line=1, seen=text[:80])
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        _read_block(found, text[start:end], text.count("\n", 0, start), name, account)
    return found


def _decoded(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "␀")


def _read_block(found: BankStatement, block: str, lines_before: int, name: str, account: str) -> None:
    places: dict[str, list[int]] = {}
    for match in _FIELD.finditer(block):
        places.setdefault(match["tag"], []).append(lines_before + block.count("\n", 0, match.start()) + 1)
    first_line = lines_before + 1
    entry_lines = places.get("61", [])
    for tag, what in (("25", "account"), ("60", "opening balance"), ("62", "closing balance")):
        lines = [line for known, at in places.items() if known.startswith(tag) for line in at]
        if len(lines) != 1:
            how = "no" if not lines else "more than one"
            raise UnusableFile(name, f"the statement has {how} {what} (field :{tag}:)", line=first_line)
    for line in entry_lines:
        seen = block.split("\n")[line - lines_before - 1]
        if not _ENTRY.match(seen):
            raise UnusableFile(name, "the field :61: is not one of MT940", line=line, seen=seen)
    (statement,) = _parsed(_OF_THE_STATEMENT.sub(r"\1", block), lines_before, name)
    whose = str(statement.data.get("account_identification") or "").strip()
    if account and whose != account:
        line = places["25"][0]
        raise UnusableFile(name, f"the statement is not of the account {account}", line=line, seen=whose)
    if len(statement.transactions) != len(entry_lines):
        raise UnusableFile(name, "an entry cannot be told from the next one (field :61:)", line=first_line)
    opening = _balance(statement, "opening_balance")
    closing = _balance(statement, "closing_balance")
    total = opening.amount.amount
    days: list[date] = []
    for line_no, transaction in zip(entry_lines, statement.transactions, strict=True):
        entry = _entry(transaction.data, line_no, whose, closing.amount.currency, name)
        total += transaction.data["amount"].amount
        days.append(entry.booked_on)
        if entry.amount_minor:
            found.entries.append(entry)
    if total != closing.amount.amount or opening.amount.currency != closing.amount.currency:
        raise UnusableFile(
            name,
            f"the closing balance is stated as {closing.amount.amount}, but opening balance and entries give "
            f"{total}: the statement is cut off or was changed",
            line=first_line,
        )
    last_closed, closed = _day(opening.date), _day(closing.date)
    begins = last_closed + timedelta(days=1) if last_closed < closed else closed
    found.coverage.append(Coverage(whose, min(begins, *days, closed), max(closed, *days, closed)))


def _parsed(block: str, lines_before: int, name: str) -> list[Any]:
    try:
        return mt940.parse_statements(io.StringIO(block), processors=_PLAIN, options=_OPTIONS)
    except (RuntimeError, ValueError, ArithmeticError, KeyError, TypeError, AttributeError):
        pass  # what the library raises on a field depends on the field: we look for it ourselves
    matches = list(_FIELD.finditer(block))
    for number, match in enumerate(matches, start=1):
        try:  # the fields up to this one, which is the first that makes it fail
            end = matches[number].start() if number < len(matches) else len(block)
            mt940.parse_statements(io.StringIO(block[:end]), processors=_PLAIN, options=_OPTIONS)
        except (RuntimeError, ValueError, ArithmeticError, KeyError, TypeError, AttributeError):
            line = lines_before + block.count("\n", 0, match.start()) + 1
            seen = block[match.start() : end].split("\n")[0]
            raise UnusableFile(
                name, f"the field :{match['tag']}: is not one of MT940", line=line, seen=seen
            ) from None
    raise UnusableFile(name, "the statement cannot be read as MT940", line=lines_before + 1)


def _balance(statement: Any, which: str) -> Any:
    for kind in ("final_", "", "intermediate_"):
        if (found := statement.data.get(f"{kind}{which}")) is not None:
            return found
    raise AssertionError("its field was counted")


def _entry(data: dict[str, Any], line_no: int, account: str, currency: str, name: str) -> Entry:
    minor: Decimal = data["amount"].amount * 100
    if minor != minor.to_integral_value() or abs(minor) >= 10**18:
        raise UnusableFile(name, "an amount has more than two decimals", line=line_no)
    references = [str(data.get(key) or "").strip() for key in ("bank_reference", "customer_reference")]
    named = next((one for one in references if one not in _NO_REFERENCE), "")
    parts = [
        str(data.get(key) or "") for key in ("customer_reference", "extra_details", "transaction_details")
    ]
    parts = [part for part in parts if part.strip() not in _NO_REFERENCE]
    narrative = " ".join(_told(part) for part in parts)[:LONGEST_NARRATIVE]
    booked_on = _day(data.get("entry_date") or data["date"])
    return Entry(line_no, account, booked_on, int(minor), currency, named, narrative)


def _told(text: str) -> str:
    """A text as people read it; that of sub-fields (`166?00...?20...`) without their marks."""
    if not re.match(r"\d{3}\?\d\d", text):
        return _unwrapped(text)
    code, *rest = _SUBFIELD.split(text.replace("\n", ""))
    joined, is_full = code, False
    for words in rest[1::2]:
        joined += words if is_full else f" {words}"
        is_full = len(words) >= _FULL_SUBFIELD
    return " ".join(joined.split())


def _unwrapped(text: str) -> str:
    """Several lines as one; only a line that is full runs on into the next."""
    joined = ""
    for line in text.split("\n"):
        joined += line if len(line) >= _FULL_LINE else f"{line} "
    return joined.strip()


def _day(found: Any) -> date:
    return date(found.year, found.month, found.day)
