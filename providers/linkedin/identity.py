"""Whose consent it is: the ID token, checked against LinkedIn's published keys.

Source: LinkedIn, "Sign In with LinkedIn using OpenID Connect". `nonce` is not echoed, so none is sent; the
issuer's name changed in 2024, and both are LinkedIn's.
"""

from collections.abc import Sequence

import httpx
from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import RSAKey
from joserfc.jwt import Token

from common import clock
from common.errors import Rejected, Transient
from common.services import LinkedIn
from providers import http, reading
from providers.linkedin import PROVIDER, answers

LEEWAY = 60  # seconds that clocks may differ
_LONGEST_SUB = 128
_MOST_KEYS = 20


class NotProven(Rejected):
    """What came back does not prove who the member is: nothing of it is used."""


def member_of(token: str | None, config: LinkedIn, client: httpx.Client) -> str:
    """The member that an ID token names (`sub`, this app's own name of them). Raises NotProven, Transient."""
    if not token:
        raise NotProven(PROVIDER, "sign-in", "gives no proof of who it is")
    try:
        read = _signed(token, _keys(config, client))
        rules = jwt.JWTClaimsRegistry(
            now=int(clock.now().timestamp()),
            leeway=LEEWAY,
            iss={"essential": True, "values": list(config.issuers)},
            aud={"essential": True, "value": config.client_id},
            exp={"essential": True},
            sub={"essential": True},
        )
        rules.validate(read.claims)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        # The library's own word for it, such as InvalidClaimError: no part of the token.
        reason = "gives a proof that does not hold"
        raise NotProven(PROVIDER, "sign-in", reason, code=type(error).__name__) from None
    sub = reading.word(read.claims.get("sub"), _LONGEST_SUB)
    if sub is None:
        raise NotProven(PROVIDER, "sign-in", "names nobody")
    return sub


def _signed(token: str, keys: Sequence[RSAKey]) -> Token:
    """What the token says, if one of these keys signed it; raises JoseError, ValueError where none did."""
    refusal: Exception = BadSignatureError()
    for key in keys:
        try:
            return jwt.decode(token, key, algorithms=["RS256"])
        except BadSignatureError as error:
            refusal = error
    raise refusal


def _keys(config: LinkedIn, client: httpx.Client) -> list[RSAKey]:
    """LinkedIn's keys as they are now; which of them signed is tried, as not every set names its keys."""
    try:
        answer = http.call(client, "GET", config.jwks_url, headers={})
    except httpx.TransportError as error:
        raise answers.no_answer("keys", error, is_read=True) from None
    if answer.status_code != 200:
        raise answers.refusal("keys", answer, is_read=True)
    said = reading.member(reading.json_object(answer.content), "keys")
    listed = [one for one in said if isinstance(one, dict)] if isinstance(said, list) else []
    try:
        keys = [RSAKey.import_key(one) for one in listed[:_MOST_KEYS] if one.get("kty") == "RSA"]
    except (JoseError, ValueError, TypeError, KeyError):
        keys = []
    if not keys:
        raise Transient(PROVIDER, "keys", "answers without keys")
    return keys
