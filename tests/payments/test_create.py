"""Create a payment: one charge whatever happens, and a plain answer to everything else."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from till import EMAIL, Till, an_invoice, due_now, order, row, wait_until

from common.settings import GATEWAYS
from jembatan.stack import Stack
from records import charge, liveness
from records import client as clients
from records.db import unit_of_work
from records.payment import Payment


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_payment_is_created_and_the_learner_can_pay(till: Till, gateway: str) -> None:
    body = order(gateway)
    answer = till.post(body)
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1/payments/{made['payment_id']}"
    assert {name: made[name] for name in ("reference", "gateway", "amount", "currency", "status")} == {
        **{name: body[name] for name in ("reference", "gateway", "amount", "currency")},
        "status": "pending",
    }
    assert made["gateway_reference"]
    assert made["actions"]
    assert [event["to_status"] for event in made["events"]] == ["created", "pending"]
    book = till.book(gateway, body["reference"])
    assert book is not None
    assert (book["charges"], book["amount"]) == (1, "150000.00")
    till.act(made, "pay")
    paid = till.becomes(made, "paid")
    assert paid["paid_at"]
    assert paid["actions"] == []


@pytest.mark.parametrize(
    ("gateway", "with_key"),
    [("gopay", True), ("linkaja", False)]
    + [
        pytest.param(*one, marks=pytest.mark.slow)
        for one in (("gopay", False), ("linkaja", True), ("ovo", True), ("ovo", False))
    ],
)
def test_fifty_at_once_make_one_charge(till: Till, gateway: str, with_key: bool) -> None:
    body = order(gateway)
    headers = {"Idempotency-Key": body["reference"]} if with_key else {}
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: till.post(body, **headers), range(50)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    made = [answer.json() for answer in answers if answer.status_code == 201]
    assert len({one["payment_id"] for one in made}) == 1
    assert {answer.json()["type"] for answer in answers if answer.status_code == 409} <= {
        "urn:jembatan:problem:still-running"
    }
    book = till.book(gateway, body["reference"])
    assert book is not None
    assert book["charges"] == 1
    assert till.post(body, **headers).json() == made[0]


def test_the_same_reference_or_key_with_another_body_is_refused(till: Till) -> None:
    body = order()
    assert till.post(body, **{"Idempotency-Key": "k1"}).status_code == 201
    other = till.post(body | {"amount": 150_001})
    assert (other.status_code, other.json()["type"]) == (422, "urn:jembatan:problem:reference-reused")
    key = till.post(order(), **{"Idempotency-Key": "k1"})
    assert (key.status_code, key.json()["type"]) == (422, "urn:jembatan:problem:idempotency-key-reused")
    assert key.json()["errors"][0]["where"] == "header.Idempotency-Key"


def test_an_idempotency_key_of_a_refused_order_stays_free(till: Till) -> None:
    taken = till.create()
    key = {"Idempotency-Key": an_invoice()}
    refused = till.post(order(reference=taken["reference"], amount=150_001), **key)
    assert refused.status_code == 422
    assert till.post(order(), **key).status_code == 201


def test_another_clients_payment_is_not_there_and_its_reference_is_taken(till: Till) -> None:
    made = till.create()
    with unit_of_work() as session:
        _, key = clients.create(session, "another", ["*"])
    theirs = {"Authorization": f"Bearer {key.text}"}
    assert till.http.get(f"/api/v1/payments/{made['payment_id']}", headers=theirs).status_code == 404
    for which in ({"payment_id": made["payment_id"]}, {"reference": made["reference"]}):
        assert till.http.post("/api/v1/payments/verify", json=which, headers=theirs).status_code == 404
    cancel = till.http.post(f"/api/v1/payments/{made['payment_id']}/cancel", headers=theirs)
    assert cancel.status_code == 404
    assert till.http.get("/api/v1/payments", headers=theirs).json()["items"] == []
    taken = till.http.post("/api/v1/payments/create", json=order(reference=made["reference"]), headers=theirs)
    assert (taken.status_code, taken.json()["type"]) == (409, "urn:jembatan:problem:reference-taken")


@pytest.mark.parametrize(
    ("gateway", "kind"),
    [("gopay", "lost"), ("linkaja", "reset_after"), ("gopay", "html"), ("linkaja", "500")]
    + [
        pytest.param("gopay", kind, marks=pytest.mark.slow)
        for kind in ("reset_after", "500_after", "500", "reset", "half")
    ]
    + [
        pytest.param("linkaja", kind, marks=pytest.mark.slow)
        for kind in ("lost", "500_after", "reset", "html", "half")
    ],
)
def test_a_lost_answer_is_unknown_and_heals_without_a_second_charge(
    till: Till, gateway: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    till.quiet(gateway)
    body = order(gateway)
    till.fail(gateway, "charge", kind)
    before = till.calls(gateway)["charge"]
    answer = till.post(body)
    lost = answer.json()
    assert (answer.status_code, lost["status"]) == (202, "unknown")
    assert "Do not make another payment" in lost["advice"]
    assert answer.headers["retry-after"]

    def repeated() -> dict[str, Any] | None:
        now = till.post(body)
        return now.json() if now.status_code == 201 else None

    made = wait_until(repeated, "the repeated request to find its charge")
    assert made["payment_id"] == lost["payment_id"]
    book = till.book(gateway, body["reference"])
    assert book is not None
    assert book["charges"] == 1
    if gateway == "gopay":  # its key of the call brings the first answer back, with the learner's link
        assert till.post(body).json()["actions"]
    elif kind == "reset_after":  # the others promise no such thing: what is there is not sent again
        assert till.calls(gateway)["charge"] == before + 1
    till.quiet(gateway, "at_once")
    till.act(made, "pay")
    told = till.becomes(made, "paid")
    assert any("Whether the gateway has it" in (event["note"] or "") for event in told["events"])


def test_a_number_that_is_spent_without_a_charge_is_replaced(till: Till) -> None:
    """The gateway took the call's number and failed before the charge: it refuses that number for ever."""
    till.quiet("linkaja")
    spent = row(till.create("linkaja")["reference"]).external_id
    body = order("linkaja")
    till.fail("linkaja", "charge", "500")
    assert till.post(body).json()["status"] == "unknown"
    with unit_of_work() as session:
        session.get_one(Payment, row(body["reference"]).id).external_id = spent

    def healed() -> bool:
        return bool(till.post(body).json()["actions"])

    wait_until(healed, "the charge to be made under another number", 20)
    book = till.book("linkaja", body["reference"])
    assert book is not None
    assert book["charges"] == 1


@pytest.mark.parametrize("code", ["401", "410"])
def test_a_no_to_the_repeated_call_says_nothing_of_the_first(till: Till, code: str) -> None:
    till.quiet("gopay")
    body = order()
    till.fail("gopay", "charge", "500_after")
    assert till.post(body).json()["status"] == "unknown"
    till.fail("gopay", "status", "code", code="404")  # its status lags behind
    till.fail("gopay", "charge", "code", code=code)
    made = till.post(body).json()
    assert made["status"] == "unknown"
    assert "refused the repeated call" in made["events"][-1]["note"]
    till.act(made, "pay", notify=False)
    wait_until(lambda: till.verify(made)["status"] == "paid", "the payment to be found paid")


def test_a_repeat_after_the_end_asks_nothing_and_charges_nothing(till: Till) -> None:
    body = order()
    till.fail("gopay", "charge", "500")
    lost = till.post(body).json()
    assert lost["status"] == "unknown"
    due_now(lost, over_since=timedelta(seconds=1))
    before = till.calls("gopay")
    again = till.post(body)
    assert (again.status_code, again.json()["status"]) == (202, "unknown")
    assert till.calls("gopay") == before


def test_a_process_gives_up_its_own_mark_and_never_anothers(till: Till) -> None:
    made = till.create()
    ours = liveness.own_number()
    for marked, left in ((ours + 1, ours + 1), (ours, None)):
        with unit_of_work() as session:
            session.get_one(Payment, UUID(made["payment_id"])).busy_by = marked
        with unit_of_work() as session:
            charge.release(session, UUID(made["payment_id"]))
        assert row(made["reference"]).busy_by == left


def test_what_the_gateway_refuses_is_denied_with_its_reason(till: Till) -> None:
    till.fail("gopay", "charge", "code", code="410")
    answer = till.post(order())
    assert (answer.status_code, answer.json()["status"]) == (201, "denied")
    assert answer.json()["reason"]
    assert answer.json()["actions"] == []


def test_who_pays_is_stored_sealed_and_shown_to_nobody(till: Till, database: str) -> None:
    made = till.create()
    till.act(made, "pay")
    till.becomes(made, "paid")
    assert EMAIL not in till.http.get(f"/api/v1/payments/{made['payment_id']}").text
    with psycopg.connect(database) as db:
        for table in ("payments", "payment_events", "notifications", "platform_events", "idempotency_keys"):
            rows = db.execute(f"SELECT t::text FROM {table} t").fetchall()
            text = " ".join(str(row[0]) for row in rows)
            for personal in (EMAIL, "Siti Rahma", "81234567890"):
                assert personal not in text, table
                assert personal.encode().hex() not in text, table


def test_a_key_that_may_only_read_creates_nothing(till: Till) -> None:
    with unit_of_work() as session:
        _, key = clients.create(session, "reader", ["payments:read"])
    headers = {"Authorization": f"Bearer {key.text}"}
    assert till.http.post("/api/v1/payments/create", json=order(), headers=headers).status_code == 403
    assert till.http.get("/api/v1/payments", headers=headers).status_code == 200
    assert httpx.get(str(till.http.base_url.join("/api/v1/payments"))).status_code == 401


def test_a_gateway_that_is_away_costs_nobody_a_second_charge(
    till: Till, parts: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    from checkout import gateways
    from common.settings import settings

    monkeypatch.setenv("JEMBATAN_GOPAY__BASE_URL", "http://127.0.0.1:9")
    settings.cache_clear()
    gateways.close_all()
    answer = till.post(order())
    assert (answer.status_code, answer.json()["status"]) == (202, "unknown")


def test_a_pending_payment_can_be_cancelled_and_a_paid_one_cannot(till: Till) -> None:
    made = till.create()
    cancelled = till.http.post(f"/api/v1/payments/{made['payment_id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert till.http.post(f"/api/v1/payments/{made['payment_id']}/cancel").json()["status"] == "cancelled"
    paid = till.create()
    till.act(paid, "pay")
    till.becomes(paid, "paid")
    refused = till.http.post(f"/api/v1/payments/{paid['payment_id']}/cancel")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:jembatan:problem:not-cancellable")


def test_a_wallet_that_cannot_cancel_says_so(till: Till) -> None:
    made = till.create("ovo")
    refused = till.http.post(f"/api/v1/payments/{made['payment_id']}/cancel")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:jembatan:problem:not-cancellable")


def test_payments_are_listed_newest_first_in_steady_pages(till: Till) -> None:
    made = [till.create()["reference"] for _ in range(5)]
    seen, cursor = [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = till.http.get("/api/v1/payments", params=params).raise_for_status().json()
        seen += [one["reference"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]
    assert till.http.get("/api/v1/payments", params={"cursor": "?"}).status_code == 422
