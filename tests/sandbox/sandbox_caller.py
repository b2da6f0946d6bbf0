"""A caller of the sandbox with its own signing: what a merchant's system has to send, shared with nobody."""

import base64
import hashlib
import hmac
import itertools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

GOPAY = ("sandbox-SB-Mid-server-jembatan", "")
LINKAJA_FILES = ("sandbox-linkaja", "sandbox-linkaja-secret")
TOKEN_PATHS = {"ovo": "/authorization/v1/access-token/b2b", "linkaja": "/v1.0/access-token/b2b"}
STATUS_PATHS = {"ovo": "/orders/v1.0/debit/status", "linkaja": "/api/v1.0/debit/status"}
SERVICE_CODES = {"ovo": "55", "linkaja": "54"}
HISTORY_PATH = "/v1.0/transaction-history-list"
_external_ids = itertools.count(int(datetime.now(UTC).timestamp() * 1000))


def stamp(ago: timedelta = timedelta(0)) -> str:
    """A timestamp as SNAP wants it."""
    return (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class SnapCaller:
    """Signs and sends the calls of one SNAP gateway."""

    http: httpx.Client
    gateway: str
    key: RSAPrivateKey
    token: str = ""
    secret: str = ""
    client_id: str = field(init=False)

    def __post_init__(self) -> None:
        self.client_id = f"sandbox-{self.gateway}"
        self.secret = self.secret or f"{self.client_id}-secret"

    def ask_token(
        self, *, body: bytes = b'{"grantType":"client_credentials"}', **headers: str
    ) -> httpx.Response:
        """Service 73; headers replace the right ones (underscores for dashes)."""
        timestamp = headers.get("X_TIMESTAMP") or stamp()
        signature = self.key.sign(f"{self.client_id}|{timestamp}".encode(), PKCS1v15(), SHA256())
        right = {
            "Content-Type": "application/json",
            "X-CLIENT-KEY": self.client_id,
            "X-TIMESTAMP": timestamp,
            "X-SIGNATURE": base64.b64encode(signature).decode(),
        }
        return self._send(TOKEN_PATHS[self.gateway], body, right, headers)

    def call(self, path: str, members: Any, *, tamper: bytes | None = None, **headers: str) -> httpx.Response:
        """A signed call; tamper is sent instead of the body that was signed."""
        if not self.token:
            self.token = self.ask_token().json()["accessToken"]
        body = json.dumps(members, separators=(",", ":")).encode()
        timestamp = headers.get("X_TIMESTAMP") or stamp()
        digest = hashlib.sha256(body).hexdigest()
        text = f"POST:{path}:{self.token}:{digest}:{timestamp}"
        right = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self.token}",
            "X-TIMESTAMP": timestamp,
            "X-PARTNER-ID": self.client_id,
            "X-EXTERNAL-ID": str(next(_external_ids)),
            "CHANNEL-ID": "95221",
            "X-SIGNATURE": base64.b64encode(
                hmac.digest(self.secret.encode(), text.encode(), "sha512")
            ).decode(),
        }
        return self._send(path, tamper if tamper is not None else body, right, headers)

    def status(self, reference: str, **headers: str) -> httpx.Response:
        """Service 55."""
        members = {"originalPartnerReferenceNo": reference, "serviceCode": SERVICE_CODES[self.gateway]}
        return self.call(STATUS_PATHS[self.gateway], members, **headers)

    def page(self, day: str, number: int, size: int = 50, **headers: str) -> httpx.Response:
        """One page of a day's history (service 12)."""
        end = (datetime.fromisoformat(day) + timedelta(days=1)).date().isoformat()
        members = {
            "fromDateTime": f"{day}T00:00:00+07:00",
            "toDateTime": f"{end}T00:00:00+07:00",
            "pageSize": size,
            "pageNumber": number,
        }
        return self.call(HISTORY_PATH, members, **headers)

    def whole_history(self, day: str) -> list[dict[str, Any]]:
        """All pages of a day."""
        items: list[dict[str, Any]] = []
        for number in itertools.count():
            page = self.page(day, number).raise_for_status().json()["detailData"]
            items += page
            if len(page) < 50:
                return items
        raise AssertionError

    def _send(self, path: str, body: bytes, right: dict[str, str], changes: dict[str, str]) -> httpx.Response:
        headers = right | {name.replace("_", "-"): value for name, value in changes.items()}
        sent = {name: value for name, value in headers.items() if value}
        return self.http.post(f"/{self.gateway}{path}", content=body, headers=sent)
