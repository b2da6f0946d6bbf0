"""A refund from the request to the money: each wallet, each state, and what is refused before any call."""

from typing import Any

import pytest
import sqlalchemy as sa
from refund_desk import Desk, due, later, paid_before, rows, run_of, worked
from till import wait_until

from common.settings import settings
from records import process as process_runs
from records.db import unit_of_work
from records.payment import Payment


def test_gopay_takes_a_refund_first_and_the_bank_confirms_it_later(desk: Desk) -> None:
    desk.till.banks_after(None)
    made = desk.paid()
    asked = desk.asked(made, amount=50_000)
    assert asked["state"] == "queued"
    assert asked["refund"]["status"] == "approved"
    (step,) = worked()
    assert (step.status, step.next) == ("accepted", "waits")
    assert desk.process(asked)["state"] == "waiting"
    assert desk.till.read(made)["status"] == "paid"  # taken is not moved
    assert desk.till.read(made)["refunded_amount"] == 0
    desk.till.act(made, "confirm")
    now = desk.till.becomes(made, "partially_refunded")
    assert now["refunded_amount"] == 50_000
    process = desk.process(asked)
    assert process["state"] == "succeeded"
    assert process["outcome"] == {
        "refund_id": asked["refund"]["refund_id"],
        "status": "confirmed",
        "amount": 50_000,
    }
    steps = [one["to_status"] for one in desk.listed(made)["items"][0]["events"]]
    assert steps == ["requested", "approved", "sent", "accepted", "confirmed"]


def test_where_the_banks_word_is_lost_the_process_asks_for_it(desk: Desk) -> None:
    desk.till.banks_after(None)
    made = desk.paid()
    desk.till.quiet("gopay")
    asked = desk.asked(made)
    worked()
    desk.till.act(made, "confirm", notify=False)
    assert due() == []
    later(0.1)
    (step,) = worked()
    assert (step.status, step.next) == ("confirmed", "ended")
    assert desk.process(asked)["state"] == "succeeded"
    assert desk.till.read(made)["status"] == "refunded"
    assert desk.till.calls("gopay")["refund"] >= 1


@pytest.mark.parametrize("gateway", ["ovo", "linkaja"])
def test_a_snap_wallet_gives_back_at_once(desk: Desk, gateway: str) -> None:
    made = desk.paid(gateway)
    desk.asked(made)
    (step,) = worked()
    assert (step.status, step.next) == ("confirmed", "ended")
    assert desk.till.read(made)["status"] == "refunded"
    assert desk.given_back(made) == ["150000.00"]


def test_the_same_key_is_the_same_refund_and_another_body_is_refused(desk: Desk) -> None:
    made = desk.paid()
    first = desk.asked(made, amount=50_000)
    assert desk.asked(made, amount=50_000)["refund"] == first["refund"]
    for more in ({"amount": 60_000}, {"amount": 50_000, "reason": "Another one"}):
        refused = desk.ask(made, **more)
        assert refused.status_code == 422
        assert refused.json()["type"].endswith(":refund-key-reused")
        assert refused.json()["errors"][0]["where"] == "body.refund_key"
    desk.ends(made, "confirmed")
    again = desk.asked(made, amount=50_000)
    assert (again["state"], again["refund"]["status"]) == ("succeeded", "confirmed")
    assert desk.given_back(made) == ["50000.00"]


def test_the_rest_is_given_back_where_no_amount_is_said(desk: Desk) -> None:
    made = desk.paid()
    desk.asked(made, "part", amount=40_000)
    assert desk.asked(made, "rest")["refund"]["amount"] == 110_000
    desk.ends(made, "confirmed", "confirmed")
    now = desk.till.becomes(made, "refunded")
    assert now["refunded_amount"] == 150_000
    assert desk.listed(made)["left"] == 0


@pytest.mark.parametrize(
    ("more", "status", "slug", "where"),
    [
        ({"amount": 0}, 422, "invalid-request", "body.amount"),
        ({"amount": -5}, 422, "invalid-request", "body.amount"),
        ({"amount": 1.5}, 422, "invalid-request", "body.amount"),
        ({"amount": "50000"}, 422, "invalid-request", "body.amount"),
        ({"amount": 150_001}, 422, "refund-too-large", "body.amount"),
        ({"currency": "USD"}, 422, "invalid-request", "body.currency"),
        ({"refund_key": "a b"}, 422, "invalid-request", "body.refund_key"),
        ({"refund_key": "k" * 65}, 422, "invalid-request", "body.refund_key"),
        ({"reason": " "}, 422, "invalid-request", "body.reason"),
        ({"learner": "x"}, 422, "invalid-request", "body.learner"),
    ],
)
def test_what_cannot_be_is_refused_in_words_and_nothing_is_done(
    desk: Desk, more: dict[str, Any], status: int, slug: str, where: str
) -> None:
    made = desk.paid()
    answer = desk.ask(made, **more)
    assert answer.status_code == status, answer.text
    assert answer.json()["type"].endswith(f":{slug}")
    assert answer.json()["errors"][0]["where"] == where
    assert rows(made["payment_id"]) == []
    assert due() == []


def test_unknown_and_foreign_payments_are_not_there(desk: Desk) -> None:
    made = desk.paid()
    with unit_of_work() as session:
        session.query(Payment).update({"client_id": None})
    assert desk.ask(made).status_code == 404
    assert desk.ask(made | {"payment_id": "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c"}).status_code == 404
    assert desk.till.http.get(f"/api/v1/payments/{made['payment_id']}/refunds").status_code == 404


def test_what_the_gateway_cannot_do_is_refused_before_any_call(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending = desk.till.create("gopay")
    late, whole, gone = desk.paid("gopay"), desk.paid("linkaja"), desk.paid("linkaja")
    paid_before(late["payment_id"], 46)
    desk.asked(gone)
    worked()
    calls = {gateway: desk.till.calls(gateway)["refund"] for gateway in ("gopay", "linkaja")}
    for made, more, slug, word in (
        (pending, {}, "not-refundable", "this is pending"),
        (late, {}, "not-refundable", "within 45 days"),
        (whole, {"amount": 10_000}, "partial-refund-not-offered", "only the whole payment"),
        (gone, {"key": "again"}, "not-refundable", "given back already"),
    ):
        answer = desk.ask(made, **more)
        assert answer.json()["type"].endswith(f":{slug}"), answer.text
        assert word in answer.json()["detail"]
    assert {gateway: desk.till.calls(gateway)["refund"] for gateway in calls} == calls


def test_what_gets_too_late_while_it_waits_is_refused_with_the_reason(desk: Desk) -> None:
    made = desk.paid()
    asked = desk.asked(made)
    paid_before(made["payment_id"], 46)
    (step,) = worked()
    assert (step.status, step.next) == ("refused", "ended")
    process = desk.process(asked)
    assert process["state"] == "failed"
    assert "within 45 days" in process["error"]["message"]
    assert desk.listed(made)["left"] == 150_000


def test_the_providers_no_ends_the_refund_and_frees_the_money(desk: Desk) -> None:
    made = desk.paid()
    desk.till.fail("gopay", "refund", "refused")
    asked = desk.asked(made)
    (step,) = worked()
    assert (step.status, step.next) == ("refused", "ended")
    assert desk.process(asked)["error"]["type"] == "refused"
    assert desk.listed(made)["left"] == 150_000
    desk.asked(made, "once-more")
    desk.ends(made, "refused", "confirmed")


def test_wait_holds_the_answer_until_the_process_has_ended(desk: Desk) -> None:
    made = desk.paid("linkaja")
    path = f"/api/v1/payments/{made['payment_id']}/refunds"
    body = {"refund_key": "k", "reason": "Course was cancelled"}
    desk.asked(made, "k")
    worked()
    answer = desk.till.http.post(path, json=body, headers={"Prefer": "respond-async, wait=20"})
    assert answer.status_code == 202
    assert answer.json()["state"] == "succeeded"
    assert answer.headers["Preference-Applied"] == "wait"
    assert answer.headers["Location"] == f"/api/v1/processes/{answer.json()['process_id']}"
    assert answer.json()["status_url"].endswith(answer.headers["Location"])


def test_an_idempotency_key_names_one_request(desk: Desk) -> None:
    made = desk.paid()
    path = f"/api/v1/payments/{made['payment_id']}/refunds"
    headers = {"Idempotency-Key": "first"}
    body = {"refund_key": "k", "reason": "Course was cancelled"}
    answers = [desk.till.http.post(path, json=body, headers=headers) for _ in range(2)]
    assert answers[0].json()["refund"] == answers[1].json()["refund"]
    other = desk.till.http.post(path, json=body | {"refund_key": "other"}, headers=headers)
    assert other.status_code == 422
    assert other.json()["errors"][0]["where"] == "header.Idempotency-Key"


def test_the_platform_is_told(desk: Desk) -> None:
    confirmed, refused = desk.paid("linkaja"), desk.paid("gopay")
    desk.asked(confirmed)
    desk.asked(refused)
    desk.till.fail("gopay", "refund", "refused")
    worked()
    with unit_of_work() as session:
        events = session.execute(
            sa.text(
                "SELECT type, body #>> '{data,status}', body #>> '{data,reference}' FROM platform_events "
                "WHERE type LIKE 'refund.%' ORDER BY type"
            )
        ).all()
    assert [tuple(one) for one in events] == [
        ("refund.confirmed", "confirmed", confirmed["reference"]),
        ("refund.refused", "refused", refused["reference"]),
    ]


def test_a_wrong_key_of_ours_needs_a_person_and_goes_on_after_it(desk: Desk) -> None:
    made = desk.paid()
    desk.till.fail("gopay", "refund", "code", code="401")
    asked = desk.asked(made)
    (step,) = worked()
    assert (step.status, step.next) == ("sent", "needs_attention")
    process = desk.process(asked)
    assert process["state"] == "needs_attention"
    assert "retry the process" in process["error"]["message"]
    with unit_of_work() as session:
        assert process_runs.retry(session, run_of(rows(made["payment_id"])[0]).id)
    desk.ends(made, "confirmed")


def test_a_refund_in_the_gateways_dashboard_is_taken_in_and_marked(desk: Desk) -> None:
    made = desk.paid()
    desk.till.act(made, "refund", amount=20_000)
    wait_until(lambda: rows(made["payment_id"]), "the foreign refund")
    desk.ends(made, "confirmed")
    (found,) = rows(made["payment_id"])
    assert found.is_foreign
    assert found.refund_key is None
    book = desk.till.book("gopay", made["reference"])
    assert book is not None
    assert found.reference == book["refunds"][0]["key"]  # by which its report line is known
    assert desk.till.becomes(made, "partially_refunded")["refunded_amount"] == 20_000
    assert desk.listed(made)["left"] == 130_000
    desk.asked(made, "rest")
    desk.ends(made, "confirmed", "confirmed")
    assert desk.till.becomes(made, "refunded")["refunded_amount"] == 150_000
    assert desk.given_back(made) == ["20000.00", "130000.00"]


@pytest.mark.parametrize("gateway", ["ovo", "linkaja"])
def test_a_foreign_refund_of_a_snap_wallet_too(desk: Desk, gateway: str) -> None:
    made = desk.paid(gateway)
    desk.till.act(made, "refund")
    desk.till.verify(made)
    now = desk.till.becomes(made, "refunded")
    assert now["refunded_amount"] == 150_000
    assert [one.is_foreign for one in rows(made["payment_id"])] == [True]
    assert desk.ask(made).json()["type"].endswith(":not-refundable")


def test_a_limit_of_zero_asks_for_every_refund(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEMBATAN_REFUND_APPROVAL_ABOVE", "0")
    settings.cache_clear()
    made = desk.paid()
    assert desk.asked(made, amount=1)["refund"]["status"] == "awaiting_approval"
