"""Rightly signed notifications in the forms of Midtrans and of DOKU's SNAP, as complete HTTP requests.

The forms are those of the providers' public documents; each message is an event of its own.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from benchmarks.payments.load import request
from benchmarks.payments.stage import AMOUNT_MINOR, UnderWay
from checkout import tokens
from common import clock
from common.settings import settings
from providers import signatures

GATEWAYS = ("gopay", "ovo")
FORMS = {"gopay": "Midtrans", "ovo": "SNAP (DOKU)"}
PER_PAYMENT = 2  # that it is pending, then that it is paid
_AMOUNT = f"{AMOUNT_MINOR // 100}.00"


def path(gateway: str) -> str:
    """Where this gateway's notifications go, at our API and at the peer alike."""
    return f"/api/v1/payments/callback/{gateway}"


def of(gateway: str, payments: Sequence[UnderWay]) -> list[str]:
    """Two messages of each payment, as a gateway would send them: first all that they are pending, then all
    that they are paid."""
    make = _midtrans if gateway == "gopay" else _Doku()
    return [make(one, is_paid) for is_paid in (False, True) for one in payments]


def _midtrans(one: UnderWay, is_paid: bool) -> str:
    code = "200" if is_paid else "201"
    now = f"{clock.now().astimezone(clock.JAKARTA):%Y-%m-%d %H:%M:%S}"
    key = settings().gopay.server_key.get_secret_value()
    members = {
        "transaction_time": now,
        "transaction_status": "settlement" if is_paid else "pending",
        "transaction_id": one.gateway_reference,
        "status_message": "midtrans payment notification",
        "status_code": code,
        "signature_key": signatures.midtrans_notification(one.reference, code, _AMOUNT, key),
        "payment_type": "gopay",
        "order_id": one.reference,
        "merchant_id": "sandbox-merchant",
        "gross_amount": _AMOUNT,
        "fraud_status": "accept",
        "currency": "IDR",
        **({"settlement_time": now} if is_paid else {}),
    }
    headers = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json"),
        ("User-Agent", "Veritrans"),
    ]
    return request("POST", path(one.gateway), json.dumps(members).encode(), headers)


class _Doku:
    """DOKU signs with a token that it took from us; one lasts for all messages."""

    def __init__(self) -> None:
        self._token = tokens.issue("ovo")
        self._config = settings().ovo

    def __call__(self, one: UnderWay, is_paid: bool) -> str:
        code, word = ("00", "Success") if is_paid else ("03", "Pending")
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        members = {
            "originalPartnerReferenceNo": one.reference,
            "originalReferenceNo": one.gateway_reference,
            "merchantId": self._config.merchant_id,
            "amount": {"value": _AMOUNT, "currency": "IDR"},
            "latestTransactionStatus": code,
            "transactionStatusDesc": word,
            "createdTime": now,
            "finishedTime": now,
            "additionalInfo": {"channel": "EMONEY_OVO_SNAP"},
        }
        body = json.dumps(members).encode()
        secret = self._config.client_secret.get_secret_value()
        headers = [
            ("Content-Type", "application/json"),
            ("X-TIMESTAMP", now),
            ("X-PARTNER-ID", self._config.client_id),
            ("X-EXTERNAL-ID", str(uuid4().int)[:32]),
            ("CHANNEL-ID", "95221"),
            ("Authorization", f"Bearer {self._token}"),
            (
                "X-SIGNATURE",
                signatures.snap_transaction(secret, "POST", path(one.gateway), self._token, body, now),
            ),
        ]
        return request("POST", path(one.gateway), body, headers)
