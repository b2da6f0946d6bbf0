"""Bank statements as tables (CSV or XLSX), read by a column map. A line that does not fit is malformed."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from common import columns
from common.errors import UnusableFile
from common.tables import Batch, Table, columns_of, open_table
from providers.bank.entries import (
    LONGEST_NARRATIVE,
    LONGEST_REFERENCE,
    BankStatement,
    Coverage,
    Entry,
    MalformedLine,
)
from providers.bank.layout import BankLayout

SEEN = 80
_MAY_LACK = {"account", "reference"}


def read_csv(path: Path, name: str, layout: BankLayout, account: str, size_limit: int) -> BankStatement:
    """The statement in a table. account: whose it is, where neither file nor layout says so."""
    wanted = layout.wanted
    table = open_table(
        path,
        name,
        required=[words for field, words in wanted.items() if field not in _MAY_LACK],
        delimiter=layout.delimiter,
        encoding=layout.encoding,
        size_limit=size_limit,
        scratch=path.parent,
    )
    places = columns_of(table, wanted)
    own_account = account or layout.constants.get("account", "")
    if "account" not in places and not own_account:
        raise UnusableFile(
            name, "the file has no column for the account: say whose statement it is (account)"
        )
    found = BankStatement("csv")
    for batch in table.batches():
        for line in batch.rejected:
            content = line.text[:LONGEST_NARRATIVE].replace("\x00", "␀")
            found.malformed.append(
                MalformedLine(line.line, None, line.reason, content[:SEEN], content, own_account or None)
            )
        for line_no, read in _rows(batch, places, layout, table):
            _take(found, line_no, read, own_account, name)
    found.coverage = _coverage(found)
    return found


def _rows(
    batch: Batch, places: dict[str, int], layout: BankLayout, table: Table
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line as values by field; `fault` names its first column that does not fit, why, and the text."""
    rows = len(batch.lines)
    cells = {field: pc.utf8_trim_whitespace(batch.columns[place]) for field, place in places.items()}
    checks = {field: _check(field, text, layout) for field, text in cells.items()}
    values = {field: check.values.to_pylist() for field, check in checks.items()}
    bad = {field: check.bad.to_pylist() for field, check in checks.items()}
    nul = {field: columns.has_nul(text).to_pylist() for field, text in cells.items()}
    texts = {field: text.to_pylist() for field, text in cells.items()}
    whole = [column.to_pylist() for column in batch.columns]
    for row in range(rows):
        read: dict[str, Any] = {field: values[field][row] for field in values if not bad[field][row]}
        for field in values:
            if nul[field][row] or bad[field][row]:
                reason = "holds a NUL byte" if nul[field][row] else checks[field].reason
                read["fault"] = (field, reason, texts[field][row])
                break
        if "fault" not in read and "credit" in values:
            sides = [read["credit"] or 0, read["debit"] or 0]
            if sides.count(0) != 1:
                both = f"{texts['credit'][row]}{table.delimiter}{texts['debit'][row]}"
                read["fault"] = ("credit", "not exactly one of credit and debit has an amount", both)
            read["signed"] = sides[0] - sides[1]
        elif "fault" not in read:
            read["signed"] = read["amount"] if read["direction"] == "credit" else -read["amount"]
        read.setdefault("currency", layout.constants.get("currency", ""))
        read["content"] = table.delimiter.join(str(column[row]) for column in whole)[:LONGEST_NARRATIVE]
        yield int(batch.lines[row]), read


def _check(field: str, text: Any, layout: BankLayout) -> columns.Checked:
    match field:
        case "booked_on":
            iso = columns.local_times(text, layout.date, "Z")
            checked = columns.iso_times(iso)
            return columns.Checked(
                checked.values, checked.bad, f"not a day of the form {layout.date} that exists"
            )
        case "amount":
            return columns.amounts(text, layout.amounts, zero=False)
        case "credit" | "debit":
            return columns.amounts(text, layout.amounts, zero=True, empty=True)
        case "direction":
            words: dict[str, str] = dict(layout.directions)
            return columns.words(pc.utf8_lower(text) if layout.ignore_case else text, words, "direction")
        case "currency":
            return columns.currencies(text)
        case "narrative":
            return columns.texts(text, LONGEST_NARRATIVE, empty=True)
        case _:
            return columns.texts(text, LONGEST_REFERENCE, empty=field == "reference")


def _take(found: BankStatement, line_no: int, read: dict[str, Any], own_account: str, name: str) -> None:
    account = read.get("account") or own_account
    if own_account and account != own_account:
        raise UnusableFile(
            name, f"the statement is not of the account {own_account}", line=line_no, seen=account
        )
    day = date.fromisoformat(read["booked_on"][:10]) if "booked_on" in read else None
    if "fault" in read:
        column, reason, text = read["fault"]
        seen, content = (part.replace("\x00", "␀") for part in (text[:SEEN], read["content"]))
        found.malformed.append(MalformedLine(line_no, column, reason, seen, content, account or None, day))
        return
    assert day is not None
    found.entries.append(
        Entry(
            line_no,
            account,
            day,
            read["signed"],
            read["currency"],
            read.get("reference") or "",
            read.get("narrative") or "",
        )
    )


def _coverage(found: BankStatement) -> list[Coverage]:
    """From each account's first to its last day with a line."""
    days: dict[str, list[date]] = {}
    lines: list[Entry | MalformedLine] = [*found.entries, *found.malformed]
    for one in lines:
        if one.account and one.booked_on:
            days.setdefault(one.account, []).append(one.booked_on)
    return [
        Coverage(account, min(of_account), max(of_account)) for account, of_account in sorted(days.items())
    ]
