"""Whether a signature fits a key: JWTs, and proofs embedded in JSON.

The key decides which algorithms may be used, never the header: `none` and HS256 fit no key of ours, and a
public key is no secret to sign with.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from openbadgeslib.errors import LibOpenBadgesException
from openbadgeslib.ob3 import (
    OB3GuardUnavailable,
    OB3LdpVerifier,
    resolve_did,
    verify_data_integrity_proof,
)
from openbadgeslib.ob3.contexts import UnknownContextError, load_context

from providers.open_badges.reading import Unreadable, b64url_decoded, parsed
from providers.open_badges.schema import VC_CONTEXT

PublicKey = rsa.RSAPublicKey | Ed25519PublicKey | ec.EllipticCurvePublicKey
CRYPTOSUITE = "eddsa-rdfc-2022"
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_CURVES = {"ES256": ("secp256r1", 32), "ES384": ("secp384r1", 48)}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "k", "oth"})
_MULTIKEY = re.compile(r"z[1-9A-HJ-NP-Za-km-z]{40,120}")


class Unproven(Exception):
    """The signature does not hold. code: stable, for programs and translations; the text says why."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        super().__init__(reason)


@dataclass(frozen=True)
class Jws:
    """A JWT taken apart, and nothing of it believed yet."""

    header: dict[str, Any]
    payload: dict[str, Any]
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def alg(self) -> str:
        """How it says that it is signed."""
        return str(self.header.get("alg"))


def taken_apart(token: str) -> Jws:
    """The parts of a compact JWT; raises Unreadable, or Unproven for what can never be a signature."""
    parts = token.split(".")
    if len(parts) != 3:
        raise Unreadable("no_jws", "It is not written as a JWT.")
    header, payload = (parsed(b64url_decoded(part)) for part in parts[:2])
    alg = str(header.get("alg"))
    if alg.lower() == "none":
        raise Unproven("alg_none", "It is not signed at all (alg: none).")
    if alg.upper().startswith("HS"):
        raise Unproven(
            "alg_symmetric", f"{alg} is made with a shared secret; a badge is signed with a private key."
        )
    if "crit" in header:
        raise Unproven("unknown_header", "Its header has extensions (crit) that are not known here.")
    jwk = header.get("jwk")
    if isinstance(jwk, dict) and _PRIVATE & jwk.keys():
        raise Unproven("private_key", "Its header holds a private key: whoever reads it can sign anything.")
    return Jws(header, payload, f"{parts[0]}.{parts[1]}".encode(), b64url_decoded(parts[2]))


def check_jws(jws: Jws, key: PublicKey) -> None:
    """See that the signature of a JWT fits the key; raises Unproven."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            if jws.alg not in ("RS256", "RS384", "RS512") or key.key_size < 2048:
                raise _wrong_alg(jws)
            key.verify(jws.signature, jws.signed, padding.PKCS1v15(), _HASHES[jws.alg[2:]])
        elif isinstance(key, Ed25519PublicKey):
            if jws.alg not in ("EdDSA", "Ed25519"):
                raise _wrong_alg(jws)
            key.verify(jws.signature, jws.signed)
        else:
            curve, size = _CURVES.get(jws.alg, ("", 0))
            if curve != key.curve.name or len(jws.signature) != 2 * size:
                raise _wrong_alg(jws)
            r, s = (int.from_bytes(half, "big") for half in (jws.signature[:size], jws.signature[size:]))
            key.verify(utils.encode_dss_signature(r, s), jws.signed, ec.ECDSA(_HASHES[jws.alg[2:]]))
    except InvalidSignature:
        raise _does_not_fit() from None


def _does_not_fit() -> Unproven:
    reason = "Its signature does not fit: it was changed, or signed with another key."
    return Unproven("bad_signature", reason)


def _wrong_alg(jws: Jws) -> Unproven:
    return Unproven(
        "wrong_algorithm", f"Its header says {jws.alg[:16]}, which the issuer's key does not sign with."
    )


def the_proof(badge: Mapping[str, Any]) -> dict[str, Any]:
    """The embedded proof that counts; raises Unproven where there is not exactly one that is known here."""
    proofs = badge.get("proof")
    listed = [one for one in (proofs if isinstance(proofs, list) else [proofs]) if isinstance(one, dict)]
    known = [one for one in listed if one.get("cryptosuite") == CRYPTOSUITE]
    if not listed:
        raise Unproven("no_proof", "It is not signed: there is no proof in it.")
    if not known:
        raise Unproven(
            "unknown_proof",
            f"Its proof is of a kind that Open Badges 3.0 does not know; it takes {CRYPTOSUITE}.",
        )
    if len(known) > 1:
        raise Unproven("two_proofs", "It has two proofs: which of them counts?")
    method = known[0].get("verificationMethod")
    if not isinstance(method, str) or ":" not in method:
        raise Unproven("no_method", "Its proof does not say which key made it.")
    return known[0]


_ONLY_THE_DATE = ("Credential has expired", "Credential is not yet valid")
# What a status list may say: with the terms of one context alone, its JSON says what was signed and no more.
_OF_A_LIST = frozenset(
    {"@context", "id", "type", "name", "issuer", "validFrom", "validUntil", "credentialSubject", "proof"}
)
_OF_ITS_SUBJECT = frozenset({"id", "type", "statusPurpose", "encodedList", "ttl"})


def check_embedded(badge: dict[str, Any], key: PublicKey) -> None:
    """See that the embedded proof fits the key and covers all that the JSON says; raises Unproven.

    The library checks the dates too, after the proof: what it says of them is left to the check of dates.
    """
    _check_fits(badge, key)
    try:
        OB3LdpVerifier(public_pem(key)).verify(badge)
    except OB3GuardUnavailable:
        raise  # the checker is broken, not the badge
    except LibOpenBadgesException as error:
        if not str(error).startswith(_ONLY_THE_DATE):
            raise _why_not(badge, key) from None


def _why_not(badge: dict[str, Any], key: PublicKey) -> Unproven:
    try:
        verify_data_integrity_proof(badge, public_pem(key))
    except LibOpenBadgesException:
        return _does_not_fit()
    reason = "Its proof fits, but it covers only a part of what is written: the rest could be anybody's."
    return Unproven("not_covered", reason)


def check_embedded_list(listed: dict[str, Any], key: PublicKey) -> None:
    """See that the proof in a status list fits the key; raises Unproven."""
    _check_fits(listed, key)
    subject = listed.get("credentialSubject")
    is_plain = (
        listed.get("@context") == [VC_CONTEXT]
        and listed.keys() <= _OF_A_LIST
        and isinstance(subject, dict)
        and subject.keys() <= _OF_ITS_SUBJECT
    )
    if not is_plain:
        raise Unproven("unknown_context", "The list says more than a list says.")
    try:
        verify_data_integrity_proof(listed, public_pem(key))
    except OB3GuardUnavailable:
        raise
    except LibOpenBadgesException:
        raise _does_not_fit() from None


def _check_fits(document: dict[str, Any], key: PublicKey) -> None:
    """What can be said before anything is canonicalized."""
    if not isinstance(key, Ed25519PublicKey):
        raise Unproven("wrong_algorithm", f"Its key is no Ed25519 key, which {CRYPTOSUITE} needs.")
    contexts = document.get("@context")
    for context in contexts if isinstance(contexts, list) else [contexts]:
        try:
            load_context(str(context))
        except UnknownContextError:
            reason = "It uses terms of a context that is not known here, so that its proof cannot be checked."
            raise Unproven("unknown_context", reason) from None


def public_pem(key: PublicKey) -> bytes:
    """A public key as PEM."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def from_jwk(jwk: Any) -> PublicKey | None:
    """The key of a JWK; None where it is none that badges are signed with, or a private one."""
    if not isinstance(jwk, dict) or _PRIVATE & jwk.keys():
        return None
    try:
        kind, curve = jwk.get("kty"), jwk.get("crv")
        if kind == "RSA":
            modulus, exponent = (int.from_bytes(b64url_decoded(jwk[name]), "big") for name in ("n", "e"))
            if not 2048 <= modulus.bit_length() <= 8192:
                return None
            return rsa.RSAPublicNumbers(exponent, modulus).public_key()
        if (kind, curve) == ("OKP", "Ed25519"):
            return Ed25519PublicKey.from_public_bytes(b64url_decoded(jwk["x"]))
        if kind == "EC" and curve in ("P-256", "P-384"):
            x, y = (int.from_bytes(b64url_decoded(jwk[name]), "big") for name in ("x", "y"))
            named = ec.SECP256R1() if curve == "P-256" else ec.SECP384R1()
            return ec.EllipticCurvePublicNumbers(x, y, named).public_key()
    except (KeyError, TypeError, AttributeError, ValueError, Unreadable):
        return None
    return None


def from_multikey(text: Any) -> PublicKey | None:
    """The key of a Multikey such as `z6Mk…`; None where it is none."""
    if not isinstance(text, str) or not _MULTIKEY.fullmatch(text):
        return None
    try:
        key = serialization.load_pem_public_key(resolve_did(f"did:key:{text}"))
    except (LibOpenBadgesException, ValueError):
        return None
    return key if isinstance(key, (Ed25519PublicKey, ec.EllipticCurvePublicKey)) else None


def same(one: PublicKey, other: PublicKey) -> bool:
    """Whether it is the same key."""
    return public_pem(one) == public_pem(other)
