"""Money goes back once: at any concurrency, with lost answers, with messages that are faster than we are."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from refund_desk import Desk, due, later, row, rows, run_of, worked
from till import wait_until
from turnstile import Turnstile

from common.settings import GATEWAYS, settings
from jembatan.stack import Stack
from records.db import unit_of_work
from records.refund import Refund


def asked_at_once(desk: Desk, made: dict[str, Any], amount: int) -> Counter[int]:
    with ThreadPoolExecutor(10) as pool:
        answers = pool.map(lambda key: desk.ask(made, f"seat-{key}", amount=amount), range(10))
    return Counter(answer.status_code for answer in answers)


def test_of_ten_refunds_of_30_percent_at_once_three_succeed(desk: Desk) -> None:
    made = desk.paid()
    assert asked_at_once(desk, made, 45_000) == {202: 3, 422: 7}
    with ThreadPoolExecutor(4) as pool:  # four workers that know nothing of each other
        list(pool.map(lambda _: worked(), range(4)))
    desk.ends(made, "confirmed", "confirmed", "confirmed")
    assert desk.given_back(made) == ["45000.00"] * 3
    assert desk.till.becomes(made, "partially_refunded")["refunded_amount"] == 135_000
    assert desk.listed(made)["left"] == 15_000


@pytest.mark.parametrize("kind", ["lost", "reset_after", "500_after", "502_html"])
def test_the_same_with_answers_that_are_lost_after_the_gateway_acted(desk: Desk, kind: str) -> None:
    desk.till.banks_after(0)
    made = desk.paid()
    desk.till.quiet("gopay")
    assert asked_at_once(desk, made, 45_000) == {202: 3, 422: 7}
    desk.till.fail("gopay", "refund", kind, times=3)
    steps = worked()
    assert {step.status for step in steps} == {"unknown"}
    assert {step.next for step in steps} == {"waits"}
    calls = desk.till.calls("gopay")["refund"]
    assert due() == []
    later(1)
    assert {step.status for step in worked()} <= {"accepted", "confirmed"}
    later(1)
    desk.ends(made, "confirmed", "confirmed", "confirmed")
    assert desk.till.calls("gopay")["refund"] == calls  # it was asked for, not asked again
    assert desk.given_back(made) == ["45000.00"] * 3
    assert desk.listed(made)["left"] == 15_000


@pytest.mark.parametrize("gateway", ["ovo", "linkaja"])
def test_a_lost_answer_of_a_snap_wallet_is_asked_for_too(desk: Desk, gateway: str) -> None:
    made = desk.paid(gateway)
    desk.till.quiet(gateway)
    desk.asked(made)
    desk.till.fail(gateway, "refund", "lost")
    assert [step.status for step in worked()] == ["unknown"]
    later(1)
    assert [step.status for step in worked()] == ["confirmed"]
    assert desk.given_back(made) == ["150000.00"]


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_what_never_arrived_is_sent_again_by_the_same_key(desk: Desk, gateway: str) -> None:
    made = desk.paid(gateway)
    asked = desk.asked(made)
    desk.till.fail(gateway, "refund", "reset")
    assert [step.status for step in worked()] == ["unknown"]
    assert desk.given_back(made) == []
    later(1)
    desk.ends(made, "confirmed")
    book = desk.till.book(gateway, made["reference"])
    assert book is not None
    assert [one["key"] for one in book["refunds"]] == [asked["refund"]["gateway_key"]]


def test_a_no_to_the_second_call_says_nothing_of_the_first(desk: Desk) -> None:
    made = desk.paid()
    desk.asked(made)
    desk.till.fail("gopay", "refund", "reset")
    worked()
    later(0.1)  # the first call may be on its way still
    desk.till.fail("gopay", "refund", "code", code="412")
    assert [step.status for step in worked()] == ["unknown"]
    assert desk.listed(made)["left"] == 0
    later(1)
    desk.till.fail("gopay", "refund", "code", code="412")
    assert [step.status for step in worked()] == ["refused"]
    assert desk.listed(made)["left"] == 150_000


@pytest.fixture
def gate(parts: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Turnstile]:
    """Our calls of GoPay pass it."""
    with Turnstile(str(parts.sandbox_url)) as made:
        monkeypatch.setenv("JEMBATAN_GOPAY__BASE_URL", f"{made.url}/gopay")
        monkeypatch.setenv("JEMBATAN_GOPAY__READ_TIMEOUT", "60")
        settings.cache_clear()
        yield made


def test_a_notification_before_our_commit_makes_one_refund(desk: Desk, gate: Turnstile) -> None:
    desk.till.banks_after(0)
    made = desk.paid()
    asked = desk.asked(made, amount=50_000)
    refund_id = asked["refund"]["refund_id"]

    def told_first() -> None:
        """The gateway has acted, and its messages are worked before its answer reaches us."""
        wait_until(lambda: row(refund_id).status == "confirmed", "the notification to be worked")

    gate.after("/refund", told_first)
    (step,) = worked()
    assert (step.status, step.next) == ("confirmed", "ended")
    (found,) = rows(made["payment_id"])
    assert not found.is_foreign
    assert run_of(found).state == "succeeded"
    assert desk.given_back(made) == ["50000.00"]
    assert desk.till.read(made)["refunded_amount"] == 50_000


def test_a_notification_in_between_heals_what_is_unknown(desk: Desk) -> None:
    desk.till.banks_after(None)
    made = desk.paid()
    asked = desk.asked(made)
    desk.till.fail("gopay", "refund", "lost")
    worked()
    desk.till.act(made, "confirm")
    wait_until(lambda: row(asked["refund"]["refund_id"]).status == "confirmed", "the message to heal it")
    assert desk.process(asked)["state"] == "succeeded"
    assert due() == []


def test_a_balance_that_is_short_for_two_days_is_tried_again_by_the_same_key(desk: Desk) -> None:
    made = desk.paid()
    asked = desk.asked(made)
    desk.till.fail("gopay", "refund", "code", code="414", times=96)
    tries = 0
    for _ in range(48):
        for step in worked():
            assert (step.status, step.next, step.kind) == ("sent", "waits", "balance-short")
            tries += 1
        process = desk.process(asked)
        assert process["state"] == "waiting"  # no worker is held, and the operator sees why
        assert process["error"]["type"] == "balance-short"
        assert "Fill the balance" in process["error"]["message"]
        assert process["next_attempt_at"] is not None
        assert due() == []
        later(1)
    assert tries == 48
    assert desk.listed(made)["left"] == 0  # it stays set aside
    desk.till.sandbox.delete("/_sandbox/failures").raise_for_status()
    desk.ends(made, "confirmed")
    book = desk.till.book("gopay", made["reference"])
    assert book is not None
    assert [one["key"] for one in book["refunds"]] == [asked["refund"]["gateway_key"]]
    notes = [one["note"] for one in desk.listed(made)["items"][0]["events"]]
    assert len([note for note in notes if note and "balance" in note]) == 1  # said once, not each half hour


@pytest.mark.parametrize(("gateway", "code"), [("linkaja", "4035814"), ("ovo", "4035814")])
def test_a_snap_wallets_short_balance_waits_too(desk: Desk, gateway: str, code: str) -> None:
    made = desk.paid(gateway)
    desk.asked(made)
    desk.till.fail(gateway, "refund", "code", code=code)
    (step,) = worked()
    assert (step.status, step.kind) == ("sent", "balance-short")
    later(1)
    desk.ends(made, "confirmed")


def test_after_seven_days_the_money_is_free_again(desk: Desk) -> None:
    made = desk.paid()
    asked = desk.asked(made)
    desk.till.fail("gopay", "refund", "code", code="414", times=9)
    worked()
    later(7 * 24 + 1)
    (step,) = worked()
    assert (step.status, step.next) == ("refused", "ended")
    assert "new refund_key" in desk.process(asked)["error"]["message"]
    assert desk.listed(made)["left"] == 150_000


def test_what_the_bank_does_not_move_in_seven_days_needs_a_person(desk: Desk) -> None:
    desk.till.banks_after(None)
    made = desk.paid()
    asked = desk.asked(made)
    worked()
    later(7 * 24 + 1)
    (step,) = worked()
    assert (step.status, step.next) == ("accepted", "needs_attention")
    assert "seven days" in desk.process(asked)["error"]["message"]
    assert desk.listed(made)["left"] == 0
    desk.till.act(made, "confirm")  # late, and still told
    desk.till.becomes(made, "refunded")
    assert desk.process(asked)["state"] == "succeeded"


def test_a_gateway_that_is_away_keeps_no_worker(desk: Desk) -> None:
    made = desk.paid()
    asked = desk.asked(made)
    desk.till.fail("gopay", "refund", "429", times=9, retry_after=3600)
    (step,) = worked()
    assert (step.status, step.next) == ("sent", "waits")
    assert desk.process(asked)["state"] == "waiting"
    desk.till.sandbox.delete("/_sandbox/failures").raise_for_status()
    later(1)
    desk.ends(made, "confirmed")


def test_doku_is_not_asked_within_its_minute(desk: Desk) -> None:
    made = desk.till.create("ovo")
    desk.till.act(made, "pay")
    desk.till.becomes(made, "paid")
    desk.asked(made)
    desk.till.fail("ovo", "refund", "lost")
    worked()
    later(0.01)
    assert [step.kind for step in worked()] == ["too-early"]
    book = desk.till.book("ovo", made["reference"])
    assert book is not None
    assert book["early_questions"] == 0


def test_a_gateway_that_speaks_of_other_money_is_not_believed(desk: Desk) -> None:
    made = desk.paid()
    asked = desk.asked(made, amount=50_000)
    desk.till.quiet("gopay")
    desk.till.fail("gopay", "refund", "lost")
    worked()
    with unit_of_work() as session:  # as if another amount had been written down
        session.get_one(Refund, UUID(asked["refund"]["refund_id"])).amount_minor = 6_000_000
    later(1)
    (step,) = worked()
    assert (step.status, step.next, step.kind) == ("unknown", "needs_attention", "other-money")
    assert "gives back Rp 50,000 where we asked for Rp 60,000" in desk.process(asked)["error"]["message"]
    assert desk.till.read(made)["refunded_amount"] == 0
