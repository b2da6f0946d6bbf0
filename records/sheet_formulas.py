"""Which cells of a workbook hold a formula or a number: readers give only the text of the value."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from common.errors import UnusableFile
from common.workbook import column_number, first_sheet, is_tag, parsed

_PLACE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")


Place = tuple[int, int]


def formula_cells(path: Path, name: str) -> set[Place]:
    """Row, counted from 1, and column, from 0, of each formula on the sheet that is read of an XLSX.

    path: a workbook that has been opened as one before. Raises UnusableFile where it is damaged all the same.
    """
    return _cells(path, name, _has_formula)


def number_cells(path: Path, name: str) -> set[Place]:
    """As `formula_cells`: the cells that hold a number, dates among them, and so no more than 15 digits."""
    return _cells(path, name, _is_number)


def _cells(path: Path, name: str, fits: "Callable[[ElementTree.Element[str]], bool]") -> set[Place]:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(first_sheet(archive).member) as sheet:
            places = _places(sheet, fits)
    except (KeyError, ElementTree.ParseError):
        raise UnusableFile(name, "the workbook is damaged or is no XLSX file") from None
    found = set()
    for place in places:
        form = _PLACE.fullmatch(place)
        if form is None:
            raise UnusableFile(
                name, "its cells do not say where they stand: open it in a spreadsheet and save it again"
            )
        found.add((int(form[2]), column_number(form[1])))
    return found


def _has_formula(cell: "ElementTree.Element[str]") -> bool:
    return any(is_tag(part, "f") for part in cell)


def _is_number(cell: "ElementTree.Element[str]") -> bool:
    return cell.get("t", "n") == "n" and any(is_tag(part, "v") for part in cell)


def _places(sheet: IO[bytes], fits: "Callable[[ElementTree.Element[str]], bool]") -> list[str]:
    """The places of cells that fit, such as `B7`; memory does not grow with the sheet."""
    places = []
    for _, one in parsed(sheet):
        if is_tag(one, "c"):
            if fits(one):
                places.append(one.get("r", ""))
            one.clear()
        elif is_tag(one, "row"):
            one.clear()
    return places
