"""Live charges in the report of a day: as the gateway prints them, and as the merchant's ledger has them.

A charge is reported on the day on which it was settled (WIB), a refund on the day on which the bank confirmed
it. All of it matches, but for amounts that the gateway took differently and for second charges. A refund made
in the gateway's dashboard has no reference of the merchant's: its line names the payment, by which the
merchant can take it in.
"""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from datetime import date, datetime

from sandbox import market
from sandbox.daybook import DayBook
from sandbox.live import Charge, LiveRefund
from sandbox.model import Line
from sandbox.money import fee, printed
from sandbox.wib import WIB


def with_live(book: DayBook, charges: Iterable[Charge]) -> DayBook:
    """The day with its live lines in the order of time, and the truth of both; the book stays as it is."""
    truth, lines = deepcopy(book.truth), list(book.lines)
    for charge in charges:
        if charge.settled_at and _is_on(charge.settled_at, book.day) and not charge.from_books:
            lines.append(_payment(charge, charge.settled_at, book.day))
            if charge.is_second:
                truth.note("duplicate_at_gateway", report=charge.amount)
            elif charge.asked_amount is None:
                truth.note("matched", ledger=charge.amount, report=charge.amount)
            else:
                truth.note("amount_mismatch", ledger=charge.asked_amount, report=charge.amount)
        for refund in charge.refunds:
            if refund.confirmed_at and _is_on(refund.confirmed_at, book.day) and not refund.from_books:
                lines.append(_refund(charge, refund, refund.confirmed_at))
                truth.note("matched", ledger=refund.amount, report=refund.amount)
    return replace(book, lines=sorted(lines, key=lambda line: line.at), truth=truth)


def _payment(charge: Charge, at: datetime, day: date) -> Line:
    """Paid, with the fee; `reversed` and without one where that happened on the same day."""
    is_reversed = (
        charge.state == "reversed" and charge.closed_at is not None and _is_on(charge.closed_at, day)
    )
    return Line(
        charge.reference,
        charge.gateway_reference,
        "payment",
        "reversed" if is_reversed else "paid",
        printed(charge.amount),
        "" if is_reversed else printed(fee(charge.amount, market.GATEWAYS[charge.gateway].fee_permille)),
        "IDR",
        at,
    )


def _refund(charge: Charge, refund: LiveRefund, at: datetime) -> Line:
    """By the merchant's reference of the refund, else by the payment's; gateways keep their fee."""
    reference = refund.key if refund.by_merchant else charge.reference
    is_partial = refund.amount != charge.amount
    amount = printed(refund.amount)
    return Line(reference, refund.gateway_reference, "refund", "paid", amount, "", "IDR", at, int(is_partial))


def _is_on(moment: datetime, day: date) -> bool:
    return moment.astimezone(WIB).date() == day
