"""LinkedIn's ID tokens: RS256, and every way in which one can be wrong."""

import base64
import json
import time
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from sandbox.keys import LINKEDIN
from sandbox.linkedin_books import Member
from sandbox.linkedin_manners import DEFAULT_ISSUER, Manners

LIVES_SECONDS = 3600


class Signer:
    """The keys: the newest signs, every one is published. The first is made when it is needed."""

    def __init__(self) -> None:
        self._keys: list[tuple[str, RSAPrivateKey]] = []
        self._foreign: RSAPrivateKey | None = None

    def rotate(self) -> None:
        """Sign with a new key from now on."""
        self._keys.append((str(uuid4()), generate_private_key(65537, 2048)))

    def published(self) -> dict[str, Any]:
        """The JWKS."""
        self._have_one()
        keys = []
        for kid, key in self._keys:
            numbers = key.public_key().public_numbers()
            keys.append(
                {
                    "kty": "RSA",
                    "use": "sig",
                    "alg": "RS256",
                    "kid": kid,
                    "n": _number(numbers.n),
                    "e": _number(numbers.e),
                }
            )
        return {"keys": keys}

    def token(self, member: Member, manners: Manners) -> str:
        """An ID token for the app, wrong in the way that the manners want. A nonce is never in it."""
        kind, moment = manners.identity, int(time.time())
        claims = {
            "iss": _issuer(kind),
            "aud": "another-app" if kind == "other_audience" else LINKEDIN[0],
            "iat": moment,
            "exp": moment - 600 if kind == "expired" else moment + LIVES_SECONDS,
            "sub": member.sub,
            "name": member.name,
        }
        self._have_one()
        kid, key = self._keys[-1]
        if kind == "other_key":
            self._foreign = self._foreign or generate_private_key(65537, 2048)
            key = self._foreign
        if kind == "unsigned":
            return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}."
        text = f"{_part({'alg': 'RS256', 'typ': 'JWT', 'kid': kid})}.{_part(claims)}"
        return f"{text}.{_base64(key.sign(text.encode(), PKCS1v15(), SHA256()))}"

    def _have_one(self) -> None:
        if not self._keys:
            self.rotate()


def _issuer(kind: str) -> str:
    if kind == "old_issuer":  # until the spring of 2024
        return "https://www.linkedin.com"
    return "https://linkedin.example" if kind == "other_issuer" else DEFAULT_ISSUER


def _part(members: dict[str, Any]) -> str:
    return _base64(json.dumps(members, separators=(",", ":")).encode())


def _number(number: int) -> str:
    return _base64(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
