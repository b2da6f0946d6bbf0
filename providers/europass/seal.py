"""Sealing a European credential: JAdES, baseline B, as JSON with the document as it was signed in it.

A signer gets a digest and gives a signature: a PKCS#12 file on this machine, or a plug-in in front of a
card or a provider's remote service. Whether a seal is a qualified one is decided by its certificate, not
here. Source: ETSI TS 119 182-1 and the EU's sealed samples; RFC 7797 for the payload that is not encoded.
"""

import base64
import hashlib
import importlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12
from cryptography.x509.oid import NameOID

from common import clock
from common.errors import BadInput
from providers.europass import concepts
from providers.europass.document import Sealing

_SMALLEST_RSA = 2048
_P256_BYTES = 32


class Signer(Protocol):
    """Who signs. alg: `RS256`, `PS256` or `ES256`. chain: certificates, DER, the signer's own first.

    A plug-in may raise a ProviderError: `Transient` where nothing was signed and it is worth another try.
    """

    alg: str
    chain: Sequence[bytes]

    def sign(self, digest: bytes) -> bytes:
        """The signature over this SHA-256 digest, in the form of a JWS (for ES256 r and s, 64 bytes)."""


class Seal:
    """Seals documents with one signer, whose certificate says who we are."""

    def __init__(self, signer: Signer, identifier: str | None = None) -> None:
        """identifier: where the certificate has no organisation identifier. Raises BadInput, also for a
        certificate of a country that the document cannot name."""
        if signer.alg not in ("RS256", "PS256", "ES256"):
            raise BadInput(f"a seal is made with RS256, PS256 or ES256, not with {signer.alg}")
        self._signer = signer
        self.certificate = _checked(signer.chain)
        self._identifier = identifier or _identifier(self.certificate)
        self._country = _country(self.certificate, self._identifier)
        concepts.country(self._country)  # one that cannot be named seals nothing

    def sealing(self, at: datetime) -> Sealing:
        """What a document that is sealed at this moment says of who seals it."""
        if not self.certificate.not_valid_before_utc <= at <= self.certificate.not_valid_after_utc:
            raise BadInput(
                "the certificate of the seal is not valid today: it is from "
                f"{self.certificate.not_valid_before_utc:%d %b %Y} to "
                f"{self.certificate.not_valid_after_utc:%d %b %Y}"
            )
        return Sealing(self._identifier, self._country, at)

    def sealed(self, document: dict[str, Any], at: datetime) -> str:
        """The document under its seal. What was signed is the text of `payload`: it is never written anew."""
        payload = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
        own = self._signer.chain[0]
        header = {
            "alg": self._signer.alg,
            "typ": "jose+json",
            "cty": "json",
            "b64": False,
            "crit": ["b64", "sigT"],
            "sigT": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "x5t#S256": _base64url(hashlib.sha256(own).digest()),
            "x5c": [base64.b64encode(one).decode() for one in self._signer.chain],
        }
        protected = _base64url(json.dumps(header, separators=(",", ":")).encode())
        digest = hashlib.sha256(f"{protected}.{payload}".encode()).digest()
        signature = {"protected": protected, "signature": _base64url(self._signer.sign(digest))}
        return json.dumps(
            {"payload": payload, "signatures": [signature]}, separators=(",", ":"), ensure_ascii=False
        )


class Pkcs12:
    """Signs with a key from a PKCS#12 file: RSA with at least 2048 bits, or ECDSA on P-256."""

    def __init__(self, data: bytes, password: str) -> None:
        """Raises BadInput with what is wrong of the file."""
        try:
            held = pkcs12.load_pkcs12(data, password.encode() or None)
        except ValueError:
            raise BadInput(
                "the seal's file is no PKCS#12, or JEMBATAN_EUROPASS__SEAL__PASSWORD does not open it"
            ) from None
        key = held.key
        if held.cert is None or key is None:
            raise BadInput("the seal's file needs a certificate and its private key")
        if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _SMALLEST_RSA:
            self.alg = "RS256"
        elif isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
            self.alg = "ES256"
        else:
            raise BadInput("the seal's key must be RSA with at least 2048 bits, or ECDSA on P-256")
        self._key = key
        found = [held.cert.certificate, *(one.certificate for one in held.additional_certs)]
        self.chain: Sequence[bytes] = [one.public_bytes(Encoding.DER) for one in _in_order(found)]

    def sign(self, digest: bytes) -> bytes:
        """The signature over this SHA-256 digest."""
        hashed = Prehashed(hashes.SHA256())
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(digest, padding.PKCS1v15(), hashed)
        assert isinstance(self._key, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(self._key.sign(digest, ec.ECDSA(hashed)))
        return r.to_bytes(_P256_BYTES, "big") + s.to_bytes(_P256_BYTES, "big")


@cache
def from_file(path: Path, password: str, changed: float, identifier: str | None) -> Seal:
    """The seal of a PKCS#12 file. changed: when it was; a file that was replaced is read anew."""
    del changed
    try:
        data = path.expanduser().read_bytes()
    except OSError as error:
        raise BadInput(f"the seal's file {path} cannot be read: {error.strerror}") from None
    return Seal(Pkcs12(data, password), identifier)


@cache
def from_plug_in(place: str, identifier: str | None) -> Seal:
    """The seal of a plug-in, `package.module:factory`; the factory takes nothing and gives a Signer."""
    module, _, name = place.partition(":")
    try:
        factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        raise BadInput(
            f"JEMBATAN_EUROPASS__SEAL__SIGNER names `package.module:factory`; {place} is not there"
        ) from None
    return Seal(factory(), identifier)


def _in_order(found: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The certificates from the signer's own up, whatever order they came in; strangers are left out."""
    chain, rest = [found[0]], list(found[1:])
    while chain[-1].issuer != chain[-1].subject:
        above = next((one for one in rest if one.subject == chain[-1].issuer), None)
        if above is None:
            break
        rest.remove(above)
        chain.append(above)
    return chain


def _checked(chain: Sequence[bytes]) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(chain[0])
    except (IndexError, ValueError):
        raise BadInput("the seal has no certificate that can be read") from None


def _identifier(certificate: x509.Certificate) -> str:
    named = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_IDENTIFIER)
    if not named:
        raise BadInput(
            "the seal's certificate has no organisation identifier (such as NTRID-…): "
            "set JEMBATAN_EUROPASS__SEAL__IDENTIFIER"
        )
    return str(named[0].value)


def _country(certificate: x509.Certificate, identifier: str) -> str:
    named = certificate.subject.get_attributes_for_oid(NameOID.COUNTRY_NAME)
    # ETSI EN 319 412-1: three letters of the kind, two of the country
    return str(named[0].value).upper() if named else identifier[3:5].upper()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def now() -> datetime:
    """The moment of sealing, to the second: the document and its seal say the same."""
    return clock.now().replace(microsecond=0)
