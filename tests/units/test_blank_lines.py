"""Blank lines count where something follows them: line numbers need them. A file may end in any number."""

import io
from pathlib import Path

import pytest

from common.raw import look_over
from common.tables import open_table


class Slow(io.BytesIO):
    """A file of which each look reads three bytes: every place is the seam of two blocks once."""

    def read(self, _size: int | None = -1) -> bytes:
        return super().read(3)


@pytest.mark.parametrize(
    ("text", "has_any"),
    [
        (b"a\nb\n", False),
        (b"a\n\nb\n", True),
        (b"a\r\n\r\nb", True),
        (b"ab\n\nc", True),
        (b"a\r\nb\r\n\r\n\r\nc\r\n", True),
        (b"ab\n\n\n\n\n\n\n\n\nc", True),
        (b"a\r\nb\r\n\r\n\r\n\r\n\r\n", False),
        (b"ab\n\n\n\n\n\n\n", False),
    ],
)
@pytest.mark.parametrize("begins", [b"", b"x", b"xy"])
def test_a_blank_line_is_seen_wherever_it_stands_but_at_the_end(
    begins: bytes, text: bytes, has_any: bool
) -> None:
    for opened in (io.BytesIO(begins + text), Slow(begins + text)):
        assert look_over(opened, "a file", 100).has_blank_lines is has_any


def test_lines_keep_their_numbers_among_and_before_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"a,b\n1,2\n\n\n3,4\n\n5\n" + b"\n" * 1000)
    table = open_table(path, path.name, required=[{"a"}, {"b"}])
    (batch,) = table.batches()
    assert batch.lines.tolist() == [2, 5]
    assert [(one.line, one.reason) for one in batch.rejected] == [(7, "1 columns where the header has 2")]
