"""The national SNAP interface: token, signatures, transaction history and status.

Source: SNAP BI (service codes 73, 12, 55) as public providers document it; what differs between
aggregators is data in PROFILES. Quirks: numbers of `expiresIn` come as text or number; success of the
token call is HTTP 200 with a token, whatever its response code says.
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from common import clock, money
from common.errors import AuthFailed, BadInput, ProviderError, Rejected, Transient
from common.settings import Snap, secret_text
from providers import http
from providers.base import ChargeState, ChargeStatus

RENEW_BEFORE_SECONDS = 60.0


@dataclass(frozen=True)
class Profile:
    """What one aggregator's SNAP does differently."""

    token_path: str
    status_path: str
    status_service_code: str


PROFILES = {
    "doku": Profile("/authorization/v1/access-token/b2b", "/orders/v1.0/debit/status", "55"),
    "nicepay": Profile("/v1.0/access-token/b2b", "/api/v1.0/debit/status", "54"),
}

# latestTransactionStatus -> our state; an unknown code is not final.
STATUS: dict[str, ChargeState] = {
    "00": "paid",
    "01": "pending",
    "02": "pending",
    "03": "pending",
    "04": "reversed",
    "05": "cancelled",
    "06": "denied",
    "08": "expired",
    "09": "denied",
}


def token_signature(key: rsa.RSAPrivateKey, client_key: str, timestamp: str) -> str:
    """X-SIGNATURE of a token call: base64 of RSA PKCS#1 v1.5 with SHA-256 over `clientKey|timestamp`."""
    text = f"{client_key}|{timestamp}".encode()
    return base64.b64encode(key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()


def transaction_signature(
    secret: str, method: str, path: str, token: str, body: bytes, timestamp: str
) -> str:
    """X-SIGNATURE of a transaction: base64 HMAC-SHA512 over `METHOD:path:token:bodyHash:timestamp`.

    body: the very bytes that are sent; path: what follows the base URL, with its query.
    """
    digest = hashlib.sha256(body).hexdigest()
    text = f"{method}:{path}:{token}:{digest}:{timestamp}".encode()
    return base64.b64encode(hmac.digest(secret.encode(), text, "sha512")).decode()


class SnapClient:
    """One merchant's SNAP connection; safe to use from several threads."""

    def __init__(self, name: str, config: Snap) -> None:
        self.name = name
        self.config = config
        if config.profile not in PROFILES:
            raise BadInput(
                f"JEMBATAN_{name.upper()}__PROFILE is {config.profile!r}; there are {', '.join(PROFILES)}"
            )
        self.profile = PROFILES[config.profile]
        self._http = http.client(config)
        self._token = ""
        self._renew_at = 0.0
        self._renewing = threading.Lock()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get_charge(self, reference: str) -> ChargeStatus:
        """State of a charge by our reference (service 55); an unknown one has state `unknown`."""
        body = {
            "originalPartnerReferenceNo": reference,
            "serviceCode": self.profile.status_service_code,
            "merchantId": self.config.merchant_id,
        }
        try:
            answer = self._read("status", self.profile.status_path, body)
        except Rejected as error:
            if error.code is not None and error.code.startswith("404"):
                return ChargeStatus(reference, "unknown", error.code)
            raise
        word = str(answer.get("latestTransactionStatus", ""))
        amount = answer.get("transAmount") or answer.get("amount") or {}
        return ChargeStatus(
            reference,
            STATUS.get(word, "unknown"),
            word,
            at=_time(answer.get("paidTime")),
            amount_minor=_minor(amount.get("value")),
            currency=amount.get("currency"),
        )

    def history(self, path: str, start: datetime, end: datetime, page_size: int) -> Iterator[dict[str, Any]]:
        """All transactions from `start` to before `end` (service 12), page by page.

        Raises Transient where a page repeats or is not the form of the service.
        """
        page = 0
        while True:
            body = {
                "partnerReferenceNo": _external_id(),
                "fromDateTime": start.astimezone(clock.JAKARTA).isoformat(timespec="seconds"),
                "toDateTime": end.astimezone(clock.JAKARTA).isoformat(timespec="seconds"),
                "pageSize": str(page_size),
                "pageNumber": str(page),
            }
            items = self._read("history", path, body).get("detailData")
            if not isinstance(items, list):
                raise Transient(self.name, "history", "answers without detailData")
            yield from items
            if len(items) < page_size:
                return
            page += 1

    def _read(self, operation: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A call that changes nothing: again where that is safe, with a new token once when asked."""

        def once() -> dict[str, Any]:
            try:
                return self._call(operation, path, body)
            except AuthFailed as error:
                if not (error.code or "").endswith("01"):
                    raise
                self._token = ""
                return self._call(operation, path, body)

        return http.again_if_safe(once)

    def _call(self, operation: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        token = self._current_token()
        sent = json.dumps(body, separators=(",", ":")).encode()
        timestamp = _timestamp()
        signature = transaction_signature(
            secret_text(self.config.client_secret), "POST", path, token, sent, timestamp
        )
        headers = {
            "Authorization": f"Bearer {token}",
            "X-TIMESTAMP": timestamp,
            "X-SIGNATURE": signature,
            "X-PARTNER-ID": self.config.partner_id,
            "X-EXTERNAL-ID": _external_id(),
            "CHANNEL-ID": self.config.channel_id,
        }
        return self._post(operation, path, sent, headers)

    def _current_token(self) -> str:
        """The B2B token, renewed a little early; one renewal at a time."""
        with self._renewing:
            if not self._token or time.monotonic() >= self._renew_at:
                timestamp = _timestamp()
                headers = {
                    "X-CLIENT-KEY": self.config.client_id,
                    "X-TIMESTAMP": timestamp,
                    "X-SIGNATURE": token_signature(self._key(), self.config.client_id, timestamp),
                }
                sent = b'{"grantType":"client_credentials"}'
                answer = self._post("token", self.profile.token_path, sent, headers)
                token = answer.get("accessToken")
                if not isinstance(token, str) or not token:
                    raise Transient(self.name, "token", "answers without a token")
                life = float(answer.get("expiresIn") or 900)
                self._token, self._renew_at = token, time.monotonic() + life - RENEW_BEFORE_SECONDS
            return self._token

    def _key(self) -> rsa.RSAPrivateKey:
        try:
            key = serialization.load_pem_private_key(secret_text(self.config.private_key).encode(), None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise BadInput(f"JEMBATAN_{self.name.upper()}__PRIVATE_KEY is no RSA key in PEM without password")
        return key

    def _post(self, operation: str, path: str, sent: bytes, headers: dict[str, str]) -> dict[str, Any]:
        try:
            response = self._http.post(
                self.config.base_url + path,
                content=sent,
                headers={**headers, "Content-Type": "application/json"},
            )
        except httpx.TransportError as error:
            raise http.failed(self.name, operation, error, is_read=True) from None
        return _success(self.name, operation, response)


def _success(name: str, operation: str, response: httpx.Response) -> dict[str, Any]:
    """The body of a success; raises the error that the response code stands for."""
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        if response.is_success:
            raise Transient(name, operation, "answers with something that is not JSON")
        raise http.refused(name, operation, response, is_read=True)
    if response.is_success:
        return answer
    code = str(answer.get("responseCode", response.status_code))
    kinds: dict[str, Callable[[], ProviderError]] = {
        "401": lambda: AuthFailed(name, operation, "refuses our signature or token", code=code),
        "404": lambda: Rejected(name, operation, "does not know it", code=code),
    }
    if response.status_code in (429,) or response.status_code >= 500 or code[:3] not in kinds:
        raise http.refused(name, operation, response, is_read=True)
    raise kinds[code[:3]]()


def _timestamp() -> str:
    return clock.now().astimezone(clock.JAKARTA).isoformat(timespec="seconds")


def _external_id() -> str:
    """A number that no call of this day has: for reads only, so chance is enough."""
    return str(secrets.randbelow(10**18) + 10**18)


def _time(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=clock.JAKARTA)


def _minor(text: Any) -> int | None:
    try:
        return money.parse_minor(str(text))
    except ValueError:
        return None
