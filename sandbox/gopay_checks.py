"""What a GoPay charge or refund must look like, as strictly as Midtrans checks it.

Source: Midtrans Core API "Charge", "GoPay", "Transaction details object", "Custom expiry", "Refund".
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request

from sandbox.gopay_messages import Refusal
from sandbox.wib import now

LEAST_EXPIRY, LONGEST_EXPIRY, USUAL_EXPIRY = timedelta(seconds=20), timedelta(days=7), timedelta(minutes=15)
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_OTHER_CHANNELS = frozenset(
    {"bank_transfer", "credit_card", "cstore", "echannel", "ovo", "qris", "shopeepay"}
)
_ORDER_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0700")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"<>\\^`{|}]+")
_WEB_ADDRESS = re.compile(r"https?://[^\s\"<>\\^`{|}/]+\S*")


@dataclass(frozen=True, slots=True)
class ChargeRequest:
    """A charge that passed every check. amount in sen; return_url empty without a callback."""

    order_id: str
    amount: int
    expires_at: datetime
    return_url: str


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """A refund that passed every check; amount in sen, None for all that is left."""

    key: str
    amount: int | None
    reason: str


async def members_of(request: Request) -> dict[str, Any]:
    """The JSON object of a POST. Refuses another content type and broken JSON (413), and no object (408)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal("413", "Content-Type must be application/json")
    try:
        members = json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError):
        raise Refusal("413", "The request body has a syntax error") from None
    if not isinstance(members, dict):
        raise Refusal("408", "The request body must be an object")
    return members


def read_charge(members: dict[str, Any]) -> ChargeRequest:
    """Check a charge; raises Refusal: 400 with everything that is wrong, 402 for another channel."""
    found = _Findings()
    channel = members.get("payment_type")
    if channel in _OTHER_CHANNELS:
        raise Refusal("402", "Payment channel is not activated.")
    found.check(
        channel == "gopay", "payment_type is required" if channel is None else "payment_type is not valid"
    )
    details = found.object(members, "transaction_details", required=True)
    order_id, amount = details.get("order_id"), details.get("gross_amount")
    if not isinstance(order_id, str) or not order_id:
        found.add("transaction_details.order_id is required")
    else:
        found.check(len(order_id) <= 50, "transaction_details.order_id length must be 50 characters or less")
        found.check(
            re.fullmatch(r"[A-Za-z0-9_~.-]+", order_id) is not None,
            "transaction_details.order_id contains an invalid symbol",
        )
    is_whole = type(amount) is int
    if amount is None:
        found.add("transaction_details.gross_amount is required")
    elif not is_whole:
        found.add("transaction_details.gross_amount must be a number without decimals")
    else:
        found.check(amount > 0, "transaction_details.gross_amount must be greater than or equal to 1")
    _check_items(found, members.get("item_details"), amount if is_whole else None)
    _check_customer(found, members)
    return_url = _read_callback(found, members)
    expires_at = _read_expiry(found, members)
    for name in ("custom_field1", "custom_field2", "custom_field3"):
        value = members.get(name, "")
        found.check(
            isinstance(value, str) and len(value) <= 255, f"{name} must be a text of 255 characters or less"
        )
    found.object(members, "metadata")
    found.refuse()
    return ChargeRequest(str(order_id), int(amount or 0) * 100, expires_at, return_url)


def read_refund(members: dict[str, Any]) -> RefundRequest:
    """Check a refund; raises Refusal 400."""
    found = _Findings()
    key, amount, reason = members.get("refund_key", ""), members.get("amount"), members.get("reason", "")
    found.check(
        isinstance(key, str) and re.fullmatch(r"[A-Za-z0-9_-]{0,255}", key) is not None,
        "refund_key contains an invalid symbol",
    )
    found.check(isinstance(reason, str) and len(reason) <= 255, "reason must be 255 characters or less")
    sen: int | None = None
    if isinstance(amount, str) and re.fullmatch(r"[0-9]{1,13}(\.00)?", amount):
        sen = int(amount.partition(".")[0]) * 100  # one of the two refund pages shows a text
    elif type(amount) is int:
        sen = amount * 100
    found.check(amount is None or (sen is not None and sen > 0), "amount must be a number greater than 0")
    found.refuse()
    return RefundRequest(str(key), sen, str(reason))


def read_addresses(request: Request, registered: str) -> list[str]:
    """Where the notifications of a charge go: the header that replaces wins over the one that adds."""
    override = _addresses(request, "X-Override-Notification")
    return override or [registered, *_addresses(request, "X-Append-Notification")]


def _addresses(request: Request, header: str) -> list[str]:
    text = request.headers.get(header, "")
    addresses = [one.strip() for one in text.split(",")] if text else []
    if len(addresses) > 3 or not all(_WEB_ADDRESS.fullmatch(one) for one in addresses):
        raise Refusal("400", "One or more parameters in the payload is invalid.", [f"{header} is invalid"])
    return addresses


class _Findings:
    """Everything that is wrong with one request."""

    def __init__(self) -> None:
        self._messages: list[str] = []

    def add(self, message: str) -> None:
        self._messages.append(message)

    def check(self, is_right: bool, message: str) -> None:
        if not is_right:
            self.add(message)

    def object(self, members: dict[str, Any], name: str, *, required: bool = False) -> dict[str, Any]:
        value = members.get(name)
        if value is None and not required:
            return {}
        self.check(
            isinstance(value, dict), f"{name} is required" if value is None else f"{name} must be an object"
        )
        return value if isinstance(value, dict) else {}

    def refuse(self) -> None:
        if self._messages:
            raise Refusal("400", "One or more parameters in the payload is invalid.", self._messages)


def _check_items(found: _Findings, items: Any, amount: int | None) -> None:
    if items is None:
        return
    if not isinstance(items, list) or not items or not all(isinstance(one, dict) for one in items):
        found.add("item_details must be a list of items")
        return
    total = 0
    for place, one in enumerate(items):
        price, quantity, name = one.get("price"), one.get("quantity"), one.get("name")
        found.check(isinstance(name, str) and bool(name), f"item_details[{place}].name is required")
        if type(price) is int and type(quantity) is int and quantity > 0:
            total += price * quantity
        else:
            found.add(f"item_details[{place}] needs a price and a quantity without decimals")
            amount = None
    found.check(
        amount in (None, total), "transaction_details.gross_amount is not equal to the sum of item_details"
    )


def _check_customer(found: _Findings, members: dict[str, Any]) -> None:
    customer = found.object(members, "customer_details")
    for name in ("first_name", "last_name", "email", "phone"):
        value = customer.get(name, "")
        found.check(isinstance(value, str) and len(value) <= 255, f"customer_details.{name} must be a text")
    email = customer.get("email")
    if isinstance(email, str) and email:
        found.check(
            re.fullmatch(r"[^@\s]+@[^@\s]+", email) is not None, "customer_details.email is not valid"
        )


def _read_callback(found: _Findings, members: dict[str, Any]) -> str:
    gopay = found.object(members, "gopay")
    enabled, address = gopay.get("enable_callback", False), gopay.get("callback_url", "")
    found.check(isinstance(enabled, bool), "gopay.enable_callback must be true or false")
    if gopay.get("payment_option_token") or gopay.get("account_id"):
        raise Refusal("411", "Token id is missing, invalid, or timed out")
    is_address = isinstance(address, str) and (not address or _ADDRESS.fullmatch(address) is not None)
    found.check(is_address, "gopay.callback_url is not a valid URL")
    return address if enabled is True and is_address else ""


def _read_expiry(found: _Findings, members: dict[str, Any]) -> datetime:
    """Order time plus duration; 20 seconds to 7 days, by default 15 minutes from now."""
    moment = now()
    custom = found.object(members, "custom_expiry")
    if not custom:
        return moment + USUAL_EXPIRY
    begin: datetime | None = moment
    if "order_time" in custom:
        begin = _order_time(custom["order_time"])
        found.check(begin is not None, "custom_expiry.order_time format must be yyyy-MM-dd HH:mm:ss +0700")
    duration, unit = custom.get("expiry_duration"), custom.get("unit", "minute")
    found.check(isinstance(unit, str) and unit in _UNITS, "custom_expiry.unit is not valid")
    if type(duration) is not int or not 0 < duration <= 1_000_000:
        found.add("custom_expiry.expiry_duration must be a number without decimals")
        return moment
    lasts = timedelta(seconds=duration * _UNITS.get(unit if isinstance(unit, str) else "", 60))
    found.check(
        LEAST_EXPIRY <= lasts <= LONGEST_EXPIRY, "custom_expiry must be between 20 seconds and 7 days"
    )
    expires_at = (begin or moment) + min(lasts, LONGEST_EXPIRY)
    found.check(expires_at > moment, "custom_expiry is in the past")
    return expires_at


def _order_time(text: Any) -> datetime | None:
    try:
        if isinstance(text, str) and _ORDER_TIME.fullmatch(text):
            return datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z")
    except ValueError:
        pass
    return None
