"""What Midtrans says of a GoPay charge: status, answers to calls, notifications.

Source: Midtrans Core API "Get transaction status", "Notification", "Refund". Amounts are text with two
decimals; times are WIB without offset.
"""

import hashlib
from typing import Any

from sandbox.keys import GOPAY_SERVER_KEY, MERCHANT_ID
from sandbox.live import Charge, LiveRefund
from sandbox.model import State
from sandbox.money import printed
from sandbox.wib import naive

PROFILE = "midtrans"
# status_code and transaction_status of the status service
STATUS: dict[State, tuple[str, str]] = {
    "settled": ("200", "settlement"),
    "partially_refunded": ("200", "partial_refund"),
    "refunded": ("200", "refund"),
    "pending": ("201", "pending"),
    "denied": ("202", "deny"),
    "cancelled": ("202", "cancel"),
    "failed": ("202", "failure"),
    "reversed": ("202", "deny"),
    "expired": ("407", "expire"),
}
_WITH_OPTION = frozenset({"settled", "partially_refunded", "refunded"})


class Refusal(Exception):
    """A refusal in Midtrans' form: its own status code in the body, the HTTP status mostly 200."""

    def __init__(self, code: str, message: str, validation: list[str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.answer: dict[str, Any] = {
            "status_code": code,
            "status_message": message,
            "id": hashlib.sha256(message.encode()).hexdigest()[:32],
        }
        if validation:
            self.answer["validation_messages"] = validation


def signature(order_id: str, status_code: str, gross_amount: str, server_key: str = GOPAY_SERVER_KEY) -> str:
    """signature_key: hex SHA-512 over the texts exactly as printed, then the server key."""
    return hashlib.sha512(f"{order_id}{status_code}{gross_amount}{server_key}".encode()).hexdigest()


def status(charge: Charge) -> dict[str, Any]:
    """The answer of the status service."""
    return resigned(_shown(charge, STATUS[charge.state][0], "Success, transaction is found"))


def notification(charge: Charge) -> dict[str, Any]:
    """The body of a notification; an expired charge is 202 here, though 407 in its status."""
    code = STATUS[charge.state][0]
    return resigned(_shown(charge, "202" if code == "407" else code, "midtrans payment notification"))


def changed(charge: Charge, code: str, message: str) -> dict[str, Any]:
    """The answer to a call that cancelled the charge or let it expire."""
    return _shown(charge, code, message)


def created(charge: Charge, actions: list[dict[str, str]]) -> dict[str, Any]:
    """The answer to a charge."""
    return _shown(charge, "201", "GoPay transaction is created") | {
        "channel_response_code": "200",
        "channel_response_message": "Success",
        "actions": actions,
    }


def refunded(charge: Charge, refund: LiveRefund) -> dict[str, Any]:
    """The answer to a refund that was accepted."""
    return _shown(charge, "200", "Success, refund request is approved") | {
        "refund_chargeback_id": refund.number,
        "refund_amount": printed(refund.amount),
        "refund_key": refund.key,
    }


def not_refunded(charge: Charge) -> dict[str, Any]:
    """The answer to a refund that the wallet refused: nothing has changed."""
    return _shown(charge, "202", "Refund is denied by the payment provider") | {"refund_amount": printed(0)}


def resigned(members: dict[str, Any]) -> dict[str, Any]:
    """The members with the signature that fits them."""
    texts = [str(members.get(name, "")) for name in ("order_id", "status_code", "gross_amount")]
    return members | {"signature_key": signature(*texts)}


def _shown(one: Charge, code: str, message: str) -> dict[str, Any]:
    word = STATUS[one.state][1]
    members: dict[str, Any] = {
        "status_code": code,
        "status_message": message,
        "transaction_id": one.gateway_reference,
        "order_id": one.reference,
        "merchant_id": MERCHANT_ID,
        "gross_amount": printed(one.amount),
        "currency": "IDR",
        "payment_type": one.payment_type,
        "transaction_time": naive(one.created_at),
        "transaction_status": word,
        "fraud_status": "deny" if word == "deny" else "accept",
        "expiry_time": naive(one.expires_at),
        **one.more,
    }
    if one.settled_at:
        members["settlement_time"] = naive(one.settled_at)
    if one.state in _WITH_OPTION and one.payment_type == "gopay":
        members["payment_option_type"] = "GOPAY_WALLET"
    if one.refunds:
        members["refund_amount"] = printed(one.refunded)
        members["refunds"] = [_refund(refund) for refund in one.refunds]
    return members


def _refund(refund: LiveRefund) -> dict[str, Any]:
    members = {
        "refund_chargeback_id": refund.number,
        "refund_amount": printed(refund.amount),
        "created_at": naive(refund.created_at),
        "reason": refund.reason,
        "refund_key": refund.key,
        "refund_method": "online" if refund.by_merchant else "offline",
    }
    if refund.confirmed_at:
        members["bank_confirmed_at"] = naive(refund.confirmed_at)
    return members
