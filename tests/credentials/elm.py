"""What is judged of a European credential without any code of ours: the EU's shapes, contexts, a seal.

Shapes and contexts are the EU's own (`official/elm`), read by pyshacl and rdflib; seals are opened with
cryptography.
"""

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import rdflib
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pyshacl import validate

OFFICIAL = Path(__file__).parent / "official" / "elm"
SH = rdflib.Namespace("http://www.w3.org/ns/shacl#")
SEALING = {"issued", "eidasLegalIdentifier"}  # what an unsealed document lacks, and nothing else


@cache
def _shapes() -> rdflib.Graph:
    shapes = rdflib.Graph()
    for name in ("EDC-generic-no-cv.ttl", "EDC-generic-full.ttl"):
        shapes.parse(OFFICIAL / name)
    shapes.remove((None, rdflib.OWL.imports, None))  # it is there already
    return shapes


@cache
def _contexts() -> tuple[dict[str, Any], ...]:
    files = ("credentials-v1.jsonld", "edc-ap.jsonld")
    return tuple(json.loads((OFFICIAL / name).read_text())["@context"] for name in files)


def faults(document: dict[str, Any]) -> set[str]:
    """The members that `edc-generic-full` finds fault with, by the ends of their names."""
    graph = rdflib.Graph()
    graph.parse(data=json.dumps(document | {"@context": list(_contexts())}), format="json-ld")
    _, report, _ = validate(graph, shacl_graph=_shapes())
    assert isinstance(report, rdflib.Graph)
    found = {
        str(report.value(one, SH.resultPath)).replace("#", "/").rsplit("/", 1)[-1]
        for one in report.subjects(rdflib.RDF.type, SH.ValidationResult)
    }
    # The issuer's node is named along with what it lacks.
    return found - {"issuer"} if "eidasLegalIdentifier" in found else found


def unknown_members(value: Any) -> set[str]:
    """Members that no context knows: a viewer drops them without a word."""
    known = {"id", "type", "@context"}.union(*_contexts())
    vc = _contexts()[0]["VerifiableCredential"]["@context"]
    known |= set(vc)
    return _unknown(value, known)


def _unknown(value: Any, known: set[str]) -> set[str]:
    if isinstance(value, list):
        return set().union(*(_unknown(one, known) for one in value))
    if not isinstance(value, dict):
        return set()
    if value and all(len(name) == 2 for name in value) and set(value) <= {"id", "en"} and "type" not in value:
        return set()  # a text by language
    named = {name for name in value if name not in known}
    return named.union(*(_unknown(one, known) for one in value.values()))


def nodes(value: Any) -> list[dict[str, Any]]:
    """Every node of a document."""
    if isinstance(value, list):
        return [node for one in value for node in nodes(one)]
    if not isinstance(value, dict):
        return []
    inner = [node for one in value.values() for node in nodes(one)]
    return [value, *inner] if "type" in value else inner


def opened(sealed: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The document and the header of a seal that fits; raises where it does not.

    Checked as a verifier does: x5t#S256 names x5c[0], its key fits the signature over the raw payload.
    """
    held = json.loads(sealed)
    (signature,) = held["signatures"]
    header = json.loads(base64.urlsafe_b64decode(signature["protected"] + "=="))
    own = base64.b64decode(header["x5c"][0])
    digest = base64.urlsafe_b64encode(hashlib.sha256(own).digest()).decode().rstrip("=")
    assert header["x5t#S256"] == digest
    assert header["crit"] == ["b64", "sigT"]
    assert header["b64"] is False
    public = x509.load_der_x509_certificate(own).public_key()
    text = f"{signature['protected']}.{held['payload']}".encode()
    value = base64.urlsafe_b64decode(signature["signature"] + "==")
    if header["alg"] == "RS256":
        assert isinstance(public, rsa.RSAPublicKey)
        public.verify(value, text, padding.PKCS1v15(), hashes.SHA256())
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        both = int.from_bytes(value[:32], "big"), int.from_bytes(value[32:], "big")
        public.verify(encode_dss_signature(*both), text, ec.ECDSA(hashes.SHA256()))
    return json.loads(held["payload"]), header
