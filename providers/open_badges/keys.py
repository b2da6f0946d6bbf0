"""The issuer's keys: read from PEM, named by their thumbprint, published as a DID document and a JWK set.

RSA keys (2048 bits and more) sign with RS256, Ed25519 keys with EdDSA and the embedded proof. The id of a
key is the thumbprint of its public half (RFC 7638), so the same key has the same id wherever it is read.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from openbadgeslib.keys import public_jwk_from_pem
from openbadgeslib.ob3 import multikey_from_pem

from common.errors import BadInput

Jwk = Mapping[str, Any]
Alg = Literal["RS256", "EdDSA"]
LEAST_RSA_BITS = 2048
_BLOCK = re.compile(
    r"-----BEGIN (?P<kind>[A-Z0-9 ]*(?:PRIVATE|PUBLIC) KEY)-----.+?-----END (?P=kind)-----", re.S
)
_PUBLIC_MEMBERS = {
    "RSA": ("e", "kty", "n"),
    "OKP": ("crv", "kty", "x"),
}  # what a thumbprint is made of, in order


@dataclass(frozen=True)
class SigningKey:
    """A private key that signs badges."""

    private: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)

    @property
    def alg(self) -> Alg:
        """How it signs a JWT."""
        return "RS256" if isinstance(self.private, RSAPrivateKey) else "EdDSA"

    @cached_property
    def jwk(self) -> dict[str, Any]:
        """Its public half."""
        return public_jwk(self.private.public_key())

    @cached_property
    def id(self) -> str:
        """Its thumbprint."""
        return thumbprint(self.jwk)

    @cached_property
    def pem(self) -> bytes:
        """The private key itself, as the library takes it."""
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def sign(self, text: bytes) -> bytes:
        """The signature over some bytes, as its algorithm makes it."""
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(text, padding.PKCS1v15(), hashes.SHA256())
        return self.private.sign(text)


@dataclass(frozen=True)
class Keys:
    """What SIGNING_KEYS holds: keys that sign, the first of each kind first, and older public halves."""

    signing: tuple[SigningKey, ...]
    also_public: tuple[dict[str, Any], ...] = ()

    def for_alg(self, alg: Alg) -> SigningKey:
        """The key that signs with this algorithm now; raises BadInput where there is none."""
        for key in self.signing:
            if key.alg == alg:
                return key
        kind = "an RSA" if alg == "RS256" else "an Ed25519"
        raise BadInput(f"JEMBATAN_SIGNING_KEYS has no private key for {alg}: add {kind} key in PEM")

    def public(self) -> dict[str, dict[str, Any]]:
        """Every public half by its id."""
        found = {key.id: key.jwk for key in self.signing}
        return found | {thumbprint(jwk): jwk for jwk in self.also_public}


@lru_cache(maxsize=8)
def read(pems: str) -> Keys:
    """Keys from PEM, one after the other; the first of a kind signs. Raises BadInput, which names no key."""
    signing: list[SigningKey] = []
    also_public: list[dict[str, Any]] = []
    for block in _BLOCK.finditer(pems.replace("\\n", "\n")):  # as an environment variable has line ends
        text = block[0].encode()
        try:
            if "PRIVATE" in block["kind"]:
                key = serialization.load_pem_private_key(text, None)
            else:
                key = serialization.load_pem_public_key(text)  # type: ignore[assignment]  # one name for both
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise BadInput("JEMBATAN_SIGNING_KEYS: one of the keys is no PEM without a password") from None
        if isinstance(key, (RSAPrivateKey, RSAPublicKey)) and key.key_size < LEAST_RSA_BITS:
            raise BadInput(f"JEMBATAN_SIGNING_KEYS: an RSA key needs {LEAST_RSA_BITS} bits or more")
        if isinstance(key, (RSAPrivateKey, Ed25519PrivateKey)):
            signing.append(SigningKey(key))
        elif isinstance(key, (RSAPublicKey, Ed25519PublicKey)):
            also_public.append(public_jwk(key))
        else:
            raise BadInput("JEMBATAN_SIGNING_KEYS takes RSA and Ed25519 keys only")
    if not signing:
        raise BadInput("JEMBATAN_SIGNING_KEYS holds no private key in PEM")
    return Keys(tuple(signing), tuple(also_public))


def public_pem(key: RSAPublicKey | Ed25519PublicKey) -> bytes:
    """A public key as PEM."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_jwk(key: RSAPublicKey | Ed25519PublicKey) -> dict[str, Any]:
    """A public key as a JWK, with the members that make it up and no others."""
    jwk = public_jwk_from_pem(public_pem(key))
    return {name: jwk[name] for name in _PUBLIC_MEMBERS[jwk["kty"]]}


def thumbprint(jwk: Jwk) -> str:
    """The name of a key that everybody computes alike (RFC 7638, SHA-256)."""
    members = _PUBLIC_MEMBERS.get(str(jwk.get("kty")))
    if members is None:
        raise BadInput("only RSA and Ed25519 keys have a place here")
    text = json.dumps({name: jwk.get(name) for name in members}, separators=(",", ":"), sort_keys=True)
    return b64url(hashlib.sha256(text.encode()).digest())


def b64url(data: bytes) -> str:
    """Base64 for addresses and JWS: no padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def did_of(base_url: str) -> str:
    """The `did:web` whose document is served under this address.

    did:web means https. In the sandbox the address may be http: then the DID is known to this installation
    alone, and nobody else can resolve it.
    """
    parts = urlsplit(base_url)
    if not parts.hostname or parts.username is not None:
        raise BadInput("JEMBATAN_PUBLIC_URL needs a host name, and no user")
    host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    segments = [quote(segment, safe="") for segment in parts.path.split("/") if segment]
    return ":".join(["did:web", quote(host, safe=""), *segments])


def did_document(did: str, keys: Mapping[str, Jwk], signing_first: Sequence[str] = ()) -> dict[str, Any]:
    """The DID document that publishes these keys. signing_first: ids that come before the others."""
    methods = [_method(did, key_id, keys[key_id]) for key_id in _ordered(keys, signing_first)]
    return {
        "@context": [
            "https://www.w3.org/ns/did/v1",
            "https://w3id.org/security/jwk/v1",
            "https://w3id.org/security/multikey/v1",
        ],
        "id": did,
        "verificationMethod": methods,
        "assertionMethod": [method["id"] for method in methods],
    }


def jwk_set(did: str, keys: Mapping[str, Jwk], signing_first: Sequence[str] = ()) -> dict[str, Any]:
    """The same keys as a JWK set; each says whose it is."""
    return {
        "keys": [
            {**keys[key_id], **_use(keys[key_id]), "kid": method_id(did, key_id), "iss": did}
            for key_id in _ordered(keys, signing_first)
        ]
    }


def method_id(did: str, key_id: str) -> str:
    """How badges and documents name a key."""
    return f"{did}#{key_id}"


def _ordered(keys: Iterable[str], first: Sequence[str]) -> list[str]:
    known = list(keys)
    ahead = [key_id for key_id in first if key_id in known]
    return ahead + [key_id for key_id in known if key_id not in ahead]


def _use(jwk: Jwk) -> dict[str, str]:
    return {"use": "sig", "alg": "RS256" if jwk["kty"] == "RSA" else "EdDSA"}


def _method(did: str, key_id: str, jwk: Jwk) -> dict[str, Any]:
    named = {"id": method_id(did, key_id), "controller": did}
    if jwk["kty"] == "OKP":
        raw = base64.urlsafe_b64decode(str(jwk["x"]) + "=")
        multibase = multikey_from_pem(public_pem(Ed25519PublicKey.from_public_bytes(raw)))
        return named | {"type": "Multikey", "publicKeyMultibase": multibase}
    return named | {"type": "JsonWebKey", "publicKeyJwk": {**jwk, "kid": key_id}}
