"""A member's consent: the address that asks for it, what comes of it, and its end. Words by Authlib.

Source: LinkedIn, "Authorization Code Flow", read 2026-11. Quirks: no PKCE for web apps (a `code_verifier`
beside the secret is `invalid_client`); scopes come back parted by commas or blanks; refresh tokens for
approved partners only.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
from authlib.common.security import generate_token  # type: ignore[import-untyped]
from authlib.oauth2.client import OAuth2Client  # type: ignore[import-untyped]

from common import clock
from common.errors import AuthFailed, ProviderError, Rejected, Transient
from common.services import LinkedIn
from common.settings import secret_text
from providers import http, reading
from providers.linkedin import PROVIDER, answers
from providers.linkedin.identity import NotProven, member_of

SHARE = "w_member_social"
CANCELLED = frozenset({"user_cancelled_login", "user_cancelled_authorize", "access_denied"})
_LONGEST_LIFE = 366 * 86_400
_LIFE = 60 * 86_400  # seconds, where the answer does not tell
_OF_A_TOKEN = frozenset(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True)
class Grant:
    """What a member has allowed us. sub: this app's name of the member. Its tokens are secrets."""

    sub: str
    access_token: str = field(repr=False)
    scopes: tuple[str, ...]
    expires_at: datetime
    refresh_token: str | None = field(default=None, repr=False)


class Consent:
    """Asks members for their consent as our app; safe to use from several threads."""

    def __init__(self, config: LinkedIn, redirect_uri: str) -> None:
        self._config = config
        self._redirect_uri = redirect_uri
        self._http = http.client(config)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def verifier(self) -> str | None:
        """The secret of one request, where the app has PKCE switched on."""
        return str(generate_token(64)) if self._config.pkce else None

    def address(self, state: str, verifier: str | None) -> str:
        """Where the member's browser is sent."""
        address, _ = self._oauth("consent").create_authorization_url(
            self._config.authorize_url, state=state, code_verifier=verifier
        )
        return str(address).replace("+", "%20")  # a plus that was meant is %2B already

    def exchange(self, code: str, verifier: str | None) -> Grant:
        """The grant that a code stands for, once. Raises Rejected for a code that is none any more,
        NotProven, AuthFailed where our app is refused, Transient: the member starts again."""
        more = {"code_verifier": verifier} if verifier else {}
        given = self._oauth("exchange").fetch_token(
            self._config.token_url,
            grant_type="authorization_code",
            code=code,
            redirect_uri=self._redirect_uri,
            **more,
        )
        sub = member_of(given.get("id_token"), self._config, self._http)
        grant = _grant(sub, given, self._config.scope)
        if self._userinfo_sub(grant) != sub:
            raise NotProven(PROVIDER, "userinfo", "names somebody else")
        return grant

    def refreshed(self, grant: Grant) -> Grant:
        """The grant with a new access token. Raises as `exchange`."""
        given = self._oauth("refresh").fetch_token(
            self._config.token_url, grant_type="refresh_token", refresh_token=grant.refresh_token
        )
        # A refresh token is not renewed by its use, and the answer may leave it out.
        kept = {"refresh_token": grant.refresh_token, "scope": " ".join(grant.scopes)}
        return _grant(grant.sub, kept | {name: value for name, value in given.items() if value}, "")

    def revoke(self, token: str) -> None:
        """End a token at LinkedIn. Raises ProviderError; what is not known there is no fault."""
        self._oauth("revoke").revoke_token(self._config.revoke_url, token=token)

    def _userinfo_sub(self, grant: Grant) -> str | None:
        """Whom the access token belongs to. Name, e-mail and picture are not read: nothing needs them."""
        headers = {"Authorization": f"Bearer {grant.access_token}"}
        try:
            answer = http.call(self._http, "GET", f"{self._config.api_url}/v2/userinfo", headers=headers)
        except httpx.TransportError as error:
            raise answers.no_answer("userinfo", error, is_read=True) from None
        if answer.status_code != 200:
            raise answers.refusal("userinfo", answer, is_read=True)
        return reading.word(reading.member(reading.json_object(answer.content), "sub"))

    def _oauth(self, operation: str) -> Any:
        method = "client_secret_post"  # the secret stands in the body, in no address and no header
        return OAuth2Client(
            _Session(self._http, operation),
            client_id=self._config.client_id,
            client_secret=secret_text(self._config.client_secret),
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
            scope=self._config.scope,
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256" if self._config.pkce else None,
        )


class _Session:
    """What Authlib sends its forms with: our client, its time-outs, our errors."""

    def __init__(self, client: httpx.Client, operation: str) -> None:
        self._client = client
        self._operation = operation

    def post(
        self, url: str, data: dict[str, str] | str, *, auth: Any, headers: dict[str, str], **_: Any
    ) -> httpx.Response:
        """The answer, where it is a success; raises the ProviderError of any other."""
        form = data if isinstance(data, str) else urlencode(data)
        url, headers, body = auth.prepare("POST", url, dict(headers), form)
        try:
            answer = http.call(self._client, "POST", url, content=body.encode(), headers=headers)
        except httpx.TransportError as error:
            raise answers.no_answer(self._operation, error, is_read=True) from None
        if not answer.is_success:
            raise _refused(self._operation, answer)
        if self._operation == "revoke":
            return answer
        members = reading.json_object(answer.content) or {}
        token = members.get("access_token")
        if not isinstance(token, str) or not token or not _OF_A_TOKEN.issuperset(token):
            raise Transient(PROVIDER, self._operation, "answers without a token")
        kept = {name: members[name] for name in ("scope", "id_token", "refresh_token") if members.get(name)}
        life = {"token_type": "Bearer", "expires_in": _seconds(members)}
        return httpx.Response(200, json={"access_token": token, **kept, **life})


def _seconds(members: dict[str, Any]) -> int:
    """How long a token lives: a number, a text, or absent."""
    text = str(members.get("expires_in"))
    return min(int(text), _LONGEST_LIFE) if text.isdecimal() else _LIFE


def _refused(operation: str, answer: httpx.Response) -> ProviderError:
    """OAuth's own errors: a code or our app is refused."""
    code = answers.code_of(reading.json_object(answer.content) or {}) or f"HTTP {answer.status_code}"
    if answer.status_code == 401 or code in ("invalid_client", "unauthorized_client"):
        return AuthFailed(PROVIDER, operation, "refuses our app", code=code)
    if answer.status_code in (400, 403):
        return Rejected(PROVIDER, operation, "does not take it", code=code)
    return answers.refusal(operation, answer, is_read=True)


def _grant(sub: str, given: dict[str, Any], asked: str) -> Grant:
    # RFC 6749: a scope that is absent is what was asked for.
    said = given.get("scope")
    scopes = re.split(r"[,\s]+", said if isinstance(said, str) and said else asked)
    refresh = given.get("refresh_token")
    return Grant(
        sub=sub,
        access_token=given["access_token"],
        scopes=tuple(sorted({one for one in scopes if one})),
        expires_at=clock.now() + timedelta(seconds=int(given["expires_in"])),
        refresh_token=refresh if isinstance(refresh, str) and refresh else None,
    )
