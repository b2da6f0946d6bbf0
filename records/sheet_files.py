"""A sheet of exceptions as a file: CSV for everybody, XLSX for spreadsheets; no cell of it is a formula."""

import csv
import io
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import IO, Any

import xlsxwriter

from records.exception_sheet import ACTIONS, AMOUNTS, COLUMNS, as_texts

_BOM = "\ufeff"  # without it Excel takes UTF-8 for the machine's old code page
_BATCH = 1_000
_WIDTHS = {"why": 34, "reason": 40, "reference": 24, "gateway_reference": 26, "class": 22}
_WIDTH = 14
_NUMBERS = ("exception", "age_days")


def as_csv(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The file in pieces."""
    yield _BOM + _lines([COLUMNS])
    waiting = iter(rows)
    while batch := list(islice(waiting, _BATCH)):
        yield _lines([as_texts(row) for row in batch])


def write_xlsx(rows: Iterable[dict[str, Any]], into: IO[bytes]) -> None:
    """The workbook; amounts are numbers, other cells are text, and `action` has its words to choose from."""
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(into, options) as book:
        sheet = book.add_worksheet("exceptions")
        head = book.add_format({"bold": True, "bottom": 1})
        money = book.add_format({"num_format": "#,##0.00"})
        to_fill = book.add_format({"bg_color": "#FFF6D6"})
        for column, name in enumerate(COLUMNS):
            style = money if name in AMOUNTS else to_fill if name in ("action", "reason") else None
            sheet.set_column(column, column, _WIDTHS.get(name, _WIDTH), style)
        sheet.freeze_panes(1, 0)
        sheet.write_row(0, 0, COLUMNS, head)
        last = 0
        for last, row in enumerate(rows, 1):
            for column, name in enumerate(COLUMNS):
                value = row[name]
                if name in AMOUNTS:
                    if value is not None:
                        sheet.write_number(last, column, Decimal(value) / 100, money)
                elif name in _NUMBERS:
                    sheet.write_number(last, column, value)
                elif value:
                    sheet.write_string(last, column, value)
        action = COLUMNS.index("action")
        choice = {"validate": "list", "source": list(ACTIONS), "error_type": "warning"}
        sheet.data_validation(1, action, max(last, 1), action, choice)
        sheet.autofilter(0, 0, max(last, 1), len(COLUMNS) - 1)


def _lines(rows: list[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()
