"""The official client works against the sandbox with only its address changed."""

from typing import Any

import httpx
import midtransclient
import pytest
from midtransclient.config import ApiConfig
from midtransclient.error_midtrans import MidtransAPIError
from sandbox_caller import GOPAY
from sandbox_midtrans import MidtransCaller, charge_body


@pytest.fixture
def official(address: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(ApiConfig, "CORE_SANDBOX_BASE_URL", f"{address}/gopay")
    return midtransclient.CoreApi(is_production=False, server_key=GOPAY[0])


def test_a_payment_from_charge_to_refund(official: Any, gopay: MidtransCaller) -> None:
    made = official.charge(charge_body())
    assert made["transaction_status"] == "pending"
    gopay.act(made, "pay").raise_for_status()
    assert official.transactions.status(made["order_id"])["transaction_status"] == "settlement"
    back = official.transactions.refund(made["order_id"], {"refund_key": made["order_id"], "amount": 50_000})
    assert back["transaction_status"] == "partial_refund"
    rest = official.transactions.refundDirect(made["transaction_id"])
    assert rest["transaction_status"] == "refund"


def test_cancel_and_expire(official: Any) -> None:
    one, two = official.charge(charge_body()), official.charge(charge_body())
    assert official.transactions.cancel(one["order_id"])["transaction_status"] == "cancel"
    assert official.transactions.expire(two["order_id"])["transaction_status"] == "expire"


def test_a_notification_is_read_and_confirmed(
    official: Any, gopay: MidtransCaller, http: httpx.Client
) -> None:
    made = gopay.paid()
    path = f"/_sandbox/payments/gopay/{made['order_id']}/notification"
    body = http.post(path, params={"send": "false"}).raise_for_status().json()["body"]
    assert official.transactions.notification(body)["transaction_status"] == "settlement"


@pytest.mark.parametrize(
    ("change", "code"), [({"transaction_details": {}}, "400"), ({"payment_type": "bank_transfer"}, "402")]
)
def test_refusals_are_errors_of_the_client(official: Any, change: dict[str, Any], code: str) -> None:
    with pytest.raises(MidtransAPIError) as refused:
        official.charge(charge_body(**change))
    assert refused.value.api_response_dict["status_code"] == code


def test_a_wrong_key_is_an_error_of_the_client(official: Any) -> None:
    official.api_config.set(server_key="SB-Mid-server-other")
    with pytest.raises(MidtransAPIError) as refused:
        official.transactions.status("nobody")
    assert refused.value.http_status_code == 401
