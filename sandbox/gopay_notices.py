"""Midtrans' notifications: the body carries its own signature; the answer says how often it comes again.

Source: Midtrans "HTTP(S) notification". The pauses are shorter here (notices.Habit).
"""

import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from sandbox.gopay_messages import PROFILE, notification, resigned
from sandbox.keys import MERCHANT_ID
from sandbox.live import Charge
from sandbox.notices import Notice, Odd
from sandbox.wib import naive, now

# Further tries after an answer; 2xx is success, any other failure is tried five times more.
TRIES = {500: 1, 503: 4, 400: 2, 404: 2, 301: 0, 302: 0, 303: 0}
_MEMBERS = {
    "word": "transaction_status",
    "reference": "order_id",
    "gateway_reference": "transaction_id",
    "amount": "gross_amount",
    "currency": "currency",
    "merchant": "merchant_id",
    "timestamp": "transaction_time",
}


@dataclass(frozen=True)
class MidtransVoice:
    """How Midtrans notifies. callback_base: the registered address is `{callback_base}/gopay`."""

    callback_base: str
    follows_redirects: bool = True

    def notices(self, charge: Charge, odd: Odd | None = None) -> list[Notice]:
        members = bent(notification(odd.of(charge)), odd) if odd else notification(charge)
        body = (odd.body if odd and odd.body is not None else _text(members)).encode()
        word = str(members.get("transaction_status", ""))
        return [
            Notice(charge.gateway, PROFILE, charge.reference, word, url, body, str(uuid4()))
            for url in charge.notify_urls or [f"{self.callback_base}/gopay"]
        ]

    async def headers(self, notice: Notice, client: httpx.AsyncClient) -> dict[str, str]:
        return {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "Veritrans"}

    def is_accepted(self, answer: httpx.Response) -> bool:
        return answer.is_success

    def tries_after(self, status: int | None) -> int:
        return TRIES.get(status or 0, 5)


def bent(members: dict[str, Any], odd: Odd) -> dict[str, Any]:
    """The members with what is to be odd about them, rightly signed."""
    changes = {theirs: getattr(odd, ours) for ours, theirs in _MEMBERS.items()}
    members = members | {name: value for name, value in changes.items() if value is not None} | odd.fields
    members = {name: value for name, value in members.items() if value is not None}
    return members if "signature_key" in odd.fields else resigned(members)


def dashboard_test(url: str) -> Notice:
    """The test message of the dashboard: rightly signed, of an order that does not exist."""
    order_id = f"payment_notif_test_{MERCHANT_ID}_{uuid4()}"
    members = {
        "transaction_time": naive(now()),
        "transaction_status": "settlement",
        "transaction_id": str(uuid4()),
        "status_message": "midtrans payment notification",
        "status_code": "200",
        "settlement_time": naive(now()),
        "payment_type": "gopay",
        "order_id": order_id,
        "merchant_id": MERCHANT_ID,
        "gross_amount": "105000.00",
        "fraud_status": "accept",
        "currency": "IDR",
    }
    body = _text(resigned(members)).encode()
    return Notice("gopay", PROFILE, order_id, "settlement", url, body, str(uuid4()))


def _text(members: dict[str, Any]) -> str:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))
