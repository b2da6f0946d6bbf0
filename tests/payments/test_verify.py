"""Verify: the gateway is asked now, once a second however many ask, and the answer says so."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from till import Till


@pytest.mark.parametrize("gateway", ["gopay", "linkaja"])
def test_a_payment_whose_notification_was_lost_is_found_paid(till: Till, gateway: str) -> None:
    till.quiet(gateway)
    made = till.create(gateway)
    till.act(made, "pay", notify=False)
    now = till.verify(made)
    assert now["status"] == "paid"
    assert now["status_source"]["by"] == "gateway"
    assert now["status_source"]["at"]
    assert "asked" in now["events"][-1]["note"]


def test_fifty_who_ask_at_once_are_one_question(till: Till) -> None:
    till.quiet("gopay")
    made = till.create()
    before = till.sandbox.get("/_sandbox/calls").json()["gopay"]["status"]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: till.verify(made), range(50)))
    after = till.sandbox.get("/_sandbox/calls").json()["gopay"]["status"]
    assert 1 <= after - before <= 3  # a second may pass while fifty ask
    assert {answer["status"] for answer in answers} == {"pending"}
    told = [one["status_source"]["detail"] for one in answers if one["status_source"]["by"] == "record"]
    assert told
    assert all("within the last second" in one for one in told)


def test_a_gateway_that_wants_to_be_left_alone_first_is_and_verify_says_until_when(till: Till) -> None:
    made = till.create("ovo")
    before = till.sandbox.get("/_sandbox/calls").json()["ovo"]["status"]
    now = till.verify(made)
    assert till.sandbox.get("/_sandbox/calls").json()["ovo"]["status"] == before
    assert now["status_source"]["by"] == "record"
    assert "may be asked from" in now["status_source"]["detail"]
    assert now["status_source"]["next_question_at"]


@pytest.mark.parametrize("gateway", ["gopay", "linkaja"])
def test_a_gateway_that_does_not_answer_leaves_the_record_as_it_is(till: Till, gateway: str) -> None:
    till.quiet(gateway)
    made = till.create(gateway)
    till.fail(gateway, "status", "500", times=3)
    now = till.verify(made)
    assert (now["status"], now["status_source"]["by"]) == ("pending", "record")
    assert "error of its own" in now["status_source"]["detail"]


def test_a_payment_is_named_in_one_way(till: Till) -> None:
    made = till.create()
    path = "/api/v1/payments/verify"
    assert till.http.post(path, json={"reference": made["reference"]}).status_code == 200
    assert till.http.post(path, json={}).status_code == 422
    both = {"reference": made["reference"], "payment_id": made["payment_id"]}
    assert till.http.post(path, json=both).status_code == 422
    assert till.http.post(path, json={"reference": "nobody-knows"}).status_code == 404
    assert till.http.post(path, json={"reference": made["reference"], "status": "paid"}).status_code == 422


def test_other_money_at_the_gateway_is_not_taken_for_ours(till: Till) -> None:
    made = till.create("gopay")
    till.quiet("gopay")
    till.act(made, "pay", notify=False, amount="150001.00")
    now = till.verify(made)
    assert now["status"] == "pending"
    assert "a person has to look" in now["events"][-1]["note"]


def test_a_key_names_one_verification_or_cancellation(till: Till) -> None:
    one, other = till.create(), till.create()
    headers = {"Idempotency-Key": "once"}
    ask = {"payment_id": one["payment_id"]}
    for _ in range(2):
        assert till.http.post("/api/v1/payments/verify", json=ask, headers=headers).status_code == 200
    for path, body in (
        ("/api/v1/payments/verify", {"payment_id": other["payment_id"]}),
        (f"/api/v1/payments/{one['payment_id']}/cancel", None),
    ):
        refused = till.http.post(path, json=body, headers=headers)
        assert refused.status_code == 422
        assert refused.json()["type"].endswith(":idempotency-key-reused")
    cancel = f"/api/v1/payments/{one['payment_id']}/cancel"
    for _ in range(2):
        answer = till.http.post(cancel, headers={"Idempotency-Key": "cancel-it"})
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert till.calls("gopay")["cancel"] >= 1
    assert till.read(other)["status"] == "pending"
