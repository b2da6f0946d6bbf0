"""LinkAja behind SNAP, with a settlement file besides. It gives money back wholly or not at all.

The file is the canonical CSV in gzip. Its last line is a total: `TOTAL`, the number of lines, and the sums of
all amounts and fees that can be read, payments and refunds added alike. Each line names the payout that it is
in. The history has the same lines, without that name.
"""

import csv
import gzip
import io

from fastapi import APIRouter, Request, Response

from sandbox.bank import payout_name
from sandbox.basic import is_allowed
from sandbox.books import Books
from sandbox.daybook import DayBook
from sandbox.history import time_of
from sandbox.keys import LINKAJA
from sandbox.money import printed, readable
from sandbox.snap_profile import Wallet
from sandbox.wib import is_over, read_day

WALLET = Wallet("linkaja", LINKAJA, history_channel="LINK", partial_refund=False)
REPORTS = "/linkaja/reports/"
HEADER = (
    "reference", "gateway_reference", "type", "status", "amount", "fee", "currency", "occurred_at",
    "payout_reference",
)  # fmt: skip


def report_router(books: Books) -> APIRouter:
    """The settlement file of a day."""
    router = APIRouter()

    @router.get(REPORTS + "settlement-{day_text}.csv.gz")
    def settlement(day_text: str, request: Request) -> Response:
        """404 while the day is not over; 401 without client id and secret."""
        if not is_allowed(request, LINKAJA.client_id, LINKAJA.client_secret):
            return Response("Unauthorized", 401, {"WWW-Authenticate": 'Basic realm="linkaja"'})
        day = read_day(day_text)
        if day is None or not is_over(day) or not books.has(day):
            return Response("No report of this day", 404)
        wrong = bool(getattr(request.state, "wrong_trailer", False))
        text = settlement_csv(books.day("linkaja", day), wrong_total=wrong)
        return Response(gzip.compress(text.encode(), compresslevel=6, mtime=0), media_type="application/gzip")

    return router


def settlement_csv(book: DayBook, *, wrong_total: bool = False) -> str:
    """The day's lines and their total; a wrong total is a thousand rupiah too high."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for line in book.lines:
        writer.writerow(
            (
                line.reference,
                line.gateway_reference,
                line.kind,
                line.status,
                line.amount,
                line.fee,
                line.currency,
                time_of(line),
                payout_name("linkaja", book.day),
            )
        )
    amounts = sum(readable(line.amount) or 0 for line in book.lines) + 100_000 * wrong_total
    fees = sum(readable(line.fee) or 0 for line in book.lines)
    writer.writerow(("TOTAL", len(book.lines), "", "", printed(amounts), printed(fees), "", "", ""))
    return text.getvalue()
