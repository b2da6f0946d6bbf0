"""A class as a file: CSV or XLSX to upload, and the template that is filled for it."""

import csv
import io
import re
from pathlib import Path
from typing import IO

import xlsxwriter

from common.errors import UnusableFile
from common.tables import columns_of, open_table
from records.completion_rows import MEMBERS, MOST, WHOLE, Row
from records.sheet_formulas import formula_cells, number_cells

LARGEST = 64 * 1024 * 1024  # bytes of an uploaded sheet, once unpacked
# By which headers each member is known; the first is that of the template.
HEADERS = {
    "nik": ("nik",),
    "full_name": ("full_name", "nama_lengkap", "nama lengkap", "nama"),
    "completion_status": ("completion_status", "status"),
    "final_score": ("final_score", "nilai_akhir", "nilai akhir", "nilai"),
    "certificate_number": ("certificate_number", "nomor_sertifikat", "nomor sertifikat", "no sertifikat"),
    "learner_id": ("learner_id",),
}
NEEDED = ("nik", "full_name", "completion_status")
_AS_TEXT = ("nik", "certificate_number", "learner_id")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T].*)?")
_BOM = "\ufeff"  # without it Excel takes UTF-8 for the machine's old code page
_TEMPLATE_ROWS = 5_000
_WIDTHS = {"nik": 20, "full_name": 34, "completion_status": 20, "certificate_number": 24}
_FORMULA = "it is a formula: write the value itself"
_NUMBER = (
    "its cell is a number and no text, so that digits may be lost: format the column as text, fill it anew"
)
_MADE_A_DATE = "a spreadsheet has made a date of it: format the column as text, fill it anew"


def read(path: Path, name: str, scratch: Path) -> list[Row]:
    """The rows of an uploaded file, each value the text of its cell. Raises UnusableFile for no such table.

    A NIK is text always: from a cell that holds a number the last digits are gone.
    """
    table = open_table(
        path, name, required=[set(HEADERS[one]) for one in NEEDED], size_limit=LARGEST, scratch=scratch
    )
    places = columns_of(table, {one: set(HEADERS[one]) for one in MEMBERS})
    formulas, numbers = set(), set()
    if table.sheet is not None:
        formulas, numbers = formula_cells(path, name), number_cells(path, name)
    found: list[Row] = []
    for batch in table.batches():
        cells = [batch.columns[place].to_pylist() for place in places.values()]
        for line, *texts in zip(batch.lines.tolist(), *cells, strict=True):
            values = dict(zip(places, texts, strict=True))
            damaged = {
                member: why
                for member, place in places.items()
                if (why := _damage(member, values[member], (line, place), formulas, numbers))
            }
            found.append(Row(line, values, damaged))
        found += [Row(one.line, {}, {WHOLE: one.reason}) for one in batch.rejected]
        if len(found) > MOST:
            raise UnusableFile(name, f"it has more than {MOST:,} rows; report a class of that size in parts")
    if not found:
        raise UnusableFile(name, "it has no rows below its header")
    return sorted(found, key=lambda row: row.number)


def _damage(
    member: str,
    text: str,
    place: tuple[int, int],
    formulas: set[tuple[int, int]],
    numbers: set[tuple[int, int]],
) -> str | None:
    """Why a cell cannot be taken as it is."""
    if place in formulas:
        return _FORMULA
    if _DATE.fullmatch(text.strip()) and member != "full_name":
        return _MADE_A_DATE
    if member in _AS_TEXT and place in numbers:
        return _NUMBER
    return None


def csv_template() -> str:
    """An empty file with its header."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(HEADERS[one][0] for one in MEMBERS)
    return _BOM + out.getvalue()


def write_xlsx_template(into: IO[bytes], statuses: tuple[str, ...]) -> None:
    """An empty workbook whose columns are text, so that no NIK is rounded, with the words to choose from."""
    with xlsxwriter.Workbook(into, {"strings_to_formulas": False, "strings_to_urls": False}) as book:
        sheet = book.add_worksheet("participants")
        head = book.add_format({"bold": True, "bottom": 1, "num_format": "@"})
        text = book.add_format({"num_format": "@"})
        for column, name in enumerate(MEMBERS):
            sheet.set_column(column, column, _WIDTHS.get(name, 16), None if name == "final_score" else text)
        sheet.write_row(0, 0, [HEADERS[one][0] for one in MEMBERS], head)
        sheet.freeze_panes(1, 0)
        place = MEMBERS.index("completion_status")
        sheet.data_validation(1, place, _TEMPLATE_ROWS, place, {"validate": "list", "source": list(statuses)})
