"""Delimited files and sheets as batches of text columns: strict, streamed, with true line numbers.

Nothing is interpreted here: every cell stays the text that the file holds. A line that has not as many
columns as the header is rejected by its line number; a file that cannot be read as a table is unusable.
"""

import csv
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import fastexcel
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from common.errors import UnusableFile
from common.raw import (
    BLOCK,
    GZIP,
    HEADER_WITHIN_LINES,
    ZIP,
    Content,
    Survey,
    first_rows,
    look_over,
    refuse_bomb,
    refuse_other_formats,
    unpack,
)
from common.workbook import first_sheet, refuse_far_cells

SEEN = 80
Encoding = Literal["auto", "utf-8", "latin-1"]


@dataclass(frozen=True)
class RejectedLine:
    """A line whose shape is wrong: it has other than the header's number of columns."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Batch:
    """Some lines of the file: one text array per header cell, the line number of each row."""

    columns: list[pa.StringArray]
    lines: npt.NDArray[np.int32]
    rejected: list[RejectedLine]


@dataclass
class Table:
    """An opened file: its header cells, what stands above the header, and its lines in batches."""

    name: str
    content: Content
    header: list[str]
    delimiter: str
    header_line: int = 1
    preamble: list[list[str]] = field(default_factory=list)
    survey: Survey = field(default_factory=Survey)
    encoding: str = "utf-8"
    sheet: pa.Table | None = None

    def batches(self) -> Iterator[Batch]:
        """The lines after the header, in order; memory stays at a few blocks whatever the size."""
        return self._sheet_batches() if self.sheet is not None else self._csv_batches()

    def _csv_batches(self) -> Iterator[Batch]:
        width = len(self.header)
        names = [f"c{index}" for index in range(width)]
        pending: list[tuple[int, int, str]] = []

        def refuse(row: Any) -> str:
            pending.append((row.number, row.actual_columns, row.text))
            return "skip"

        reader = _open_arrow(self, names, refuse)
        if reader is None:
            return
        counter = _LineCounter(self.header_line, self.survey.has_quotes)
        while True:
            try:
                block = reader.read_next_batch()
            except StopIteration:
                break
            except pa.ArrowInvalid as error:
                raise UnusableFile(self.name, _why_unreadable(error), line=counter.line + 1) from None
            columns = list(block.columns)
            refused = counter.due(pending, block.num_rows)
            lines, rejected = counter.number(columns, block.num_rows, refused, width, self.survey)
            if self.survey.has_quotes:
                self._refuse_open_quote(columns, lines, rejected)
            if self.survey.has_blank_lines:
                columns, lines = _without_blank_lines(columns, lines)
            yield Batch(columns, lines, rejected)
        if pending:  # the last lines were all refused: no batch came after them
            _, rejected = counter.number([], 0, pending, width, self.survey)
            self._refuse_open_quote([], np.empty(0, np.int32), rejected)
            yield Batch([pa.array([], pa.string()) for _ in names], np.empty(0, np.int32), rejected)

    def _refuse_open_quote(
        self, columns: list[pa.StringArray], lines: npt.NDArray[np.int32], rejected: list[RejectedLine]
    ) -> None:
        """A quote that is not closed swallows whole lines after it: they must not be lost in silence."""
        spans = [(line.line, line.text) for line in rejected if "\n" in line.text]
        for column in columns:
            several = pc.match_substring(column, "\n")
            if pc.any(several).as_py():
                places = pc.indices_nonzero(several).to_pylist()
                spans += [(int(lines[place]), column[place].as_py()) for place in places]
        for line, text in sorted(spans):
            inner = text.replace("\r", "").split("\n")[1:]
            if any(part.count(self.delimiter) >= len(self.header) - 1 for part in inner):
                raise UnusableFile(self.name, "a quoted value is not closed again", line=line, seen=text)

    def _sheet_batches(self) -> Iterator[Batch]:
        assert self.sheet is not None
        done = 0
        for block in self.sheet.to_batches(max_chunksize=100_000):
            lines = np.arange(done, done + block.num_rows, dtype=np.int32) + self.header_line + 1
            done += block.num_rows
            columns, lines = _without_blank_lines(
                [pc.fill_null(column, "") for column in block.columns], lines.astype(np.int32)
            )
            yield Batch(columns, lines, [])


class _LineCounter:
    """Turns Arrow's row numbers into line numbers, counting the line ends inside quoted cells."""

    def __init__(self, header_line: int, has_quotes: bool) -> None:
        self.next_row = header_line + 1
        self.inner = 0
        self.has_quotes = has_quotes

    @property
    def line(self) -> int:
        return self.next_row - 1 + self.inner

    def due(self, pending: list[tuple[int, int, str]], rows: int) -> list[tuple[int, int, str]]:
        """Take the refused rows that stand before or among these `rows`: Arrow parses a block ahead and
        tells of refused rows of lines to come."""
        end = self.next_row + rows
        taken = 0
        while taken < len(pending) and pending[taken][0] < end + taken:
            taken += 1
        due, pending[:taken] = pending[:taken], []
        return due

    def number(
        self,
        columns: list[pa.StringArray],
        rows: int,
        refused: list[tuple[int, int, str]],
        width: int,
        survey: Survey,
    ) -> tuple[npt.NDArray[np.int32], list[RejectedLine]]:
        """Line numbers of `rows` good rows and of the refused ones between and after them."""
        total = rows + len(refused)
        numbers = np.arange(self.next_row, self.next_row + total, dtype=np.int64)
        places = np.array([number for number, _, _ in refused], dtype=np.int64)
        is_refused = np.isin(numbers, places)
        inner = np.zeros(total, dtype=np.int64)
        if self.has_quotes:
            inside = np.zeros(rows, dtype=np.int64)
            for column in columns:
                inside += pc.count_substring(column, "\n").to_numpy(zero_copy_only=False)
            inner[~is_refused] = inside
            inner[is_refused] = [text.count("\n") for _, _, text in refused]
        before = self.inner + np.cumsum(inner) - inner
        lines = (numbers + before).astype(np.int32)
        self.next_row += total
        self.inner += int(inner.sum())
        rejected = [
            RejectedLine(int(line), _shape_reason(found, width, int(line) + text.count("\n"), survey), text)
            for line, (_, found, text) in zip(lines[is_refused], refused, strict=True)
        ]
        return lines[~is_refused], rejected


def open_table(
    path: Path,
    name: str,
    *,
    required: list[set[str]],
    delimiter: str = "auto",
    encoding: Encoding = "auto",
    size_limit: int = 2 * 1024**3,
    scratch: Path | None = None,
) -> Table:
    """Open a CSV (plain or gzip) or XLSX file and find its header.

    required: for each column that must be there, the header words it may have; the header is the first
    of the first 20 lines that has them all. scratch: folder for an unpacked copy of a gzip file.
    Raises UnusableFile naming what is wrong: empty, wrong delimiter, missing column, too large, damaged.
    """
    with path.open("rb") as raw:
        magic = raw.read(4)
    content: Content = path
    if magic[:2] == GZIP:
        content = unpack(path, name, size_limit, scratch)
    elif magic == ZIP:
        return _open_sheet(path, name, required, size_limit)
    refuse_other_formats(name, magic)
    survey = look_over(content, name, size_limit)
    if survey.bytes == 0:
        raise UnusableFile(name, "the file is empty")
    if encoding == "utf-8" and not survey.is_utf8:
        raise UnusableFile(name, "the file is not UTF-8, as its layout says it is")
    chosen = "utf-8" if survey.is_utf8 and encoding != "latin-1" else "latin-1"
    rows, line_ends = first_rows(content, chosen)
    _refuse_markup(name, rows)
    choice, index = _find_header(name, rows, required, delimiter)
    split = [_split(row, choice) for row in rows[: index + 1]]
    return Table(
        name=name,
        content=content,
        header=[cell.strip() for cell in split[index]],
        delimiter=choice,
        header_line=line_ends[index],
        preamble=split[:index],
        survey=survey,
        encoding=chosen,
    )


def columns_of(table: Table, wanted: dict[str, set[str]]) -> dict[str, int]:
    """Position of each wanted column, by the header words it may have; the first that fits."""
    return {
        name: next(i for i, cell in enumerate(table.header) if cell.casefold() in words)
        for name, words in wanted.items()
        if any(cell.casefold() in words for cell in table.header)
    }


def _open_arrow(table: Table, names: list[str], refuse: Any) -> Any:
    try:
        if not isinstance(table.content, Path):
            table.content.seek(0)
        return pyarrow.csv.open_csv(
            table.content,
            pyarrow.csv.ReadOptions(
                use_threads=False,
                block_size=BLOCK,
                skip_rows=table.header_line,
                column_names=names,
                encoding=table.encoding,
            ),
            pyarrow.csv.ParseOptions(
                delimiter=table.delimiter,
                invalid_row_handler=refuse,
                newlines_in_values=table.survey.has_quotes,
                ignore_empty_lines=not table.survey.has_blank_lines,
            ),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error):
            return None
        raise UnusableFile(table.name, _why_unreadable(error)) from None


def _why_unreadable(error: pa.ArrowInvalid) -> str:
    text = str(error)
    if "straddling" in text or "out of sync" in text:
        return "a quoted value is not closed again"
    return "the file cannot be read as delimited text"


def _shape_reason(found: int, width: int, ends: int, survey: Survey) -> str:
    """What is wrong with a line of `found` columns that ends on line `ends` of the file."""
    cut_off = "cut off: " if found < width and ends == survey.lines and not survey.ends_with_newline else ""
    return f"{cut_off}{found} columns where the header has {width}"


def _without_blank_lines(
    columns: list[pa.StringArray], lines: npt.NDArray[np.int32]
) -> tuple[list[pa.StringArray], npt.NDArray[np.int32]]:
    blank = None
    for column in columns:
        empty = pc.equal(column, "")
        blank = empty if blank is None else pc.and_(blank, empty)
    if blank is None or not pc.any(blank).as_py():
        return columns, lines
    keep = pc.invert(blank)
    return [column.filter(keep) for column in columns], lines[keep.to_numpy(zero_copy_only=False)]


def _split(row: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([row], delimiter=delimiter), [])
    except csv.Error:  # a cell beyond csv's limit, or binary text: no header of anybody
        return [row[:SEEN]]


def _refuse_markup(name: str, rows: list[str]) -> None:
    start = next((row.strip() for row in rows if row.strip()), "")
    if start[:1] == "<":
        raise UnusableFile(name, "this is a web page, not a report", line=1, seen=start)


def _find_header(name: str, rows: list[str], required: list[set[str]], delimiter: str) -> tuple[str, int]:
    """Delimiter and row index of the header; raises UnusableFile with the nearest miss."""
    nearest: tuple[int, int, str, list[str]] = (-1, 0, ",", [])
    for choice in [delimiter] if delimiter != "auto" else [",", ";"]:
        for index, row in enumerate(rows):
            cells = [cell.strip().casefold() for cell in _split(row, choice)]
            present = sum(1 for words in required if words & set(cells))
            if present == len(required):
                _refuse_twice(name, index, cells, required)
                return choice, index
            if present > nearest[0]:
                nearest = (present, index, choice, cells)
    present, index, choice, cells = nearest
    seen = rows[index] if rows else ""
    if present <= 1 and len(cells) <= 1:
        raise UnusableFile(
            name,
            "the header does not split into columns: the delimiter is not "
            + ("',' or ';'" if delimiter == "auto" else repr(delimiter)),
            line=index + 1,
            seen=seen,
        )
    missing = [sorted(words)[0] for words in required if not words & set(cells)]
    raise UnusableFile(
        name,
        f"the header lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}",
        line=index + 1,
        seen=seen,
    )


def _refuse_twice(name: str, index: int, cells: list[str], required: list[set[str]]) -> None:
    for words in required:
        fitting = [cell for cell in cells if cell in words]
        if len(fitting) > len(set(fitting)):
            raise UnusableFile(name, f"the header has the column {fitting[0]} twice", line=index + 1)


def _open_sheet(path: Path, name: str, required: list[set[str]], size_limit: int) -> Table:
    """First sheet of an XLSX workbook that is not hidden, every cell as the text it shows."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > size_limit:
                raise UnusableFile(name, f"unpacked it is larger than the limit of {size_limit:,} bytes")
            refuse_bomb(archive, name, size_limit)
            first = first_sheet(archive)
            refuse_far_cells(archive, first.member, name)
        sheet = fastexcel.read_excel(path).load_sheet(
            first.name, header_row=None, skip_rows=0, dtypes="string"
        )
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, fastexcel.FastExcelError):
        raise UnusableFile(name, "the workbook is damaged or is no XLSX file") from None
    table = pa.table(pa.record_batch(sheet))
    rows = [
        ["" if cell is None else str(cell) for cell in row.values()]
        for row in table.slice(0, HEADER_WITHIN_LINES).to_pylist()
    ]
    if not rows:
        raise UnusableFile(name, "the file is empty")
    quoted = [_as_csv(row) for row in rows]
    _, index = _find_header(name, quoted, required, ",")
    return Table(
        name=name,
        content=path,
        header=[cell.strip() for cell in rows[index]],
        delimiter=",",
        header_line=index + 1,
        preamble=rows[:index],
        sheet=table.slice(index + 1).cast(pa.schema([(n, pa.string()) for n in table.column_names])),
    )


def _as_csv(cells: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()
