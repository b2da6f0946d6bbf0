"""Exceptions as a sheet: finance downloads it, fills the columns `action` and `reason`, and uploads it.

An uploaded sheet is checked row by row and worked in one transaction: all of its rows, or none and a report
that names each wrong row, why, and what to do. Rows whose two columns are empty are left alone.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.orm import Session

from common import money
from common.cells import neutral
from common.tables import Batch, columns_of, open_table
from records import exception_list, exception_requests, exception_work, hand_match, refund_charges
from records.calendar import expected_by
from records.exception_list import Filter, Order
from records.exceptions import NotPossible, ReconciliationException, words
from records.refund import ENDED
from records.sheet_formulas import formula_cells

COLUMNS = (
    "exception", "gateway", "business_date", "class", "type", "reference", "gateway_reference",
    "ledger_amount", "report_amount", "at_risk", "currency", "age_days", "expected_by", "why",
    "action", "reason",
)  # fmt: skip
AMOUNTS = ("ledger_amount", "report_amount", "at_risk")
NEEDED = ("exception", *AMOUNTS, "action", "reason")
ACTIONS = ("explain", "write_off", "adopt")
MOST_ROWS = 100_000
LARGEST = 128 * 1024 * 1024  # bytes of an uploaded sheet, once unpacked
LISTED = 1_000
_PAGE = 5_000
_NUMBER = re.compile(r"[0-9]{1,18}(\.0+)?")
_AMOUNT = re.compile(r"([0-9]{1,17})(?:[.,]([0-9]{1,2}))?")
_AGAIN = "download the sheet anew"


@dataclass(frozen=True)
class Row:
    """A row of an uploaded sheet: its number there, its cells as texts, the columns that hold a formula."""

    number: int
    cells: dict[str, str]
    formulas: frozenset[str] = frozenset()
    broken: str = ""  # why it is no row of this sheet at all


@dataclass
class Sheet:
    """An uploaded sheet. rows: how many it has; filled: those to be worked, or with something wrong."""

    rows: int = 0
    filled: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Fault:
    """One row that cannot be worked: why, and what to do."""

    row: int
    exception: str
    why: str
    to_do: str


@dataclass
class Report:
    """What a sheet did. rows: in the file; filled: with an action; ended: exceptions by their new state;
    asked: exceptions that wait for a second person now; approvals: the questions put to that person."""

    rows: int = 0
    filled: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    asked: int = 0
    approvals: list[UUID] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    dry_run: bool = False


def rows(session: Session, which: Filter, order: Order = "risk") -> Iterator[dict[str, Any]]:
    """The rows of a sheet to download, amounts in minor units; the cells to fill are empty."""
    after, count = None, 0
    while count < MOST_ROWS:
        found = exception_list.page(session, which, order, after=after, limit=_PAGE)
        yield from map(_row, found)
        count += len(found)
        if len(found) < _PAGE:
            return
        after = exception_list.place(found[-1], order)
        session.expunge_all()


def _row(found: ReconciliationException) -> dict[str, Any]:
    due = expected_by(found)
    return {
        "exception": found.id,
        "gateway": found.gateway,
        "business_date": found.business_date.isoformat(),
        "class": found.class_,
        "type": found.type,
        "reference": found.reference or "",
        "gateway_reference": found.gateway_reference or "",
        "ledger_amount": found.ledger_minor,
        "report_amount": found.report_minor,
        "at_risk": found.risk_minor,
        "currency": found.currency,
        "age_days": exception_list.age_days(found),
        "expected_by": due.isoformat() if due else "",
        "why": ", ".join(filter(None, (found.reason, found.note))),
        "action": "",
        "reason": "",
    }


def as_texts(row: dict[str, Any]) -> list[str]:
    """The row as cells of a CSV; what a spreadsheet could take for a formula gets an apostrophe."""
    return [
        "" if row[name] is None else money.plain(row[name]) if name in AMOUNTS else neutral(str(row[name]))
        for name in COLUMNS
    ]


def read(path: Path, name: str, scratch: Path) -> Sheet:
    """What an uploaded CSV or XLSX has; raises UnusableFile where it is no such sheet."""
    table = open_table(path, name, required=[{one} for one in NEEDED], size_limit=LARGEST, scratch=scratch)
    places = columns_of(table, {one: {one} for one in NEEDED})
    formulas = formula_cells(path, name) if table.sheet is not None else set()
    sheet = Sheet()
    for batch in table.batches():
        sheet.rows += len(batch.lines) + len(batch.rejected)
        sheet.filled += [Row(one.line, {}, broken=one.reason) for one in batch.rejected]
        sheet.filled += _filled(batch, places, formulas)
    sheet.filled.sort(key=lambda row: row.number)
    return sheet


def _filled(batch: Batch, places: dict[str, int], formulas: set[tuple[int, int]]) -> Iterator[Row]:
    """The rows of which one of the columns to fill is not empty; of a large sheet these are often few."""
    with_formula = [line for line, place in formulas if place in (places["action"], places["reason"])]
    filled = np.isin(batch.lines, with_formula)
    for name in ("action", "reason"):
        empty = pc.equal(pc.utf8_trim_whitespace(batch.columns[places[name]]), "")
        filled |= ~empty.to_numpy(zero_copy_only=False)
    cells = [batch.columns[places[one]].filter(pa.array(filled)).to_pylist() for one in NEEDED]
    for line, *texts in zip(batch.lines[filled].tolist(), *cells, strict=True):
        held = frozenset(one for one in NEEDED if (line, places[one]) in formulas)
        yield Row(line, dict(zip(NEEDED, (text.strip() for text in texts), strict=True)), held)


def apply(session: Session, uploaded: Sheet, *, by: str, dry_run: bool = False) -> Report:
    """Work the filled rows, all of them or none; with `dry_run` none, but say what would be.

    Raises approval.NobodyNamed. A report with faults means that nothing was done.
    """
    actor = exception_work.named(by)
    report = Report(rows=uploaded.rows, filled=len(uploaded.filled), dry_run=dry_run)
    with session.begin_nested() as tried:
        _work(session, _fit(session, uploaded.filled, report), actor, report)
        report.faults.sort(key=lambda fault: fault.row)
        if report.faults or dry_run:
            tried.rollback()
    if report.faults:
        report.ended, report.asked = {}, 0
    if report.faults or dry_run:
        report.approvals = []
    return report


@dataclass(frozen=True)
class _Fit:
    row: Row
    action: str
    reason: str
    found: ReconciliationException

    def fault(self, why: str, to_do: str) -> Fault:
        return Fault(self.row.number, str(self.found.id), why, to_do)


def _fit(session: Session, filled: Sequence[Row], report: Report) -> list[_Fit]:
    """The rows that can be worked; what is wrong with the others is in the report."""
    numbers = {int(text) for row in filled if (text := _number(row)) is not None}
    there = exception_work.locked_many(session, sorted(numbers))
    going_back = {
        number: one
        for number, one in refund_charges.of_exceptions(session, sorted(numbers)).items()
        if one.status not in ENDED
    }
    seen: dict[int, int] = {}
    fit = []
    for row in filled:
        wrong = _wrong(row, there, seen)
        if isinstance(wrong, _Fit) and wrong.found.id in going_back:
            wrong = (
                f"its money is on its way back: refund {going_back[wrong.found.id].id}",
                "take the row out",
            )
        if isinstance(wrong, _Fit):
            fit.append(wrong)
        else:
            why, to_do = wrong
            report.faults.append(Fault(row.number, row.cells.get("exception", "")[:20], why, to_do))
    return fit


def _wrong(
    row: Row, there: dict[int, ReconciliationException], seen: dict[int, int]
) -> "_Fit | tuple[str, str]":
    """The row with its exception, or why it cannot be worked and what to do."""
    if row.broken:
        return row.broken, _AGAIN
    if row.formulas:
        return f"{', '.join(sorted(row.formulas))}: a formula", "write the text itself"
    number = _number(row)
    if number is None:
        return "exception: not a number of an exception", _AGAIN
    if number not in there:
        return f"there is no exception {number}", _AGAIN
    if number in seen:
        return f"exception {number} stands on row {seen[number]} too", "keep one of the rows"
    seen[number] = row.number
    found = there[number]
    action = re.sub(r"[\s-]+", "_", row.cells["action"].casefold())
    if not action:
        return "a reason without an action", f"write one of {', '.join(ACTIONS)}, or empty both cells"
    if action not in ACTIONS:
        return (
            f"there is no action {row.cells['action'][:40]!r} in a sheet",
            f"write one of {', '.join(ACTIONS)}",
        )
    if row.cells["reason"].startswith(("=", "@")):
        return "reason: begins like a formula", "write it as plain words"
    try:
        reason = exception_work.checked_reason(row.cells["reason"])
    except NotPossible as why:
        return f"reason: {why}", "fill the cell"
    if found.state != "open":
        return f"exception {number} is {words(found.state)} already", "take the row out"
    for name, minor in zip(AMOUNTS, (found.ledger_minor, found.report_minor, found.risk_minor), strict=True):
        if not _is_same(row.cells[name], minor):
            now = "empty" if minor is None else money.plain(minor)
            return (
                f"{name}: {row.cells[name][:30]!r} in the sheet, {now} in our records",
                f"look again: {_AGAIN}",
            )
    return _Fit(row, action, reason, found)


def _work(session: Session, fit: Sequence[_Fit], actor: str, report: Report) -> None:
    """End what can be ended, ask about the rest; what turns out not to be possible is in the report."""
    explained = [(one.found, one.reason) for one in fit if one.action == "explain"]
    exception_work.end_many(session, explained, "explained", actor)
    _adopt(session, [one for one in fit if one.action == "adopt"], actor, report)
    _ask(session, [one for one in fit if one.action == "write_off"], actor, report)
    if explained:
        report.ended["explained"] = len(explained)


def _adopt(session: Session, fit: Sequence[_Fit], actor: str, report: Report) -> None:
    made, refused = hand_match.adopt_many(session, [(one.found, one.reason) for one in fit], actor=actor)
    report.faults += [
        one.fault(refused[one.found.id], "choose another action") for one in fit if one.found.id in refused
    ]
    exception_work.end_many(
        session,
        [(one.found, f"taken over as a payment: {one.reason}") for one in fit if one.found.id in made],
        "healed",
        actor,
    )
    if made:
        report.ended["healed"] = len(made)


def _ask(session: Session, fit: Sequence[_Fit], actor: str, report: Report) -> None:
    """One question to a second person for all write-offs of a currency."""
    waiting = exception_requests.awaited(session, [one.found.id for one in fit])
    by_currency: dict[str, list[_Fit]] = {}
    for one in fit:
        if one.found.id in waiting:
            asked = waiting[one.found.id]
            text = f"{asked.requested_by} asked a second person already: approval {asked.approval_id}"
            report.faults.append(one.fault(text, "take the row out, or have that decided first"))
            continue
        try:
            exception_work.refuse_write_off(one.found)
        except NotPossible as why:
            report.faults.append(one.fault(str(why), "choose another action"))
            continue
        by_currency.setdefault(one.found.currency, []).append(one)
    for group in by_currency.values():
        wanted = [(one.found, one.reason) for one in group]
        report.approvals.append(exception_requests.ask(session, "written_off", wanted, requested_by=actor).id)
        report.asked += len(group)


def _number(row: Row) -> int | None:
    """The number of its exception; a spreadsheet may have made `17.0` of it."""
    text = row.cells.get("exception", "")
    return int(text.partition(".")[0]) if _NUMBER.fullmatch(text) else None


def _is_same(text: str, minor: int | None) -> bool:
    """Whether a cell still says that amount, in whichever form a spreadsheet has saved it."""
    if minor is None or not text:
        return minor is None and not text
    fits = _AMOUNT.fullmatch(text)
    return fits is not None and int(fits[1]) * 100 + int((fits[2] or "0").ljust(2, "0")) == minor
