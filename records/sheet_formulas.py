"""Which cells of a workbook hold a formula or a number: readers give only the text of the value."""

import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from common.errors import UnusableFile

_RELATIONS = "xl/_rels/workbook.xml.rels"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_PLACE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")


Place = tuple[int, int]


def formula_cells(path: Path, name: str) -> set[Place]:
    """Row, counted from 1, and column, from 0, of each formula on the first sheet of an XLSX.

    path: a workbook that has been opened as one before. Raises UnusableFile where it is damaged all the same.
    """
    return _cells(path, name, _has_formula)


def number_cells(path: Path, name: str) -> set[Place]:
    """As `formula_cells`: the cells that hold a number, dates among them, and so no more than 15 digits."""
    return _cells(path, name, _is_number)


def _cells(path: Path, name: str, fits: "Callable[[ElementTree.Element[str]], bool]") -> set[Place]:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_first_sheet(archive)) as sheet:
            places = _places(sheet, fits)
    except (KeyError, StopIteration, ElementTree.ParseError):
        raise UnusableFile(name, "the workbook is damaged or is no XLSX file") from None
    return {
        (int(form[2]), _column(form[1])) for place in places if (form := _PLACE.fullmatch(place)) is not None
    }


def _first_sheet(archive: zipfile.ZipFile) -> str:
    """The file of the workbook's first sheet."""
    first = next(one for one in _tags(archive, "xl/workbook.xml", "sheet"))
    for one in _tags(archive, _RELATIONS, "Relationship"):
        if one["Id"] == first[_RELATION]:
            target = one["Target"]
            return target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    raise KeyError(first[_RELATION])


def _tags(archive: zipfile.ZipFile, name: str, tag: str) -> list[dict[str, str]]:
    with archive.open(name) as opened:
        return [dict(one.attrib) for _, one in _parsed(opened) if _is(one, tag)]


def _has_formula(cell: "ElementTree.Element[str]") -> bool:
    return any(_is(part, "f") for part in cell)


def _is_number(cell: "ElementTree.Element[str]") -> bool:
    return cell.get("t", "n") == "n" and any(_is(part, "v") for part in cell)


def _places(sheet: IO[bytes], fits: "Callable[[ElementTree.Element[str]], bool]") -> list[str]:
    """The places of cells that fit, such as `B7`; memory does not grow with the sheet."""
    places = []
    for _, one in _parsed(sheet):
        if _is(one, "c"):
            if fits(one):
                places.append(one.get("r", ""))
            one.clear()
        elif _is(one, "row"):
            one.clear()
    return places


def _parsed(opened: IO[bytes]) -> "Iterator[tuple[str, ElementTree.Element[str]]]":
    # expat reads no file that the XML names, and refuses entities that grow without end (since 2.4).
    return ElementTree.iterparse(opened)  # noqa: S314


def _is(one: "ElementTree.Element[str]", tag: str) -> bool:
    return one.tag.rpartition("}")[2] == tag


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
