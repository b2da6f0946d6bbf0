"""A bank statement file in whatever format: looked at, read, and held to its own figures."""

from pathlib import Path

from common.errors import UnusableFile
from providers.bank.camt053 import read_camt053
from providers.bank.csv_file import read_csv
from providers.bank.entries import BankStatement
from providers.bank.layout import BankLayout
from providers.bank.mt940 import read_mt940

FORMATS = ("csv", "mt940", "camt053")
MOST_BYTES = 64 * 1024**2  # of MT940 and XML, which are read as a whole


def read_statement(
    path: Path, name: str, *, format: str | None, layout: BankLayout, account: str, size_limit: int
) -> BankStatement:
    """Everything of the file. format: one of FORMATS, or None to tell by its beginning.

    Raises UnusableFile naming line and reason; only a line of a table can be malformed by itself, as MT940
    and camt.053 say what they add up to.
    """
    with path.open("rb") as stream:
        start = stream.read(4096)
    if not start:
        raise UnusableFile(name, "the file is empty")
    chosen = format or _format_of(start)
    if chosen == "csv":
        found = read_csv(path, name, layout, account, size_limit)
    elif path.stat().st_size > MOST_BYTES:
        raise UnusableFile(name, f"the file is larger than the limit of {MOST_BYTES:,} bytes")
    else:
        read = read_mt940 if chosen == "mt940" else read_camt053
        found = read(path.read_bytes(), name, account)
    if not found.coverage:
        raise UnusableFile(name, "no line of the statement has a day that can be read")
    return found


def _format_of(start: bytes) -> str:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return "camt053"
    if text.startswith((b":20:", b"{1:")) or b"\n:20:" in text:
        return "mt940"
    return "csv"
