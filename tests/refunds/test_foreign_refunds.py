"""Refunds that somebody made in the gateway's dashboard, as a settlement report tells of them."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from night import line, night, notes, the_exception, today
from refund_desk import Desk, rows, worked
from till import wait_until

from records import payment, refund
from records.db import unit_of_work
from records.payment import Payment

AFTER = timedelta(seconds=30)


def foreign(made: dict[str, Any], amount: int, number: str = "700001", **changes: Any) -> str:
    """A refund line that names the payment by its own reference, and the refund by the gateway's number."""
    told = {"gateway_reference": number, "amount": amount, "after": AFTER} | changes
    return line(made, "refund", **told)


def own_line(made: dict[str, Any]) -> str:
    (ours,) = [one for one in rows(made["payment_id"]) if not one.is_foreign]
    assert ours.confirmed_at is not None
    at = ours.confirmed_at.isoformat()
    more = {"gateway_reference": ours.gateway_reference or "", "amount": ours.amount_minor // 100}
    return line(made, "refund", reference=ours.reference, occurred_at=at, **more)


def ask_gateway(desk: Desk, made: dict[str, Any]) -> None:
    """Verify until the gateway itself was asked: more than once a second it is not."""
    wait_until(lambda: desk.till.verify(made)["status_source"]["by"] == "gateway", "the gateway to be asked")


def back(desk: Desk, made: dict[str, Any]) -> tuple[str, int, int]:
    """The payment's status, what went back of it, and how many refunds it has."""
    now = desk.till.read(made)
    return now["status"], now["refunded_amount"], len(rows(made["payment_id"]))


def test_a_refund_that_nobody_told_us_of_is_taken_in_from_the_report(desk: Desk) -> None:
    made = desk.paid()
    report = [line(made), foreign(made, 20_000)]
    assert night("gopay", report) == {"matched": 2}
    assert notes() == [("matched", None, "foreign_refund")]
    (found,) = rows(made["payment_id"])
    assert (found.status, found.is_foreign, found.gateway_reference) == ("confirmed", True, "700001")
    assert found.amount_minor == 2_000_000
    assert back(desk, made) == ("partially_refunded", 20_000, 1)
    with unit_of_work() as session:
        told = [(one.to_status, one.cause) for one in refund.history(session, found)]
        moved = payment.history(session, found.payment_id)[-1]
    assert told == [("accepted", "report"), ("confirmed", "report")]
    assert (moved.to_status, moved.cause) == ("partially_refunded", "report")
    assert "report.csv, line 3" in (moved.source or "")
    # The same report again, and a later one that repeats the line: nothing is taken in twice.
    assert night("gopay", report) == {"matched": 2}
    assert night("gopay", [foreign(made, 20_000)], today() - timedelta(days=1)) == {"matched": 1}
    assert back(desk, made) == ("partially_refunded", 20_000, 1)


@pytest.mark.parametrize("gateway", ["gopay", "ovo", "linkaja"])
def test_the_gateways_own_word_of_it_afterwards_is_the_same_refund(desk: Desk, gateway: str) -> None:
    made = desk.paid(gateway)
    whole = {} if gateway == "linkaja" else {"amount": 20_000}
    amount = whole.get("amount", 150_000)
    desk.till.act(made, "refund", notify=False, **whole)
    # The report knows it by a number that the gateway's status does not use.
    assert night(gateway, [line(made), foreign(made, amount, "SETTLE-9")]) == {"matched": 2}
    message = desk.till.signed(made)
    assert desk.till.deliver(message).status_code == 200
    ask_gateway(desk, made)
    (found,) = rows(made["payment_id"])
    assert found.is_told
    assert back(desk, made)[1:] == (amount, 1)
    assert night(gateway, [line(made), foreign(made, amount, "SETTLE-9")]) == {"matched": 2}
    assert back(desk, made)[1:] == (amount, 1)


@pytest.mark.parametrize("number", ["SETTLE-9", ""])
def test_a_notification_before_the_report_is_the_same_refund(desk: Desk, number: str) -> None:
    made = desk.paid()
    desk.till.act(made, "refund", amount=20_000)
    wait_until(lambda: rows(made["payment_id"]), "the foreign refund")
    desk.ends(made, "confirmed")
    report = [line(made), foreign(made, 20_000, number)]
    for _ in range(2):
        assert night("gopay", report) == {"matched": 2}
        assert back(desk, made) == ("partially_refunded", 20_000, 1)
    # Two of the same money are two: the second line is no copy of the first.
    assert night("gopay", [*report, foreign(made, 20_000, "SETTLE-10")]) == {"matched": 3}
    assert back(desk, made) == ("partially_refunded", 40_000, 2)


def test_the_sandboxs_report_of_a_dashboards_refund_names_the_payment(desk: Desk) -> None:
    made = desk.paid("linkaja")
    desk.till.act(made, "refund", notify=False)
    book = desk.till.book("linkaja", made["reference"])
    assert book is not None
    number = book["refunds"][0]["gateway_reference"]
    assert night("linkaja", [line(made), foreign(made, 150_000, number)]) == {"matched": 2}
    ask_gateway(desk, made)
    assert back(desk, made) == ("refunded", 150_000, 1)


def test_a_foreign_refund_beside_ours_is_no_duplicate_of_it(desk: Desk) -> None:
    desk.till.banks_after(0)
    made = desk.paid()
    desk.asked(made, amount=20_000)
    desk.ends(made, "confirmed")
    report = [line(made), own_line(made), foreign(made, 20_000)]
    for lines in (report, report[::-1]):
        assert night("gopay", lines) == {"matched": 3}
        assert back(desk, made) == ("partially_refunded", 40_000, 2)
    assert desk.listed(made)["left"] == 110_000


def test_a_line_that_may_be_our_own_refund_is_for_a_person(desk: Desk) -> None:
    desk.till.banks_after(0)
    made = desk.paid()
    desk.asked(made, amount=20_000)
    desk.ends(made, "confirmed")
    assert night("gopay", [line(made), foreign(made, 20_000)]) == {
        "matched": 1, "missing_in_ledger": 1, "missing_at_gateway": 1,
    }  # fmt: skip
    assert the_exception(class_="missing_in_ledger").reason == "may_be_ours"
    assert back(desk, made) == ("partially_refunded", 20_000, 1)
    # With our refund's number in it, it is ours.
    (ours,) = rows(made["payment_id"])
    assert night("gopay", [line(made), foreign(made, 20_000, str(ours.gateway_reference))]) == {"matched": 2}


@pytest.mark.parametrize("number", ["REF-77", ""])
def test_the_payment_is_found_by_the_gateways_reference_too(desk: Desk, number: str) -> None:
    made = desk.paid()
    ours = made["gateway_reference"]
    by_theirs = line(made, "refund", reference=number or "REF-78", amount=30_000, after=AFTER)
    assert f",{ours}," in by_theirs
    assert night("gopay", [line(made), by_theirs]) == {"matched": 2}
    assert night("gopay", [line(made), by_theirs]) == {"matched": 2}
    assert back(desk, made) == ("partially_refunded", 30_000, 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount": 150_001}, "more_than_was_paid"),
        ({"amount": "20000.50"}, "not_whole_rupiah"),
        ({"currency": "USD"}, "other_currency"),
        ({"status": "failed"}, None),
        ({"reference": "NOBODY-1", "gateway_reference": "G-1"}, None),
    ],
)
def test_what_cannot_be_taken_in_is_an_exception_with_the_reason(
    desk: Desk, changes: dict[str, Any], reason: str | None
) -> None:
    made = desk.paid()
    odd = foreign(made, 20_000, **changes) if "amount" not in changes else foreign(made, **changes)
    assert night("gopay", [line(made), odd]) == {"matched": 1, "missing_in_ledger": 1}
    assert the_exception().reason == reason
    assert back(desk, made) == ("paid", 0, 0)


def test_refunds_on_their_way_count_too(desk: Desk) -> None:
    made = desk.paid()
    desk.asked(made, amount=100_000)
    assert night("gopay", [line(made), foreign(made, 60_000)])["missing_in_ledger"] == 1
    assert the_exception().reason == "more_than_was_paid"
    assert back(desk, made) == ("paid", 0, 1)
    assert len(worked()) == 1


def test_a_payment_that_is_not_paid_gives_nothing_back(desk: Desk) -> None:
    made = desk.paid()
    with unit_of_work() as session:
        session.get_one(Payment, UUID(made["payment_id"])).status = "reversed"
    assert night("gopay", [foreign(made, 20_000)])["missing_in_ledger"] == 1
    assert the_exception(class_="missing_in_ledger").reason == "payment_not_paid"
