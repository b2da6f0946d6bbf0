"""Exceptions that end by giving the money back: the later of two charges, and a line that nobody ordered."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from night import line, night, steps, the_exception
from refund_desk import Desk, due, later, rows, run_of, worked
from till import wait_until
from typer.testing import CliRunner

from checkout import approvals
from common import clock
from common.settings import GATEWAYS
from jembatan.cli import app
from records import approval
from records.db import unit_of_work
from records.exceptions import ReconciliationException
from records.payment import Payment
from records.refund import Refund

LATER = timedelta(seconds=40)


def resolve(desk: Desk, number: int, action: str = "refund", **headers: str) -> httpx.Response:
    body = {"action": action, "reason": "Charged twice; FIN-118"}
    return desk.till.http.post(f"/api/v1/exceptions/{number}/resolve", json=body, headers=headers)


def charged_again(desk: Desk, made: dict[str, Any], **body: Any) -> dict[str, Any]:
    """The payer pays once more under the same reference; the gateway's record of that charge."""
    desk.till.act(made, "charge_again", **body)
    every = desk.till.sandbox.get("/_sandbox/payments", params={"gateway": made["gateway"]}).json()
    return next(one for one in reversed(every) if one["reference"] == made["reference"])


def given_back(desk: Desk, made: dict[str, Any]) -> dict[str, list[str]]:
    """What the gateway's books have given back of each charge under the payment's reference."""
    every = desk.till.sandbox.get("/_sandbox/payments", params={"gateway": made["gateway"]}).json()
    charges = [one for one in every if one["reference"] == made["reference"]]
    return {one["gateway_reference"]: [two["amount"] for two in one["refunds"]] for one in charges}


def both_lines(made: dict[str, Any], second: dict[str, Any], after: timedelta = LATER) -> list[str]:
    """The report's lines of the payment and of the second charge."""
    other = {"gateway_reference": second["gateway_reference"], "amount": second["amount"]}
    return [line(made), line(made, after=after, **other)]


def refund_line(made: dict[str, Any], refund: Refund) -> str:
    """The report's line of a refund that has moved."""
    assert refund.confirmed_at is not None
    return line(
        made,
        "refund",
        reference=refund.reference,
        gateway_reference=refund.gateway_reference or "",
        amount=refund.amount_minor // 100,
        occurred_at=refund.confirmed_at.isoformat(),
    )


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_the_later_of_two_charges_goes_back_and_ends_its_exception(desk: Desk, gateway: str) -> None:
    made = desk.paid(gateway)
    second = charged_again(desk, made)
    report = both_lines(made, second)
    assert night(gateway, report) == {"matched": 1, "duplicate_at_gateway": 1}
    found = the_exception(class_="duplicate_at_gateway")
    answer = resolve(desk, found.id)
    assert answer.status_code == 202, answer.text
    asked = answer.json()
    assert (asked["state"], asked["refund"]["amount"]) == ("open", "150000.00")
    assert asked["refund"]["charge_reference"] == second["gateway_reference"]
    assert asked["proposals"] == []
    desk.ends(made, "confirmed")
    # The second charge is back, and the payment is what it was: paid, with all of it left.
    assert given_back(desk, made) == {
        made["gateway_reference"]: [], second["gateway_reference"]: ["150000.00"],
    }  # fmt: skip
    now = desk.till.read(made)
    assert (now["status"], now["refunded_amount"]) == ("paid", 0)
    assert desk.listed(made)["left"] == 150_000
    ended = the_exception("refunded", class_="duplicate_at_gateway")
    assert (ended.id, ended.closed_at is not None) == (found.id, True)
    history = steps(found.id)
    assert [(one.from_state, one.to_state) for one in history] == [
        (None, "open"), ("open", "open"), ("open", "refunded"),
    ]  # fmt: skip
    assert {one.actor for one in history[1:]} == {"client:platform"}
    assert all("FIN-118" in one.reason and "Rp 150,000" in one.reason for one in history[1:])
    assert desk.process(asked["refund"])["state"] == "succeeded"
    # The next night: the refund's line is matched, and the exception stays ended.
    (refund,) = rows(made["payment_id"])
    lines = [*report, refund_line(made, refund)]
    assert night(gateway, lines) == {"matched": 2, "duplicate_at_gateway": 1}
    assert the_exception("refunded", class_="duplicate_at_gateway").id == found.id
    # And the payment itself can still be given back, by its own charge.
    desk.asked(made)
    desk.ends(made, "confirmed", "confirmed")
    assert desk.till.becomes(made, "refunded")["refunded_amount"] == 150_000
    assert given_back(desk, made)[made["gateway_reference"]] == ["150000.00"]


@pytest.mark.parametrize("gateway", ["gopay", "linkaja"])
def test_where_our_own_charge_is_the_later_one_the_payment_stands_on_the_first(
    desk: Desk, gateway: str
) -> None:
    made = desk.paid(gateway)
    first = charged_again(desk, made)
    report = both_lines(made, first, after=-LATER)
    night(gateway, report)
    found = the_exception(class_="duplicate_at_gateway")
    assert resolve(desk, found.id).json()["refund"]["charge_reference"] == made["gateway_reference"]
    desk.ends(made, "confirmed")
    assert given_back(desk, made) == {
        made["gateway_reference"]: ["150000.00"], first["gateway_reference"]: [],
    }  # fmt: skip
    now = desk.till.verify(made)
    assert (now["status"], now["refunded_amount"]) == ("paid", 0)
    assert now["gateway_reference"] == first["gateway_reference"]
    assert the_exception("refunded").id == found.id
    # The day's next version has the other line as the second charge: that one went back already.
    (refund,) = rows(made["payment_id"])
    night(gateway, [*report, refund_line(made, refund)])
    with unit_of_work() as session:
        states = [one.state for one in session.query(ReconciliationException).all()]
    assert states == ["refunded", "refunded"]
    desk.asked(made)
    desk.ends(made, "confirmed", "confirmed")
    assert given_back(desk, made)[first["gateway_reference"]] == ["150000.00"]


def test_a_second_charge_of_another_amount_goes_back_to_its_last_rupiah(desk: Desk) -> None:
    made = desk.paid()
    second = charged_again(desk, made, amount="152500.00", notify=False)
    night("gopay", both_lines(made, second))
    asked = resolve(desk, the_exception(class_="duplicate_at_gateway").id).json()
    assert asked["refund"]["amount"] == "152500.00"
    desk.asked(made, "seat", amount=150_000)  # all of the payment is left for its own refunds
    desk.ends(made, "confirmed", "confirmed")
    assert given_back(desk, made) == {
        made["gateway_reference"]: ["150000.00"], second["gateway_reference"]: ["152500.00"],
    }  # fmt: skip
    assert desk.till.becomes(made, "refunded")["refunded_amount"] == 150_000


def test_an_answer_that_is_lost_gives_the_second_charge_back_once(desk: Desk) -> None:
    made = desk.paid()
    second = charged_again(desk, made)
    night("gopay", both_lines(made, second))
    resolve(desk, the_exception(class_="duplicate_at_gateway").id)
    desk.till.quiet("gopay")
    desk.till.fail("gopay", "refund", "lost")
    assert [step.status for step in worked()] == ["unknown"]
    later(1)
    desk.ends(made, "confirmed")
    assert given_back(desk, made)[second["gateway_reference"]] == ["150000.00"]
    assert desk.till.verify(made)["status"] == "paid"


def test_the_gateways_message_of_the_second_charge_ends_it_and_leaves_the_payment_alone(desk: Desk) -> None:
    desk.till.banks_after(0)
    made = desk.paid()
    night("gopay", both_lines(made, charged_again(desk, made)))
    number = the_exception(class_="duplicate_at_gateway").id
    resolve(desk, number)
    worked()
    desk.ends(made, "confirmed")
    assert desk.till.read(made)["status"] == "paid"
    assert the_exception("refunded").id == number


def test_two_at_once_and_once_more_are_one_refund(desk: Desk) -> None:
    made = desk.paid()
    night("gopay", both_lines(made, charged_again(desk, made)))
    number = the_exception(class_="duplicate_at_gateway").id
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: resolve(desk, number), range(4)))
    assert {one.status_code for one in answers} == {202}
    assert len({one.json()["refund"]["refund_id"] for one in answers}) == 1
    words = ["exceptions", "resolve", str(number), "--as", "refunded", "--reason", "FIN-118", "--by", "ani"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.output
    assert answers[0].json()["refund"]["refund_id"] in told.output
    assert "stays open until the gateway has confirmed it" in told.output
    assert len(rows(made["payment_id"])) == 1


def test_while_the_money_is_on_its_way_nothing_else_ends_it(desk: Desk) -> None:
    made = desk.paid()
    night("gopay", both_lines(made, charged_again(desk, made)))
    number = the_exception(class_="duplicate_at_gateway").id
    resolve(desk, number)
    for action in ("explain", "write_off"):
        refused = resolve(desk, number, action)
        assert refused.status_code == 409
        assert "ends by itself once its money is back" in refused.json()["detail"]
    sheet = (
        f"exception,ledger_amount,report_amount,at_risk,action,reason\n{number},,150000,150000,explain,x\n"
    )
    answer = desk.till.http.post(
        "/api/v1/exceptions/sheet", content=sheet, headers={"Content-Type": "text/csv"}
    )
    assert "on its way back" in answer.json()["errors"][0]["reason"]


def test_the_gateways_no_leaves_it_open_with_the_reason_and_it_can_be_asked_again(desk: Desk) -> None:
    made = desk.paid()
    night("gopay", both_lines(made, charged_again(desk, made)))
    number = the_exception(class_="duplicate_at_gateway").id
    desk.till.fail("gopay", "refund", "refused")
    resolve(desk, number)
    assert [step.status for step in worked()] == ["refused"]
    assert the_exception().id == number
    assert "did not go back" in steps(number)[-1].reason
    assert resolve(desk, number).status_code == 202
    desk.ends(made, "confirmed", "refused")
    assert the_exception("refunded").id == number


def test_a_large_second_charge_waits_for_somebody_else(desk: Desk) -> None:
    made = desk.paid(amount=1_500_000)
    second = charged_again(desk, made)
    night("gopay", both_lines(made, second))
    number = the_exception(class_="duplicate_at_gateway").id
    asked = resolve(desk, number).json()["refund"]
    assert asked["status"] == "awaiting_approval"
    with unit_of_work() as session, pytest.raises(approval.OwnRequest):
        approvals.decide(session, asked["approval_id"], by="operator:platform", approve=True, reason="")
    with unit_of_work() as session:
        word = approvals.decide(session, asked["approval_id"], by="operator:budi", approve=True, reason="")
    assert second["gateway_reference"] in word.summary
    desk.ends(made, "confirmed")
    assert the_exception("refunded").id == number


@pytest.mark.parametrize("gateway", ["gopay", "ovo"])
def test_a_line_that_nobody_ordered_becomes_a_payment_and_goes_back(desk: Desk, gateway: str) -> None:
    made = desk.paid(gateway)
    report = [line(made)]
    with unit_of_work() as session:  # the gateway has it, and our ledger never had
        ours = session.get_one(Payment, UUID(made["payment_id"]))
        ours.reference, ours.paid_at = f"{ours.reference}-OTHER", clock.now() - timedelta(days=3)
    assert night(gateway, report) == {"missing_in_ledger": 1}
    found = the_exception()
    asked = resolve(desk, found.id)
    assert asked.status_code == 202, asked.text
    refund = asked.json()["refund"]
    assert (refund["amount"], refund["charge_reference"]) == ("150000.00", None)
    assert night(gateway, report) == {"matched": 1}  # the line is a payment now, and its exception waits
    assert the_exception().id == found.id
    wait_until(lambda: worked() is not None and rows(refund["payment_id"])[0].status == "confirmed", "it")
    book = desk.till.book(gateway, made["reference"])
    assert book is not None
    assert [one["amount"] for one in book["refunds"]] == ["150000.00"]
    ended = the_exception("refunded")
    assert ended.id == found.id
    assert [one.to_state for one in steps(found.id)] == ["open", "open", "refunded"]
    (row,) = rows(refund["payment_id"])
    assert run_of(row).state == "succeeded"
    assert due() == []
    assert night(gateway, [*report, refund_line({"payment_id": refund["payment_id"]}, row)]) == {"matched": 2}


def test_who_may_not_give_money_back_may_not_end_an_exception_so(desk: Desk) -> None:
    made = desk.paid()
    night("gopay", both_lines(made, charged_again(desk, made)))
    number = the_exception(class_="duplicate_at_gateway").id
    from records import client as clients

    with unit_of_work() as session:
        _, key = clients.create(session, "clerk", ["exceptions:write"], rate_per_minute=1000)
    answer = resolve(desk, number, Authorization=f"Bearer {key.text}")
    assert answer.status_code == 403
    assert answer.json()["type"].endswith(":missing-scope")
    assert rows(made["payment_id"]) == []
