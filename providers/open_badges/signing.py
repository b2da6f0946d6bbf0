"""Signatures of badges: a JWT (RS256 or EdDSA) around the badge, or a proof embedded in it.

The JWT is put together here: the library's has no `kid`, and parses the key again for each status list. Its
embedded proof (`eddsa-rdfc-2022`) is the library's own, with contexts that come with it: no network.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from os.path import commonprefix
from typing import Any

import orjson
from openbadgeslib.ob3 import OB3LdpVerifier, OB3VerificationError, add_data_integrity_proof

from common import clock
from providers.open_badges.keys import SigningKey, b64url, method_id, public_pem

_ENCODED_TOGETHER = 3  # bytes, by base64


class Signer:
    """Signs documents of one issuer with one key."""

    def __init__(self, key: SigningKey, issuer_id: str) -> None:
        self.key = key
        self.issuer_id = issuer_id
        self.method = method_id(issuer_id, key.id)
        header = {"alg": key.alg, "kid": self.method, "jwk": key.jwk, "typ": "JWT"}
        self._header = _b64url(orjson.dumps(header))

    def jws(self, document: dict[str, Any]) -> str:
        """The document as a compact JWT: the document itself, and the claims that repeat it."""
        return next(self.each_jws([document]))

    def each_jws(self, documents: Iterable[dict[str, Any]]) -> Iterator[str]:
        """Many documents that begin alike, one after the other: how they begin is encoded once."""
        before = start = encoded = b""
        for document in documents:
            payload = self._payload(document)
            if not start and before:
                alike = len(commonprefix((before, payload)))  # noqa: RUF071 - of bytes, no paths
                start = payload[: alike - alike % _ENCODED_TOGETHER]
                encoded = _b64url(start)
            before = payload
            if start and payload.startswith(start):
                body = encoded + _b64url(payload[len(start) :])
            else:
                body = _b64url(payload)
            text = self._header + b"." + body
            yield (text + b"." + _b64url(self.key.sign(text))).decode()

    def _payload(self, document: dict[str, Any]) -> bytes:
        subject = document["credentialSubject"]
        claims = {
            "iss": self.issuer_id,
            "jti": document["id"],
            "sub": subject["id"],
            "nbf": _seconds(document["validFrom"]),
        }
        if "validUntil" in document:
            claims["exp"] = _seconds(document["validUntil"])
        return orjson.dumps(document | claims)

    def each_embedded(self, documents: Iterable[dict[str, Any]]) -> Iterator[str]:
        """Many documents of one achievement with a proof in each; the first is looked at (`whole`)."""
        for number, document in enumerate(documents):
            signed = self.embedded(document)
            if number == 0:
                self.whole(signed)
            yield signed

    def embedded(self, document: dict[str, Any]) -> str:
        """The document with a proof in it, as JSON. The key must be Ed25519."""
        signed = add_data_integrity_proof(document, self.key.pem, self.method, created=clock.now())
        signed["proof"] = [signed["proof"]]  # the schema of Open Badges wants a list; it is not signed itself
        return orjson.dumps(signed).decode()

    def whole(self, signed: str) -> None:
        """See that an embedded proof covers all that the JSON says; raises ValueError where it does not.

        A term that the contexts lack would not be signed. Badges of one achievement are alike: one of them
        tells for all.
        """
        document = json.loads(signed)
        verifier = OB3LdpVerifier(public_pem(self.key.private.public_key()))
        try:
            verifier.verify(document)
        except OB3VerificationError as error:
            if "not yet valid" not in str(error) and "expired" not in str(error):
                raise ValueError(f"the proof does not cover the badge: {error}") from None


def _b64url(data: bytes) -> bytes:
    return b64url(data).encode()


@lru_cache(maxsize=4096)
def _seconds(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp())
