"""The books of all three gateways: any day, made from the seed when asked for, the last few kept.

What a merchant did while the sandbox ran is added to the day's report and truth, never to its ledger: that
is the merchant's own.
"""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any

from sandbox import market
from sandbox.daybook import DayBook
from sandbox.differences import day_with_differences
from sandbox.live import LiveBooks
from sandbox.live_days import with_live
from sandbox.model import Count, Standing, Truth
from sandbox.money import printed
from sandbox.wib import iso, read_day

LEAST_SIZE = 600  # fewer payments leave no room for the differences
GATEWAYS = tuple(market.GATEWAYS)
_DAY = re.compile(r"(?:^|-)(20\d\d)(\d\d)(\d\d)")
_LEDGER = (
    "reference",
    "gateway",
    "gateway_reference",
    "amount",
    "currency",
    "status",
    "created_at",
    "paid_at",
)
_REFUNDS = (
    "reference",
    "payment_reference",
    "gateway",
    "gateway_reference",
    "amount",
    "currency",
    "status",
    "created_at",
    "confirmed_at",
)


@dataclass(frozen=True)
class Books:
    """Deterministic business days: the same seed and size give the same books. No books before `since`."""

    seed: int = 1
    size: int = 10_000
    since: date | None = None
    live: LiveBooks = field(default_factory=LiveBooks, compare=False, repr=False)
    _merged: dict[tuple[str, date], tuple[int, DayBook]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def has(self, day: date) -> bool:
        """Whether there are books of the day."""
        return self.since is None or day >= self.since

    def day(self, gateway: str, day: date) -> DayBook:
        """One gateway's day, with its live part; safe to call from any thread."""
        book, version = _kept(self.seed, gateway, day, self.size), self.live.version(gateway, day)
        if version == 0:
            return book
        kept = self._merged.get((gateway, day))
        if kept is None or kept[0] != version:
            kept = version, with_live(book, self.live.of_day(gateway, day))
            self._merged[gateway, day] = kept
        return kept[1]

    def standing(self, gateway: str, any_reference: str) -> Standing | None:
        """What the gateway says of a payment that was generated, by our reference or by its own; None if it
        knows none."""
        found = _DAY.search(any_reference)
        day = read_day("-".join(found.groups())) if found else None
        return _kept(self.seed, gateway, day, self.size).standing(any_reference) if day else None

    def ledger_csv(self, day: date) -> str:
        """The merchant's ledger of the day in canonical form, with the payments of the evening before."""
        books = [self.day(gateway, day) for gateway in GATEWAYS]
        payments = [one for book in books for one in (*book.late, *book.payments)]
        payments.sort(key=lambda one: (one.created_at, one.reference))
        return _csv(
            _LEDGER,
            (
                (
                    one.reference,
                    one.gateway,
                    one.gateway_reference,
                    one.amount // 100,
                    "IDR",
                    one.status,
                    iso(one.created_at),
                    iso(one.paid_at) if one.paid_at else "",
                )
                for one in payments
            ),
        )

    def refunds_csv(self, day: date) -> str:
        """The merchant's confirmed refunds of the day."""
        refunds = [one for gateway in GATEWAYS for one in self.day(gateway, day).refunds]
        refunds.sort(key=lambda one: (one.created_at, one.reference))
        return _csv(
            _REFUNDS,
            (
                (
                    one.reference,
                    one.payment_reference,
                    one.gateway,
                    one.gateway_reference,
                    one.amount // 100,
                    "IDR",
                    "confirmed",
                    iso(one.created_at),
                    iso(one.confirmed_at),
                )
                for one in refunds
            ),
        )

    def truth(self, day: date) -> dict[str, Any]:
        """What was put into the day: by gateway the ten classes and its totals; then the grand totals."""
        truths = {gateway: self.day(gateway, day).truth for gateway in GATEWAYS}
        answer: dict[str, Any] = {}
        for gateway, truth in truths.items():
            classes = {name: _shown(count) for name, count in truth.classes.items()}
            answer[gateway] = classes | _totals([truth])
        return answer | _totals(list(truths.values()))


@lru_cache(maxsize=12)
def _kept(seed: int, gateway: str, day: date, size: int) -> DayBook:
    return day_with_differences(seed, gateway, day, size)


def _shown(one: Count) -> dict[str, Any]:
    return {
        "count": one.count,
        "ledger_amount": printed(one.ledger_amount),
        "report_amount": printed(one.report_amount),
    }


def _totals(truths: list[Truth]) -> dict[str, Any]:
    return {
        "ledger_rows": sum(one.ledger_rows for one in truths),
        "report_rows": sum(one.report_rows for one in truths),
        "ledger_amount": printed(sum(one.ledger_amount for one in truths)),
        "report_amount": printed(sum(one.report_amount for one in truths)),
    }


def _csv(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
