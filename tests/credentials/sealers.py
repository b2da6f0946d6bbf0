"""Certificates to seal with: a small authority and an organisation that it knows, as PKCS#12."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption, pkcs12
from cryptography.x509.oid import NameOID

PASSWORD = "a password"
IDENTIFIER = "NTRID-9120001234567"
_AUTHORITY = rsa.generate_private_key(65537, 2048)


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def pkcs12_of(
    key: Any = None,
    *,
    identifier: str | None = IDENTIFIER,
    country: str = "ID",
    days: int = 365,
    password: str = PASSWORD,
    reversed_chain: bool = False,
) -> bytes:
    """The organisation's key and chain; days: until the certificate ends, negative: since."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    root, root_name = _certificate("Authority", _AUTHORITY.public_key(), None, 3650, None)
    middle_key = rsa_key()
    middle, middle_name = _certificate("Issuing", middle_key.public_key(), root_name, 3650, None)
    own, _ = _certificate("PT Jembatan", key.public_key(), middle_name, days, identifier, middle_key, country)
    chain = [root, middle] if reversed_chain else [middle, root]
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return pkcs12.serialize_key_and_certificates(b"seal", key, own, chain, encryption)


def _certificate(
    name: str,
    public: Any,
    issuer: x509.Name | None,
    days: int,
    identifier: str | None,
    signed_by: Any = _AUTHORITY,
    country: str = "ID",
) -> tuple[x509.Certificate, x509.Name]:
    parts = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, country),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, name),
    ]
    if identifier:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, identifier))
    subject = x509.Name(parts)
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
        .sign(signed_by, hashes.SHA256())
    )
    return made, subject


def file_of(folder: Path, data: bytes) -> Path:
    """The PKCS#12 as a file."""
    path = folder / "seal.p12"
    path.write_bytes(data)
    return path


class Card:
    """A plug-in signer, as somebody's card or remote service would be: digest in, signature out."""

    alg = "RS256"

    def __init__(self) -> None:
        from providers.europass.seal import Pkcs12

        self._inner = Pkcs12(pkcs12_of(rsa_key()), PASSWORD)
        self.chain = self._inner.chain

    def sign(self, digest: bytes) -> bytes:
        """A signature over the digest."""
        assert len(digest) == 32
        return self._inner.sign(digest)
