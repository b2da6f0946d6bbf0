"""Keys of the issuer: rotated while badges are made, withdrawn when they leak; pictures and brands."""

import base64
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from registry import exported, header, holder, told
from test_credentials_api import made

from common.errors import BadInput
from common.settings import settings
from credentials import badges, checking, ours
from providers.open_badges import keys as wire
from providers.open_badges.signing import Signer
from records import signing_key
from records.db import unit_of_work

ANEW = Path(__file__).parent / "verifying_anew.py"


def pem(key: Any) -> str:
    """A private key as the setting takes it."""
    return str(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
    )


def rsa_pem() -> str:
    return pem(rsa.generate_private_key(65537, 2048))


def sign_with(monkeypatch: pytest.MonkeyPatch, *pems: str) -> None:
    monkeypatch.setenv("JEMBATAN_SIGNING_KEYS", "\n".join(pems))
    settings.cache_clear()


def restarted(badges_shown: list[str]) -> dict[str, Any]:
    """What a process that starts now says of these badges."""
    paths = os.pathsep.join([str(ANEW.parents[2]), str(ANEW.parent)])
    done = subprocess.run(
        [sys.executable, str(ANEW)],
        input="\n".join(badges_shown),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_badges_of_an_old_key_verify_though_the_setting_does_not_name_it_any_more(
    at: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, edwards = rsa_pem(), rsa_pem(), pem(ed25519.Ed25519PrivateKey.generate())
    sign_with(monkeypatch, old, edwards)
    first = at.get(f"/credentials/{made(at)['credential_id']}.jws").text
    sign_with(monkeypatch, new, old, edwards)
    second = at.get(f"/credentials/{made(at, certificate_number='C2')['credential_id']}.jws").text
    assert header(first)["kid"] != header(second)["kid"]
    sign_with(monkeypatch, new, edwards)  # and every process starts again
    published = [one["kid"] for one in at.get("/.well-known/jwks.json").json()["keys"]]
    assert published[0] == header(second)["kid"]
    assert header(first)["kid"] in published
    assert [checking.check(one.encode()).state for one in (first, second)] == ["valid", "valid"]


def test_keys_are_rotated_while_two_workers_make_badges(
    at: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    edwards = pem(ed25519.Ed25519PrivateKey.generate())
    keys = [rsa_pem(), rsa_pem(), rsa_pem()]
    sign_with(monkeypatch, keys[0], edwards)
    ids: list[UUID] = []
    stop = threading.Event()

    def work(first: int) -> None:
        for number in range(first, first + 1_000):
            if stop.is_set():
                return
            told_now = told([holder(number)])
            assert told_now.run is not None
            exported(told_now.run.id)
            ids.append(told_now.credentials[0].id)

    def more(number: int) -> None:
        wanted = len(ids) + number
        while len(ids) < wanted:
            assert any(worker.is_alive() for worker in workers)
            time.sleep(0.01)

    workers = [threading.Thread(target=work, args=(1_000 * number,)) for number in (1, 2)]
    for worker in workers:
        worker.start()
    more(4)
    for number in (1, 2):
        sign_with(monkeypatch, *keys[number::-1], edwards)
        more(6)
    stop.set()
    for worker in workers:
        worker.join()
    sign_with(monkeypatch, keys[2], edwards)  # without the old ones
    jws = [badges.badge(one, "jws") or "" for one in ids]
    named = {header(one)["kid"] for one in jws}
    assert len(named) == 3
    anew = restarted(jws)
    assert anew["states"] == ["valid"] * len(jws)
    assert {one.partition("#")[2] for one in named} <= set(anew["published"])
    assert named <= {one["kid"] for one in at.get("/.well-known/jwks.json").json()["keys"]}
    assert named <= {one["id"] for one in at.get("/.well-known/did.json").json()["verificationMethod"]}


def test_a_leaked_key_is_withdrawn_and_its_badges_do_not_verify(
    at: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaked, edwards = rsa_pem(), pem(ed25519.Ed25519PrivateKey.generate())
    sign_with(monkeypatch, leaked, edwards)
    badge = at.get(f"/credentials/{made(at)['credential_id']}.jws").text
    with unit_of_work() as session:
        signing_key.withdraw(session, header(badge)["kid"].partition("#")[2])
    assert header(badge)["kid"] not in at.get("/.well-known/did.json").text
    assert checking.check(badge.encode()).state == "bad_signature"
    with unit_of_work() as session, pytest.raises(BadInput, match="was withdrawn"):
        ours.signer(session, "RS256")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no key", "holds no private key"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "RSA and Ed25519 keys only"),
        (pem(rsa.generate_private_key(65537, 1024)), "2048 bits"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "no PEM without a password"),
    ],
)
def test_a_key_that_cannot_sign_is_named_by_its_fault(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as refused:
        wire.read(text)
    assert "AAAA" not in str(refused.value)


def test_badges_that_begin_alike_are_signed_as_if_each_were_alone() -> None:
    signer = Signer(
        wire.read(pem(ed25519.Ed25519PrivateKey.generate())).for_alg("EdDSA"), "did:web:a.example"
    )
    for name in ("Satu", "Satu!", "Satu!!"):  # whatever is left over of three bytes
        alike = [{"name": name, "id": f"urn:{one}"} for one in (1, 22, 22, 333)]
        told = [{**one, "credentialSubject": {"id": "urn:x"}} for one in [*alike, {"id": "urn:4"}, alike[0]]]
        documents = [{**one, "validFrom": "2026-07-14T17:00:00Z"} for one in told]
        assert list(signer.each_jws(documents)) == [signer.jws(one) for one in documents]


def test_an_older_key_may_be_kept_by_its_public_half_alone() -> None:
    old = rsa.generate_private_key(65537, 2048)
    kept = wire.read(rsa_pem() + wire.public_pem(old.public_key()).decode())
    assert len(kept.signing) == 1
    assert len(kept.public()) == 2


@pytest.mark.parametrize(
    ("proof", "alg"), [("RS256", "RS256"), ("EdDSA", "EdDSA"), ("eddsa-rdfc-2022", "RS256")]
)
def test_the_setting_chooses_how_badges_are_signed(
    at: httpx.Client, monkeypatch: pytest.MonkeyPatch, proof: str, alg: str
) -> None:
    monkeypatch.setenv("JEMBATAN_BADGES__PROOF", proof)
    settings.cache_clear()
    one = made(at)
    exported(UUID(one["process_id"]))
    path = f"/credentials/{one['credential_id']}"
    assert header(at.get(f"{path}.jws").text)["alg"] == alg
    picture = checking.check(at.get(f"{path}/badge.svg").content)
    assert (picture.state, picture.form) == ("valid", "embedded" if proof == "eddsa-rdfc-2022" else "jws")


@pytest.mark.parametrize(
    ("url", "did"),
    [
        ("https://issuer.example", "did:web:issuer.example"),
        ("https://issuer.example:8443/", "did:web:issuer.example%3A8443"),
        ("https://issuer.example/badges/of/us", "did:web:issuer.example:badges:of:us"),
    ],
)
def test_our_did_is_that_of_our_address(url: str, did: str) -> None:
    assert wire.did_of(url) == did


# Brands

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9v9z" fill="#c33"/></svg>'


def brand(at: httpx.Client, **changed: Any) -> httpx.Response:
    body = {"lpk_registration_number": "LPK-3171-0042", "name": "LPK Teknologi", "colour": "#aa3300"}
    return at.put("/api/v1/training-centres", json=body | changed)


def test_a_training_centre_brands_its_badges(at: httpx.Client) -> None:
    one = made(at)
    path = f"/credentials/{one['credential_id']}"
    plain = at.get(f"{path}/badge.png").content
    for picture in (SVG, plain):  # a PNG goes in as well
        assert brand(at, logo=base64.b64encode(picture).decode()).status_code == 200
        branded = at.get(f"{path}/badge.png").content
        assert branded != plain
        assert checking.check(branded).state == "valid"
    assert at.get(f"/api/v1{path}/certificate.pdf").content.startswith(b"%PDF")
    inside = made(at, certificate_number="C2")
    said = at.get(f"/credentials/{inside['credential_id']}.json").json()
    assert said["credentialSubject"]["achievement"]["creator"]["name"] == "LPK Teknologi"
    image = at.get(said["credentialSubject"]["achievement"]["image"]["id"])
    assert image.headers["Content-Type"] == "image/png"


@pytest.mark.parametrize(
    ("logo", "words"),
    [
        (SVG.replace(b"<path", b"<script>alert(1)</script><path"), "has a <script>"),
        (SVG.replace(b"<path", b'<path onclick="alert(1)"'), "acts or leads outside"),
        (SVG.replace(b"#c33", b"url(https://evil.example/x)"), "acts or leads outside"),
        (SVG.replace(b"<path", b'<image href="https://evil.example/x"/><path'), "has a <image>"),
        (b"<!DOCTYPE svg [<!ENTITY a 'b'>]>" + SVG, "declares entities"),
        (b"GIF89a", "this is neither"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 40, "cut off"),
        (b"x" * (600 * 1024), "at most 512 KiB"),
    ],
)
def test_a_logo_that_acts_or_is_none_is_refused_with_the_reason(
    at: httpx.Client, logo: bytes, words: str
) -> None:
    answer = brand(at, logo=base64.b64encode(logo).decode())
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_a_logo_of_20_mb_is_refused_before_it_is_read(at: httpx.Client, tmp_path: Path) -> None:
    assert brand(at, logo="A" * 20_000_000).status_code == 413
