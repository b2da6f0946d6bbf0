"""What an issuer of European credentials looks at before it takes a document: its head, its texts, its seal.

Source: European Learning Model v3, application profile `edc-generic`, and the EU's sample credentials. This
is no SHACL validation: it finds what such a service refuses at the door.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_der_x509_certificate

from sandbox import nik

CONTEXT = ["https://www.w3.org/2018/credentials/v1", "http://data.europa.eu/snb/model/context/edc-ap"]
TYPES = ["VerifiableCredential", "EuropeanDigitalCredential"]
_SCHEMAS = "http://data.europa.eu/snb/model/ap/edc-"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
# Texts are language maps, `{"id": "…"}`: a plain one is refused.
_TEXTS = frozenset(
    {"title", "description", "prefLabel", "legalName", "fullName", "givenName", "familyName", "noteLiteral"}
)
_LANGUAGE = re.compile(r"[a-z]{2}")
_SIXTEEN = re.compile(r"(?<![0-9])[0-9]{16}(?![0-9])")


def document_of(credential: dict[str, Any], faults: dict[str, str]) -> tuple[dict[str, Any], bool]:
    """The document, and whether it is sealed; a seal that does not fit is among the faults."""
    if "payload" not in credential:
        return credential, False
    try:
        return _unsealed(credential), True
    except _Broken as problem:
        faults["credential"] = str(problem)
        return {}, True


def check_document(document: dict[str, Any], faults: dict[str, str], *, sealed: bool) -> None:
    """Note what is wrong, by path."""
    if document.get("@context") != CONTEXT:
        faults["credential.@context"] = "is not the context of European credentials"
    if document.get("type") != TYPES:
        faults["credential.type"] = f"must be {', '.join(TYPES)}"
    if not isinstance(document.get("id"), str) or ":" not in document["id"]:
        faults["credential.id"] = "must be an IRI"
    schemas = document.get("credentialSchema")
    for schema in schemas if isinstance(schemas, list) else [schemas]:
        if not isinstance(schema, dict) or not str(schema.get("id")).startswith(_SCHEMAS):
            faults["credential.credentialSchema"] = "is not a profile of the European Learning Model"
    for name in ("validFrom", *(("issued",) if sealed else ())):
        if not isinstance(document.get(name), str) or not _MOMENT.fullmatch(document[name]):
            faults[f"credential.{name}"] = "must be a date and time with its zone"
    _check_issuer(document.get("issuer"), faults, sealed=sealed)
    subject = document.get("credentialSubject")
    if not isinstance(subject, dict) or not subject.get("hasClaim"):
        faults["credential.credentialSubject"] = "must have a claim"
    _check_display(document.get("displayParameter"), faults)
    _check_texts(document, "credential", faults)


def _check_issuer(issuer: Any, faults: dict[str, str], *, sealed: bool) -> None:
    needed = ("id", "legalName", "location", *(("eIDASIdentifier",) if sealed else ()))
    for name in needed:
        if not isinstance(issuer, dict) or not issuer.get(name):
            faults[f"credential.issuer.{name}"] = "is required"


def _check_display(display: Any, faults: dict[str, str]) -> None:
    """A page image for each language is part of a valid document."""
    place = "credential.displayParameter"
    if not isinstance(display, dict):
        faults[place] = "is required"
        return
    for name in ("title", "primaryLanguage", "language", "individualDisplay"):
        if not display.get(name):
            faults[f"{place}.{name}"] = "is required"
    for one in _listed(display.get("individualDisplay")):
        for detail in _listed(one.get("displayDetail") if isinstance(one, dict) else None) or [None]:
            image = detail.get("image") if isinstance(detail, dict) else None
            content = image.get("content") if isinstance(image, dict) else None
            if not _is_picture(content):
                faults[f"{place}.individualDisplay"] = "must have a page image, PNG or JPEG in base64"


def _is_picture(content: Any) -> bool:
    try:
        start = base64.b64decode(str(content or ""), validate=True)[:8]
    except (binascii.Error, ValueError):
        return False
    return start.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))


def _check_texts(value: Any, path: str, faults: dict[str, str]) -> None:
    """Every text is a language map, and no NIK stands anywhere."""
    if isinstance(value, list):
        for place, one in enumerate(value):
            _check_texts(one, f"{path}[{place}]", faults)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in _TEXTS and not _is_map(inner):
                faults[f"{path}.{name}"] = "must be a text by language"
            if name == "nationalID":
                faults[f"{path}.{name}"] = "must not be in a credential that others will see"
            _check_texts(inner, f"{path}.{name}", faults)
    elif isinstance(value, str) and any(not nik.fault(number) for number in _SIXTEEN.findall(value)):
        faults[path] = "has what looks like a NIK in it"


def _is_map(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(_LANGUAGE.fullmatch(language) for language in value)
        and all(isinstance(one, str) and one for text in value.values() for one in _listed(text))
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


class _Broken(Exception):
    """Why a seal is none."""


def _unsealed(credential: dict[str, Any]) -> dict[str, Any]:
    """The document under a JAdES seal (JWS, JSON serialisation) whose signature fits its own certificate."""
    payload, signatures = credential.get("payload"), credential.get("signatures")
    if not isinstance(payload, str) or not isinstance(signatures, list) or len(signatures) != 1:
        raise _Broken("is no seal: payload and one signature are needed")
    try:
        protected, signature = signatures[0]["protected"], _bytes(signatures[0]["signature"])
        header = json.loads(_bytes(protected))
        chain = [load_der_x509_certificate(base64.b64decode(one)) for one in header["x5c"]]
        raw = payload.encode() if header.get("b64") is False else _bytes(payload)
        document = json.loads(raw)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _Broken("is no seal that can be read") from None
    if header.get("b64") is False and "b64" not in header.get("crit", []):
        raise _Broken("has b64 in its header and not in crit")
    if not isinstance(document, dict) or not chain:
        raise _Broken("has no document or no certificate under its seal")
    check = _CHECKS.get(str(header.get("alg")))
    if check is None:
        raise _Broken(f"is sealed with the algorithm {header.get('alg')}")
    try:
        check(chain[0].public_key(), signature, f"{protected}.".encode() + payload.encode())
    except (InvalidSignature, AssertionError):
        raise _Broken("has a seal that does not fit") from None
    return document


def _rs256(key: Any, signature: bytes, text: bytes) -> None:
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(signature, text, padding.PKCS1v15(), SHA256())


def _ps256(key: Any, signature: bytes, text: bytes) -> None:
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(signature, text, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())


def _es256(key: Any, signature: bytes, text: bytes) -> None:
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert len(signature) == 64
    both = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    key.verify(encode_dss_signature(*both), text, ec.ECDSA(SHA256()))


def _eddsa(key: Any, signature: bytes, text: bytes) -> None:
    assert isinstance(key, ed25519.Ed25519PublicKey)
    key.verify(signature, text)


_CHECKS: dict[str, Callable[[Any, bytes, bytes], None]] = {
    "RS256": _rs256,
    "PS256": _ps256,
    "ES256": _es256,
    "EdDSA": _eddsa,
}


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
