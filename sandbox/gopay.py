"""GoPay through Midtrans: dashboard files of a day, and the Core API's status.

Source: Midtrans Core API "Get status" (HTTP is 200, the outcome is `status_code` in the body), dashboard
"Export transactions" and "Balance statement". Times are WIB without offset. A refund's line carries the
refund's own key in the order column.
"""

import csv
import hashlib
import io
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from sandbox.basic import is_allowed
from sandbox.books import Books
from sandbox.daybook import DayBook
from sandbox.keys import GOPAY_SERVER_KEY, MERCHANT_ID
from sandbox.model import Line, Standing, State
from sandbox.money import printed, readable
from sandbox.wib import is_over, naive, read_day

REPORTS, CORE_API = "/gopay/reports/", "/gopay/v2/"
SERVICES = {"report": REPORTS, "status": CORE_API}
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
# status_code and transaction_status of the status service
STATUS: dict[State, tuple[str, str]] = {
    "settled": ("200", "settlement"),
    "partially_refunded": ("200", "partial_refund"),
    "refunded": ("200", "refund"),
    "pending": ("201", "pending"),
    "denied": ("202", "deny"),
    "cancelled": ("202", "cancel"),
    "failed": ("202", "failure"),
    "expired": ("407", "expire"),
}


def router(books: Books) -> APIRouter:
    """The files and the status service."""
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

    @routes.get(CORE_API + "{any_reference}/status")
    def status(any_reference: str, request: Request) -> JSONResponse:
        """By order_id or transaction_id."""
        if not is_allowed(request, GOPAY_SERVER_KEY):
            return JSONResponse(_refusal("401", "Unknown Merchant server_key/id"), 401)
        accept = request.headers.get("accept", "*/*")
        if "application/json" not in accept and "*/*" not in accept:
            return JSONResponse(_refusal("403", "Accept must be application/json"))
        standing = books.standing("gopay", any_reference)
        return JSONResponse(_shown(standing) if standing else _refusal("404", "Transaction doesn't exist."))

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


def _refusal(code: str, message: str) -> dict[str, str]:
    return {
        "status_code": code,
        "status_message": message,
        "id": hashlib.sha256(message.encode()).hexdigest()[:32],
    }


def _shown(one: Standing) -> dict[str, Any]:
    code, status = STATUS[one.state]
    amount = printed(one.amount)
    signed = f"{one.reference}{code}{amount}{GOPAY_SERVER_KEY}"
    answer: dict[str, Any] = {
        "status_code": code,
        "status_message": "Success, transaction is found",
        "transaction_id": one.gateway_reference,
        "order_id": one.reference,
        "merchant_id": MERCHANT_ID,
        "gross_amount": amount,
        "currency": "IDR",
        "payment_type": "gopay",
        "transaction_time": naive(one.created_at),
        "transaction_status": status,
        "fraud_status": "deny" if status == "deny" else "accept",
        "signature_key": hashlib.sha512(signed.encode()).hexdigest(),
    }
    if one.settled_at:
        answer["settlement_time"] = naive(one.settled_at)
    if one.refunds:
        answer["refund_amount"] = printed(sum(refund.amount for refund in one.refunds))
        answer["refunds"] = [
            {
                "refund_chargeback_id": number,
                "refund_amount": printed(refund.amount),
                "created_at": naive(refund.created_at),
                "reason": "Seat cancelled",
                "refund_key": refund.reference,
                "refund_method": "online",
                "bank_confirmed_at": naive(refund.confirmed_at),
            }
            for number, refund in enumerate(one.refunds, start=1)
        ]
    return answer
