"""The rows of an uploaded sheet, CSV or XLSX: each value the text of its cell, by the name of its member."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from common.errors import UnusableFile
from common.tables import Table, columns_of, open_table
from records.completion_rows import WHOLE, Row
from records.sheet_formulas import formula_cells, number_cells

LARGEST = 64 * 1024 * 1024  # bytes of an uploaded sheet, once unpacked
Damage = Callable[[str, str, bool, bool], str | None]


def read_rows(
    path: Path,
    name: str,
    scratch: Path,
    headers: Mapping[str, Sequence[str]],
    needed: Sequence[str],
    damage: Damage,
    most: int,
) -> list[Row]:
    """The rows of a file, in order. Raises UnusableFile for no such table, or for more rows than `most`.

    headers: by which words each member is known; needed: members without which it is no such table.
    damage: why a cell cannot be taken, from its member, its text, whether it is a formula or a number.
    """
    with _unquoted(name):
        table = open_table(
            path, name, required=[set(headers[one]) for one in needed], size_limit=LARGEST, scratch=scratch
        )
        _refuse_two_names(name, table, headers)
        places = columns_of(table, {one: set(words) for one, words in headers.items()})
        formulas, numbers = set(), set()
        if table.sheet is not None:
            formulas, numbers = formula_cells(path, name), number_cells(path, name)
        found: list[Row] = []
        for batch in table.batches():
            cells = [batch.columns[place].to_pylist() for place in places.values()]
            for line, *texts in zip(batch.lines.tolist(), *cells, strict=True):
                values = dict(zip(places, texts, strict=True))
                if not any(map(str.strip, texts)):
                    continue  # a spreadsheet leaves such rows below its table: nobody stands in it
                damaged = {
                    member: why
                    for member, place in places.items()
                    if (
                        why := damage(
                            member, values[member], (line, place) in formulas, (line, place) in numbers
                        )
                    )
                }
                found.append(Row(line, values, damaged))
            found += [Row(one.line, {}, {WHOLE: one.reason}) for one in batch.rejected]
            if len(found) > most:
                raise UnusableFile(name, f"it has more than {most:,} rows; hand it in in parts")
        if not found:
            raise UnusableFile(name, "it has no rows below its header")
        return sorted(found, key=lambda row: row.number)


@contextmanager
def _unquoted(name: str) -> Iterator[None]:
    """What was seen in such a file may be somebody's: a fault says where it was, and not what."""
    try:
        yield
    except UnusableFile as error:
        raise UnusableFile(name, error.reason, line=error.line) from None


def _refuse_two_names(name: str, table: Table, headers: Mapping[str, Sequence[str]]) -> None:
    """Two columns for one member, `nama` and `full_name`: nobody here knows which one is meant."""
    heads = [cell.casefold() for cell in table.header]
    for words in headers.values():
        fitting = [cell for cell in heads if cell in words]
        if len(fitting) > 1:
            reason = f"the columns {' and '.join(fitting)} are the same: take one of them out"
            raise UnusableFile(name, reason, line=table.header_line)
