"""Credentials over HTTP: told, shown, ended, exported, and read by anybody."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from openbadgeslib.ob3 import OB3LdpVerifier, decode_encoded_list, set_indices
from registry import exported, header, payload

from common import clock
from providers.open_badges import keys as wire
from records import process
from records.db import unit_of_work
from records.process import ProcessRun

TOLD: dict[str, Any] = {
    "learner": {"id": "learner-4711", "name": "Siti Aminah", "email": "siti@example.id"},
    "program_code": "PRG-2026-0017",
    "lpk_registration_number": "LPK-3171-0042",
    "certificate_number": "CERT-2026-001234",
    "achievement": {
        "name": "Pengembangan Perangkat Lunak",
        "description": "Pelatihan berbasis kompetensi.",
        "criteria": "Lulus uji kompetensi.",
        "skkni_units": [{"code": "J.620100.004.02", "title": "Menggunakan Struktur Data"}],
        "kkni_level": 6,
    },
    "issued_on": "2026-07-15",
    "expires_on": "2031-07-15",
    "score": "92.50",
}


def made(at: httpx.Client, **changed: Any) -> dict[str, Any]:
    answer = at.post("/api/v1/credentials", json=TOLD | changed)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_told_again_it_is_the_same_and_a_change_is_refused(at: httpx.Client) -> None:
    first, again = made(at), made(at)
    assert first["credential_id"] == again["credential_id"]
    assert first["process_id"] == again["process_id"]
    assert first["exports"][0]["state"] == "queued"
    differs = at.post("/api/v1/credentials", json=TOLD | {"score": "95.00"})
    assert differs.status_code == 409
    assert differs.json()["type"].endswith("credential-differs")
    key = {"Idempotency-Key": "one"}
    assert at.post("/api/v1/credentials", json=TOLD, headers=key).status_code == 201
    other = TOLD | {"certificate_number": "CERT-2"}
    assert at.post("/api/v1/credentials", json=other, headers=key).status_code == 422


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"issued_on": f"{clock.business_date(clock.now()) + timedelta(days=1)}"}, "body.issued_on"),
        ({"issued_on": "0254-10-28"}, "body.issued_on"),
        ({"expires_on": "2026-07-14"}, "body.expires_on"),
        ({"score": "ninety"}, "body.score"),
        ({"score": -1.0}, "body.score"),
        ({"score": 1e300}, "body.score"),
        ({"learner": {"id": "a", "name": "x" * 201}}, "body.learner.name"),
        ({"learner": {"id": "a", "name": "Siti\n"}}, "body.learner.name"),
        ({"learner": {"id": "a", "name": "Siti", "nik": "3171234567890001"}}, "body.learner.nik"),
        ({"certificate_number": "LSP/3201010101010001"}, "body.certificate_number"),
    ],
)
def test_what_no_certificate_can_have_is_refused_by_name(
    at: httpx.Client, changed: dict[str, Any], where: str
) -> None:
    answer = at.post("/api/v1/credentials", json=TOLD | changed)
    assert answer.status_code == 422
    assert where in [one["where"] for one in answer.json()["errors"]]


@pytest.mark.parametrize(
    "name",
    ["Ni'mah", "Sukarno", "محمد ‏عبد", "ꦱꦶꦠꦶ", "x" * 200, "<b>Siti</b>", "‮Siti‬"],
)
def test_a_name_of_any_script_comes_back_as_it_was_and_stands_in_no_badge(
    at: httpx.Client, name: str
) -> None:
    from records.credential import Credential

    one = made(at, learner={"id": "l", "name": name})
    with unit_of_work() as session:
        assert session.get_one(Credential, UUID(one["credential_id"])).holder_name() == name
    assert name not in at.get(f"/credentials/{one['credential_id']}.json").text


def test_a_badge_is_signed_once_and_served_unchanged(at: httpx.Client) -> None:
    one = made(at)
    assert exported(UUID(one["process_id"])) == 1
    shown = at.get(f"/api/v1/credentials/{one['credential_id']}").json()
    (export,) = shown["exports"]
    assert export["state"] == "done"
    anybody = httpx.Client()
    jws = anybody.get(export["links"]["jws"])
    assert anybody.get(export["links"]["jws"]).content == jws.content
    said = payload(jws.text)
    assert said["id"] == shown["url"] == export["links"]["page"]
    assert (said["jti"], said["sub"], said["iss"]) == (
        said["id"],
        said["credentialSubject"]["id"],
        said["issuer"]["id"],
    )
    assert said["validFrom"] == "2026-07-14T17:00:00Z"  # midnight in Jakarta
    assert said["validUntil"] == "2031-07-15T16:59:59Z"
    assert said["credentialSubject"]["result"][0]["value"] == "92.50"
    embedded = anybody.get(export["links"]["json"])
    assert anybody.get(export["links"]["json"]).content == embedded.content
    assert embedded.headers["Access-Control-Allow-Origin"] == "*"


def test_the_keys_that_we_publish_verify_both_forms(at: httpx.Client) -> None:
    one = made(at)
    url = f"/credentials/{one['credential_id']}"
    jws, embedded = at.get(f"{url}.jws").text, at.get(f"{url}.json").json()
    known = {key["kid"]: key for key in at.get("/.well-known/jwks.json").json()["keys"]}
    assert header(jws)["kid"] in known
    assert all("d" not in key for key in known.values())
    assert header(jws)["jwk"]["n"] == known[header(jws)["kid"]]["n"]
    did = at.get("/.well-known/did.json").json()
    assert did["id"] == payload(jws)["issuer"]["id"] == embedded["issuer"]["id"]
    method = next(
        one for one in did["verificationMethod"] if one["id"] == embedded["proof"][0]["verificationMethod"]
    )
    assert method["id"] in did["assertionMethod"]
    from openbadgeslib.ob3.did import _pem_from_vm

    assert OB3LdpVerifier(_pem_from_vm(method)).verify(embedded).id == embedded["id"]


def bits(at: httpx.Client, purpose: str, number: str) -> frozenset[int]:
    said = payload(at.get(f"/status/{purpose}/{number}").raise_for_status().text)
    assert said["credentialSubject"]["statusPurpose"] == purpose
    raw = decode_encoded_list(said["credentialSubject"]["encodedList"])
    assert len(raw) * 8 >= 131_072
    return set_indices(raw)


def test_a_revocation_is_in_the_list_at_once_and_a_suspension_until_it_is_lifted(at: httpx.Client) -> None:
    one = made(at)
    path = f"/api/v1/credentials/{one['credential_id']}"
    entry = payload(at.get(f"/credentials/{one['credential_id']}.jws").text)["credentialStatus"]
    number, index = entry["statusListCredential"].rpartition("/")[2], int(entry["statusListIndex"])
    assert bits(at, "revocation", number) == bits(at, "suspension", number) == frozenset()
    why = {"reason": "Being looked at"}
    assert at.post(f"{path}/suspend", json=why).json()["state"] == "suspended"
    assert bits(at, "revocation", number) == bits(at, "suspension", number) == {index}
    assert at.post(f"{path}/restore").json()["state"] == "valid"
    assert bits(at, "revocation", number) == bits(at, "suspension", number) == frozenset()
    revoked = at.post(f"{path}/revoke", json={"reason": "Issued in error"}).json()
    assert (revoked["state"], revoked["reason"]) == ("revoked", "Issued in error")
    assert [event["source"] for event in revoked["events"]] == ["client:lms"] * 3
    assert bits(at, "revocation", number) == {index}
    assert bits(at, "suspension", number) == frozenset()
    assert at.post(f"{path}/restore").status_code == 409
    assert at.post(f"{path}/revoke", json=why).json()["reason"] == "Issued in error"


def test_a_list_may_be_kept_for_half_a_minute_and_is_the_same_while_nothing_changes(at: httpx.Client) -> None:
    made(at)
    first = at.get("/status/revocation/1")
    assert first.headers["Cache-Control"] == "public, max-age=30"
    again = at.get("/status/revocation/1", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    as_json = at.get("/status/revocation/1", headers={"Accept": "application/vc+ld+json"})
    assert as_json.json()["proof"][0]["cryptosuite"] == "eddsa-rdfc-2022"
    assert at.get("/status/revocation/99").status_code == at.get("/status/other/1").status_code == 404


def test_a_revocation_is_seen_within_a_minute_however_long_copies_may_be_kept(at: httpx.Client) -> None:
    """No sleep: a copy was taken right before, and may be kept as long as its headers and the list say."""
    one = made(at)["credential_id"]
    before = at.get("/status/revocation/1")
    kept_by_caches = int(before.headers["Cache-Control"].partition("max-age=")[2])
    kept_by_verifiers = payload(before.text)["credentialSubject"].get("ttl", 0) / 1000
    assert max(kept_by_caches, kept_by_verifiers) <= 60
    at.post(f"/api/v1/credentials/{one}/revoke", json={"reason": "Issued in error"}).raise_for_status()
    after = at.get("/status/revocation/1", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert bits(at, "revocation", "1") != frozenset()
    assert at.get(f"/api/v1/credentials/{one}").json()["state"] == "revoked"
    page = at.get(f"/credentials/{one}", headers={"Accept": "application/json"})
    assert page.headers.get("Cache-Control", "no-store") in ("no-store", "no-cache", "public, max-age=30")


def test_an_export_of_a_program_has_its_process_and_what_is_done_stays(at: httpx.Client) -> None:
    one = made(at)
    exported(UUID(one["process_id"]))
    asked = at.post("/api/v1/credentials/export", json={"program_code": TOLD["program_code"]})
    assert asked.status_code == 202
    assert asked.json()["exports"] == 0
    assert asked.headers["Location"] == f"/api/v1/processes/{asked.json()['process_id']}"
    by_id = at.post("/api/v1/credentials/export", json={"credential_ids": [one["credential_id"]]})
    assert by_id.status_code == 202
    for wrong in ({}, {"program_code": "none"}, {"credential_ids": ["019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c"]}):
        assert at.post("/api/v1/credentials/export", json=wrong).status_code == 422
    with unit_of_work() as session:
        runs = session.scalars(sa.select(ProcessRun).filter_by(process="export-credentials")).all()
        assert len(runs) == 3
        assert process.claim_batch(session, "export-credentials", clock.now(), 10)


def test_nothing_is_there_that_was_not_made(at: httpx.Client) -> None:
    no_one = "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c"
    for path in (f"/credentials/{no_one}.jws", f"/credentials/{no_one}.json", f"/achievements/{no_one}"):
        assert at.get(path).status_code == 404
    assert at.get(f"/api/v1/credentials/{no_one}").status_code == 404
    assert at.post(f"/api/v1/credentials/{no_one}/revoke", json={"reason": "x"}).status_code == 404


def test_an_achievement_is_read_as_it_stands_in_its_badges(at: httpx.Client) -> None:
    one = made(at)
    inside = payload(at.get(f"/credentials/{one['credential_id']}.jws").text)["credentialSubject"][
        "achievement"
    ]
    outside = at.get(inside["id"]).json()
    assert inside == outside | {"resultDescription": inside["resultDescription"]}
    assert {alignment["targetType"] for alignment in outside["alignment"]} == {
        "ext:SKKNIUnit",
        "ext:KKNILevel",
    }


def test_every_key_has_the_name_that_everybody_computes() -> None:
    # RFC 7638, 3.1
    jwk = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1"
        "L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4"
        "QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbO"
        "pbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csF"
        "Cur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
    }
    assert wire.thumbprint(jwk) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
