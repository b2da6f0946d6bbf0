"""The gate of a SNAP gateway: tokens (service 73) and the checks that every signed call must pass.

Source: the national SNAP standard as the providers publish it: headers, both signatures, response codes.
Stricter than some: X-EXTERNAL-ID must be digits, and the hash is over the raw bytes as received.
"""

import hmac
import json
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox import signing
from sandbox.keys import CHANNEL_ID, SnapKeys
from sandbox.wib import now, read_moment

TOKEN_SECONDS = 900
WINDOW = timedelta(minutes=15)
TOKEN_SERVICE = "73"  # noqa: S105 - a service code
Scheme = Literal["hmac", "rsa"]
# X-TIMESTAMP: with any offset; in UTC; with milliseconds
ANY_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?(Z|[+-]\d\d:\d\d)")
UTC_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")
MILLISECOND_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)")


class SnapError(Exception):
    """A refusal in SNAP's form: HTTP status, service code, case code, message."""

    def __init__(self, status: int, service: str, case: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.answer = {"responseCode": f"{status}{service}{case}", "responseMessage": message}


@dataclass(frozen=True, slots=True)
class SnapCall:
    """One call as it was received; path is what follows the gateway's base URL, with its query.

    home: address of the sandbox as the caller reached it.
    """

    service: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    home: str = ""

    def refuse(self, status: int, case: str, message: str) -> SnapError:
        """The error of this service."""
        return SnapError(status, self.service, case, message)

    def header(self, name: str) -> str:
        """A header that must be there."""
        value = self.headers.get(name.lower(), "")
        if not value:
            raise self.refuse(400, "02", f"Invalid Mandatory Field {name}")
        return value

    def members(self) -> dict[str, Any]:
        """The JSON object of the body."""
        try:
            body = json.loads(self.body)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise self.refuse(400, "00", "Bad Request")
        return body


@dataclass
class Tokens:
    """Access tokens given out, each with the moment of its end."""

    clock: Callable[[], datetime] = now
    _ends: dict[str, datetime] = field(default_factory=dict)

    def issue(self) -> str:
        """A new token of 900 seconds."""
        moment = self.clock()
        self._ends = {token: end for token, end in self._ends.copy().items() if end > moment}
        token = secrets.token_urlsafe(48)
        self._ends[token] = moment + timedelta(seconds=TOKEN_SECONDS)
        return token

    def is_live(self, token: str) -> bool:
        """Whether the token was given out here and has not ended."""
        end = self._ends.get(token)
        return end is not None and self.clock() < end

    def end_all(self) -> None:
        """Every token given out so far has ended, as if 900 seconds had passed."""
        self._ends = {}


@dataclass
class SnapGate:
    """Guards the SNAP services of one aggregator, for one merchant.

    scheme: `hmac` = a B2B token, and HMAC-SHA512 with it; `rsa` = no token, the merchant's RSA key.
    """

    keys: SnapKeys
    merchant_key: RSAPublicKey
    scheme: Scheme = "hmac"
    needs_device: bool = False
    tokens: Tokens = field(default_factory=Tokens)
    _used_on: date = date.min
    _used: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def token(self, call: SnapCall, stamps: re.Pattern[str] = ANY_STAMP) -> str:
        """Service 73: a new token for a caller whose RSA signature over `clientKey|timestamp` is right."""
        self._check_form(call)
        client, timestamp = call.header("X-CLIENT-KEY"), self._timestamp(call, stamps)
        signature = call.header("X-SIGNATURE")
        if not _same(client, self.keys.client_id):
            raise call.refuse(401, "00", "Unauthorized. Unknown client")
        self._check_rsa(call, signature, signing.of_client(client, timestamp))
        grant = call.members().get("grantType")
        if grant is None:
            raise call.refuse(400, "02", "Invalid Mandatory Field grantType")
        if grant != "client_credentials":
            raise call.refuse(400, "01", "Invalid Field Format grantType")
        return self.tokens.issue()

    def admit(self, call: SnapCall, stamps: re.Pattern[str] = ANY_STAMP) -> dict[str, Any]:
        """Check everything that comes before the business of a call; returns the members of its body."""
        self._check_form(call)
        token = self._token(call)
        timestamp, partner = self._timestamp(call, stamps), call.header("X-PARTNER-ID")
        external_id, channel = call.header("X-EXTERNAL-ID"), call.header("CHANNEL-ID")
        signature = call.header("X-SIGNATURE")
        if self.needs_device and len(call.header("X-DEVICE-ID")) > 400:
            raise call.refuse(400, "01", "Invalid Field Format X-DEVICE-ID")
        if not _same(partner, self.keys.client_id) or not _same(channel, CHANNEL_ID):
            raise call.refuse(401, "00", "Unauthorized. Unknown partner or channel")
        if not re.fullmatch(r"[0-9]{1,36}", external_id):
            raise call.refuse(400, "01", "Invalid Field Format X-EXTERNAL-ID")
        if self.scheme == "rsa":
            self._check_rsa(call, signature, signing.of_call(call.method, call.path, call.body, timestamp))
        else:
            signed = signing.of_token_call(call.method, call.path, token, call.body, timestamp)
            if not _same(signature, signing.hmac_sha512(self.keys.client_secret, signed)):
                raise call.refuse(401, "00", "Unauthorized. Signature")
        self.use(call, external_id)
        return call.members()

    def use(self, call: SnapCall, external_id: str) -> None:
        """An X-EXTERNAL-ID serves once a day (WIB)."""
        with self._lock:
            today = now().date()
            if today != self._used_on:
                self._used_on, self._used = today, set()
            if external_id in self._used:
                raise call.refuse(409, "00", "Conflict. X-EXTERNAL-ID was used today")
            self._used.add(external_id)

    def _token(self, call: SnapCall) -> str:
        """The live token of a call; empty where the aggregator knows no tokens, and then none may be sent."""
        if self.scheme == "rsa":
            if "authorization" in call.headers:
                raise call.refuse(401, "00", "Unauthorized. A token is not used here")
            return ""
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not self.tokens.is_live(token):
            raise call.refuse(401, "01", "Invalid Token (B2B)")
        return token

    def _check_rsa(self, call: SnapCall, signature: str, signed: str) -> None:
        if not signing.is_rsa_sha256(self.merchant_key, signed, signature):
            raise call.refuse(401, "00", "Unauthorized. Signature")

    def _check_form(self, call: SnapCall) -> None:
        if call.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise call.refuse(400, "00", "Bad Request. Content-Type must be application/json")

    def _timestamp(self, call: SnapCall, stamps: re.Pattern[str]) -> str:
        text = call.header("X-TIMESTAMP")
        moment = read_moment(text) if stamps.fullmatch(text) else None
        if moment is None:
            raise call.refuse(400, "01", "Invalid Field Format X-TIMESTAMP")
        if abs(now() - moment) > WINDOW:
            raise call.refuse(401, "00", "Unauthorized. X-TIMESTAMP out of time")
        return text


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
