"""GoPay's dashboard files of a day, as Midtrans lays them out.

Source: Midtrans dashboard "Export transactions" and "Balance statement". Times are WIB without offset. A
refund's line carries the refund's own key in the order column.
"""

import csv
import io

from fastapi import APIRouter, Request, Response

from sandbox.basic import is_allowed
from sandbox.books import Books
from sandbox.daybook import DayBook
from sandbox.keys import GOPAY_SERVER_KEY
from sandbox.model import Line
from sandbox.money import printed, readable
from sandbox.wib import is_over, naive, read_day

REPORTS = "/gopay/reports/"
EXPORT = (
    "Order ID",
    "Transaction ID",
    "Transaction type",
    "Channel",
    "Status",
    "Amount",
    "Fee",
    "Currency",
    "Transaction time",
)
BALANCE = ("Date & Time", "Order ID", "Transaction Type", "Channel", "Status", "Amount", "Fee")
AMOUNT_COLUMN = 5  # in both files
WORDS = {
    ("payment", "paid"): ("settlement", "capture"),
    ("payment", "failed"): ("deny", "cancel", "failure", "expire"),
    ("payment", "reversed"): ("chargeback",),
    ("refund", "paid"): ("refund", "partial_refund"),
}


def file_router(books: Books) -> APIRouter:
    """The two files."""
    routes = APIRouter()

    def report(day_text: str, request: Request, header: tuple[str, ...]) -> Response:
        if not is_allowed(request, GOPAY_SERVER_KEY):
            return Response("Unauthorized", 401, {"WWW-Authenticate": 'Basic realm="gopay"'})
        day = read_day(day_text)
        if day is None or not is_over(day) or not books.has(day):
            return Response("No report of this day", 404)
        wrong = bool(getattr(request.state, "wrong_trailer", False))
        return Response(report_csv(books.day("gopay", day), header, wrong_total=wrong), media_type="text/csv")

    @routes.get(REPORTS + "transactions-{day_text}.csv")
    def transactions(day_text: str, request: Request) -> Response:
        """The export of a day's transactions; 404 while the day is not over."""
        return report(day_text, request, EXPORT)

    @routes.get(REPORTS + "balance-{day_text}.csv")
    def balance(day_text: str, request: Request) -> Response:
        """The same lines as a balance statement: it has no currency and no transaction ids."""
        return report(day_text, request, BALANCE)

    return routes


def report_csv(book: DayBook, header: tuple[str, ...], *, wrong_total: bool = False) -> str:
    """The day's lines as one of the two files. Neither has a total, but for a wrong one on demand."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    for line in book.lines:
        writer.writerow(_cells(line, header) + [""] * line.more_cells)
    if wrong_total:
        total = [""] * len(header)
        total[:2] = "TOTAL", str(len(book.lines))
        total[AMOUNT_COLUMN] = printed(sum(readable(line.amount) or 0 for line in book.lines) + 100_000)
        writer.writerow(total)
    return text.getvalue()


def _cells(line: Line, header: tuple[str, ...]) -> list[str]:
    words = WORDS.get((line.kind, line.status))
    status = words[line.variant] if words else line.status
    what, time = line.kind.capitalize(), naive(line.at)
    if line.printed_day:
        time = line.printed_day + time[10:]
    if header is BALANCE:
        return [time, line.reference, what, "GoPay", status, line.amount, line.fee]
    return [
        line.reference,
        line.gateway_reference,
        what,
        "GoPay",
        status,
        line.amount,
        line.fee,
        line.currency,
        time,
    ]
