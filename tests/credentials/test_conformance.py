"""Our badges against the official schema and contexts, checked by hands that are not the library's.

The official files are not part of this repository: they are looked for beside it, and without them these
tests skip.
"""

import base64
import gzip
import hashlib
import json
import struct
import zlib
from pathlib import Path
from typing import Any
from uuid import UUID
from xml.etree import ElementTree

import httpx
import jsonschema_rs
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pyld import jsonld
from registry import payload
from test_credentials_api import TOLD, made

from providers.open_badges import schema

SCHEMAS = Path(__file__).parents[3] / "shared" / "schemas"
CONTEXTS = {
    "https://www.w3.org/ns/credentials/v2": "credentials-v2.jsonld",
    "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json": "ob-v3p0-3.0.3.json",
    "https://purl.imsglobal.org/spec/ob/v3p0/extensions.json": "ob-v3p0-extensions.json",
}
pytestmark = pytest.mark.skipif(
    not SCHEMAS.is_dir(), reason="the official schemas are not beside the project"
)
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

PLAIN: dict[str, Any] = {"name": "Las", "description": "Las", "criteria": "Lulus"}
CASES: list[dict[str, Any]] = [
    {},
    {"score": None, "expires_on": None},
    {"learner": {"id": "a", "name": "b"}, "achievement": PLAIN},
    {"achievement": PLAIN | {"kkni_level": 2, "description": "<b>'\"&]]>\n\tمحمد ꦱꦶ</b>"}},
]


def _b58(text: str) -> bytes:
    number = 0
    for letter in text:
        number = number * 58 + _BASE58.index(letter)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _load(url: str, _options: Any) -> dict[str, Any]:
    file = SCHEMAS / "contexts" / CONTEXTS[url]
    return {"contextUrl": None, "documentUrl": url, "document": json.loads(file.read_text())}


def _digest(document: dict[str, Any]) -> bytes:
    options = {"algorithm": "URDNA2015", "format": "application/n-quads", "documentLoader": _load}
    return hashlib.sha256(jsonld.normalize(document, options).encode()).digest()


@pytest.mark.parametrize("changed", CASES)
def test_both_forms_fit_the_official_schema_and_their_signatures_the_published_keys(
    at: httpx.Client, changed: dict[str, Any]
) -> None:
    path = f"/credentials/{made(at, **changed)['credential_id']}"
    jws, embedded = at.get(f"{path}.jws").text, at.get(f"{path}.json").json()
    schema = json.loads((SCHEMAS / "ob3" / "ob_v3p0_achievementcredential_schema.json").read_text())
    official = jsonschema_rs.validator_for(schema)
    for document in (payload(jws), embedded):
        assert [error.message for error in official.iter_errors(document)] == []

    keys = jwt.PyJWKSet.from_dict(at.get("/.well-known/jwks.json").json())
    said = jwt.decode(jws, keys[jwt.get_unverified_header(jws)["kid"]].key, algorithms=["RS256"])
    assert UUID(said["sub"].removeprefix("urn:uuid:"))
    assert set(jwt.get_unverified_header(jws)) == {"alg", "kid", "jwk", "typ"}

    (proof,) = embedded.pop("proof")
    options = {name: value for name, value in proof.items() if name != "proofValue"}
    hashed = _digest(options | {"@context": embedded["@context"]}) + _digest(embedded)
    methods = {one["id"]: one for one in at.get("/.well-known/did.json").json()["verificationMethod"]}
    multikey = _b58(methods[proof["verificationMethod"]]["publicKeyMultibase"][1:])
    assert multikey[:2] == b"\xed\x01"
    Ed25519PublicKey.from_public_bytes(multikey[2:]).verify(_b58(proof["proofValue"][1:]), hashed)


_ODD: list[Any] = [None, True, 5, "x", "ext:Las", [], {}, ["x"], [{}], "2026-01-01", "2026-01-01T00:00:00Z"]


def test_our_table_of_the_schema_refuses_what_the_schema_refuses(at: httpx.Client) -> None:
    official = jsonschema_rs.validator_for(
        json.loads((SCHEMAS / "ob3" / "ob_v3p0_achievementcredential_schema.json").read_text()),
        validate_formats=True,
    )
    badge = at.get(f"/credentials/{made(at)['credential_id']}.json").json()
    subject = badge["credentialSubject"]
    subject["result"][0] |= {"status": "Completed", "alignment": subject["achievement"]["alignment"]}
    subject["source"] = badge["issuer"] | {"address": {"type": ["Address"], "addressCountry": "ID"}}
    badge |= {"evidence": [{"type": ["Evidence"], "name": "Foto"}], "image": subject["achievement"]["image"]}
    assert (official.is_valid(badge), schema.fault(badge)) == (True, None)
    differ = []
    for part, member in _places(badge):
        before = part[member]
        for odd in _ODD:
            part[member] = odd
            if official.is_valid(badge) != (schema.fault(badge) is None):
                differ.append((member, odd))
        part[member] = before
    assert differ == []


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Each member of each part, but those that every badge is checked for first."""
    if not isinstance(value, (dict, list)):
        return []
    names: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    if "proof" in value:
        names = [name for name in names if name not in ("@context", "type")]
    return [(value, name) for name in names] + [place for name in names for place in _places(value[name])]


def test_pictures_and_the_list_are_read_with_nothing_but_the_standards_words(at: httpx.Client) -> None:
    """PNG chunks, the SVG's element and the list's bits by hand: a revoked one has its bit, and one beside it
    has none."""
    revoked, valid = (made(at, certificate_number=number)["credential_id"] for number in ("C1", "C2"))
    at.post(f"/api/v1/credentials/{revoked}/revoke", json={"reason": "Issued in error"}).raise_for_status()
    bits = []
    for name in (revoked, valid):
        jws = at.get(f"/credentials/{name}.jws").text
        assert _in_png(at.get(f"/credentials/{name}/badge.png").content) == [jws]
        root = ElementTree.fromstring(at.get(f"/credentials/{name}/badge.svg").text)
        assert root[0].tag == "{https://purl.imsglobal.org/ob/v3p0}credential"
        assert root[0].attrib["verify"] == jws

        entry = payload(jws)["credentialStatus"]
        keys = jwt.PyJWKSet.from_dict(at.get("/.well-known/jwks.json").json())
        signed = at.get(entry["statusListCredential"]).text
        key = keys[jwt.get_unverified_header(signed)["kid"]].key
        subject = jwt.decode(signed, key, algorithms=["RS256"])["credentialSubject"]
        encoded = subject["encodedList"]
        assert encoded[0] == "u"
        assert "=" not in encoded
        unpacked = gzip.decompress(base64.urlsafe_b64decode(encoded[1:] + "=" * (-len(encoded[1:]) % 4)))
        assert len(unpacked) * 8 >= 131_072
        place = int(entry["statusListIndex"])
        bits.append(unpacked[place // 8] >> (7 - place % 8) & 1)
    assert bits == [1, 0]


def _in_png(image: bytes) -> list[str]:
    """Badges in the chunks of a PNG whose checksums are right."""
    found, at = [], 8
    while at < len(image):
        (length,), kind = struct.unpack(">I", image[at : at + 4]), image[at + 4 : at + 8]
        data, at = image[at + 8 : at + 8 + length], at + 12 + length
        assert struct.unpack(">I", image[at - 4 : at])[0] == zlib.crc32(kind + data)
        if kind == b"iTXt" and data.startswith(b"openbadgecredential\0"):
            assert data[len(b"openbadgecredential") :].startswith(b"\0" * 5)
            found.append(data[len(b"openbadgecredential") + 5 :].decode())
    return found


def test_a_recipient_is_hashed_as_the_standard_says(at: httpx.Client) -> None:
    one = made(at)
    (identity,) = payload(at.get(f"/credentials/{one['credential_id']}.jws").text)["credentialSubject"][
        "identifier"
    ]
    email = str(TOLD["learner"]["email"]).lower()
    assert (
        identity["identityHash"]
        == "sha256$" + hashlib.sha256((email + identity["salt"]).encode()).hexdigest()
    )
    assert len(identity["salt"]) >= 32
