"""Notifications: sent over HTTP, signed by each aggregator's rule, and as untidy as one wants them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from sandbox_listener import Box, Listener, checked, habit, is_signed, wait_until, words
from sandbox_midtrans import MidtransCaller
from sandbox_profiles import ProfileCaller, payment

from sandbox.gopay_notices import MidtransVoice
from sandbox.live import Charge
from sandbox.ovo import WALLET
from sandbox.ovo_direct import OvoDirect
from sandbox.snap_notices import MOST_TRIES, SnapVoice

Through = Callable[[str, str], ProfileCaller]


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
