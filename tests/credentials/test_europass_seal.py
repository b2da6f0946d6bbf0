"""Seals: who may seal, what a seal says, and that it fits. Opened without any code of ours (elm.py)."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from elm import opened
from sealers import IDENTIFIER, PASSWORD, Card, file_of, pkcs12_of, rsa_key

from common.errors import BadInput
from providers.europass import concepts
from providers.europass import seal as seals
from providers.europass.seal import Pkcs12, Seal

DOCUMENT: dict[str, Any] = {"name": "Ni'mah ꦱꦶꦠꦶ محمد <b>", "score": "92.50", "empty": {}}
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.mark.parametrize("kind", ["RS256", "ES256"])
def test_a_seal_fits_what_it_was_put_on(kind: str) -> None:
    key = rsa_key() if kind == "RS256" else ec.generate_private_key(ec.SECP256R1())
    sealed = Seal(Pkcs12(pkcs12_of(key, reversed_chain=True), PASSWORD)).sealed(DOCUMENT, NOW)
    document, header = opened(sealed)
    assert document == DOCUMENT
    assert (header["alg"], header["typ"], header["b64"]) == (kind, "jose+json", False)
    assert header["sigT"] == f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
    assert len(header["x5c"]) == 3  # up to the authority, in order
    spoilt = json.loads(sealed)
    spoilt["payload"] = spoilt["payload"].replace("92.50", "99.50")
    with pytest.raises(InvalidSignature):
        opened(json.dumps(spoilt))


def test_a_plug_in_gets_a_digest_and_its_certificate_says_who_seals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    seal = seals.from_plug_in("sealers:Card", None)
    assert opened(seal.sealed(DOCUMENT, NOW))[0] == DOCUMENT
    said = seal.sealing(NOW)
    assert (said.identifier, said.country, said.at) == (IDENTIFIER, "ID", NOW)
    with pytest.raises(BadInput, match="is not there"):
        seals.from_plug_in("sealers:Nobody", None)


def test_a_certificate_without_an_identifier_needs_one_from_the_settings() -> None:
    signer = Pkcs12(pkcs12_of(identifier=None), PASSWORD)
    with pytest.raises(BadInput, match="SEAL__IDENTIFIER"):
        Seal(signer)
    assert Seal(signer, "VATID-1").sealing(NOW).identifier == "VATID-1"


def test_a_certificate_of_a_country_that_cannot_be_named_seals_nothing() -> None:
    """Rather than that the document says another country under the seal."""
    assert concepts.country("CH")["id"].endswith("/CHE")
    with pytest.raises(BadInput, match="US is no country"):
        Seal(Pkcs12(pkcs12_of(country="US"), PASSWORD))


def test_a_certificate_that_has_ended_seals_nothing() -> None:
    seal = Seal(Pkcs12(pkcs12_of(days=-1), PASSWORD))
    with pytest.raises(BadInput, match="is not valid today"):
        seal.sealing(NOW)
    assert seal.sealing(NOW - timedelta(days=2))
    assert isinstance(seal.certificate, x509.Certificate)


@pytest.mark.parametrize(
    ("data", "password", "words"),
    [
        (b"no PKCS#12", PASSWORD, "is no PKCS#12"),
        (pkcs12_of(), "wrong", "does not open it"),
        (pkcs12_of(rsa_key(1024)), PASSWORD, "2048 bits"),
        (pkcs12_of(ec.generate_private_key(ec.SECP384R1())), PASSWORD, "P-256"),
        (pkcs12_of(ed25519.Ed25519PrivateKey.generate()), PASSWORD, "P-256"),
    ],
)
def test_a_file_that_cannot_seal_is_refused_with_why(data: bytes, password: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Pkcs12(data, password)


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    path = file_of(tmp_path, pkcs12_of())
    first = seals.from_file(path, PASSWORD, 1.0, None)
    assert seals.from_file(path, PASSWORD, 1.0, None) is first
    file_of(tmp_path, pkcs12_of())
    assert seals.from_file(path, PASSWORD, 2.0, None).certificate != first.certificate
    with pytest.raises(BadInput, match="cannot be read"):
        seals.from_file(tmp_path / "none.p12", PASSWORD, 1.0, None)


def test_only_algorithms_that_verifiers_know() -> None:
    card = Card()
    card.alg = "none"
    with pytest.raises(BadInput, match="not with none"):
        Seal(card)
