"""GoPay's charge: one wrong thing at a time is refused, and what is made works as Midtrans says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sandbox_caller import GOPAY
from sandbox_listener import wait_until
from sandbox_midtrans import MidtransCaller, charge_body

ACTIONS = {"generate-qr-code", "generate-qr-code-v2", "deeplink-redirect", "get-status", "cancel"}
DETAILS = {"order_id": "T-1", "gross_amount": 150_000}
ITEM = {"id": "W2", "price": 150_000, "quantity": 1, "name": "Welding"}


def wib(text: str = "%Y-%m-%d %H:%M:%S +0700", ahead: timedelta = timedelta(0)) -> str:
    return (datetime.now(UTC) + timedelta(hours=7) + ahead).strftime(text)


def test_a_charge_has_everything_that_midtrans_prints(gopay: MidtransCaller) -> None:
    body = charge_body()
    answer = gopay.post("charge", body)
    made = answer.json()
    assert answer.status_code == 200
    assert made["status_code"] == "201"
    assert made["order_id"] == body["transaction_details"]["order_id"]
    assert made["gross_amount"] == "150000.00"
    assert (made["currency"], made["payment_type"]) == ("IDR", "gopay")
    assert (made["transaction_status"], made["fraud_status"]) == ("pending", "accept")
    assert (made["channel_response_code"], made["channel_response_message"]) == ("200", "Success")
    begin, end = (datetime.fromisoformat(made[name]) for name in ("transaction_time", "expiry_time"))
    assert end - begin == timedelta(minutes=15)
    assert "signature_key" not in made
    assert gopay.book(made)["charges"] == 1


def test_actions_are_found_by_name_and_lead_somewhere(gopay: MidtransCaller) -> None:
    made = gopay.charge()
    urls = {one["name"]: one["url"] for one in made["actions"]}
    assert set(urls) == ACTIONS
    assert httpx.get(urls["get-status"], auth=GOPAY).json()["transaction_status"] == "pending"
    for name in ("generate-qr-code", "generate-qr-code-v2"):
        picture = httpx.get(urls[name])
        assert (picture.status_code, picture.headers["Content-Type"]) == (200, "image/svg+xml")
        assert "not a real QR code" in picture.text
    assert "Bayar" in httpx.get(urls["deeplink-redirect"]).text
    assert httpx.post(urls["cancel"], auth=GOPAY).json()["transaction_status"] == "cancel"


def test_actions_come_in_no_order(gopay: MidtransCaller) -> None:
    orders = {tuple(one["name"] for one in gopay.charge()["actions"]) for _ in range(12)}
    assert len(orders) > 1


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"payment_type": None}, "payment_type"),
        ({"payment_type": "gopei"}, "payment_type"),
        ({"transaction_details": None}, "transaction_details"),
        ({"transaction_details": DETAILS | {"order_id": ""}}, "order_id"),
        ({"transaction_details": DETAILS | {"order_id": 12}}, "order_id"),
        ({"transaction_details": DETAILS | {"order_id": "T" * 51}}, "50"),
        ({"transaction_details": DETAILS | {"order_id": "T 1"}}, "symbol"),
        ({"transaction_details": DETAILS | {"order_id": "T/1"}}, "symbol"),
        ({"transaction_details": DETAILS | {"order_id": "Té"}}, "symbol"),
        ({"transaction_details": {"order_id": "T-1"}}, "gross_amount"),
        ({"transaction_details": DETAILS | {"gross_amount": "150000"}}, "decimals"),
        ({"transaction_details": DETAILS | {"gross_amount": 150_000.0}}, "decimals"),
        ({"transaction_details": DETAILS | {"gross_amount": True}}, "decimals"),
        ({"transaction_details": DETAILS | {"gross_amount": 0}}, "gross_amount"),
        ({"item_details": [ITEM | {"price": 149_999}]}, "sum"),
        ({"item_details": [ITEM | {"quantity": 2}]}, "sum"),
        ({"item_details": [ITEM | {"price": 150_000.0}]}, "item_details"),
        ({"item_details": [ITEM | {"name": ""}]}, "name"),
        ({"item_details": []}, "item_details"),
        ({"customer_details": "Siti"}, "customer_details"),
        ({"customer_details": {"email": "siti"}}, "email"),
        ({"gopay": {"enable_callback": "yes"}}, "enable_callback"),
        ({"gopay": {"enable_callback": True, "callback_url": "merchant"}}, "callback_url"),
        ({"custom_expiry": {"expiry_duration": 19, "unit": "second"}}, "20 seconds"),
        ({"custom_expiry": {"expiry_duration": 8, "unit": "day"}}, "7 days"),
        ({"custom_expiry": {"expiry_duration": 169, "unit": "hour"}}, "7 days"),
        ({"custom_expiry": {"expiry_duration": 1.5}}, "expiry_duration"),
        ({"custom_expiry": {"expiry_duration": "60"}}, "expiry_duration"),
        ({"custom_expiry": {"unit": "hour"}}, "expiry_duration"),
        ({"custom_expiry": {"expiry_duration": 60, "unit": "fortnight"}}, "unit"),
        ({"custom_expiry": {"order_time": "2026-11-25 10:00:00", "expiry_duration": 60}}, "order_time"),
        ({"custom_expiry": {"order_time": "2026-11-25T10:00:00+07:00", "expiry_duration": 60}}, "order_time"),
        ({"custom_expiry": {"order_time": "2026-13-25 10:00:00 +0700", "expiry_duration": 60}}, "order_time"),
        ({"custom_expiry": {"order_time": "2025-01-01 10:00:00 +0700", "expiry_duration": 60}}, "past"),
        ({"custom_field1": "x" * 256}, "custom_field1"),
        ({"metadata": "x"}, "metadata"),
    ],
)
def test_a_charge_that_is_wrong_is_400_with_what_is_wrong(
    gopay: MidtransCaller, change: dict[str, Any], word: str
) -> None:
    answer = gopay.post("charge", charge_body(**change))
    refusal = answer.json()
    assert (answer.status_code, refusal["status_code"]) == (200, "400")
    assert any(word in one for one in refusal["validation_messages"])
    assert refusal["id"]


def test_everything_that_is_wrong_is_said_at_once(gopay: MidtransCaller) -> None:
    wrong = charge_body(transaction_details={"order_id": "a b", "gross_amount": -1}, item_details=[])
    assert len(gopay.post("charge", wrong).json()["validation_messages"]) == 3


@pytest.mark.parametrize(
    ("content", "headers", "code"),
    [
        (b"{", {}, "413"),
        (b"[1]", {}, "408"),
        (b"\xff\xfe", {}, "413"),
        (b"{}", {"Content_Type": "text/plain"}, "413"),
        (b"{}", {"Content_Type": "application/x-www-form-urlencoded"}, "413"),
        (b"{}", {"Accept": "text/html"}, "403"),
        (b'{"payment_type":"bank_transfer"}', {}, "402"),
        (b'{"payment_type":"qris"}', {}, "402"),
    ],
)
def test_what_is_no_charge_at_all_has_a_code_of_its_own(
    gopay: MidtransCaller, content: bytes, headers: dict[str, str], code: str
) -> None:
    answer = gopay.post("charge", content, **headers)
    assert (answer.status_code, answer.json()["status_code"]) == (200, code)


@pytest.mark.parametrize("auth", [None, ("sandbox-other", ""), (GOPAY[0], "x"), ("SB-Mid-server-x", "")])
@pytest.mark.parametrize("path", ["charge", "T-1/cancel", "T-1/expire", "T-1/refund"])
def test_every_call_wants_the_server_key(http: httpx.Client, path: str, auth: tuple[str, str] | None) -> None:
    answer = http.post(f"/gopay/v2/{path}", json={}, auth=auth)
    assert (answer.status_code, answer.json()["status_code"]) == (401, "401")


def test_another_method_or_path_is_refused_in_midtrans_form(http: httpx.Client) -> None:
    for method, path, code in (("GET", "charge", 405), ("DELETE", "T-1/status", 405), ("GET", "T-1/x", 404)):
        answer = http.request(method, f"/gopay/v2/{path}", auth=GOPAY)
        assert (answer.status_code, answer.json()["status_code"]) == (code, str(code))


def test_a_used_order_id_is_406_whatever_became_of_it(gopay: MidtransCaller) -> None:
    for act in (None, "pay", "deny", "cancel"):
        body = charge_body()
        made = gopay.post("charge", body).json()
        if act:
            gopay.act(made, act).raise_for_status()
        assert gopay.post("charge", body).json()["status_code"] == "406", act
        assert gopay.book(made)["charges"] == 1


def test_an_expired_order_id_may_come_again(gopay: MidtransCaller) -> None:
    body = charge_body()
    first = gopay.post("charge", body).json()
    gopay.act(first, "expire").raise_for_status()
    second = gopay.post("charge", body).json()
    assert second["status_code"] == "201"
    assert second["transaction_id"] != first["transaction_id"]
    assert gopay.book(second)["charges"] == 2
    assert gopay.status(second)["transaction_id"] == second["transaction_id"]
    assert gopay.get(f"{first['transaction_id']}/status")["status_code"] == "407"


@pytest.mark.parametrize(
    ("custom", "lasts"),
    [
        ({"expiry_duration": 20, "unit": "second"}, timedelta(seconds=20)),
        ({"expiry_duration": 30}, timedelta(minutes=30)),
        ({"expiry_duration": 2, "unit": "hour"}, timedelta(hours=2)),
        ({"expiry_duration": 7, "unit": "day"}, timedelta(days=7)),
    ],
)
def test_a_charge_lives_as_long_as_it_is_told(
    gopay: MidtransCaller, custom: dict[str, Any], lasts: timedelta
) -> None:
    order_time = wib()
    made = gopay.post("charge", charge_body(custom_expiry=custom | {"order_time": order_time})).json()
    assert made["expiry_time"] == (datetime.fromisoformat(order_time[:19]) + lasts).isoformat(" ")


def test_a_charge_expires_by_itself(gopay: MidtransCaller) -> None:
    custom = {"order_time": wib(ahead=timedelta(seconds=-19)), "expiry_duration": 20, "unit": "second"}
    made = gopay.post("charge", charge_body(custom_expiry=custom)).json()
    assert made["status_code"] == "201"
    wait_until(lambda: gopay.status(made)["transaction_status"] == "expire", "the expiry")
    assert gopay.status(made)["status_code"] == "407"
    assert gopay.act(made, "pay").status_code == 409
    assert gopay.book(made)["taken"] == "0.00"


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Append_Notification": "ftp://merchant.example"},
        {
            "X_Override_Notification": "https://a.example,https://b.example,https://c.example,https://d.example"
        },
        {"X_Override_Notification": "merchant"},
    ],
)
def test_addresses_in_headers_are_checked(gopay: MidtransCaller, headers: dict[str, str]) -> None:
    assert gopay.post("charge", charge_body(), **headers).json()["status_code"] == "400"
