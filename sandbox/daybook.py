"""One gateway's business day under construction, and the finished day with its look-ups."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import count
from typing import Any

from sandbox import market
from sandbox.model import Line, Payment, Refund, Standing, State, Truth
from sandbox.money import fee, printed

# What the gateway says of a payment of which the books say nothing else: the same as the ledger.
STATES: dict[str, State] = {"paid": "settled", "pending": "pending", "expired": "expired", "denied": "denied"}
STATES |= {"cancelled": "cancelled", "partially_refunded": "partially_refunded", "refunded": "refunded"}


@dataclass
class DayBook:
    """A finished day. payments: the day's own; late: the evening before's that this day's report brings."""

    gateway: str
    day: date
    payments: list[Payment] = field(default_factory=list)
    late: list[Payment] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    truth: Truth = field(default_factory=Truth)
    odd: dict[str, Standing] = field(default_factory=dict)  # where the gateway and the ledger differ
    second: list[Standing] = field(default_factory=list)  # charges for a payment that was charged already

    def standing(self, any_reference: str) -> Standing | None:
        """What the gateway says of a payment of this day, by our reference or its own; None if unknown."""
        return self._standings.get(any_reference)

    @cached_property
    def moments(self) -> list[datetime]:
        """The times of the lines, in their order: history windows are found by bisection."""
        return [line.at for line in self.lines]

    @cached_property
    def _standings(self) -> dict[str, Standing]:
        refunds: dict[str, tuple[Refund, ...]] = {}
        for refund in self.refunds:
            refunds[refund.payment_reference] = (*refunds.get(refund.payment_reference, ()), refund)
        known = {
            one.reference: standing_of(one, refunds.get(one.reference, ())) for one in self.payments
        } | self.odd
        found = [one for one in known.values() if one.state != "unknown"]
        return {key: one for one in found for key in (one.reference, one.gateway_reference)} | {
            one.gateway_reference: one for one in self.second
        }


def standing_of(payment: Payment, refunds: tuple[Refund, ...] = ()) -> Standing:
    """The gateway's view of a payment that it sees as the ledger does."""
    return Standing(
        payment.reference,
        payment.gateway_reference,
        STATES[payment.status],
        payment.amount,
        payment.created_at,
        payment.paid_at,
        refunds,
    )


class Builder:
    """Puts a day together: hands out payments as yet untouched, writes lines, notes the truth."""

    def __init__(self, seed: int, gateway: str, day: date, size: int) -> None:
        self.book = DayBook(gateway, day)
        self.dice: random.Random = market.chance(seed, gateway, day, "differences")
        self.truth = self.book.truth
        self.tonight = market.last_half_hour(seed, gateway, day, size)
        self.ordinary = market.ordinary(seed, gateway, day, size)
        self.book.payments = self.ordinary + self.tonight
        self.book.late = market.last_half_hour(seed, gateway, day - timedelta(days=1), size)
        self._untouched = {payment.reference: payment for payment in self.ordinary}
        self._daytime = self._shuffled_daytime()
        self._numbers = count(market.share(gateway, size) + 1)

    def take(self) -> Payment:
        """A payment paid between 01:00 and 21:00 that has no line yet; it is the caller's from now on."""
        return self._untouched.pop(next(self._daytime).reference)

    def fresh(self, kind: str = "JB") -> tuple[str, str]:
        """A reference that the ledger does not know, and the gateway's id to it."""
        number, book = next(self._numbers), self.book
        return (
            market.reference(book.gateway, book.day, number, kind),
            market.gateway_reference(book.gateway, book.day, number),
        )

    def stranger(self) -> Payment:
        """A payment that only the gateway knows: it is in no ledger."""
        reference, theirs = self.fresh()
        return replace(self._any_daytime(), reference=reference, gateway_reference=theirs)

    def fee(self, amount: int) -> int:
        """What the gateway's fee plan keeps of a payment."""
        return fee(amount, market.GATEWAYS[self.book.gateway].fee_permille)

    def line(self, payment: Payment, **changes: Any) -> Line:
        """Add the right line for a payment, but for the changes; returns it."""
        at = payment.paid_at or payment.created_at + timedelta(minutes=3)
        correct = Line(
            payment.reference,
            payment.gateway_reference,
            "payment",
            "paid",
            printed(payment.amount),
            printed(self.fee(payment.amount)),
            "IDR",
            at,
            variant=int(self.dice.random() < 0.05),
        )
        line = replace(correct, **changes) if changes else correct
        self.book.lines.append(line)
        return line

    def refund_line(self, refund: Refund, *, amount: int, partial: bool) -> None:
        """Add a refund's line. Gateways keep their fee: the cell is empty or zero."""
        self.book.lines.append(
            Line(
                refund.reference,
                refund.gateway_reference,
                "refund",
                "paid",
                printed(amount),
                self.dice.choice(("", "0.00")),
                "IDR",
                refund.confirmed_at,
                variant=int(partial),
            )
        )

    def match(self, payment: Payment, **changes: Any) -> None:
        """Add a line that matches the payment (the changes must not spoil that)."""
        self.line(payment, **changes)
        self.truth.note("matched", ledger=payment.amount, report=payment.amount)

    def says(self, payment: Payment, state: State, **changes: Any) -> None:
        """Let the gateway's status service say of the payment what the ledger does not."""
        at = payment.paid_at or payment.created_at + timedelta(minutes=3)
        settled_at = at if state == "settled" else None
        standing = Standing(
            payment.reference,
            payment.gateway_reference,
            state,
            payment.amount,
            payment.created_at,
            settled_at,
        )
        self.book.odd[payment.reference] = replace(standing, **changes)

    def finish(self) -> DayBook:
        """Match everything that nothing has happened to, and put the lines in the order of time."""
        for payment in self._untouched.values():
            self.match(payment)
        self.book.lines.sort(key=lambda line: line.at)
        return self.book

    def _any_daytime(self) -> Payment:
        return next(self._daytime)

    def _shuffled_daytime(self) -> Iterator[Payment]:
        daytime = [one for one in self.ordinary if one.paid_at and 1 <= one.paid_at.hour < 21]
        return iter(self.dice.sample(daytime, min(len(daytime), 120)))
