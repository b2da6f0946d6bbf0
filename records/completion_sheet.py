"""A class as a file: CSV or XLSX to upload, and the template that is filled for it."""

import csv
import io
import re
from pathlib import Path
from typing import IO

import xlsxwriter

from records.completion_rows import MEMBERS, MOST, Row
from records.sheet_rows import read_rows

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
    return read_rows(path, name, scratch, HEADERS, NEEDED, _damage, MOST)


def _damage(member: str, text: str, is_formula: bool, is_number: bool) -> str | None:
    """Why a cell cannot be taken as it is."""
    if is_formula:
        return _FORMULA
    if _DATE.fullmatch(text.strip()) and member != "full_name":
        return _MADE_A_DATE
    if member in _AS_TEXT and is_number:
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
