"""Live charges in the report of a day: as the gateway prints them, and as the merchant's ledger has them.

A charge is reported on the day on which it was settled (WIB), a refund on the day on which the bank confirmed
it. All of it matches, but for amounts that the gateway took differently, and for refunds made in its
dashboard, which the merchant's ledger has not.
"""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from datetime import date, datetime

from sandbox import market
from sandbox.daybook import DayBook
from sandbox.live import Charge, LiveRefund
from sandbox.model import Line, Truth
from sandbox.money import fee, printed
from sandbox.wib import WIB


def with_live(book: DayBook, charges: Iterable[Charge]) -> DayBook:
    """The day with its live lines in the order of time, and the truth of both; the book stays as it is."""
    truth, lines = deepcopy(book.truth), list(book.lines)
    for charge in charges:
        if charge.settled_at and _is_on(charge.settled_at, book.day) and not charge.from_books:
            lines.append(_payment(charge, charge.settled_at, book.day))
            if charge.asked_amount is None:
                truth.note("matched", ledger=charge.amount, report=charge.amount)
            else:
                truth.note("amount_mismatch", ledger=charge.asked_amount, report=charge.amount)
        for refund in charge.refunds:
            if refund.confirmed_at and _is_on(refund.confirmed_at, book.day) and not refund.from_books:
                lines.append(_refund(charge, refund, refund.confirmed_at))
                _note(truth, refund)
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
    """The refund's own reference; gateways keep their fee, so there is none."""
    is_partial = refund.amount != charge.amount
    amount = printed(refund.amount)
    return Line(
        refund.key, refund.gateway_reference, "refund", "paid", amount, "", "IDR", at, int(is_partial)
    )


def _note(truth: Truth, refund: LiveRefund) -> None:
    if refund.by_merchant:
        truth.note("matched", ledger=refund.amount, report=refund.amount)
    else:
        truth.note("missing_in_ledger", report=refund.amount)


def _is_on(moment: datetime, day: date) -> bool:
    return moment.astimezone(WIB).date() == day
