"""What follows a GoPay charge: status, cancel, expire, refund, and calls that are made twice."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sandbox_listener import wait_until
from sandbox_midtrans import MidtransCaller, charge_body

from sandbox.idempotency import KEPT_SECONDS, Idempotency


@pytest.mark.parametrize(
    ("acts", "code", "word"),
    [
        ([], "201", "pending"),
        (["pay"], "200", "settlement"),
        (["deny"], "202", "deny"),
        (["cancel"], "202", "cancel"),
        (["expire"], "407", "expire"),
        (["pay", "reverse"], "202", "deny"),
        (["pay", "refund"], "200", "refund"),
    ],
)
def test_the_status_says_what_became_of_a_charge(
    gopay: MidtransCaller, acts: list[str], code: str, word: str
) -> None:
    made = gopay.charge()
    for act in acts:
        gopay.act(made, act).raise_for_status()
    seen = gopay.status(made)
    assert (seen["status_code"], seen["transaction_status"]) == (code, word)
    assert seen == gopay.get(f"{made['transaction_id']}/status")
    assert ("settlement_time" in seen) == ("pay" in acts)
    assert seen["merchant_id"] == "sandbox-merchant"
    assert seen["fraud_status"] == ("deny" if word == "deny" else "accept")


def test_the_wallets_part_is_told_only_after_it_was_used(gopay: MidtransCaller) -> None:
    made = gopay.charge()
    assert "payment_option_type" not in gopay.status(made)
    gopay.act(made, "pay")
    assert gopay.status(made)["payment_option_type"] == "GOPAY_WALLET"


def test_qris_turns_up_when_another_app_has_scanned(gopay: MidtransCaller) -> None:
    made = gopay.charge()
    gopay.act(made, "pay", payment_type="qris").raise_for_status()
    seen = gopay.status(made)
    assert (made["payment_type"], seen["payment_type"]) == ("gopay", "qris")
    assert {"transaction_type", "issuer", "acquirer"} <= set(seen)


def test_only_what_is_pending_can_be_cancelled_or_expire(gopay: MidtransCaller) -> None:
    for call, code, word in (("cancel", "200", "cancel"), ("expire", "407", "expire")):
        made = gopay.charge()
        answer = gopay.post(f"{made['order_id']}/{call}").json()
        assert (answer["status_code"], answer["transaction_status"]) == (code, word)
        for again in ("cancel", "expire"):
            assert gopay.post(f"{made['order_id']}/{again}").json()["status_code"] == "412"
        paid = gopay.paid()
        assert gopay.post(f"{paid['transaction_id']}/{call}").json()["status_code"] == "412"
    assert gopay.post("nobody/cancel").json()["status_code"] == "404"


@pytest.mark.parametrize("path", ["refund", "refund/online/direct"])
def test_a_refund_is_accepted_and_confirmed_later(gopay: MidtransCaller, path: str) -> None:
    made = gopay.paid()
    key = f"R-{made['order_id']}"
    body = {"refund_key": key, "amount": 50_000, "reason": "Seat"}
    answer = gopay.post(f"{made['order_id']}/{path}", body).json()
    assert (answer["status_code"], answer["transaction_status"]) == ("200", "partial_refund")
    assert (answer["refund_amount"], answer["refund_key"]) == ("50000.00", key)
    assert isinstance(answer["refund_chargeback_id"], int)
    (first,) = gopay.status(made)["refunds"]
    assert (first["refund_key"], first["refund_method"], first["reason"]) == (key, "online", "Seat")
    wait_until(lambda: "bank_confirmed_at" in gopay.status(made)["refunds"][0], "the bank")
    rest = gopay.refund(made, refund_key=f"{key}-2")
    assert (rest["transaction_status"], rest["refund_amount"]) == ("refund", "100000.00")
    assert gopay.status(made)["refund_amount"] == "150000.00"
    assert gopay.refund(made, refund_key=f"{key}-3")["status_code"] == "412"


def test_the_bank_confirms_when_it_is_told_to(gopay: MidtransCaller, http: httpx.Client) -> None:
    http.post("/_sandbox/refunds", json={"gateway": "gopay", "confirm_after": None}).raise_for_status()
    try:
        made = gopay.paid()
        gopay.refund(made, refund_key=f"R-{made['order_id']}")
        assert gopay.book(made)["refunds"][0]["confirmed_at"] is None
        gopay.act(made, "confirm", at="2026-11-20T10:00:00+07:00").raise_for_status()
        assert gopay.status(made)["refunds"][0]["bank_confirmed_at"] == "2026-11-20 10:00:00"
    finally:
        http.post("/_sandbox/refunds", json={"gateway": "gopay", "confirm_after": 0.5}).raise_for_status()


def test_the_same_refund_key_is_the_same_refund(gopay: MidtransCaller) -> None:
    made, other = gopay.paid(), gopay.paid()
    key = f"R-{made['order_id']}"
    first, again = (gopay.refund(made, refund_key=key, amount=50_000) for _ in range(2))
    assert first["refund_chargeback_id"] == again["refund_chargeback_id"]
    assert len(gopay.book(made)["refunds"]) == 1
    assert gopay.refund(made, refund_key=key, amount=60_000)["status_code"] == "406"
    assert gopay.refund(other, refund_key=key, amount=50_000)["status_code"] == "406"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"amount": 150_001}, "414"),
        ({"amount": 0}, "400"),
        ({"amount": -5}, "400"),
        ({"amount": 10.5}, "400"),
        ({"amount": "ten"}, "400"),
        ({"refund_key": "a b"}, "400"),
        ({"refund_key": "a.b"}, "400"),
        ({"refund_key": 7}, "400"),
        ({"reason": "x" * 256}, "400"),
    ],
)
def test_a_refund_that_is_wrong_is_refused(gopay: MidtransCaller, body: dict[str, Any], code: str) -> None:
    made = gopay.paid()
    assert gopay.refund(made, **body)["status_code"] == code
    assert gopay.book(made)["refunds"] == []


def test_a_refund_may_be_written_as_text_and_without_amount(gopay: MidtransCaller) -> None:
    assert gopay.refund(gopay.paid(), amount="50000")["refund_amount"] == "50000.00"
    assert gopay.refund(gopay.paid())["transaction_status"] == "refund"


def test_only_what_is_settled_can_be_refunded(gopay: MidtransCaller) -> None:
    made = gopay.charge()
    assert gopay.refund(made)["status_code"] == "412"
    gopay.act(made, "deny")
    assert gopay.refund(made)["status_code"] == "412"
    assert gopay.post("nobody/refund", {}).json()["status_code"] == "404"


def test_a_wallet_that_refuses_a_refund_leaves_everything_as_it_was(
    gopay: MidtransCaller, http: httpx.Client
) -> None:
    made = gopay.paid()
    failure = {"gateway": "gopay", "operation": "refund", "kind": "refused"}
    http.post("/_sandbox/failures", json=failure).raise_for_status()
    answer = gopay.refund(made, refund_key=f"R-{made['order_id']}")
    assert (answer["status_code"], answer["transaction_status"]) == ("202", "settlement")
    assert answer["refund_amount"] == "0.00"
    assert gopay.refund(made, refund_key=f"R-{made['order_id']}")["status_code"] == "200"


def test_a_payment_of_the_generated_books_can_be_refunded(gopay: MidtransCaller, http: httpx.Client) -> None:
    lines = http.get("/_sandbox/days/2025-02-03/ledger.csv").text.splitlines()
    reference = next(line.split(",")[0] for line in lines if ",gopay," in line and ",paid," in line)
    made = {"order_id": reference}
    answer = gopay.refund(made, refund_key=f"R-{reference}")
    assert (answer["status_code"], answer["transaction_status"]) == ("200", "refund")
    assert gopay.refund(made, refund_key=f"R-{reference}-2")["status_code"] == "412"
    assert gopay.status(made)["transaction_status"] == "refund"


def test_the_same_key_gets_the_same_answer_whatever_the_call_says(gopay: MidtransCaller) -> None:
    made = gopay.charge(Idempotency_Key="k-same")
    other = gopay.post("charge", charge_body(), Idempotency_Key="k-same").json()
    assert other == made
    assert gopay.post(f"{made['order_id']}/cancel", Idempotency_Key="k-same").json() == made
    assert gopay.status(made)["transaction_status"] == "pending"


def test_a_refusal_is_not_kept(gopay: MidtransCaller) -> None:
    assert gopay.post("charge", {}, Idempotency_Key="k-refused").json()["status_code"] == "400"
    assert gopay.charge(Idempotency_Key="k-refused")["status_code"] == "201"


def test_a_key_of_more_than_46_characters_is_ignored(gopay: MidtransCaller) -> None:
    for length, same in ((46, True), (47, False)):
        one, two = (gopay.charge(Idempotency_Key="k" * length) for _ in range(2))
        assert (one == two) is same


def test_a_second_call_while_the_first_runs_is_202(gopay: MidtransCaller, http: httpx.Client) -> None:
    failure = {"gateway": "gopay", "operation": "charge", "kind": "delay", "seconds": 1}
    http.post("/_sandbox/failures", json=failure).raise_for_status()
    body, begun = charge_body(), threading.Event()

    def first() -> httpx.Response:
        begun.set()
        return gopay.post("charge", body, Idempotency_Key="k-running")

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(first)
        begun.wait()
        wait_until(lambda: not http.get("/_sandbox/failures").json(), "the first call to begin")
        second = gopay.post("charge", body, Idempotency_Key="k-running")
        assert (second.status_code, second.json()["status_code"]) == (202, "202")
        made = running.result().json()
    assert made["status_code"] == "201"
    assert gopay.post("charge", body, Idempotency_Key="k-running").json() == made
    assert gopay.book(made)["charges"] == 1


async def _made(number: int) -> dict[str, Any]:
    return {"status_code": "201", "number": number}


def test_a_key_is_kept_for_five_minutes() -> None:
    import asyncio

    moment = 0.0
    keys = Idempotency(clock=lambda: moment)

    def call(number: int) -> Any:
        return asyncio.run(keys.once("k", lambda: _made(number)))["number"]

    assert call(1) == 1
    moment = KEPT_SECONDS - 1
    assert call(2) == 1
    moment = KEPT_SECONDS
    assert call(3) == 3
