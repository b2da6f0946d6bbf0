"""A file's bytes before they are a table: what kind it is, how large, whether it is text at all.

Nothing here trusts the file: sizes are counted and not read from headers, and each look stops at a limit.
"""

import codecs
import gzip
import io
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from common.errors import UnusableFile

BLOCK = 4 * 1024**2
LONGEST_LINE = 1024**2
HEADER_WITHIN_LINES = 20
GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
_OPEN_FILES = Path("/proc/self/fd")  # of Linux; elsewhere an uploaded file has a name for a moment
_BLANK_LINE = re.compile(rb"\n\r?\n")
Content = Path | IO[bytes]


@dataclass
class Survey:
    """What one pass over the raw bytes tells before anything is parsed."""

    bytes: int = 0
    lines: int = 0
    is_utf8: bool = True
    has_quotes: bool = False
    has_blank_lines: bool = False  # with something after them: at the end of a file they do not count
    has_nul: bool = False
    ends_with_newline: bool = True


@contextmanager
def reading(content: Content) -> Iterator[IO[bytes]]:
    """The content from its beginning."""
    if isinstance(content, Path):
        with content.open("rb") as stream:
            yield stream
    else:
        content.seek(0)
        yield content


def look_over(content: Content, name: str, size_limit: int) -> Survey:
    """One fast pass over the bytes; refuses what is no text table before a parser sees it."""
    found = Survey()
    tail = b""
    line, since_newline = 1, 0
    decoder = _Utf8Check()
    with reading(content) as stream:
        while block := stream.read(BLOCK):
            found.bytes += len(block)
            if found.bytes > size_limit:
                raise UnusableFile(name, f"the file is larger than the limit of {size_limit:,} bytes")
            newlines = block.count(b"\n")
            line += newlines
            since_newline = len(block) - block.rfind(b"\n") - 1 if newlines else since_newline + len(block)
            if since_newline > LONGEST_LINE:
                raise UnusableFile(
                    name, f"a line is longer than {LONGEST_LINE:,} bytes", line=line, seen=_seen(block)
                )
            found.has_quotes = found.has_quotes or b'"' in block
            found.has_nul = found.has_nul or b"\x00" in block
            if not found.has_blank_lines and (text := block.rstrip(b"\r\n")):
                found.has_blank_lines = any(map(_BLANK_LINE.search, (text, tail + text[:4])))
            found.is_utf8 = found.is_utf8 and decoder.feed(block)
            tail = (tail + block)[-4:]
    found.is_utf8 = found.is_utf8 and decoder.finish()
    found.ends_with_newline = tail.endswith(b"\n")
    found.lines = line if not found.ends_with_newline else line - 1
    return found


class _Utf8Check:
    """Whether bytes that come in blocks are valid UTF-8 (a character may span two blocks)."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")

    def feed(self, block: bytes) -> bool:
        if block.isascii() and not self._decoder.getstate()[0]:
            return True
        try:
            self._decoder.decode(block)
        except UnicodeDecodeError:
            return False
        return True

    def finish(self) -> bool:
        return not self._decoder.getstate()[0]


@contextmanager
def nameless(body: bytes, scratch: Path) -> Iterator[Path]:
    """An uploaded file for readers that want a path: no other process sees it, and it is gone with this one,
    however that ends. What lies in a folder stays there when its process is killed, with all the NIKs in it.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    kind = tempfile.TemporaryFile if _OPEN_FILES.is_dir() else tempfile.NamedTemporaryFile
    with kind(dir=scratch) as held:
        held.write(body)
        held.flush()
        yield _OPEN_FILES / str(held.fileno()) if _OPEN_FILES.is_dir() else Path(held.name)


def unpack(path: Path, name: str, size_limit: int, scratch: Path | None) -> IO[bytes]:
    """The gzip file unpacked, stopped at the size limit and at a line without end.

    The copy has no name on disk: it goes when it is closed, also when this process is killed.
    """
    size = since_newline = 0
    out = cast(IO[bytes], tempfile.TemporaryFile(dir=scratch))  # noqa: SIM115 - the table closes it
    try:
        with gzip.open(path, "rb") as packed:
            while block := packed.read(1024**2):
                size += len(block)
                since_newline = 0 if b"\n" in block else since_newline + len(block)
                if size > size_limit:
                    raise UnusableFile(name, f"unpacked it is larger than the limit of {size_limit:,} bytes")
                if since_newline > LONGEST_LINE:
                    raise UnusableFile(
                        name, f"unpacked, a line is longer than {LONGEST_LINE:,} bytes", seen=_seen(block)
                    )
                out.write(block)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UnusableFile(name, "the gzip file is damaged or cut off") from None
    return out


def _seen(block: bytes) -> str:
    return block[:80].decode("latin-1").replace("\x00", "␀")


def first_rows(content: Content, encoding: str) -> tuple[list[str], list[int]]:
    """The first lines as text, quoted line ends kept together, and the line on which each ends."""
    with reading(content) as stream:
        text = stream.read(LONGEST_LINE).removeprefix(codecs.BOM_UTF8).decode(encoding, "ignore")
    rows: list[str] = []
    ends: list[int] = []
    current = ""
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        current += line
        if current.count('"') % 2 == 0:
            rows.append(current.rstrip("\n"))
            ends.append(number)
            current = ""
        if len(rows) == HEADER_WITHIN_LINES:
            break
    return rows, ends


def refuse_other_formats(name: str, magic: bytes) -> None:
    if magic == b"\xd0\xcf\x11\xe0":
        raise UnusableFile(name, "this is an old Excel workbook (.xls); save it as XLSX or CSV")
    if magic[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise UnusableFile(name, "the file is UTF-16; export it as UTF-8")


def refuse_bomb(archive: zipfile.ZipFile, name: str, size_limit: int) -> None:
    """Sizes in a zip's directory can lie: read each member once, counting."""
    total = 0
    for member in archive.infolist():
        stream: IO[bytes]
        with archive.open(member) as stream:
            while block := stream.read(1024**2):
                total += len(block)
                if total > size_limit:
                    raise UnusableFile(name, f"unpacked it is larger than the limit of {size_limit:,} bytes")
