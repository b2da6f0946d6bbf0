"""One SNAP call: serialised once, signed over those bytes, sent as those bytes.

The path that is signed is what follows the base address. A token that ended early is renewed once, and the
call repeated once.
"""

import secrets
from typing import Any

import httpx

from common import clock
from common.errors import AuthFailed
from common.settings import Snap
from providers import http, signatures
from providers.snap import codes
from providers.snap.codes import Answer
from providers.snap.credentials import Credentials
from providers.snap.profiles import profile_of
from providers.snap.tokens import B2BToken
from providers.tokens import MemoryTokens, TokenStore


class SnapClient:
    """One merchant's SNAP connection; safe to use from several threads."""

    def __init__(self, gateway: str, config: Snap, tokens: TokenStore | None = None) -> None:
        self.gateway = gateway
        self.profile = profile_of(gateway, config)
        self.credentials = Credentials(gateway, config, self.profile)
        self._address = config.base_url
        self._http = http.client(config)
        self._token = B2BToken(
            gateway, config.base_url, self.profile, self.credentials, self._http, tokens or MemoryTokens()
        )

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def read(self, operation: str, path: str, body: dict[str, Any]) -> Answer:
        """A call that changes nothing: again where it did not get through, each time with a new number."""
        return http.again_if_safe(lambda: self._call(operation, path, body, external_id=None))

    def send(self, operation: str, path: str, body: dict[str, Any], external_id: str) -> Answer:
        """A call that moves money: again only where it surely did not arrive, with the same number."""
        return http.again_if_safe(lambda: self._call(operation, path, body, external_id=external_id))

    def _call(self, operation: str, path: str, body: dict[str, Any], *, external_id: str | None) -> Answer:
        sent = http.compact(body)
        if not self.profile.is_signed_with_token:
            return self._once(operation, path, sent, external_id, token=None)
        token = self._token.current()
        try:
            return self._once(operation, path, sent, external_id, token)
        except AuthFailed as error:
            if not codes.is_token_refused(error):
                raise
        return self._once(operation, path, sent, external_id, self._token.current(refused=token))

    def _once(
        self, operation: str, path: str, sent: bytes, external_id: str | None, token: str | None
    ) -> Answer:
        is_read = external_id is None
        path = self.credentials.path(path)
        headers = self._headers(path, sent, external_id or own_number(), token)
        try:
            response = http.call(self._http, "POST", self._address + path, content=sent, headers=headers)
        except httpx.TransportError as error:
            raise http.failed(self.gateway, operation, error, is_read=is_read) from None
        return codes.answer_of(self.gateway, operation, response, is_read=is_read)

    def _headers(self, path: str, sent: bytes, external_id: str, token: str | None) -> dict[str, str]:
        mine = self.credentials
        timestamp = self.profile.timestamp(clock.now())
        headers = {
            "Content-Type": "application/json",
            "X-TIMESTAMP": timestamp,
            "X-PARTNER-ID": mine.partner_id,
            "X-EXTERNAL-ID": external_id,
            "CHANNEL-ID": mine.channel_id,
        }
        if mine.device_id:
            headers["X-DEVICE-ID"] = mine.device_id
        if token is None:
            headers["X-SIGNATURE"] = signatures.snap_asymmetric(
                mine.private_key, "POST", path, sent, timestamp
            )
        else:
            headers["Authorization"] = f"Bearer {token}"
            headers["X-SIGNATURE"] = signatures.snap_transaction(
                mine.client_secret, "POST", path, token, sent, timestamp
            )
        return headers


def own_number() -> str:
    """Digits that no other call of the day has: the microsecond and chance. For reads only, at most 32."""
    return f"{clock.now():%y%m%d%H%M%S%f}{secrets.randbelow(10**12):012d}"
