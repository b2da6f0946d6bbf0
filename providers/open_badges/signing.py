"""Signatures of badges: a JWT (RS256 or EdDSA) around the badge, or a proof embedded in it.

The JWT is put together here: the library's has no `kid`, and parses the key again for each status list. Its
embedded proof (`eddsa-rdfc-2022`) is the library's own, with contexts that come with it: no network.
"""

import json
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from openbadgeslib.ob3 import OB3LdpVerifier, OB3VerificationError, add_data_integrity_proof

from common import clock
from providers.open_badges.keys import SigningKey, b64url, method_id, public_pem


class Signer:
    """Signs documents of one issuer with one key."""

    def __init__(self, key: SigningKey, issuer_id: str) -> None:
        self.key = key
        self.issuer_id = issuer_id
        self.method = method_id(issuer_id, key.id)
        header = {"alg": key.alg, "kid": self.method, "jwk": key.jwk, "typ": "JWT"}
        self._header = b64url(orjson.dumps(header)).encode()

    def jws(self, document: dict[str, Any]) -> str:
        """The document as a compact JWT: the document itself, and the claims that repeat it."""
        subject = document["credentialSubject"]
        claims = {
            "iss": self.issuer_id,
            "jti": document["id"],
            "sub": subject["id"],
            "nbf": _seconds(document["validFrom"]),
        }
        if "validUntil" in document:
            claims["exp"] = _seconds(document["validUntil"])
        text = self._header + b"." + b64url(orjson.dumps(document | claims)).encode()
        return f"{text.decode()}.{b64url(self.key.sign(text))}"

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


@lru_cache(maxsize=4096)
def _seconds(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp())
