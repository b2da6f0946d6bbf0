"""What travels to Midtrans: every header, path and member, as a server receives it."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from counterpart import SERVER_KEY, Counterpart, charge_answer, midtrans, order, refund_order, status_answer

from common.errors import BadInput, Rejected
from common.settings import Midtrans
from providers.base import Learner
from providers.gopay import GoPay


@pytest.fixture
def gopay(there: Counterpart) -> Iterator[GoPay]:
    gateway = GoPay(midtrans(f"{there.url}/base/"))
    yield gateway
    gateway.close()


def test_a_charge_to_the_letter(there: Counterpart, gopay: GoPay) -> None:
    there.says(200, charge_answer())
    gopay.create_charge(order())
    call = there.last
    assert (call.method, call.path) == ("POST", "/base/v2/charge")
    assert call.headers["content-type"] == call.headers["accept"] == "application/json"
    assert base64.b64decode(call.headers["authorization"].removeprefix("Basic ")).decode() == f"{SERVER_KEY}:"
    assert call.headers["idempotency-key"] == "charge-26112509000000000000000000004711"
    assert len(call.headers["idempotency-key"]) <= 46
    assert call.headers["x-override-notification"] == order().notify_url
    assert "x-append-notification" not in call.headers
    assert call.members == {
        "payment_type": "gopay",
        "transaction_details": {"order_id": "INV-2026~004.711_x", "gross_amount": 150_000},
        "customer_details": {
            "first_name": "Siti Rahma",
            "email": "siti@example.id",
            "phone": "+6281234567890",
        },
        "gopay": {"enable_callback": True, "callback_url": order().return_url},
        "custom_expiry": {
            "order_time": "2026-11-25 09:00:00 +0700",
            "expiry_duration": 900,
            "unit": "second",
        },
    }


def test_the_same_order_again_is_the_same_call(there: Counterpart, gopay: GoPay) -> None:
    for _ in range(2):
        there.says(200, charge_answer())
        gopay.create_charge(order())
    first, second = there.calls
    assert first == second


def test_every_operation_has_a_key_of_its_own(there: Counterpart, gopay: GoPay) -> None:
    """Midtrans answers a key with what it answered first, whatever is asked."""
    for answer in (
        charge_answer(),
        status_answer("cancel"),
        status_answer("expire", "407"),
        status_answer("refund"),
    ):
        there.says(200, answer)
    one = "4711"
    gopay.create_charge(order(external_id=one))
    gopay.cancel_charge("INV-1", one)
    gopay.cancel_charge("INV-1", one, expire=True)
    gopay.refund(refund_order(external_id=one))
    assert len({call.headers["idempotency-key"] for call in there.calls}) == 4


def test_what_is_not_known_of_the_payer_or_wanted_is_left_out(there: Counterpart, gopay: GoPay) -> None:
    there.says(200, charge_answer())
    gopay.create_charge(order(learner=Learner("learner-4711"), notify_url=""))
    assert "customer_details" not in there.last.members
    assert "x-override-notification" not in there.last.headers


@pytest.mark.parametrize("changed", [{"currency": "USD"}, {"amount_minor": 15_000_001}])
def test_only_whole_rupiah_are_charged(there: Counterpart, gopay: GoPay, changed: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match="whole rupiah"):
        gopay.create_charge(order(**changed))
    with pytest.raises(Rejected, match="whole rupiah"):
        gopay.refund(refund_order(**changed))
    assert there.calls == []


def test_cancel_expire_refund_and_status_to_the_letter(there: Counterpart, gopay: GoPay) -> None:
    there.says(200, status_answer("cancel"))
    gopay.cancel_charge("INV-1", "4713")
    there.says(200, status_answer("expire", "407"))
    gopay.cancel_charge("INV-1", "4713", expire=True)
    there.says(200, status_answer("partial_refund"))
    gopay.refund(refund_order(amount_minor=5_000_000, reason="z" * 300))
    there.says(200, status_answer("settlement"))
    gopay.get_charge("INV-1", "4711")
    cancel, expire, refund, status = there.calls
    assert (cancel.method, cancel.path, cancel.members) == ("POST", "/base/v2/INV-1/cancel", {})
    assert (expire.method, expire.path, expire.members) == ("POST", "/base/v2/INV-1/expire", {})
    assert (refund.method, refund.path) == ("POST", "/base/v2/INV-2026~004.711_x/refund")
    assert refund.members == {"refund_key": "RF-0001", "amount": 50_000, "reason": "z" * 255}
    assert (status.method, status.path, status.body) == ("GET", "/base/v2/INV-1/status", b"")
    assert "idempotency-key" not in status.headers
    assert all(call.headers["accept"] == "application/json" for call in there.calls)


def test_a_server_key_that_is_missing_is_named(there: Counterpart) -> None:
    nothing = Midtrans.model_fields["server_key"].default
    with pytest.raises(BadInput, match="JEMBATAN_GOPAY__SERVER_KEY"):
        GoPay(midtrans(there.url, server_key=nothing)).get_charge("INV-1")
