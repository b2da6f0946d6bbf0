"""How a gateway notifies can be chosen, and any message can be had signed without being sent."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from sandbox_listener import Box, Received, checked, habit, is_signed, wait_until, words
from sandbox_midtrans import MidtransCaller
from sandbox_profiles import ProfileCaller

Through = Callable[[str, str], ProfileCaller]


def test_twice_is_twice_the_same(gopay: MidtransCaller, http: httpx.Client, box: Box) -> None:
    habit(http, "gopay", mode="twice")
    gopay.charge(X_Override_Notification=box.url)
    one, two = box.wait(2)
    assert one.body == two.body


def test_n_times_is_as_often_as_said(through: Through, box: Box) -> None:
    caller = through("linkaja", "faspay")
    habit(caller.http, "linkaja", mode="times", times=5)
    caller.act(caller.charge(box.url), "pay")
    assert len(box.wait(5)) == 5


def test_late_is_late(gopay: MidtransCaller, http: httpx.Client, box: Box) -> None:
    habit(http, "gopay", mode="late", seconds=0.7)
    made = gopay.charge(X_Override_Notification=box.url)
    assert box.received == []
    (message,) = box.wait(1)
    made_at = datetime.fromisoformat(made["transaction_time"])
    assert message.members["transaction_time"] == made_at.isoformat(" ")

    def log() -> list[Any]:  # written once the answer is there
        asked = http.get("/_sandbox/notifications", params={"reference": made["order_id"]})
        return list(asked.json())

    assert len(wait_until(log, "the log")) == 1


def test_out_of_order_sends_the_settlement_before_the_pending(
    gopay: MidtransCaller, http: httpx.Client, box: Box
) -> None:
    habit(http, "gopay", mode="out_of_order", seconds=30)
    made = gopay.charge(X_Override_Notification=box.url)
    gopay.act(made, "pay")
    messages = box.wait(2)
    assert words(messages) == ["settlement", "pending"]
    assert all(is_signed(one.members) for one in messages)


def test_what_nothing_overtakes_is_sent_after_all(
    gopay: MidtransCaller, http: httpx.Client, box: Box
) -> None:
    habit(http, "gopay", mode="out_of_order", seconds=0.2)
    gopay.charge(X_Override_Notification=box.url)
    assert words(box.wait(1)) == ["pending"]


def test_never_is_never_but_on_demand(gopay: MidtransCaller, http: httpx.Client, box: Box) -> None:
    habit(http, "gopay", mode="never")
    made = gopay.charge(X_Override_Notification=box.url)
    gopay.act(made, "pay")
    sent = http.post(f"/_sandbox/payments/gopay/{made['order_id']}/notification").raise_for_status().json()
    assert (sent["status"], sent["word"], sent["accepted"]) == (200, "settlement", True)
    assert words(box.received) == ["settlement"]


def test_an_act_may_be_kept_quiet(route: ProfileCaller, box: Box) -> None:
    quiet, loud = route.charge(box.url), route.charge(box.url)
    route.act(quiet, "pay", notify=False)
    route.act(loud, "pay")
    (message,) = box.wait(1)
    assert message.members["originalPartnerReferenceNo"] == loud["partnerReferenceNo"]


def test_the_log_tells_what_was_answered(gopay: MidtransCaller, http: httpx.Client, box: Box) -> None:
    box.answers = [(200, b'{"thanks":true}', {})]
    made = gopay.charge(X_Override_Notification=box.url)
    where = {"reference": made["order_id"], "gateway": "gopay"}
    (entry,) = wait_until(lambda: http.get("/_sandbox/notifications", params=where).json(), "the log")
    assert (entry["status"], entry["body"], entry["url"]) == (200, '{"thanks":true}', box.url)
    assert entry["milliseconds"] >= 0
    http.delete("/_sandbox/notifications").raise_for_status()
    assert http.get("/_sandbox/notifications", params=where).json() == []


def test_nobody_at_home_is_tried_again(gopay: MidtransCaller, http: httpx.Client) -> None:
    habit(http, "gopay", pauses=[0.01])
    made = gopay.charge(X_Override_Notification="http://127.0.0.1:9/")
    where = {"reference": made["order_id"]}
    log = wait_until(
        lambda: len(found := http.get("/_sandbox/notifications", params=where).json()) == 6 and found,
        "six tries",
    )
    assert {(one["status"], one["error"]) for one in log} == {(None, "ConnectError")}


# --- messages made to order --------------------------------------------------------------------------------


def shown(caller: ProfileCaller | MidtransCaller, path: str, **odd: Any) -> Received:
    """A message that is not sent."""
    answer = caller.http.post(
        f"/_sandbox/payments/{path}/notification", params={"send": "false"}, json=odd
    ).raise_for_status()
    message = answer.json()
    assert message["method"] == "POST"
    assert message["url"].endswith(message["path"])
    headers = {name.lower(): value for name, value in message["headers"].items()}
    return Received(message["path"], headers, message["body"].encode())


def test_an_odd_message_is_rightly_signed(
    route: ProfileCaller, box: Box, provider_key: RSAPrivateKey
) -> None:
    made = route.charge(box.url)
    path = f"{route.gateway}/{made['partnerReferenceNo']}"
    odd = {"state": "99", "amount": "1.5e5", "currency": "USD", "merchant": "x", "reference": "other"}
    stamp = "2026-11-01T10:00:00+07:00"
    message = shown(route, path, **odd, timestamp=stamp, fields={"extra": 1, "createdTime": None})
    members = message.members
    assert checked(message, route, box, provider_key)
    assert members["latestTransactionStatus"] == "99"
    assert members["amount"] == {"value": "1.5e5", "currency": "USD"}
    assert (members["merchantId"], members["originalPartnerReferenceNo"]) == ("x", "other")
    assert (members["extra"], "createdTime" in members) == (1, False)
    assert message.headers["x-timestamp"] == stamp
    text = shown(route, path, body='{"a": "\\u00e9"}')
    assert text.body == b'{"a": "\\u00e9"}'
    assert checked(text, route, box, provider_key)
    assert box.received == []
    assert route.book(made)["state"] == "pending"


def test_a_state_by_name_is_the_message_of_that_state(
    route: ProfileCaller, gopay: MidtransCaller, box: Box
) -> None:
    made = route.charge(box.url)
    path = f"{route.gateway}/{made['partnerReferenceNo']}"
    assert shown(route, path, state="paid").members["latestTransactionStatus"] == "00"
    order = gopay.charge()
    told = shown(gopay, f"gopay/{order['order_id']}", state="paid").members
    assert (told["transaction_status"], told["status_code"]) == ("settlement", "200")
    assert told["settlement_time"]
    assert gopay.status(order)["transaction_status"] == "pending"


def test_gopays_odd_message_is_rightly_signed(gopay: MidtransCaller) -> None:
    made = gopay.paid()
    path = f"gopay/{made['order_id']}"
    odd = shown(gopay, path, amount="150000", currency="USD", fields={"status_code": "201"}).members
    assert (odd["gross_amount"], odd["currency"], odd["status_code"]) == ("150000", "USD", "201")
    assert is_signed(odd)
    forged = shown(gopay, path, state="refund").members
    assert forged["transaction_status"] == "refund"
    assert is_signed(forged)
    wrong = shown(gopay, path, fields={"signature_key": "0" * 128}).members
    assert not is_signed(wrong)
    assert shown(gopay, path, body="{").body == b"{"
