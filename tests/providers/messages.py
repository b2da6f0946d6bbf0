"""Messages of gateways, signed by other hands than ours, and what reads them."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from counterpart import SECRET, SERVER_KEY, key_pair, midtrans, snap
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from providers.base import BadNotification, Gateway, Incoming, Notification
from providers.gopay import GoPay
from providers.ovo import Ovo

PATH = "/api/v1/payments/callback/ovo"
NOW = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
STAMP = "2026-11-25T09:00:00+07:00"
TOKEN = "our-token"
SNAP_BODY: dict[str, Any] = {
    "originalPartnerReferenceNo": "INV-1",
    "originalReferenceNo": "THEIRS-1",
    "merchantId": "10007",
    "amount": {"value": "150000.00", "currency": "IDR"},
    "latestTransactionStatus": "00",
    "transactionStatusDesc": "SUCCESS",
    "finishedTime": "2026-11-25T08:59:58+07:00",
    "additionalInfo": {"paymentInfo": {"extendInfo": '{"promos":[]}'}},
}
GATEWAYS: dict[str, Gateway] = {
    "gopay": GoPay(midtrans()),
    **{profile: Ovo(snap(profile)) for profile in ("doku", "nicepay", "faspay", "dana", "ovo-direct")},
}
OF_SNAP = ("doku", "nicepay", "faspay", "dana", "ovo-direct")


def is_ours(token: str) -> bool:
    return token == TOKEN


def signed_by(key: rsa.RSAPrivateKey, text: str) -> str:
    return base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()


def snap_message(
    profile: str,
    body: bytes,
    stamp: str = STAMP,
    path: str = PATH,
    token: str = TOKEN,
    signed: bytes | None = None,
) -> Incoming:
    """A rightly signed message of a profile. signed: what was signed, if not what travels."""
    digest = hashlib.sha256(body if signed is None else signed).hexdigest()
    headers = [("content-type", "application/json"), ("x-timestamp", stamp)]
    if profile in ("doku", "ovo-direct"):
        text = f"POST:{path}:{token}:{digest}:{stamp}"
        made = base64.b64encode(hmac.digest(SECRET.encode(), text.encode(), "sha512")).decode()
        headers += [("authorization", f"Bearer {token}"), ("x-signature", made)]
    elif profile == "nicepay":
        headers.append(("x-signature", signed_by(key_pair("provider")[0], f"CLIENT-7|{stamp}")))
    else:
        text = f"POST:{path}:{digest}:{stamp}"
        headers.append(("x-signature", signed_by(key_pair("provider")[0], text)))
    return Incoming("POST", path, headers, body, NOW)


def midtrans_message(**changed: Any) -> Incoming:
    members = {
        "order_id": "INV-1",
        "status_code": "200",
        "gross_amount": "150000.00",
        "transaction_status": "settlement",
        "fraud_status": "accept",
        "currency": "IDR",
        "merchant_id": "G10007",
        "transaction_id": "231c79c5",
        "settlement_time": "2026-11-25 08:59:58",
        **changed,
    }
    text = "".join(str(members[name]) for name in ("order_id", "status_code", "gross_amount")) + SERVER_KEY
    members.setdefault("signature_key", hashlib.sha512(text.encode()).hexdigest())
    body = json.dumps({name: value for name, value in members.items() if value is not ...}).encode()
    return Incoming("POST", PATH, [("content-type", "application/json")], body, NOW)


def message_of(name: str) -> Incoming:
    return midtrans_message() if name == "gopay" else snap_message(name, json.dumps(SNAP_BODY).encode())


def claim(profile: str, **changed: Any) -> Notification:
    body = {name: value for name, value in (SNAP_BODY | changed).items() if value is not ...}
    return GATEWAYS[profile].read_notification(snap_message(profile, json.dumps(body).encode()), is_ours)


def refused(name: str, message: Incoming) -> tuple[int, str]:
    with pytest.raises(BadNotification) as problem:
        GATEWAYS[name].read_notification(message, is_ours)
    return problem.value.status, problem.value.reason


def with_headers(message: Incoming, **changed: str | None) -> Incoming:
    """The message with headers changed, or taken out where the value is None."""
    names = {name.replace("_", "-"): value for name, value in changed.items()}
    kept = [(name, value) for name, value in message.headers if name not in names]
    return replace(message, headers=[*kept, *((name, value) for name, value in names.items() if value)])
