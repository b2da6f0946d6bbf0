"""SNAP notifications (service 56): worded by the aggregator's profile, signed in one of three ways.

`token`: the aggregator takes a B2B token from the merchant and signs with HMAC-SHA512 (DOKU). `client`: RSA
over `clientId|timestamp`, so the body is not protected (NICEPAY). `body`: RSA over
`METHOD:path:bodyHash:timestamp` (Faspay, DANA). The path is the full path of the merchant's address.
"""

import asyncio
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from sandbox import signing
from sandbox.keys import CHANNEL_ID
from sandbox.live import Charge
from sandbox.notices import Notice, NoToken, Odd
from sandbox.snap_profile import Profile, Wallet

MOST_TRIES = 3  # after the first, as DOKU and OVO say
TOKEN_PATH = "/access-token/b2b"  # noqa: S105 - a path, behind the merchant's address
RENEW_BEFORE_SECONDS = 30.0
TOKEN_SECONDS = 900.0  # where the merchant does not say


@dataclass
class SnapVoice:
    """How one aggregator notifies the merchant of one wallet."""

    profile: Profile
    wallet: Wallet
    provider_key: RSAPrivateKey
    callback_base: str
    follows_redirects: bool = False
    _tokens: dict[str, tuple[str, float]] = field(default_factory=dict)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def notices(self, charge: Charge, odd: Odd | None = None) -> list[Notice]:
        """Without `odd`, only of states that the aggregator notifies at all."""
        if self.profile.notice_signature is None or (
            odd is None and charge.state not in self.profile.notified
        ):
            return []
        members = self._bent(charge, odd) if odd else self.profile.notice(charge)
        text = json.dumps(members, ensure_ascii=False, separators=(",", ":"))
        if odd and odd.body is not None:
            text = odd.body
        return [
            Notice(
                charge.gateway,
                charge.profile,
                charge.reference,
                str(members.get("latestTransactionStatus", "")),
                url,
                text.encode(),
                str(secrets.randbelow(9 * 10**17) + 10**17),
                odd.timestamp if odd else None,
            )
            for url in charge.notify_urls or [f"{self.callback_base}/{charge.gateway}"]
        ]

    async def headers(self, notice: Notice, client: httpx.AsyncClient) -> dict[str, str]:
        timestamp = notice.timestamp or self.profile.stamp()
        headers = {
            "Content-Type": "application/json",
            "X-TIMESTAMP": timestamp,
            "X-PARTNER-ID": self.wallet.keys.client_id,
            "X-EXTERNAL-ID": notice.serial,
            "CHANNEL-ID": CHANNEL_ID,
        }
        match self.profile.notice_signature:
            case "token":
                token = await self._token(notice.url, client)
                text = signing.of_token_call("POST", notice.path, token, notice.body, timestamp)
                headers["Authorization"] = f"Bearer {token}"
                headers["X-SIGNATURE"] = signing.hmac_sha512(self.wallet.keys.client_secret, text)
            case "client":
                headers["X-SIGNATURE"] = self._rsa(signing.of_client(self.wallet.keys.client_id, timestamp))
            case _:
                text = signing.of_call("POST", notice.path, notice.body, timestamp)
                headers["X-SIGNATURE"] = self._rsa(text)
        return headers

    def is_accepted(self, answer: httpx.Response) -> bool:
        """HTTP 200 and a response code of success; a refused token is not used again."""
        if answer.status_code == 401:
            self._tokens.clear()
        try:
            code = str(answer.json()["responseCode"])
        except (ValueError, KeyError, TypeError):
            return False
        return answer.status_code == 200 and code.startswith("200")

    def tries_after(self, status: int | None) -> int:
        return MOST_TRIES

    def _bent(self, charge: Charge, odd: Odd) -> dict[str, Any]:
        """The members with what is to be odd about them."""
        members = self.profile.notice(odd.of(charge))
        amount = {"value": odd.amount, "currency": odd.currency}
        changes = {
            "latestTransactionStatus": odd.word,
            "originalPartnerReferenceNo": odd.reference,
            "originalReferenceNo": odd.gateway_reference,
            "merchantId": odd.merchant,
            "amount": members["amount"] | {name: text for name, text in amount.items() if text is not None},
        }
        members |= {name: value for name, value in changes.items() if value is not None} | odd.fields
        return {name: value for name, value in members.items() if value is not None}

    async def _token(self, url: str, client: httpx.AsyncClient) -> str:
        """A token of the merchant's, kept until shortly before its end; one is asked for at a time."""
        address = url.partition("?")[0].rstrip("/") + TOKEN_PATH
        async with self._asking:
            token, end = self._tokens.get(address, ("", 0.0))
            if not token or time.monotonic() >= end:
                token, seconds = await self._new_token(address, client)
                self._tokens[address] = token, time.monotonic() + seconds - RENEW_BEFORE_SECONDS
            return token

    async def _new_token(self, address: str, client: httpx.AsyncClient) -> tuple[str, float]:
        """A token and its seconds of life."""
        timestamp, client_id = self.profile.stamp(), self.wallet.keys.client_id
        headers = {
            "Content-Type": "application/json",
            "X-CLIENT-KEY": client_id,
            "X-TIMESTAMP": timestamp,
            "X-SIGNATURE": self._rsa(signing.of_client(client_id, timestamp)),
        }
        try:
            answer = await client.post(
                address, content=b'{"grantType":"client_credentials"}', headers=headers
            )
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            raise NoToken(f"the merchant gave no token: {type(problem).__name__}") from None
        try:
            members = answer.raise_for_status().json()
            return str(members["accessToken"]), float(members.get("expiresIn") or TOKEN_SECONDS)
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError):
            raise NoToken(f"the merchant gave no token: HTTP {answer.status_code}") from None

    def _rsa(self, text: str) -> str:
        return signing.rsa_sha256(self.provider_key, text)
