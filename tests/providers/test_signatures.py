"""Every published example of a signature fits through our functions, and nothing near it does."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from providers import keys, signatures

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "signature_vectors.json").read_text(encoding="utf-8")
)


def of_scheme(scheme: str) -> list[Any]:
    return [pytest.param(one, id=one["name"]) for one in VECTORS if one["scheme"] == scheme]


def flipped(signature: str) -> str:
    """The same signature with its first byte changed."""
    raw = bytearray(base64.b64decode(signature))
    raw[0] ^= 1
    return base64.b64encode(raw).decode()


def test_every_published_example_is_of_a_known_scheme() -> None:
    assert len(VECTORS) == 16
    known = {
        "midtrans-notification-sha512", "snap-b2b-token-rsa-sha256", "snap-b2b-token-hmac-sha512",
        "snap-transaction-hmac-sha512", "snap-notify-rsa-sha256", "snap-minified-body-sha256",
        "nicepay-notify-rsa-sha256", "ovo-push-to-pay-hmac-sha256",
    }  # fmt: skip
    assert {one["scheme"] for one in VECTORS} == known


@pytest.mark.parametrize("vector", of_scheme("midtrans-notification-sha512"))
def test_midtrans_notifications(vector: dict[str, Any]) -> None:
    given = vector["inputs"]
    texts = (given["order_id"], given["status_code"], given["gross_amount"], given["server_key"])
    assert signatures.midtrans_notification(*texts) == vector["expected"]
    assert signatures.midtrans_notification_fits(vector["expected"], *texts)
    assert not signatures.midtrans_notification_fits(vector["expected"].upper(), *texts)
    for place in range(4):
        other = [text + "0" if place == index else text for index, text in enumerate(texts)]
        assert not signatures.midtrans_notification_fits(vector["expected"], *other)


@pytest.mark.parametrize("vector", of_scheme("snap-b2b-token-rsa-sha256"))
def test_token_calls_with_keys_of_every_form(vector: dict[str, Any]) -> None:
    """PKCS#1, PKCS#8, line ends of two kinds, and 1024 bits."""
    given = vector["inputs"]
    mine = keys.private_key(given["private_key_pem"])
    theirs = keys.public_keys(given["public_key_pem"])
    call = (given["client_key"], given["timestamp"])
    assert signatures.snap_token(mine, *call) == vector["expected"]
    assert signatures.snap_token_fits(vector["expected"], theirs, *call)
    assert not signatures.snap_token_fits(flipped(vector["expected"]), theirs, *call)
    assert not signatures.snap_token_fits(vector["expected"], theirs, call[0], call[1] + " ")


@pytest.mark.parametrize("vector", of_scheme("snap-b2b-token-hmac-sha512"))
def test_token_calls_in_the_dialect_of_some_banks(vector: dict[str, Any]) -> None:
    given = vector["inputs"]
    made = signatures.snap_token_hmac(given["client_secret"], given["client_key"], given["timestamp"])
    assert made == vector["expected"]


@pytest.mark.parametrize("vector", of_scheme("snap-transaction-hmac-sha512"))
def test_transactions_with_a_token(vector: dict[str, Any]) -> None:
    given = vector["inputs"]
    pretty = given["body"].encode()
    call = (given["client_secret"], given["http_method"], given["endpoint_path"], given["access_token"])
    tight = signatures.minified(pretty)
    assert signatures.body_hash(tight) == given["body_sha256_hex"]
    assert signatures.snap_transaction(*call, tight, given["timestamp"]) == vector["expected"]
    # what arrives pretty-printed was signed in its minified form
    assert signatures.snap_transaction_fits(vector["expected"], *call, pretty, given["timestamp"])
    assert not signatures.snap_transaction_fits(vector["expected"], *call, tight + b" x", given["timestamp"])
    assert not signatures.snap_transaction_fits(flipped(vector["expected"]), *call, tight, given["timestamp"])


@pytest.mark.parametrize("vector", of_scheme("snap-notify-rsa-sha256"))
def test_notifications_without_a_token(vector: dict[str, Any]) -> None:
    """DANA's have JSON inside a string: written again by any JSON library, they no longer fit."""
    given = vector["inputs"]
    body, theirs = given["body"].encode(), keys.public_keys(given["public_key_pem"])
    call = (given["http_method"], given["endpoint_path"])
    assert signatures.body_hash(body) == given["body_sha256_hex"]
    assert signatures.snap_asymmetric_fits(vector["expected"], theirs, *call, body, given["timestamp"])
    pretty = json.dumps(json.loads(body), indent=2).encode()
    if b"\\/" not in body:
        assert signatures.snap_asymmetric_fits(vector["expected"], theirs, *call, pretty, given["timestamp"])
    for wrong in (body.replace(b"00", b"01", 1), body + b"{}", b""):
        assert not signatures.snap_asymmetric_fits(
            vector["expected"], theirs, *call, wrong, given["timestamp"]
        )


@pytest.mark.parametrize("vector", of_scheme("snap-minified-body-sha256"))
def test_hash_of_a_body(vector: dict[str, Any]) -> None:
    assert signatures.body_hash(vector["inputs"]["body"].encode()) == vector["expected"]


@pytest.mark.parametrize("vector", of_scheme("nicepay-notify-rsa-sha256"))
def test_notifications_that_leave_their_body_out(vector: dict[str, Any]) -> None:
    given = vector["inputs"]
    theirs = keys.public_keys(given["public_key_pem"])
    call = (given["client_key"], given["timestamp"])
    assert signatures.nicepay_notification_fits(vector["expected"], theirs, *call)
    assert not signatures.nicepay_notification_fits(vector["expected"], theirs, call[0] + "X", call[1])


@pytest.mark.parametrize("vector", of_scheme("ovo-push-to-pay-hmac-sha256"))
def test_push_to_pay(vector: dict[str, Any]) -> None:
    given = vector["inputs"]
    made = signatures.ovo_push_to_pay(given["app_key"], given["app_id"], given["random"])
    assert made == vector["expected"]


def sample(name: str) -> dict[str, Any]:
    return next(one for one in VECTORS if one["name"] == name)


def test_our_own_asymmetric_signature_fits_the_public_half_of_the_key() -> None:
    given = sample("snap-token-midtrans-docs")["inputs"]
    mine, theirs = keys.private_key(given["private_key_pem"]), keys.public_keys(given["public_key_pem"])
    call = ("POST", "/v1.0/debit/status", b'{"a":1}', "2026-11-25T09:00:00+07:00")
    made = signatures.snap_asymmetric(mine, *call)
    assert signatures.snap_asymmetric_fits(made, theirs, *call)
    assert not signatures.snap_asymmetric_fits(made, theirs, "GET", *call[1:])


def test_while_a_provider_changes_its_key_either_may_have_signed() -> None:
    vector, other = sample("nicepay-notify-clientid-timestamp"), sample("snap-token-midtrans-docs")
    given = vector["inputs"]
    both = other["inputs"]["public_key_pem"] + given["public_key_pem"]
    for pems in (both, both.replace("\n", "\r\n"), both.replace("\n", "\\n"), f"old and new:\n{both}\n"):
        theirs = keys.public_keys(pems)
        assert len(theirs) == 2
        assert signatures.nicepay_notification_fits(
            vector["expected"], theirs, given["client_key"], given["timestamp"]
        )
    only_other = keys.public_keys(other["inputs"]["public_key_pem"])
    assert not signatures.nicepay_notification_fits(
        vector["expected"], only_other, given["client_key"], given["timestamp"]
    )


def test_public_keys_of_both_kinds_are_read() -> None:
    """OVO asks for PKCS#1, the others give the usual form."""
    usual = sample("snap-token-midtrans-docs")["inputs"]["public_key_pem"]
    (key,) = keys.public_keys(usual)
    old = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1).decode()
    assert "BEGIN RSA PUBLIC KEY" in old
    assert [one.public_numbers() for one in keys.public_keys(old + usual)] == [key.public_numbers()] * 2


@pytest.mark.parametrize("read", [keys.private_key, keys.public_keys])
@pytest.mark.parametrize(
    "pem",
    [
        "",
        "no key",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    ],
)
def test_what_is_no_key_is_said(read: Callable[[str], object], pem: str) -> None:
    with pytest.raises(ValueError, match="key"):
        read(pem)


def test_a_key_is_read_once() -> None:
    pem = sample("snap-token-midtrans-docs")["inputs"]["private_key_pem"]
    assert keys.private_key(pem) is keys.private_key(pem)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.sampled_from([None, 1, 4, "\t"]))
def test_minified_is_the_tight_form_of_any_json(value: object, indent: int | str | None) -> None:
    tight = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    loose = json.dumps(value, indent=indent, separators=(" , ", "\r\n: "), ensure_ascii=False)
    assert signatures.minified(loose.encode()) == tight.encode()
    assert signatures.minified(tight.encode()) == tight.encode()


@given(st.binary(max_size=300), st.text(max_size=50))
def test_no_bytes_and_no_signature_make_a_check_fail_otherwise_than_by_no(body: bytes, given: str) -> None:
    theirs = keys.public_keys(sample("snap-token-midtrans-docs")["inputs"]["public_key_pem"])
    assert not signatures.snap_asymmetric_fits(given, theirs, "POST", given, body, given)
    assert not signatures.snap_transaction_fits(given, "secret", "POST", given, given, body, given)
    assert not signatures.midtrans_notification_fits(given, given, given, given, "key")


def test_a_signature_with_something_in_between_fits_nothing() -> None:
    given = sample("nicepay-notify-clientid-timestamp")
    theirs = keys.public_keys(given["inputs"]["public_key_pem"])
    call = (given["inputs"]["client_key"], given["inputs"]["timestamp"])
    for inserted in ("!", "\n", " ", "\x00"):
        changed = given["expected"][:40] + inserted + given["expected"][40:]
        assert not signatures.nicepay_notification_fits(changed, theirs, *call)


@pytest.mark.parametrize("given", ["", "!", "Ägypten", "AAA", "\ud800", "AAAA", "=" * 8])
def test_what_is_no_base64_fits_nothing(given: str) -> None:
    theirs = keys.public_keys(sample("snap-token-midtrans-docs")["inputs"]["public_key_pem"])
    assert not signatures.snap_token_fits(given, theirs, "client", "time")
