"""What happens between a question and its answer: it is newer than the answer, and none of it is lost."""

from datetime import timedelta

from till import Till, due_now, order, row, wait_until
from turnstile import Turnstile

from checkout.sweep import sweep
from common import clock


def test_a_message_that_comes_while_the_gateway_answers_is_not_closed_by_that_answer(
    till: Till, turnstile: Turnstile
) -> None:
    till.quiet("gopay")
    made = till.create("gopay")

    def deny() -> None:
        till.act(made, "deny", notify=False)
        assert till.deliver(till.signed(made)).status_code == 200

    turnstile.after(f"{made['reference']}/status", deny)
    assert till.deliver(till.signed(made, state="expired")).status_code == 200
    till.becomes(made, "denied")


def test_a_payment_that_is_paid_before_its_charge_is_answered_is_looked_at_once_more(
    till: Till, turnstile: Turnstile
) -> None:
    till.quiet("gopay")
    body = order("gopay")

    def pay() -> None:
        till.act(body, "pay", notify=False)
        assert till.deliver(till.signed(body)).status_code == 200
        wait_until(lambda: row(body["reference"]).status == "paid", "the payment to be paid")

    turnstile.after("/charge", pay)
    assert till.post(body).json()["status"] == "paid"
    at = row(body["reference"]).next_status_at
    assert at is not None
    assert timedelta(minutes=9) < at - clock.now() <= timedelta(minutes=10)


def test_a_charge_that_arrives_after_the_sweep_has_looked_for_it_is_found_paid(
    till: Till, turnstile: Turnstile
) -> None:
    till.quiet("linkaja")
    body = order("linkaja")
    swept = []

    def look() -> None:
        due_now(body, over_since=timedelta(minutes=3))
        swept.append(sweep("linkaja", 10))

    turnstile.before("/payment-host-to-host", look)
    made = till.post(body).json()
    assert [one.swept for one in swept] == [1]
    assert made["status"] == "pending"
    assert row(made["reference"]).next_status_at is not None
    till.act(made, "pay", notify=False)
    due_now(made)
    sweep("linkaja", 10)
    assert till.read(made)["status"] == "paid"
