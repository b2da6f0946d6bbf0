"""The merchant's bank account: what the gateways pay out, with differences that are known.

A gateway pays what the lines of its report are worth, on the next working day (Monday to Friday without the
days on which banks are closed); what falls due together comes together. LinkAja's file names its payouts.
Which payout goes wrong, and how, follows from its day: of the three that are due on one day one lacks a
payment; others come a day late, or have an unknown credit beside them.
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
NAMED = ("linkaja",)  # gateways whose report says which payout a line is in
Kind = Literal["right", "payment_missing", "late", "unknown_credit"]
KINDS: tuple[Kind, ...] = (
    "payment_missing", "late", "unknown_credit", "payment_missing", "right", "unknown_credit",
)  # fmt: skip
STATUSES = ("paid", "failed", "reversed")
_LONGEST_PAUSE = 14  # days of the longest series of closed days that is thought of


@dataclass(frozen=True)
class Asked:
    """Which business days are paid out (none named: all), and when banks are closed besides weekends."""

    since: date | None = None
    days: frozenset[date] = frozenset()
    closed: frozenset[date] = frozenset()

    def has(self, day: date) -> bool:
        """Whether the day is paid out."""
        return (self.since is None or day >= self.since) and (not self.days or day in self.days)


@dataclass(frozen=True)
class Booking:
    """One entry of the account, in sen; below zero: it goes out."""

    day: date
    amount: int
    reference: str
    text: str


@dataclass(frozen=True)
class Due:
    """A payout before it is added up: its name, its business days, when it is due and when it comes."""

    gateway: str
    name: str
    days: tuple[date, ...]
    due_on: date
    paid_on: date
    kind: Kind


@dataclass(frozen=True)
class Payout:
    """What a gateway owes for some business days, what it pays, and when."""

    due: Due
    owed: int
    paid: int
    missing_reference: str | None = None

    def bookings(self) -> Iterator[Booking]:
        """The payout itself, and the unknown credit that may stand beside it."""
        due = self.due
        yield _booking(due.gateway, due.paid_on, self.paid, due.name)
        if due.kind == "unknown_credit":
            yield _booking(due.gateway, due.paid_on, UNKNOWN, due.name.replace("PO-", "XX-"))


def next_working_day(day: date, closed: frozenset[date] = frozenset()) -> date:
    """The day on which a business day is paid out, or on which a late payout comes."""
    day += timedelta(days=1)
    while day.isoweekday() > 5 or day in closed:
        day += timedelta(days=1)
    return day


def payout_name(gateway: str, day: date) -> str:
    """The payout that has the lines of that business day, as the gateway calls it."""
    return f"PO-{next_working_day(day):%Y%m%d}-{gateway}"


def bookings(books: Books, first: date, last: date, asked: Asked) -> list[Booking]:
    """The account's entries of these days, in the order of time; each day has a cost besides."""
    found = [
        booking
        for due in _dues(books, last, asked)
        if first <= due.paid_on <= last
        for booking in _added_up(books, due).bookings()
    ]
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        found.append(Booking(day, -DAILY_COSTS, f"FEE{day:%y%m%d}", "BIAYA LISTRIK DAN SEWA"))
    return sorted(found, key=lambda one: (one.day, one.reference))


def truth(books: Books, first: date, last: date, asked: Asked) -> dict[str, Any]:
    """What was put into the payouts that are due on these days, by gateway; counted up to the last day."""
    answer: dict[str, Any] = {}
    due = [_added_up(books, one) for one in _dues(books, last, asked) if first <= one.due_on]
    for gateway in GATEWAYS:
        classes: dict[str, list[int]] = {}
        of_gateway = [one for one in due if one.due.gateway == gateway]
        for one in of_gateway:
            if one.due.paid_on > last:
                _note(classes, "missing_at_gateway", one.owed, 0)
                continue
            name = "amount_mismatch" if one.due.kind == "payment_missing" else "matched"
            _note(classes, name, one.owed, one.paid)
            if one.due.kind == "unknown_credit":
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
                    "name": one.due.name,
                    "due_on": one.due.due_on.isoformat(),
                    "paid_on": one.due.paid_on.isoformat(),
                    "kind": one.due.kind,
                    "expected": printed(one.owed),
                    "booked": printed(one.paid),
                    "missing_reference": one.missing_reference,
                }
                for one in of_gateway
            ],
        }
    return answer


def _dues(books: Books, last: date, asked: Asked) -> Iterator[Due]:
    """The payouts that are due up to that day, of whatever can still be paid in the last month."""
    for place, gateway in enumerate(GATEWAYS):
        together: dict[str, list[date]] = {}
        for back in range(31 + 2 * _LONGEST_PAUSE, 0, -1):
            day = last - timedelta(days=back)
            if books.has(day) and asked.has(day):
                due_on = next_working_day(day, asked.closed)
                name = payout_name(gateway, day) if gateway in NAMED else f"PO-{due_on:%Y%m%d}-{gateway}"
                together.setdefault(name, []).append(day)
        for name, days in together.items():
            due_on = next_working_day(days[-1], asked.closed)
            kind = KINDS[(due_on.toordinal() + place) % len(KINDS)]
            paid_on = next_working_day(due_on, asked.closed) if kind == "late" else due_on
            if due_on <= last:
                yield Due(gateway, name, tuple(days), due_on, paid_on, kind)


def _added_up(books: Books, due: Due) -> Payout:
    worth = [one for day in due.days for one in _worth(books, due.gateway, day)]
    owed = sum(amount for _, amount in worth)
    if due.kind != "payment_missing":
        return Payout(due, owed, owed)
    amounts = [amount for _, amount in worth]
    only = [one for one in sorted(worth) if one[1] > 0 and amounts.count(one[1]) == 1]
    reference, amount = only[due.due_on.toordinal() % len(only)]
    return Payout(due, owed, owed - amount, reference)


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
    return Booking(day, amount, f"B{digest}", f"TRSF E-BANKING SANDBOX {gateway.upper()} PAYOUT {name}")


def _note(classes: dict[str, list[int]], name: str, owed: int, paid: int) -> None:
    one = classes.setdefault(name, [0, 0, 0])
    one[0] += 1
    one[1] += owed
    one[2] += paid
