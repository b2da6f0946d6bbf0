"""Transaction history (SNAP service 12): the lines of a day's report, page by page.

Request: `fromDateTime` and `toDateTime` (ISO 8601 with offset, the end not included), `pageSize` ≤ 50
(default 10), `pageNumber` from 0. The history of a day is its report: what is late or odd there is so here.
"""

from bisect import bisect_left
from datetime import datetime, timedelta
from typing import Any

from sandbox.books import Books
from sandbox.model import Line
from sandbox.snap import SnapCall
from sandbox.wib import WIB, is_over, iso, read_moment

MOST_DAYS = timedelta(days=31)
WORDS = {
    ("payment", "paid"): ("SETTLEMENT", "SUCCESS"),
    ("payment", "failed"): ("DENIED", "CANCELLED", "FAILED", "EXPIRED"),
    ("payment", "reversed"): ("REVERSAL",),
    ("refund", "paid"): ("REFUND", "REFUND"),
}


def history(
    books: Books, gateway: str, channel: str, call: SnapCall, members: dict[str, Any]
) -> dict[str, Any]:
    """One page of what was reported between two moments; a day that is not over has no history yet."""
    start, end = _moment(call, members, "fromDateTime"), _moment(call, members, "toDateTime")
    if not start < end <= start + MOST_DAYS:
        raise call.refuse(400, "01", "Invalid Field Format toDateTime")
    size = _number(call, members, "pageSize", 10)
    page = _number(call, members, "pageNumber", 0)
    if not 1 <= size <= 50:
        raise call.refuse(400, "01", "Invalid Field Format pageSize")
    filters = members.get("additionalInfo") or {}
    if not isinstance(filters, dict) or any(filters.get(name) for name in ("types", "statuses", "sortOrder")):
        raise call.refuse(400, "01", "Invalid Field Format additionalInfo: the sandbox does not filter")
    lines = _between(books, gateway, start, end, call)
    return {
        "responseCode": "2001200",
        "responseMessage": "Request has been processed successfully",
        "partnerReferenceNo": members.get("partnerReferenceNo", ""),
        "detailData": [_item(line, channel) for line in lines[page * size : (page + 1) * size]],
    }


def word(line: Line) -> str:
    """SNAP's word for the line's status; a word that no layout knows stays what it is."""
    words = WORDS.get((line.kind, line.status))
    return words[line.variant] if words else line.status


def time_of(line: Line) -> str:
    """The line's time in ISO 8601 with offset, or what the gateway printed instead of a date."""
    text = iso(line.at)
    return line.printed_day + text[10:] if line.printed_day else text


def _between(books: Books, gateway: str, start: datetime, end: datetime, call: SnapCall) -> list[Line]:
    first, last = start.astimezone(WIB).date(), (end - timedelta(microseconds=1)).astimezone(WIB).date()
    if not is_over(last) or not books.has(first):
        raise call.refuse(404, "01", "No history of these days")
    lines: list[Line] = []
    for number in range((last - first).days + 1):
        book = books.day(gateway, first + timedelta(days=number))
        lines += book.lines[bisect_left(book.moments, start) : bisect_left(book.moments, end)]
    return lines


def _item(line: Line, channel: str) -> dict[str, Any]:
    more: dict[str, Any] = {
        "referenceNo": line.gateway_reference,
        "partnerReferenceNo": line.reference,
        "channel": channel,
    }
    if line.fee:
        more["fee"] = {"value": line.fee, "currency": line.currency}
    return {
        "dateTime": time_of(line),
        "amount": {"value": line.amount, "currency": line.currency},
        "status": word(line),
        "type": line.kind.upper(),
        "additionalInfo": more,
    }


def _moment(call: SnapCall, members: dict[str, Any], name: str) -> datetime:
    text = members.get(name)
    if not text:
        raise call.refuse(400, "02", f"Invalid Mandatory Field {name}")
    moment = read_moment(text) if isinstance(text, str) else None
    if moment is None:
        raise call.refuse(400, "01", f"Invalid Field Format {name}")
    return moment


def _number(call: SnapCall, members: dict[str, Any], name: str, default: int) -> int:
    """A whole number; the standard prints it as a string, so both forms pass."""
    given = members.get(name, default)
    if isinstance(given, bool) or not str(given).isdecimal() or len(str(given)) > 9:
        raise call.refuse(400, "01", f"Invalid Field Format {name}")
    return int(given)
