"""The register's access token: OAuth 2.0 client credentials (RFC 6749), through Authlib's client.

Authlib words the request and puts the key into it; the call itself is ours, with our time-outs and errors.
The secret travels in the form, as the platform's own example sends it. What is kept of a token is the token
and the scopes that came with it, so that a call whose scope is missing is noticed before it is made.
"""

import re
from typing import Any
from urllib.parse import urlencode

import httpx
from authlib.oauth2.client import OAuth2Client  # type: ignore[import-untyped]

from common.errors import AuthFailed, Rejected, Transient
from common.services import Siplatih as Section
from common.settings import secret_text
from providers import http, reading
from providers.siplatih import answers
from providers.siplatih.answers import PROVIDER
from providers.tokens import Token, TokenStore

LIFE_SECONDS = 300  # where the answer does not tell
_SECONDS = re.compile(r"[0-9]{1,9}")
_OF_A_TOKEN = frozenset(map(chr, range(0x21, 0x7F)))


class AccessToken:
    """One sender's token, kept in a store until a little before its end."""

    def __init__(self, config: Section, client: httpx.Client, store: TokenStore) -> None:
        self._config = config
        self._session = _FormSession(client)
        self._store = store

    def current(self, operation: str, scope: str, *, refused: str | None = None) -> str:
        """What is kept of a token that has this scope; `bearer` has what is sent. Another one than `refused`.

        Raises AuthFailed, before any call, where the register did not grant the scope.
        """
        name = f"{PROVIDER} {self._config.client_id} {self._config.token_url}"
        kept = self._store.current(name, self._fetched, refused=refused)  # the call itself is tried again
        if scope not in kept.split(" ")[1:]:
            raise AuthFailed(PROVIDER, operation, f"did not grant our key the scope {scope}")
        return kept

    def _fetched(self) -> Token:
        oauth = OAuth2Client(
            self._session,
            client_id=self._config.client_id,
            client_secret=secret_text(self._config.client_secret),
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - a method, not a secret
            scope=self._config.scope,
        )
        oauth.register_compliance_hook("access_token_response", _in_words_of_oauth)
        answer: dict[str, Any] = oauth.fetch_token(self._config.token_url, grant_type="client_credentials")
        granted = answer.get("scope") or self._config.scope  # RFC 6749: absent, it is what was asked for
        return Token.lasting(" ".join([answer["access_token"], *granted.split()]), answer["expires_in"])


def bearer(kept: str) -> str:
    """The token itself, as it is sent, of what is kept of it."""
    return kept.partition(" ")[0]


class _FormSession:
    """What Authlib posts its token request with: a form, our client and our errors."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def post(self, url: str, *, data: dict[str, str], auth: Any, headers: dict[str, str]) -> httpx.Response:
        """The answer, where it has a token; raises the ProviderError of any other."""
        url, headers, body = auth.prepare("POST", url, dict(headers), urlencode(data))
        try:
            response = http.call(self._client, "POST", url, content=body.encode(), headers=headers)
        except httpx.TransportError as error:
            raise http.failed(PROVIDER, "token", error, is_read=True) from None
        members = _grant(response)
        if response.is_success and _is_bearer_token(members):
            return response
        if members is not None and (response.is_success or response.status_code in (400, 401, 403)):
            code = reading.member(members, "error")
            code = reading.member(code, "code") if isinstance(code, dict) else code
            word = reading.word(code, 64) or f"HTTP {response.status_code}"
            raise AuthFailed(PROVIDER, "token", "gives us no token", code=word)
        try:
            answers.answer_of("token", response, is_read=True)
        except Rejected as refusal:
            raise AuthFailed(PROVIDER, "token", refusal.reason, code=refusal.code) from None
        raise Transient(PROVIDER, "token", "answers without a token")


def _grant(response: httpx.Response) -> dict[str, Any] | None:
    """The members of a token's answer, also where they lie in the envelope of all other answers."""
    members = answers.object_of(response)
    data = reading.member(members, "data")
    return data if isinstance(data, dict) and "access_token" in data else members


def _in_words_of_oauth(response: httpx.Response) -> httpx.Response:
    members = _grant(response) or {}
    life, scope = str(members.get("expires_in")), members.get("scope")  # a number, a text, or absent
    seconds = int(life) if _SECONDS.fullmatch(life) else LIFE_SECONDS
    token = {"access_token": members["access_token"], "token_type": "Bearer", "expires_in": seconds}
    return httpx.Response(200, json=token | ({"scope": scope} if isinstance(scope, str) else {}))


def _is_bearer_token(members: dict[str, Any] | None) -> bool:
    """Whether an answer has a token that can stand in a header."""
    token, kind = reading.member(members, "access_token"), reading.member(members, "token_type")
    return (
        isinstance(token, str)
        and bool(token)
        and _OF_A_TOKEN.issuperset(token)
        and (kind is None or str(kind).lower() == "bearer")
    )
