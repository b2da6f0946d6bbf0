"""What goes wrong in a day, put there on purpose: every class of difference, counted as it is made.

The classes and their order are the merchant's reconciliation rules: the first that fits an item wins. So
each difference is made such that no earlier class fits it, and nothing is counted by comparing afterwards.
"""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

from sandbox import market
from sandbox.daybook import Builder, DayBook
from sandbox.model import Payment, Refund, Standing
from sandbox.money import printed
from sandbox.wib import WIB

# A few more here than there, so that no two gateways have the same numbers.
MORE = {"gopay": 2, "ovo": 1, "linkaja": 0}
OTHER = {"gopay": "ovo", "ovo": "linkaja", "linkaja": "gopay"}
ANY_NUMBER = 3  # of a payment that every day has


def day_with_differences(seed: int, gateway: str, day: date, size: int) -> DayBook:
    """The business day of one gateway: mostly clean, with differences of every class."""
    build = Builder(seed, gateway, day, size)
    for inject in (
        late_from_yesterday,
        first_and_last_second,
        unpaid,
        timing,
        missing_at_gateway,
        malformed,
        duplicates,
        missing_in_ledger,
        currencies,
        amounts,
        status_paid_there,
        status_failed_there,
        fees,
        other_gateway_reference,
        refunds,
    ):
        inject(build)
    return build.finish()


def late_from_yesterday(build: Builder) -> None:
    """Yesterday's last half hour arrives today: matched. The gateway posts it shortly after midnight."""
    for place, payment in enumerate(build.book.late, start=1):
        build.match(payment, at=_clock(build, 0, 4 * place))


def first_and_last_second(build: Builder) -> None:
    """Midnight belongs to the day that begins: both are matched."""
    build.match(_paid_at(build, build.take(), time(0, 0, 0)))
    build.match(_paid_at(build, build.take(), time(23, 59, 59)))


def unpaid(build: Builder) -> None:
    """Learners who did not pay: matched where a line says so too, out of scope where no line names them."""
    for status in ("expired", "denied", "cancelled", "pending"):
        payment = _not_paid(build.take(), status)
        build.match(payment, status="failed", fee="", variant=build.dice.randrange(4))
        if status == "pending":
            build.says(payment, "failed")
        for _ in range(1 + MORE[build.book.gateway]):
            _not_paid(build.take(), status)


def timing(build: Builder) -> None:
    """Paid from 23:30:00 on and absent; one has a line that cannot be read, which pairs with nothing."""
    build.line(build.tonight[1], amount="1e5")
    build.truth.note("malformed_line", report=0)
    for payment in build.tonight:
        build.truth.note("timing", ledger=payment.amount)


def missing_at_gateway(build: Builder) -> None:
    """Paid earlier and absent: one a second before the last half hour, one with a line nobody can read."""
    unread = build.take()
    build.line(unread, printed_day=f"{build.book.day.year}-02-30")
    build.truth.note("malformed_line", report=0)
    absent = [build.take() for _ in range(2 + MORE[build.book.gateway])]
    for payment in (unread, _paid_at(build, build.take(), time(23, 29, 59)), *absent):
        build.truth.note("missing_at_gateway", ledger=payment.amount)


def malformed(build: Builder) -> None:
    """Lines that say nothing: they name no payment of ours, but for one whose good line comes as well."""
    price = printed(build.dice.randrange(1_000, 9_999) * 10_000)
    sorts: list[dict[str, Any]] = [{"amount": f"{price}5"}, {"status": "ON_HOLD"}, {"amount": "NaN"}]
    if build.book.gateway == "gopay":
        sorts += [{"more_cells": 3}, {"status": "=2+5"}, {"amount": f"-{price}"}]
    elif build.book.gateway == "ovo":
        sorts += [{"amount": f"-{price}"}, {"amount": ""}]
    else:  # LinkAja's total counts what can be read: no amount here that somebody might read
        sorts += [{"amount": "150.000,00"}]
    for changes in sorts:
        build.line(build.stranger(), **changes)
        build.truth.note("malformed_line", report=0)
    payment = build.take()
    build.line(payment, amount="1e5")
    build.truth.note("malformed_line", report=0)
    build.match(payment)


def duplicates(build: Builder) -> None:
    """One payment in several lines: that with the ledger's gateway reference counts, wherever it stands."""
    for minutes in range(2 + MORE[build.book.gateway]):  # repeated_line: the first an exact copy
        payment = build.take()
        build.match(payment, variant=0)
        repeated = build.line(payment, variant=0)
        repeated.at += timedelta(minutes=minutes)
        build.truth.note("duplicate_at_gateway", report=payment.amount)
    for amount_added in (0, 250_000):  # second_charge: it stands before the right line
        payment = build.take()
        build.match(payment)
        _, theirs = build.fresh()
        second = build.line(payment, gateway_reference=theirs, amount=printed(payment.amount + amount_added))
        second.at -= timedelta(minutes=5)
        taken = payment.amount + amount_added
        charged = Standing(payment.reference, theirs, "settled", taken, second.at, second.at, is_second=True)
        build.book.second.append(charged)
        build.truth.note("duplicate_at_gateway", report=taken)


def missing_in_ledger(build: Builder) -> None:
    """Paid there, unknown to the ledger; the last carries the reference of a payment at another gateway."""
    strangers = [build.stranger() for _ in range(2 + MORE[build.book.gateway])]
    elsewhere = market.reference(OTHER[build.book.gateway], build.book.day, ANY_NUMBER)
    for payment in (*strangers, replace(build.stranger(), reference=elsewhere)):
        build.line(payment)
        build.says(payment, "settled")
        build.truth.note("missing_in_ledger", report=payment.amount)


def currencies(build: Builder) -> None:
    """The right number in a foreign currency, of two decimals as well."""
    for currency in ("USD", "SGD"):
        payment = build.take()
        build.line(payment, currency=currency)
        build.truth.note("currency_mismatch", ledger=payment.amount, report=payment.amount)


def amounts(build: Builder) -> None:
    """Over by a thousand rupiah, under by the fee, under by fifty sen."""
    for place in range(3 + MORE[build.book.gateway]):
        payment = build.take()
        found = payment.amount + (100_000, -build.fee(payment.amount), -50)[place % 3]
        build.line(payment, amount=printed(found))
        build.says(payment, "settled", amount=found)
        build.truth.note("amount_mismatch", ledger=payment.amount, report=found)


def status_paid_there(build: Builder) -> None:
    """Pending here, paid there: the status service agrees, but for one payment that it does not know."""
    count = 3 + MORE[build.book.gateway]
    for place in range(count):
        payment = _not_paid(build.take(), "pending")
        build.line(payment, variant=0)
        build.says(payment, "unknown" if place == count - 1 else "settled")
        build.truth.note("status_mismatch", ledger=payment.amount, report=payment.amount)


def status_failed_there(build: Builder) -> None:
    """Paid here, failed or reversed there, and the gateway's status says so too."""
    for status, variant in (("failed", 0), ("failed", 1), ("reversed", 0)):
        payment = build.take()
        build.line(payment, status=status, fee="", variant=variant)
        build.says(payment, ("denied", "cancelled")[variant] if status == "failed" else "failed")
        build.truth.note("status_mismatch", ledger=payment.amount, report=payment.amount)


def fees(build: Builder) -> None:
    """One rupiah too much, fifty sen too much, none taken; and two whose fee cell is empty, which match."""
    for place in range(3 + MORE[build.book.gateway]):
        payment = build.take()
        right = build.fee(payment.amount)
        build.line(payment, fee=printed((right + 100, right + 50, 0)[place % 3]))
        build.truth.note("fee_mismatch", ledger=payment.amount, report=payment.amount)
    for _ in range(2):
        build.match(build.take(), fee="")


def other_gateway_reference(build: Builder) -> None:
    """The only line of a payment has another gateway reference than ours: it pairs all the same, matched."""
    for _ in range(2):
        build.match(build.take(), gateway_reference=build.fresh()[1])


def refunds(build: Builder) -> None:
    """Money given back: mostly matched; one unknown here, one of another amount, one absent there."""
    for place in range(5 + MORE[build.book.gateway]):
        refund, partial = _refund(build, partial=place % 2 == 1)
        build.refund_line(refund, amount=refund.amount, partial=partial)
        build.truth.note("matched", ledger=refund.amount, report=refund.amount)
    refund, _ = _refund(build, partial=True)
    build.refund_line(refund, amount=refund.amount + 50_000, partial=True)
    build.truth.note("amount_mismatch", ledger=refund.amount, report=refund.amount + 50_000)
    refund, _ = _refund(build, partial=False)
    build.truth.note("missing_at_gateway", ledger=refund.amount)
    stranger, (reference, theirs) = build.stranger(), build.fresh("RF")
    at = _clock(build, 19, 5)
    unknown = Refund(
        reference,
        stranger.reference,
        stranger.gateway,
        theirs,
        stranger.amount,
        at - timedelta(minutes=9),
        at,
    )
    build.refund_line(unknown, amount=unknown.amount, partial=False)
    build.truth.note("missing_in_ledger", report=unknown.amount)


def _refund(build: Builder, *, partial: bool) -> tuple[Refund, bool]:
    """Give a paid payment back an hour or two later, wholly or by half; its own line matches."""
    payment = build.take()
    build.match(payment)
    payment.status = "partially_refunded" if partial else "refunded"
    amount = payment.amount // 200 * 100 if partial else payment.amount
    reference, theirs = build.fresh("RF")
    confirmed_at = (payment.paid_at or payment.created_at) + timedelta(
        seconds=build.dice.randrange(3600, 7200)
    )
    requested_at = confirmed_at - timedelta(minutes=12)
    refund = Refund(reference, payment.reference, payment.gateway, theirs, amount, requested_at, confirmed_at)
    build.book.refunds.append(refund)
    return refund, partial


def _not_paid(payment: Payment, status: str) -> Payment:
    payment.status, payment.paid_at = status, None
    return payment


def _paid_at(build: Builder, payment: Payment, clock: time) -> Payment:
    payment.paid_at = datetime.combine(build.book.day, clock, WIB)
    payment.created_at = payment.paid_at - timedelta(minutes=2)
    return payment


def _clock(build: Builder, hour: int, minute: int) -> datetime:
    return datetime.combine(build.book.day, time(hour, minute), WIB)
