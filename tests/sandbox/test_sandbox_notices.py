"""Notifications: sent over HTTP, signed by each aggregator's rule, and as untidy as one wants them."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from sandbox_caller import GOPAY
from sandbox_listener import Box, Listener, Received, wait_until
from sandbox_midtrans import MidtransCaller
from sandbox_profiles import ProfileCaller, payment

from sandbox.gopay_notices import MidtransVoice
from sandbox.live import Charge
from sandbox.ovo import WALLET
from sandbox.ovo_direct import OvoDirect
from sandbox.snap_notices import MOST_TRIES, SnapVoice

Through = Callable[[str, str], ProfileCaller]


def is_signed(members: dict[str, Any]) -> bool:
    """Midtrans' signature, over the texts as received."""
    text = f"{members['order_id']}{members['status_code']}{members['gross_amount']}{GOPAY[0]}"
    return bool(members["signature_key"] == hashlib.sha512(text.encode()).hexdigest())


def habit(http: httpx.Client, gateway: str, **how: Any) -> None:
    http.post("/_sandbox/notifications", json={"gateway": gateway, **how}).raise_for_status()


def words(messages: list[Received]) -> list[str]:
    return [one.members["transaction_status"] for one in messages]


# --- GoPay -------------------------------------------------------------------------------------------------


def test_gopay_notifies_every_step(gopay: MidtransCaller, box: Box) -> None:
    made = gopay.charge(X_Override_Notification=box.url)
    box.wait(1)
    gopay.act(made, "pay").raise_for_status()
    box.wait(2)
    gopay.refund(made, refund_key="R-1", amount=50_000)
    messages = box.wait(4)
    assert words(messages) == ["pending", "settlement", "partial_refund", "partial_refund"]
    assert all(is_signed(one.members) for one in messages)
    assert [one.members["status_code"] for one in messages] == ["201", "200", "200", "200"]
    assert messages[1].members["settlement_time"]
    first, second = (one.members["refunds"][0] for one in messages[2:])
    assert ("bank_confirmed_at" in first, "bank_confirmed_at" in second) == (False, True)
    assert messages[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize(("act", "word"), [("cancel", "cancel"), ("expire", "expire"), ("deny", "deny")])
def test_gopay_says_202_of_what_came_to_nothing(gopay: MidtransCaller, box: Box, act: str, word: str) -> None:
    made = gopay.charge(X_Override_Notification=box.url)
    gopay.act(made, act).raise_for_status()
    wait_until(lambda: word in words(box.received), word)
    (told,) = [one.members for one in box.received if one.members["transaction_status"] == word]
    assert told["status_code"] == "202"
    assert is_signed(told)


def test_gopays_addresses_come_from_the_headers(gopay: MidtransCaller, merchant: Listener) -> None:
    registered, more, instead = merchant.box("gopay"), merchant.box(), merchant.box()
    added = gopay.charge(X_Append_Notification=more.url)
    both = gopay.charge(X_Append_Notification=more.url, X_Override_Notification=instead.url)
    plain = gopay.charge()
    wait_until(lambda: len(registered.received) >= 2, "the registered address")
    instead.wait(1)
    orders = {one.members["order_id"] for one in registered.received}
    assert {added["order_id"], plain["order_id"]} <= orders
    assert both["order_id"] not in orders
    assert [one.members["order_id"] for one in more.wait(1)] == [added["order_id"]]
    assert [one.members["order_id"] for one in instead.received] == [both["order_id"]]


@pytest.mark.parametrize(
    ("status", "tries"), [(200, 1), (204, 1), (302, 1), (500, 2), (400, 3), (404, 3), (503, 5), (401, 6)]
)
def test_gopay_tries_again_as_often_as_the_answer_deserves(
    gopay: MidtransCaller, http: httpx.Client, box: Box, status: int, tries: int
) -> None:
    habit(http, "gopay", pauses=[0.01])
    box.answers = [(status, b"{}", {"Location": "https://merchant.example/"})] * 10
    made = gopay.charge(X_Override_Notification=box.url)

    def log() -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = http.get(
            "/_sandbox/notifications", params={"reference": made["order_id"]}
        ).json()
        return shown

    wait_until(lambda: len(log()) >= tries, f"{tries} tries")
    assert status < 300 or MidtransVoice("").tries_after(status) == tries - 1
    assert [one["attempt"] for one in log()] == list(range(1, tries + 1))
    assert {one["status"] for one in log()} == {status}
    assert len({one.body for one in box.received}) == 1


def test_gopay_follows_only_a_redirect_that_keeps_the_message(
    gopay: MidtransCaller, box: Box, merchant: Listener
) -> None:
    end = merchant.box()
    box.answers = [(307, b"", {"Location": end.url})]
    gopay.charge(X_Override_Notification=box.url)
    (message,) = end.wait(1)
    assert message.body == box.received[0].body


def test_the_dashboards_test_message_is_of_an_order_that_does_not_exist(
    gopay: MidtransCaller, http: httpx.Client, merchant: Listener
) -> None:
    registered = merchant.box("gopay")
    sent = http.post("/_sandbox/notifications/test").raise_for_status().json()
    assert (sent["status"], sent["accepted"]) == (200, True)
    (message,) = [
        one for one in registered.received if one.members["order_id"].startswith("payment_notif_test_")
    ]
    assert is_signed(message.members)
    assert gopay.status(message.members)["status_code"] == "404"


# --- SNAP --------------------------------------------------------------------------------------------------


def checked(message: Received, caller: ProfileCaller, box: Box, key: RSAPrivateKey) -> bool:
    """Whether a message is signed by its aggregator's rule."""
    public, stamp = key.public_key(), message.headers["x-timestamp"]
    if caller.profile == "doku":
        asked = box.tokens[-1]
        assert asked.path == f"/{box.url.rpartition('/')[2]}/access-token/b2b"
        assert asked.headers["x-client-key"] == "sandbox-ovo"
        assert asked.members == {"grantType": "client_credentials"}
        assert asked.is_rsa(public, f"sandbox-ovo|{asked.headers['x-timestamp']}")
        token = message.headers["authorization"].removeprefix("Bearer ")
        assert token == f"token-{len(box.tokens)}"
        return message.is_hmac("sandbox-ovo-secret", token)
    assert "authorization" not in message.headers
    if caller.profile == "nicepay":
        return message.is_rsa(public, f"{caller.client_id}|{stamp}")
    digest = hashlib.sha256(message.body).hexdigest()
    return message.is_rsa(public, f"POST:{message.path}:{digest}:{stamp}")


def test_snap_notifies_a_payment_by_its_aggregators_rule(
    route: ProfileCaller, box: Box, provider_key: RSAPrivateKey
) -> None:
    made = route.charge(box.url)
    route.act(made, "pay").raise_for_status()
    (message,) = box.wait(1)
    members = message.members
    assert checked(message, route, box, provider_key)
    assert members["originalPartnerReferenceNo"] == made["partnerReferenceNo"]
    assert members["originalReferenceNo"] == made["referenceNo"]
    assert members["merchantId"] == "sandbox-merchant"
    assert members["amount"] == {"value": "150000.00", "currency": "IDR"}
    assert members["latestTransactionStatus"] == "00"
    assert message.headers["x-partner-id"] == route.client_id
    assert message.headers["x-external-id"].isdecimal()
    assert message.headers["channel-id"] == "95221"
    assert datetime.fromisoformat(message.headers["x-timestamp"]).tzinfo


def test_snap_notifies_what_came_to_nothing(route: ProfileCaller, box: Box) -> None:
    for act, code in (("deny", "06"), ("cancel", "05"), ("expire", "05")):
        made = route.charge(box.url)
        route.act(made, act).raise_for_status()
        wait_until(
            lambda made=made: (
                box.received
                and box.received[-1].members["originalPartnerReferenceNo"] == made["partnerReferenceNo"]
            ),
            act,
        )
        wanted = "05" if route.profile == "dana" else code
        assert box.received[-1].members["latestTransactionStatus"] == wanted


def test_danas_message_has_milliseconds_and_text_within_text(through: Through, box: Box) -> None:
    caller = through("linkaja", "dana")
    made = caller.charge(box.url)
    caller.act(made, "pay")
    (message,) = box.wait(1)
    members = message.members
    times = [members["createdTime"], members["finishedTime"], members["additionalInfo"]["paidTime"]]
    assert all(one.isdecimal() and len(one) == 13 for one in times)
    paid = members["additionalInfo"]["paymentInfo"]
    assert json.loads(paid["extendInfo"]) == {"externalPromoInfos": []}
    assert rb"\"externalPromoInfos\"" in message.body
    assert paid["payOptionInfos"][0]["payOption"] == "NETWORK_PAY_PG_LINKAJA"


@pytest.mark.parametrize(("profile", "told"), [("dana", ["00"]), ("faspay", ["00", "04"])])
def test_dana_does_not_notify_refunds_others_do(
    through: Through, box: Box, profile: str, told: list[str]
) -> None:
    caller = through("ovo", profile)
    made, later = caller.charge(box.url), caller.charge(box.url)
    caller.act(made, "pay")
    box.wait(1)
    assert caller.refund(made).json()["responseCode"] == "2005800"
    box.wait(len(told))
    caller.act(later, "pay")
    messages = [one.members for one in box.wait(len(told) + 1)]
    mine = [one for one in messages if one["originalPartnerReferenceNo"] == made["partnerReferenceNo"]]
    assert [one["latestTransactionStatus"] for one in mine] == told


def test_without_an_address_snap_uses_the_registered_one(
    through: Through, merchant: Listener, provider_key: RSAPrivateKey
) -> None:
    registered = merchant.box("ovo")
    caller = through("ovo", "doku")
    body = payment("ovo", "doku")
    del body["urlParam"]
    made = caller.call("charge", body).json()
    caller.act(made, "pay")
    (message,) = registered.wait(1)
    assert message.path == "/ovo"
    token = message.headers["authorization"].removeprefix("Bearer ")
    assert message.is_hmac("sandbox-ovo-secret", token)


def test_the_query_of_an_address_is_signed(through: Through, box: Box, provider_key: RSAPrivateKey) -> None:
    for gateway, profile in (("linkaja", "faspay"), ("ovo", "doku")):
        caller = through(gateway, profile)
        made = caller.charge(f"{box.url}?from={profile}")
        caller.act(made, "pay")
        wait_until(lambda p=profile: box.received and box.received[-1].path.endswith(p), profile)
        assert checked(box.received[-1], caller, box, provider_key)


def test_doku_keeps_its_token_and_takes_a_new_one_when_it_is_refused(through: Through, box: Box) -> None:
    caller = through("ovo", "doku")
    for _ in range(2):
        caller.act(caller.charge(box.url), "pay")
    box.wait(2)
    kept = len(box.tokens)
    assert {one.headers["authorization"] for one in box.received} == {f"Bearer token-{kept}"}
    habit(caller.http, "ovo", pauses=[0.05])
    box.answers = [(401, b'{"responseCode":"4015601"}', {})]
    caller.act(caller.charge(box.url), "pay")
    last = box.wait(4)[-1]
    assert last.headers["authorization"] == f"Bearer token-{kept + 1}"
    assert last.is_hmac("sandbox-ovo-secret", f"token-{kept + 1}")


@pytest.mark.parametrize(
    "answer", [(500, b"{}"), (200, b"<html>"), (200, b'{"responseCode":"4005600"}'), (201, b"{}")]
)
def test_snap_tries_three_times_more_until_it_gets_a_yes(
    through: Through, box: Box, answer: tuple[int, bytes]
) -> None:
    caller = through("linkaja", "nicepay")
    habit(caller.http, "linkaja", pauses=[0.01])
    box.answers = [(*answer, {})] * 9
    made = caller.charge(box.url)
    caller.act(made, "pay")
    box.wait(4)
    where = {"reference": made["partnerReferenceNo"]}
    log = wait_until(
        lambda: len(found := caller.http.get("/_sandbox/notifications", params=where).json()) >= 4 and found,
        "the log",
    )
    assert [one["accepted"] for one in log] == [False] * 4
    assert len({one.headers["x-external-id"] for one in box.received}) == 1
    assert MOST_TRIES == 3


def test_ovo_itself_notifies_nothing(provider_key: RSAPrivateKey) -> None:
    voice = SnapVoice(OvoDirect(), WALLET, provider_key, "http://127.0.0.1:9")
    moment = datetime.now(UTC)
    charge = Charge("ovo", "ovo-direct", "T-1", "1", 100, moment, moment, state="settled")
    assert voice.notices(charge) == []


def test_a_merchant_without_a_token_endpoint_gets_nothing_of_doku(
    through: Through, http: httpx.Client
) -> None:
    caller = through("ovo", "doku")
    habit(http, "ovo", pauses=[0.01])
    made = caller.charge("http://127.0.0.1:9/n")
    path = f"/_sandbox/payments/ovo/{made['partnerReferenceNo']}/notification"
    assert http.post(path, params={"send": "false"}).status_code == 502
    sent = http.post(path).json()
    assert (sent["status"], sent["error"]) == (None, "the merchant gave no token: ConnectError")


# --- how a gateway notifies --------------------------------------------------------------------------------


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
    log = http.get("/_sandbox/notifications", params={"reference": made["order_id"]})
    assert message.members["transaction_time"] == made_at.isoformat(" ")
    assert len(wait_until(log.json, "the log")) == 1


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
