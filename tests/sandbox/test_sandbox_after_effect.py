"""Failures around calls that move money: before the effect nothing happens, after it everything has."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sandbox_listener import wait_until
from sandbox_midtrans import MidtransCaller, charge_body
from sandbox_profiles import ProfileCaller, payment

Through = Callable[[str, str], ProfileCaller]
BEFORE = ["timeout", "500", "429", "html", "reset"]
AFTER = ["lost", "reset_after", "500_after", "502_html", "half"]


def arm(http: httpx.Client, gateway: str, operation: str, kind: str, **more: Any) -> None:
    failure = {"gateway": gateway, "operation": operation, "kind": kind, **more}
    http.post("/_sandbox/failures", json=failure).raise_for_status()


def trouble(call: Callable[[], httpx.Response]) -> str:
    """What a caller sees: the HTTP status, or the error of its own side."""
    try:
        answer = call()
    except httpx.HTTPError as error:
        return type(error).__name__
    return f"{answer.status_code} {answer.headers['Content-Type'].partition(';')[0]}"


SEEN = {
    "timeout": {"ReadTimeout"},
    "500": {"500 application/json"},
    "429": {"429 application/json"},
    "html": {"200 text/html"},
    "reset": {"ReadError", "WriteError", "RemoteProtocolError"},
    "lost": {"ReadTimeout"},
    "reset_after": {"ReadError", "RemoteProtocolError"},
    "500_after": {"500 application/json"},
    "502_html": {"502 text/html"},
    "half": {"RemoteProtocolError"},
}


@pytest.fixture
def impatient(http: httpx.Client) -> httpx.Client:
    http.timeout = httpx.Timeout(0.5)
    return http


@pytest.mark.parametrize("kind", [*BEFORE, *AFTER])
def test_gopays_charge_happens_or_does_not(gopay: MidtransCaller, impatient: httpx.Client, kind: str) -> None:
    body = charge_body()
    made = {"order_id": body["transaction_details"]["order_id"]}
    arm(impatient, "gopay", "charge", kind)
    assert trouble(lambda: gopay.post("charge", body, Idempotency_Key=made["order_id"])) in SEEN[kind]
    status = wait_until(lambda: gopay.status(made), "the status")
    assert status["status_code"] == ("404" if kind in BEFORE else "201")
    answer = gopay.post("charge", body, Idempotency_Key=made["order_id"]).json()
    assert (answer["status_code"], gopay.book(made)["charges"]) == ("201", 1)
    again = gopay.post("charge", body, Idempotency_Key="another-key").json()
    assert again["status_code"] == "406"


@pytest.mark.parametrize("kind", [*BEFORE, *AFTER])
def test_a_snap_charge_happens_or_does_not(through: Through, impatient: httpx.Client, kind: str) -> None:
    caller = through("linkaja", "nicepay")
    caller.token = caller.ask_token().json()["accessToken"]
    body = payment("linkaja", "nicepay")
    external_id = str(int(body["partnerReferenceNo"][:14], 16))
    arm(impatient, "linkaja", "charge", kind)
    assert trouble(lambda: caller.call("charge", body, X_EXTERNAL_ID=external_id)) in SEEN[kind]
    again = caller.call("charge", body, X_EXTERNAL_ID=external_id).json()
    assert again["responseCode"] == ("2005400" if kind in BEFORE else "4095400")
    members = {"originalExternalId": external_id, "serviceCode": "54"}
    assert caller.call("status", members).json()["latestTransactionStatus"] == "03"
    assert caller.book(body)["charges"] == 1


@pytest.mark.parametrize("kind", [*BEFORE, *AFTER])
def test_a_refund_happens_or_does_not(gopay: MidtransCaller, impatient: httpx.Client, kind: str) -> None:
    made = gopay.paid()
    body = {"refund_key": f"R-{made['order_id']}", "amount": 50_000}
    arm(impatient, "gopay", "refund", kind)
    assert trouble(lambda: gopay.post(f"{made['order_id']}/refund", body)) in SEEN[kind]
    assert len(gopay.book(made)["refunds"]) == (kind in AFTER)
    assert gopay.refund(made, **body)["transaction_status"] == "partial_refund"
    assert len(gopay.book(made)["refunds"]) == 1


@pytest.mark.parametrize("kind", ["lost", "reset_after", "500_after"])
@pytest.mark.parametrize("operation", ["cancel", "expire"])
def test_a_cancel_or_expiry_happens_all_the_same(
    gopay: MidtransCaller, impatient: httpx.Client, operation: str, kind: str
) -> None:
    made = gopay.charge()
    arm(impatient, "gopay", operation, kind)
    assert trouble(lambda: gopay.post(f"{made['order_id']}/{operation}")) in SEEN[kind]
    assert gopay.book(made)["state"] == {"cancel": "cancelled", "expire": "expired"}[operation]


def test_snap_refund_and_cancel_fail_after_the_effect(through: Through, http: httpx.Client) -> None:
    caller = through("ovo", "faspay")
    paid, open_one = caller.charge(), caller.charge()
    caller.act(paid, "pay")
    for operation, made, state in (("refund", paid, "refunded"), ("cancel", open_one, "cancelled")):
        arm(http, "ovo", operation, "500_after")
        answer = caller.refund(made) if operation == "refund" else caller.cancel(made)
        service = {"refund": "58", "cancel": "57"}[operation]
        assert (answer.status_code, answer.json()["responseCode"]) == (500, f"500{service}00")
        assert caller.book(made)["state"] == state


def test_a_dripping_answer_comes_byte_by_byte(gopay: MidtransCaller, http: httpx.Client) -> None:
    arm(http, "gopay", "charge", "drip", seconds=0.001)
    body = charge_body()
    parts = 0
    content = b""
    with http.stream(
        "POST",
        "/gopay/v2/charge",
        json=body,
        auth=("sandbox-SB-Mid-server-jembatan", ""),
        headers={"Accept": "application/json"},
    ) as answer:
        for part in answer.iter_raw():
            parts += 1
            content += part
        assert len(content) == int(answer.headers["Content-Length"])
    assert parts > len(content) / 20
    assert b'"status_code":"201"' in content


def test_any_response_code_on_demand_before_or_after(through: Through, http: httpx.Client) -> None:
    caller = through("linkaja", "dana")
    for kind, code, count in (("code", "4035414", 0), ("code_after", "2025400", 1), ("code", "5045400", 0)):
        body = payment("linkaja", "dana")
        arm(http, "linkaja", "charge", kind, code=code)
        answer = caller.call("charge", body)
        assert (answer.status_code, answer.json()["responseCode"]) == (int(code[:3]), code)
        found = http.get("/_sandbox/payments", params={"gateway": "linkaja"}).json()
        assert sum(one["reference"] == body["partnerReferenceNo"] for one in found) == count


def test_gopays_codes_on_demand_are_in_the_body(gopay: MidtransCaller, http: httpx.Client) -> None:
    for code, status in (("410", 200), ("503", 200), ("900", 200), ("429", 429), ("401", 401)):
        arm(http, "gopay", "charge", "code", code=code)
        answer = gopay.post("charge", charge_body())
        assert (answer.status_code, answer.json()["status_code"]) == (status, code)


@pytest.mark.parametrize(
    "failure",
    [
        {"gateway": "gopay", "operation": "charge", "kind": "code"},
        {"gateway": "gopay", "operation": "charge", "kind": "code", "code": "4005400"},
        {"gateway": "ovo", "operation": "charge", "kind": "code", "code": "400"},
        {"gateway": "ovo", "operation": "charge", "kind": "code", "code": "9995400"},
        {"gateway": "gopay", "operation": "report", "kind": "code", "code": "400"},
        {"gateway": "ovo", "operation": "refund", "kind": "refused"},
        {"gateway": "gopay", "operation": "charge", "kind": "refused"},
        {"gateway": "ovo", "operation": "expire", "kind": "500"},
    ],
)
def test_a_failure_that_makes_no_sense_is_not_armed(http: httpx.Client, failure: dict[str, Any]) -> None:
    assert http.post("/_sandbox/failures", json=failure).status_code == 422


def test_new_operations_are_counted(gopay: MidtransCaller, through: Through, http: httpx.Client) -> None:
    before = http.get("/_sandbox/calls").json()
    made, other = gopay.paid(), gopay.charge()
    gopay.refund(made)
    gopay.post(f"{made['order_id']}/refund/online/direct", {})
    gopay.post(f"{other['order_id']}/cancel")
    gopay.post(f"{other['order_id']}/expire")
    caller = through("ovo", "dana")
    charge = caller.charge()
    caller.status(charge)
    caller.cancel(charge)
    caller.refund(charge)
    after = http.get("/_sandbox/calls").json()

    def more(gateway: str) -> dict[str, int]:
        counted = {name: after[gateway][name] - before[gateway][name] for name in after[gateway]}
        return {name: number for name, number in counted.items() if number}

    assert more("gopay") == {"charge": 2, "refund": 2, "cancel": 1, "expire": 1}
    assert more("ovo") == {"charge": 1, "status": 1, "cancel": 1, "refund": 1}
