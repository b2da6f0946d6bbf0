"""The merchant's bank account: what the gateways pay out, with differences that are known.

A gateway pays what the lines of its report are worth, on the next working day (Monday to Friday; what falls
due together comes together). Which payout goes wrong, and how, follows from its day: every fourth is right,
one lacks a payment, one comes a day late, and one is right with an unknown credit beside it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from sandbox.books import GATEWAYS, Books
from sandbox.model import Line
from sandbox.money import printed, readable

ACCOUNT = "0087654321"
CURRENCY = "IDR"
OPENING = 100_000_000_000
DAILY_COSTS = 1_500_000
UNKNOWN = 123_456_700
Kind = Literal["right", "payment_missing", "late", "unknown_credit"]
KINDS: tuple[Kind, ...] = ("right", "payment_missing", "late", "unknown_credit")
STATUSES = ("paid", "failed", "reversed")


@dataclass(frozen=True)
class Booking:
    """One entry of the account, in sen; below zero: it goes out."""

    day: date
    amount: int
    reference: str
    text: str


@dataclass(frozen=True)
class Payout:
    """What a gateway owes for some business days, what it pays, and when."""

    gateway: str
    due_on: date
    owed: int
    paid: int
    paid_on: date
    kind: Kind
    missing_reference: str | None = None

    def bookings(self) -> Iterator[Booking]:
        """The payout itself, and the unknown credit that may stand beside it."""
        name = f"{self.due_on:%Y%m%d}"
        yield _booking(self.gateway, self.paid_on, self.paid, f"PO-{name}")
        if self.kind == "unknown_credit":
            yield _booking(self.gateway, self.paid_on, UNKNOWN, f"XX-{name}")


def next_working_day(day: date) -> date:
    """The day on which a business day is paid out, or on which a late payout comes."""
    day += timedelta(days=1)
    while day.isoweekday() > 5:
        day += timedelta(days=1)
    return day


def bookings(books: Books, first: date, last: date, since: date | None) -> list[Booking]:
    """The account's entries of these days, in the order of time; each day has a cost besides."""
    found = [
        booking
        for payout in payouts(books, first - timedelta(days=4), last, since)
        for booking in payout.bookings()
        if first <= booking.day <= last
    ]
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        found.append(Booking(day, -DAILY_COSTS, f"FEE{day:%y%m%d}", "BIAYA LISTRIK DAN SEWA"))
    return sorted(found, key=lambda one: (one.day, one.reference))


def payouts(books: Books, first: date, last: date, since: date | None) -> list[Payout]:
    """The payouts that are due on these days, of business days from `since` on."""
    found = []
    for gateway in GATEWAYS:
        for number in range((last - first).days + 1):
            due_on = first + timedelta(days=number)
            days = [due_on - timedelta(days=back) for back in range(1, 4)]
            days = [day for day in days if next_working_day(day) == due_on and day >= (since or day)]
            if worth := [one for day in days if books.has(day) for one in _worth(books, gateway, day)]:
                found.append(_payout(gateway, due_on, worth))
    return found


def truth(books: Books, first: date, last: date, since: date | None) -> dict[str, Any]:
    """What was put into the payouts that are due on these days, by gateway; counted up to the last day."""
    answer: dict[str, Any] = {}
    for gateway in GATEWAYS:
        classes: dict[str, list[int]] = {}
        of_gateway = [one for one in payouts(books, first, last, since) if one.gateway == gateway]
        for one in of_gateway:
            if one.paid_on > last:
                _note(classes, "missing_at_gateway", one.owed, 0)
            elif one.kind == "payment_missing":
                _note(classes, "amount_mismatch", one.owed, one.paid)
            else:
                _note(classes, "matched", one.owed, one.paid)
            if one.kind == "unknown_credit":
                _note(classes, "missing_in_ledger", 0, UNKNOWN)
        answer[gateway] = {
            "classes": {
                name: {
                    "count": count,
                    "ledger_amount": printed(owed),
                    "report_amount": printed(paid),
                }
                for name, (count, owed, paid) in classes.items()
            },
            "payouts": [
                {
                    "due_on": one.due_on.isoformat(),
                    "paid_on": one.paid_on.isoformat(),
                    "kind": one.kind,
                    "expected": printed(one.owed),
                    "booked": printed(one.paid),
                    "missing_reference": one.missing_reference,
                }
                for one in of_gateway
            ],
        }
    return answer


def _payout(gateway: str, due_on: date, worth: list[tuple[str, int]]) -> Payout:
    owed = sum(amount for _, amount in worth)
    kind = KINDS[(due_on.toordinal() + GATEWAYS.index(gateway)) % len(KINDS)]
    if kind == "late":
        return Payout(gateway, due_on, owed, owed, next_working_day(due_on), kind)
    if kind != "payment_missing":
        return Payout(gateway, due_on, owed, owed, due_on, kind)
    amounts = [amount for _, amount in worth]
    only = [one for one in sorted(worth) if one[1] > 0 and amounts.count(one[1]) == 1]
    reference, amount = only[due_on.toordinal() % len(only)]
    return Payout(gateway, due_on, owed, owed - amount, due_on, kind, reference)


def _worth(books: Books, gateway: str, day: date) -> list[tuple[str, int]]:
    """Each paid line of the day's report in rupiah, once, and what it is worth: its amount less its fee."""
    seen: set[tuple[str, ...]] = set()
    found = []
    for line in books.day(gateway, day).lines:
        name = (line.kind, line.reference, line.gateway_reference)
        if not _is_readable(line) or line.currency != CURRENCY:
            continue
        if name in seen:
            continue
        seen.add(name)
        if line.status == "paid":
            amount = readable(line.amount) or 0
            found.append(
                (line.reference, (amount if line.kind == "payment" else -amount) - (readable(line.fee) or 0))
            )
    return found


def _is_readable(line: Line) -> bool:
    return (
        line.status in STATUSES
        and bool(readable(line.amount))
        and not line.printed_day
        and not line.more_cells
    )


def _booking(gateway: str, day: date, amount: int, name: str) -> Booking:
    digest = hashlib.sha256(f"{gateway}{day}{name}".encode()).hexdigest()[:12].upper()
    return Booking(
        day, amount, f"B{digest}", f"TRSF E-BANKING SANDBOX {gateway.upper()} PAYOUT {name}-{gateway}"
    )


def _note(classes: dict[str, list[int]], name: str, owed: int, paid: int) -> None:
    one = classes.setdefault(name, [0, 0, 0])
    one[0] += 1
    one[1] += owed
    one[2] += paid
