"""What gateways send us: rightly signed messages and their claims, and what we answer."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from counterpart import midtrans, snap
from messages import (
    GATEWAYS,
    OF_SNAP,
    PATH,
    SNAP_BODY,
    claim,
    is_ours,
    message_of,
    midtrans_message,
    refused,
    snap_message,
)

from providers.base import BadNotification
from providers.gopay import GoPay
from providers.ovo import Ovo


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_rightly_signed_message_is_read(name: str) -> None:
    said = GATEWAYS[name].read_notification(message_of(name), is_ours)
    assert (said.reference, said.state, said.amount_minor, said.currency) == (
        "INV-1",
        "paid",
        15_000_000,
        "IDR",
    )
    assert said.at == datetime(2026, 11, 25, 1, 59, 58, tzinfo=UTC)
    assert said.gateway_reference in ("THEIRS-1", "231c79c5")
    assert not said.merchant_differs
    assert not said.is_test
    # where the signature leaves the state or the body out, the claim has to be confirmed
    assert said.confirm is (name in ("gopay", "nicepay"))


@pytest.mark.parametrize("profile", OF_SNAP)
def test_a_body_is_signed_as_it_travels_or_in_its_tight_form(profile: str) -> None:
    tight = json.dumps(SNAP_BODY, separators=(",", ":")).encode()
    for travels in (tight, json.dumps(SNAP_BODY, indent=2).encode()):
        for signed in (travels, tight):
            message = snap_message(profile, travels, signed=signed)
            assert GATEWAYS[profile].read_notification(message, is_ours).reference == "INV-1"


def test_the_query_of_the_registered_address_is_signed() -> None:
    body = json.dumps(SNAP_BODY).encode()
    message = snap_message("dana", body, path=f"{PATH}?shop=1")
    assert GATEWAYS["dana"].read_notification(message).state == "paid"
    assert refused("dana", replace(message, path=PATH)) == (401, "signature")


@pytest.mark.parametrize(
    ("value", "minor"),
    [
        ("150000.00", 15_000_000), ("150000", None), ("150000.0", None), ("150000.000", None), (150000, None),
        (150000.0, None), ("1e5", None), ("", None), (None, None), ("-1.00", None), (" 1.00", None),
        ({}, None),
        ("１50000.00", None), ("0150000.00", None), ("00.00", None), ("0.50", 50),
    ],
)  # fmt: skip
def test_an_amount_has_exactly_two_decimals_or_is_none(value: Any, minor: int | None) -> None:
    assert claim("dana", amount={"value": value, "currency": "IDR"}).amount_minor == minor
    if isinstance(value, str) and value:
        assert GATEWAYS["gopay"].read_notification(midtrans_message(gross_amount=value)).amount_minor == minor


def test_a_claim_without_an_amount_or_with_odd_members_is_still_a_claim() -> None:
    for amount in (..., None, [], "150000.00", {}):
        said = claim("dana", amount=amount)
        assert (said.amount_minor, said.currency) == (None, None)
    for odd in (None, 7, ["00"], {}, "00\x00", "x" * 300):
        assert claim("dana", latestTransactionStatus=odd).state == "unknown"
        assert claim("dana", originalReferenceNo=odd).gateway_reference is None or odd == "00"
        assert claim("dana", finishedTime=odd).at is None
        assert claim("dana", additionalInfo=odd).state == "paid"


@pytest.mark.parametrize(
    ("word", "state"), [("04", "refunded"), ("05", "cancelled"), ("06", "denied"), ("42", "unknown")]
)
def test_states_are_those_of_the_status_service(word: str, state: str) -> None:
    said = claim("faspay", latestTransactionStatus=word)
    assert (said.state, said.word) == (state, word)


def test_refunds_in_a_message_make_its_state() -> None:
    history = [{"refundAmount": {"value": "50000.00"}, "refundStatus": "00"}]
    assert claim("dana", additionalInfo={"refundHistory": history}).state == "partially_refunded"


@pytest.mark.parametrize(
    ("merchant", "differs"), [("10007", False), ("10008", True), ("", False), (..., False), (7, True)]
)
def test_another_merchant_is_noticed(merchant: Any, differs: bool) -> None:
    assert claim("dana", merchantId=merchant).merchant_differs is differs
    mine = "G10007" if merchant == "10007" else merchant
    assert GATEWAYS["gopay"].read_notification(midtrans_message(merchant_id=mine)).merchant_differs is differs


@pytest.mark.parametrize("merchant", [..., "", None])
def test_a_key_that_signs_for_all_merchants_is_believed_only_where_we_are_named(merchant: Any) -> None:
    """Another merchant's message for the same reference and amount must not pay ours."""
    for profile in ("faspay", "dana"):
        assert not claim(profile).confirm
        assert claim(profile, merchantId=merchant).confirm
    assert not claim("doku", merchantId=merchant).confirm  # signed with what only we and they have


def test_without_a_merchant_of_ours_none_differs() -> None:
    gateway = Ovo(snap("faspay", merchant_id=""))
    message = snap_message("faspay", json.dumps(SNAP_BODY).encode())
    assert not gateway.read_notification(message).merchant_differs
    assert not GoPay(midtrans(merchant_id="")).read_notification(midtrans_message()).merchant_differs


# Midtrans


def test_midtrans_is_always_confirmed_and_its_dashboard_tests_are_told_apart() -> None:
    read = GATEWAYS["gopay"].read_notification
    assert read(midtrans_message()).confirm
    assert not read(midtrans_message()).is_test
    assert read(midtrans_message(order_id="payment_notif_test_G10007_4711")).is_test


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({"transaction_status": "PENDING", "status_code": "201"}, "pending"),
        ({"transaction_status": "deny", "status_code": "202"}, "reversed"),
        ({"transaction_status": "deny", "status_code": "202", "settlement_time": ...}, "denied"),
        ({"fraud_status": "deny"}, "denied"), ({"payment_type": "qris"}, "paid"),
        ({"transaction_status": "expire", "status_code": "202"}, "expired"),
        ({"transaction_status": ...}, "unknown"), ({"transaction_status": 7}, "unknown"),
    ],
)  # fmt: skip
def test_states_of_midtrans(changed: dict[str, Any], state: str) -> None:
    assert GATEWAYS["gopay"].read_notification(midtrans_message(**changed)).state == state


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"signature_key": "0" * 128}, 401), ({"signature_key": ...}, 401), ({"signature_key": 7}, 401),
        ({"signature_key": "é"}, 401), ({"order_id": 7}, 400), ({"order_id": ""}, 400),
        ({"status_code": 200}, 400), ({"gross_amount": 150000.0}, 400), ({"gross_amount": None}, 400),
        ({"order_id": "a\x00b"}, 400),
    ],
)  # fmt: skip
def test_a_message_of_midtrans_that_is_not_taken(changed: dict[str, Any], status: int) -> None:
    assert refused("gopay", midtrans_message(**changed))[0] == status


# Replies


@pytest.mark.parametrize("profile", OF_SNAP)
def test_the_replies_of_snap(profile: str) -> None:
    gateway = GATEWAYS[profile]
    yes = gateway.acknowledge()
    assert (yes.status, json.loads(yes.body)) == (
        200,
        {"responseCode": "2005600", "responseMessage": "Successful"},
    )
    assert yes.headers["Content-Type"] == "application/json"
    assert yes.headers["X-TIMESTAMP"].endswith("Z" if profile == "doku" else "+07:00")
    for status in (400, 401, 413):
        problem = BadNotification(status, "reason")  # type: ignore[arg-type]
        for reply, service in ((gateway.refuse(problem), "56"), (gateway.refuse_token(problem), "73")):
            assert (reply.status, json.loads(reply.body)["responseCode"]) == (status, f"{status}{service}00")
            assert "X-TIMESTAMP" in reply.headers


def test_the_replies_of_midtrans() -> None:
    gateway = GATEWAYS["gopay"]
    assert (gateway.acknowledge().status, json.loads(gateway.acknowledge().body)) == (200, {"status": "ok"})
    for status in (400, 401, 413):
        reply = gateway.refuse(BadNotification(status, "json"))  # type: ignore[arg-type]
        assert (reply.status, json.loads(reply.body)) == (status, {"status": "refused", "reason": "json"})
