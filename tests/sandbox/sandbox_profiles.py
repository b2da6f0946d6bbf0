"""A caller of every SNAP aggregator, with its own signing: what a merchant's system sends to each of them."""

import base64
import hashlib
import hmac
import json
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from sandbox_caller import _external_ids, stamp

AMOUNT = {"value": "150000.00", "currency": "IDR"}
MERCHANT = "sandbox-merchant"
PATHS = {
    "doku": {
        "token": "/authorization/v1/access-token/b2b",
        "charge": "/direct-debit/core/v1/debit/payment-host-to-host",
        "status": "/orders/v1.0/debit/status",
        "refund": "/direct-debit/core/v1/debit/refund",
    },
    "nicepay": {
        "token": "/v1.0/access-token/b2b",
        "charge": "/api/v1.0/debit/payment-host-to-host",
        "status": "/api/v1.0/debit/status",
        "cancel": "/api/v1.0/debit/cancel",
        "refund": "/api/v1.0/debit/refund",
    },
    "faspay": {
        "charge": "/v1.0/debit/payment-host-to-host",
        "status": "/v1.0/debit/status",
        "cancel": "/v1.0/debit/cancel",
        "refund": "/v1.0/debit/refund",
    },
    "dana": {
        "charge": "/payment-gateway/v1.0/debit/payment-host-to-host.htm",
        "status": "/payment-gateway/v1.0/debit/status.htm",
        "cancel": "/payment-gateway/v1.0/debit/cancel.htm",
        "refund": "/payment-gateway/v1.0/debit/refund.htm",
    },
    "ovo-direct": {
        "token": "/OVOSNAP/v1.0/access-token/b2b",
        "charge": "/OVOSNAP/v2.0/debit/payment-host-to-host",
        "status": "/OVOSNAP/v2.0/debit/status",
        "refund": "/OVOSNAP/v2.0/debit/refund",
    },
}
# Which wallet each aggregator offers over SNAP.
ROUTES = [
    ("ovo", "doku"),
    ("ovo", "nicepay"),
    ("ovo", "faspay"),
    ("ovo", "dana"),
    ("linkaja", "nicepay"),
    ("linkaja", "faspay"),
    ("linkaja", "dana"),
]
SERVICE_CODES = {"doku": "55", "nicepay": "54", "faspay": "55", "dana": "54", "ovo-direct": "54"}
_CODES = {
    ("ovo", "nicepay"): "OVOE",
    ("linkaja", "nicepay"): "LINK",
    ("ovo", "faspay"): "812",
    ("linkaja", "faspay"): "302",
    ("ovo", "dana"): "NETWORK_PAY_PG_OVO",
    ("linkaja", "dana"): "NETWORK_PAY_PG_LINKAJA",
}


def wib(ahead: timedelta) -> str:
    """A moment from now, in the 25 characters of the standard."""
    return (datetime.now(UTC) + timedelta(hours=7) + ahead).strftime("%Y-%m-%dT%H:%M:%S+07:00")


def payment(gateway: str, profile: str, notify_url: str = "https://merchant.example/n") -> dict[str, Any]:
    """A right payment request (54), with a reference of its own."""
    body: dict[str, Any] = {"partnerReferenceNo": uuid4().hex, "amount": dict(AMOUNT)}
    addresses = [
        {"url": "https://merchant.example/back", "type": "PAY_RETURN", "isDeeplink": "N"},
        {
            "url": notify_url,
            "type": "NOTIFICATION" if profile == "dana" else "PAY_NOTIFY",
            "isDeeplink": "N",
        },
    ]
    code = _CODES.get((gateway, profile), "")
    if profile == "doku":
        body["urlParam"] = addresses
        body["additionalInfo"] = {
            "channel": "EMONEY_OVO_SNAP",
            "successPaymentUrl": "https://merchant.example/paid",
            "failedPaymentUrl": "https://merchant.example/failed",
        }
    elif profile == "nicepay":
        body |= {
            "merchantId": MERCHANT,
            "urlParam": addresses,
            "additionalInfo": {"mitraCd": code},
        }
    elif profile == "faspay":
        body |= {
            "merchantId": MERCHANT,
            "validUpTo": wib(timedelta(minutes=30)),
            "urlParam": addresses,
            "additionalInfo": {
                "channelCode": code,
                "billDate": wib(timedelta(0)),
                "billDescription": "Welding, level II",
            },
        }
    elif profile == "dana":
        option: dict[str, Any] = {"payMethod": "NETWORK_PAY", "payOption": code, "transAmount": dict(AMOUNT)}
        if gateway == "ovo":
            option["additionalInfo"] = {"phoneNumber": "081234567890"}
        body |= {
            "merchantId": MERCHANT,
            "validUpTo": wib(timedelta(minutes=30)),
            "urlParams": addresses,
            "payOptionDetails": [option],
            "additionalInfo": {
                "mcc": "8299",
                "envInfo": {"sourcePlatform": "IPG", "terminalType": "SYSTEM"},
                "order": {"orderTitle": "Welding, level II"},
            },
        }
    return body


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The body with one member replaced, or taken away (None); `a.0.b` leads into lists and objects."""
    body = deepcopy(body)
    *way, last = path.split(".")
    inner: Any = body
    for step in way:
        inner = inner[int(step)] if isinstance(inner, list) else inner[step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return body


@dataclass
class ProfileCaller:
    """Signs and sends the calls of one wallet through one aggregator."""

    http: httpx.Client
    gateway: str
    profile: str
    key: RSAPrivateKey
    token: str = ""

    @property
    def client_id(self) -> str:
        return f"sandbox-{self.gateway}"

    def ask_token(self, **headers: str) -> httpx.Response:
        """Service 73; headers replace the right ones (underscores for dashes), an empty one is left out."""
        timestamp = headers.get("X_TIMESTAMP") or self.stamp()
        right = {
            "Content-Type": "application/json",
            "X-CLIENT-KEY": self.client_id,
            "X-TIMESTAMP": timestamp,
            "X-SIGNATURE": self.rsa(f"{self.client_id}|{timestamp}"),
        }
        body = b'{"grantType":"client_credentials"}'
        return self._send(PATHS[self.profile]["token"], body, right, headers)

    def call(
        self, operation: str, members: Any, *, tamper: bytes | None = None, **headers: str
    ) -> httpx.Response:
        """A signed call; tamper is sent instead of the body that was signed."""
        return self.post(PATHS[self.profile][operation], members, tamper=tamper, **headers)

    def post(self, path: str, members: Any, *, tamper: bytes | None = None, **headers: str) -> httpx.Response:
        """A signed call to any path."""
        body = members if isinstance(members, bytes) else json.dumps(members, separators=(",", ":")).encode()
        timestamp = headers.get("X_TIMESTAMP") or self.stamp()
        digest = hashlib.sha256(body).hexdigest()
        right = {
            "Content-Type": "application/json",
            "X-TIMESTAMP": timestamp,
            "X-PARTNER-ID": self.client_id,
            "X-EXTERNAL-ID": str(next(_external_ids)),
            "CHANNEL-ID": "95221",
        }
        if "token" in PATHS[self.profile]:
            self.token = self.token or self.ask_token().json()["accessToken"]
            text = f"POST:{path}:{self.token}:{digest}:{timestamp}"
            secret = f"{self.client_id}-secret".encode()
            right["Authorization"] = f"Bearer {self.token}"
            right["X-SIGNATURE"] = base64.b64encode(hmac.digest(secret, text.encode(), "sha512")).decode()
        else:
            right["X-SIGNATURE"] = self.rsa(f"POST:{path}:{digest}:{timestamp}")
        if self.profile == "ovo-direct":
            right["X-DEVICE-ID"] = "merchant-server-1"
        return self._send(path, body if tamper is None else tamper, right, headers)

    def charge(self, notify_url: str = "https://merchant.example/n") -> dict[str, Any]:
        """A new pending charge; the answer."""
        answer = self.call("charge", payment(self.gateway, self.profile, notify_url))
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def original(self, made: dict[str, Any], **more: Any) -> dict[str, Any]:
        """The members that name a charge."""
        return {
            "originalPartnerReferenceNo": made["partnerReferenceNo"],
            "originalReferenceNo": made["referenceNo"],
            "merchantId": MERCHANT,
        } | more

    def status(self, made: dict[str, Any], **headers: str) -> dict[str, Any]:
        """What the gateway says of a charge (55)."""
        members = self.original(made, serviceCode=SERVICE_CODES[self.profile])
        answer: dict[str, Any] = self.call("status", members, **headers).json()
        return answer

    def refund(self, made: dict[str, Any], amount: str = "150000.00", **more: Any) -> httpx.Response:
        """Money back (58)."""
        wanted = {
            "partnerRefundNo": f"R-{uuid4().hex[:20]}",
            "refundAmount": {"value": amount, "currency": "IDR"},
            "reason": "Seat cancelled",
        }
        return self.call("refund", self.original(made, **(wanted | more)))

    def cancel(self, made: dict[str, Any], **more: Any) -> httpx.Response:
        """Give a pending charge up (57)."""
        return self.call("cancel", self.original(made, reason="Order cancelled", **more))

    def act(self, made: dict[str, Any], act: str, **details: Any) -> httpx.Response:
        """Let something happen at the gateway."""
        return self.http.post(
            f"/_sandbox/payments/{self.gateway}/{made['partnerReferenceNo']}/{act}", json=details
        )

    def book(self, made: dict[str, Any]) -> dict[str, Any]:
        """The sandbox's own record."""
        path = f"/_sandbox/payments/{self.gateway}/{made['partnerReferenceNo']}"
        answer: dict[str, Any] = self.http.get(path).raise_for_status().json()
        return answer

    def stamp(self) -> str:
        """A timestamp in the form that suits every aggregator but OVO itself, which wants milliseconds."""
        return stamp().replace("Z", ".123Z") if self.profile == "ovo-direct" else stamp()

    def rsa(self, text: str) -> str:
        return base64.b64encode(self.key.sign(text.encode(), PKCS1v15(), SHA256())).decode()

    def _send(self, path: str, body: bytes, right: dict[str, str], changes: dict[str, str]) -> httpx.Response:
        headers = right | {name.replace("_", "-"): value for name, value in changes.items()}
        sent = {name: value for name, value in headers.items() if value}
        return self.http.post(f"/{self.gateway}{path}", content=body, headers=sent)
