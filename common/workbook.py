"""What an XLSX is made of: the first sheet that people see of it, and how far apart its cells lie.

Readers lay a sheet out whole, from its first cell to its last. Two cells in far corners are a file of five
kilobytes, and more memory than any machine has: the process would be gone, with all that it was at.
"""

import re
import zipfile
from collections.abc import Iterator
from typing import IO, NamedTuple
from xml.etree import ElementTree

from common.errors import UnusableFile

_BLOCK = 1024**2
_RELATIONS = "xl/_rels/workbook.xml.rels"
_COLUMNS = re.compile(rb"<(?:\w+:)?c\s[^<>]*?\br=[\"']([A-Z]{1,3})[0-9]")
_ROWS = re.compile(rb"<(?:\w+:)?(?:row|c)\s[^<>]*?\br=[\"'][A-Z]{0,3}([0-9]{1,7})[\"']")
_CELL = re.compile(rb"<(?:\w+:)?c[\s/>]")
_SMALL = 2_000_000  # places: so many are laid out whatever is in them
_EMPTY_FOR_EACH = 20  # places: beyond that so many for each cell


class Sheet(NamedTuple):
    """A sheet of a workbook. member: its file in the archive."""

    name: str
    member: str


def first_sheet(archive: zipfile.ZipFile) -> Sheet:
    """The first worksheet that is not hidden: what a person sees who opens the workbook. Raises KeyError or
    ElementTree.ParseError where it is no workbook."""
    targets = {
        one["Id"]: one["Target"]
        for one in _tags(archive, _RELATIONS, "Relationship")
        if one["Type"].endswith("/worksheet")
    }
    for one in _tags(archive, "xl/workbook.xml", "sheet"):
        relation = next((value for key, value in one.items() if key.endswith("}id")), "")
        target = targets.get(relation)
        if target is not None and one.get("state", "visible") == "visible":
            member = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
            return Sheet(one["name"], member)
    raise KeyError("worksheet")


def refuse_far_cells(archive: zipfile.ZipFile, member: str, name: str) -> None:
    """Raise UnusableFile for a sheet that would be laid out over many times its cells."""
    columns, last_row, cells = set(), 0, 0
    with archive.open(member) as opened:
        for block in _blocks(opened):
            if b"\x00" in block:  # UTF-16, which nobody writes and nothing here reads
                raise UnusableFile(name, "the workbook is damaged or is no XLSX file")
            columns |= set(_COLUMNS.findall(block))
            last_row = max(last_row, *map(int, set(_ROWS.findall(block))), 0)
            cells += len(_CELL.findall(block))
    places = last_row * max((column_number(one.decode()) + 1 for one in columns), default=1)
    if places > max(_SMALL, _EMPTY_FOR_EACH * cells):
        raise UnusableFile(name, "something stands far away from the table in its sheet: take it out")


def column_number(letters: str) -> int:
    """Which column `A`, `B`, … `XFD` is, from 0."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def parsed(opened: IO[bytes]) -> "Iterator[tuple[str, ElementTree.Element[str]]]":
    """The elements of a part of a workbook, one by one."""
    # expat reads no file that the XML names, and refuses entities that grow without end (since 2.4).
    return ElementTree.iterparse(opened)  # noqa: S314


def is_tag(one: "ElementTree.Element[str]", tag: str) -> bool:
    """Whether an element has that name, in whatever namespace."""
    return one.tag.rpartition("}")[2] == tag


def _tags(archive: zipfile.ZipFile, member: str, tag: str) -> list[dict[str, str]]:
    with archive.open(member) as opened:
        return [dict(one.attrib) for _, one in parsed(opened) if is_tag(one, tag)]


def _blocks(opened: IO[bytes]) -> Iterator[bytes]:
    """The bytes in blocks that end between two tags, as far as there are any."""
    rest = b""
    while block := opened.read(_BLOCK):
        whole, mark, begun = (rest + block).rpartition(b"<")
        yield whole
        rest = mark + begun if len(begun) < _BLOCK else b""
    yield rest
