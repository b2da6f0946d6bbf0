"""The B2B access token of SNAP (service 73), fetched through Authlib's OAuth client.

The grant is OAuth's client credentials. SNAP differs in three points, and each has its place in Authlib: the
call is signed JSON instead of a form (the session), the answer's members are in camel case (a compliance
hook), and success is HTTP 200 with a token whatever the response code says. Authlib's own httpx client is not
used: 1.9 deprecates it, and our client has the time-outs, the pace and the errors.
"""

import re
from typing import Any

import httpx
from authlib.oauth2.client import OAuth2Client  # type: ignore[import-untyped]

from common import clock
from common.errors import Transient
from providers import http, reading, signatures
from providers.snap import codes
from providers.snap.credentials import Credentials
from providers.snap.profiles import Profile
from providers.tokens import Token, TokenStore

LIFE_SECONDS = 900  # where the answer does not tell
_SECONDS = re.compile(r"[1-9][0-9]{0,6}")
_PRINTABLE = frozenset(map(chr, range(0x21, 0x7F)))


class B2BToken:
    """One merchant's token at one aggregator, kept in a store until a little before its end."""

    def __init__(
        self,
        gateway: str,
        address: str,
        profile: Profile,
        credentials: Credentials,
        client: httpx.Client,
        store: TokenStore,
    ) -> None:
        self._gateway = gateway
        self._url = f"{address}{profile.token}"
        self._session = _SignedSession(gateway, profile, credentials, client)
        self._credentials = credentials
        self._store = store

    def current(self, refused: str | None = None) -> str:
        """The token; a new one where the kept one is about to end, or is the one that was refused."""
        name = f"{self._gateway} {self._credentials.client_id} {self._url}"
        return self._store.current(name, lambda: http.again_if_safe(self._fetched), refused=refused)

    def _fetched(self) -> Token:
        oauth = OAuth2Client(self._session, client_id=self._credentials.client_id)
        oauth.register_compliance_hook("access_token_response", _in_words_of_oauth)
        answer: dict[str, Any] = oauth.fetch_token(self._url, grant_type="client_credentials")
        return Token.lasting(answer["access_token"], answer["expires_in"])


class _SignedSession:
    """What Authlib posts its token request with: SNAP's JSON and signature, our client and errors."""

    def __init__(
        self, gateway: str, profile: Profile, credentials: Credentials, client: httpx.Client
    ) -> None:
        self._gateway = gateway
        self._profile = profile
        self._credentials = credentials
        self._client = client

    def post(self, url: str, *, data: dict[str, str], **_: Any) -> httpx.Response:
        """The successful answer; raises the ProviderError of any other."""
        timestamp = self._profile.timestamp(clock.now())
        client_id = self._credentials.client_id
        try:
            response = http.call(
                self._client,
                "POST",
                url,
                content=b'{"grantType":"%s"}' % data["grant_type"].encode(),
                headers={
                    "Content-Type": "application/json",
                    "X-CLIENT-KEY": client_id,
                    "X-TIMESTAMP": timestamp,
                    "X-SIGNATURE": signatures.snap_token(self._credentials.private_key, client_id, timestamp),
                },
            )
        except httpx.TransportError as error:
            raise http.failed(self._gateway, "token", error, is_read=True) from None
        if not (response.is_success and _token(response)):
            codes.answer_of(self._gateway, "token", response, is_read=True)
            raise Transient(self._gateway, "token", "answers without a token")
        return response


def _in_words_of_oauth(response: httpx.Response) -> httpx.Response:
    members = reading.json_object(response.content) or {}
    life = str(members.get("expiresIn"))  # "900" in the standard, 900 at DOKU
    seconds = int(life) if _SECONDS.fullmatch(life) else LIFE_SECONDS
    return httpx.Response(
        200, json={"access_token": _token(response), "token_type": "Bearer", "expires_in": seconds}
    )


def _token(response: httpx.Response) -> str | None:
    """The token, if it is one that can stand in a header."""
    token = reading.member(reading.json_object(response.content), "accessToken")
    return token if isinstance(token, str) and token and _PRINTABLE.issuperset(token) else None
