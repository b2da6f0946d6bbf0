"""The sandbox's signatures against published ones: samples of the providers' documents and libraries."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from sandbox import gopay_messages, signing

VECTORS = json.loads((Path(__file__).parent / "signature_vectors.json").read_text())


def of(*schemes: str) -> Any:
    chosen = [one for one in VECTORS if one["scheme"] in schemes]
    assert chosen
    return pytest.mark.parametrize("vector", chosen, ids=[one["name"] for one in chosen])


def public_key(vector: dict[str, Any]) -> RSAPublicKey:
    key = load_pem_public_key(vector["inputs"]["public_key_pem"].encode())
    assert isinstance(key, RSAPublicKey)
    return key


def is_signed(vector: dict[str, Any], text: str) -> bool:
    """Whether the published signature is right for the text, and only for it."""
    key, signature = public_key(vector), vector["expected"]
    assert not signing.is_rsa_sha256(key, text + " ", signature)
    assert not signing.is_rsa_sha256(key, text, signature[:-4] + "AAA=")
    return signing.is_rsa_sha256(key, text, signature)


@of("midtrans-notification-sha512")
def test_midtrans_signature_key(vector: dict[str, Any]) -> None:
    assert gopay_messages.signature(**vector["inputs"]) == vector["expected"]


@of("snap-b2b-token-rsa-sha256")
def test_a_token_request(vector: dict[str, Any]) -> None:
    inputs = vector["inputs"]
    text = signing.of_client(inputs["client_key"], inputs["timestamp"])
    key = load_pem_private_key(inputs["private_key_pem"].encode(), None)
    assert isinstance(key, RSAPrivateKey)
    assert signing.rsa_sha256(key, text) == vector["expected"]
    assert is_signed(vector, text)


@of("snap-transaction-hmac-sha512")
def test_a_call_with_a_token(vector: dict[str, Any]) -> None:
    """The published body is printed with white space that was not signed; no value of it has any."""
    inputs = vector["inputs"]
    body = re.sub(r"\s", "", inputs["body"]).encode()
    text = signing.of_token_call(
        inputs["http_method"], inputs["endpoint_path"], inputs["access_token"], body, inputs["timestamp"]
    )
    assert signing.hmac_sha512(inputs["client_secret"], text) == vector["expected"]


@of("snap-notify-rsa-sha256")
def test_a_notification_over_the_raw_body(vector: dict[str, Any]) -> None:
    inputs = vector["inputs"]
    text = signing.of_call(
        inputs["http_method"], inputs["endpoint_path"], inputs["body"].encode(), inputs["timestamp"]
    )
    assert inputs["body_sha256_hex"] in text
    assert is_signed(vector, text)


@of("nicepay-notify-rsa-sha256")
def test_nicepays_notification(vector: dict[str, Any]) -> None:
    inputs = vector["inputs"]
    assert is_signed(vector, signing.of_client(inputs["client_key"], inputs["timestamp"]))
