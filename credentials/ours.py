"""Ourselves as an issuer: our DID, the keys that sign now, and every key that ever did."""

from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from sqlalchemy.orm import Session

from common.errors import BadInput
from common.settings import secret_text, settings
from providers.open_badges import keys as wire
from providers.open_badges.document import Issuer
from providers.open_badges.keys import Alg, Keys
from providers.open_badges.signing import Signer
from records import signing_key
from records.sealed import made_once

_OWN_FILE = "signing.pem"


def base_url() -> str:
    """Where our badges, keys and lists are served; it is part of every badge, and so never changes."""
    return settings().page_url("")


def issuer() -> Issuer:
    """Who signs our badges."""
    own = settings().badges
    if settings().env == "production" and not base_url().startswith("https://"):
        raise BadInput("JEMBATAN_PUBLIC_URL has to be https: badges are known by a did:web, which is https")
    return Issuer(wire.did_of(base_url()), own.issuer_name, own.issuer_url, own.issuer_email)


def keys() -> Keys:
    """What JEMBATAN_SIGNING_KEYS holds; in the sandbox a pair that is made on first use."""
    return wire.read(secret_text(settings().signing_keys) or _own_keys(f"{settings().home}/keys/{_OWN_FILE}"))


def jws_alg() -> Alg:
    """How a JWT is signed: as the setting says, and with RS256 where it names the embedded proof."""
    return "EdDSA" if settings().badges.proof == "EdDSA" else "RS256"


def signer(session: Session, alg: Alg) -> Signer:
    """Signs with our key for this algorithm, which is remembered first: what it signs is to verify for good.

    Raises BadInput where there is no such key, or it was withdrawn.
    """
    key = keys().for_alg(alg)
    known = {one.id: one for one in signing_key.all_of_them(session)}
    if key.id in known and known[key.id].withdrawn_at is not None:
        raise BadInput(
            f"the key {key.id} was withdrawn: put another {alg} key first in JEMBATAN_SIGNING_KEYS"
        )
    if key.id not in known:
        signing_key.keep(session, {key.id: key.jwk})
    return Signer(key, issuer().id)


def public_keys(session: Session) -> dict[str, dict[str, Any]]:
    """Every key whose badges verify, by id: those of the settings first, then what ever signed."""
    known = {one.id: one for one in signing_key.all_of_them(session)}
    withdrawn = {key_id for key_id, one in known.items() if one.withdrawn_at is not None}
    found = keys().public() | {key_id: one.jwk for key_id, one in known.items()}
    return {key_id: jwk for key_id, jwk in found.items() if key_id not in withdrawn}


@cache
def _own_keys(path: str) -> str:
    """The home's own pair, made on first use: in the sandbox only, production names its keys."""
    if settings().env != "sandbox":
        raise BadInput("JEMBATAN_SIGNING_KEYS is not set: production signs badges with keys of its own")
    return made_once(Path(path), _new_pair)


def _new_pair() -> bytes:
    made = (rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate())
    return b"".join(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for key in made
    )
