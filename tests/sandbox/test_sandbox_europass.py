"""The sandbox's issuer of European credentials takes each document once, and only whole ones."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from sandbox_europass import KEY, PATH, deliveries, document, issue
from sandbox_siplatih import NIK


@pytest.fixture
def issuer(http: httpx.Client) -> Iterator[httpx.Client]:
    """The issuer; afterwards it behaves as usual."""
    yield http
    http.delete("/_sandbox/europass/manners").raise_for_status()


def test_a_credential_is_taken_and_has_an_id_and_addresses(issuer: httpx.Client) -> None:
    credential = document()
    answer = issue(issuer, credential)
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    data = answer.json()["data"]
    assert data["europass_credential_id"].startswith("EP-")
    assert data["credential_url"].startswith("https://")
    assert data["qr_code"].startswith("https://")
    kept = issuer.get(f"/_sandbox/europass/credentials/{data['europass_credential_id']}").json()
    assert kept == credential


def test_the_same_key_and_body_is_the_same_delivery(issuer: httpx.Client) -> None:
    credential = document()
    first, again = (issue(issuer, credential, "k-" + credential["id"]) for _ in range(2))
    assert first.json() == again.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert deliveries(issuer, credential) == [2]


def test_two_at_once_with_one_key_are_one_delivery(issuer: httpx.Client) -> None:
    credential, key = document(), str(uuid4())
    failure = {"gateway": "europass", "operation": "issue", "kind": "delay", "seconds": 0.3}
    issuer.post("/_sandbox/failures", json=failure).raise_for_status()
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: issue(issuer, credential, key), range(2)))
    assert answers[0].json() == answers[1].json()
    assert deliveries(issuer, credential) == [2]


def test_a_key_stands_for_one_body(issuer: httpx.Client) -> None:
    key = str(uuid4())
    assert issue(issuer, document(), key).status_code == 200
    answer = issue(issuer, document(), key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_the_same_credential_with_another_key_is_a_conflict(issuer: httpx.Client) -> None:
    credential = document()
    number = issue(issuer, credential).json()["data"]["europass_credential_id"]
    answer = issue(issuer, credential)
    assert answer.status_code == 409
    assert answer.json()["success"] is False
    assert answer.json()["data"]["europass_credential_id"] == number
    issuer.post("/_sandbox/europass/manners", json={"conflict_names_id": False})
    assert "data" not in issue(issuer, credential).json()


def test_a_key_of_the_api_is_needed(issuer: httpx.Client) -> None:
    body = {"credential": document()}
    for authorization in ("", "Bearer wrong", f"Basic {KEY}"):
        headers = {"Idempotency-Key": "k", "Authorization": authorization}
        assert issuer.post(PATH, json=body, headers=headers).status_code == 401
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = issuer.post(PATH, json=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "IDEMPOTENCY_KEY_MISSING")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"@context": ["https://europa.eu/europass/credentials/v1"]}, "@context"),
        ({"type": ["VerifiableCredential", "EuropassCredential"]}, "type"),
        ({"id": "550e8400"}, "id"),
        ({"credentialSchema": None}, "credentialSchema"),
        ({"validFrom": "2024-07-15"}, "validFrom"),
        ({"issuer__location": None}, "issuer.location"),
        ({"issuer__legalName": "LPK"}, "issuer.legalName"),
        ({"credentialSubject__hasClaim": None}, "credentialSubject"),
        ({"credentialSubject__hasClaim__title": "Sertifikat"}, "credentialSubject.hasClaim.title"),
        ({"credentialSubject__givenName": {"ind": "Budi"}}, "credentialSubject.givenName"),
        ({"credentialSubject__nationalID": {}}, "credentialSubject.nationalID"),
        ({"credentialSubject__identifier": {"notation": NIK}}, "credentialSubject.identifier.notation"),
        ({"displayParameter": None}, "displayParameter"),
        ({"displayParameter__primaryLanguage": None}, "displayParameter.primaryLanguage"),
        ({"displayParameter__individualDisplay": [{}]}, "displayParameter.individualDisplay"),
    ],
)
def test_a_document_with_a_fault_is_refused_with_its_path(
    issuer: httpx.Client, changes: dict[str, Any], path: str
) -> None:
    credential = document(**changes)
    answer = issue(issuer, credential)
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (422, [f"credential.{path}"])
    assert deliveries(issuer, credential) == []


def test_what_is_too_large_is_refused(issuer: httpx.Client) -> None:
    issuer.post("/_sandbox/europass/manners", json={"max_body_bytes": 500})
    answer = issue(issuer, document())
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_odd_answers_come_on_demand(issuer: httpx.Client) -> None:
    issuer.post("/_sandbox/europass/manners", json={"names_id": False, "links": "script"})
    data = issue(issuer, document()).json()["data"]
    assert "europass_credential_id" not in data
    assert data["credential_url"].startswith("javascript:")
    for failure, status in (({"code": "200"}, 200), ({"code": "403"}, 403), ({"code": "503"}, 503)):
        body = {"gateway": "europass", "operation": "issue", "kind": "code", **failure}
        issuer.post("/_sandbox/failures", json=body).raise_for_status()
        answer = issue(issuer, document())
        assert (answer.status_code, answer.json()["success"]) == (status, False)


def test_a_lost_answer_was_a_delivery(issuer: httpx.Client) -> None:
    credential, key = document(), str(uuid4())
    body = {"gateway": "europass", "operation": "issue", "kind": "lost"}
    issuer.post("/_sandbox/failures", json=body).raise_for_status()
    with pytest.raises(httpx.ReadTimeout):
        issue(issuer, credential, key, timeout=0.3)
    assert issue(issuer, credential, key).headers["Idempotent-Replayed"] == "true"


def test_the_rate_limit_is_kept(issuer: httpx.Client) -> None:
    issuer.post("/_sandbox/europass/manners", json={"rate": 0.01})
    assert [issue(issuer, document()).status_code for _ in range(2)] == [200, 429]


# Sealed


@pytest.fixture(scope="module")
def seal_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def certificate(key: RSAPrivateKey) -> str:
    """A certificate of this key, as x5c has it."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "LPK")])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .sign(key, SHA256())
    )
    return base64.b64encode(made.public_bytes(Encoding.DER)).decode()


def sealed(members: dict[str, Any], key: RSAPrivateKey, **header: Any) -> dict[str, Any]:
    """The document under a JAdES seal whose payload is plain text."""
    usual = {"alg": "RS256", "b64": False, "crit": ["b64", "sigT"], "sigT": "2024-07-15T03:30:00Z"}
    head = {**usual, "x5c": [certificate(key)], **header}
    protected = base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b"=").decode()
    payload = json.dumps(members, ensure_ascii=False)
    signature = key.sign(f"{protected}.{payload}".encode(), PKCS1v15(), SHA256())
    return {
        "payload": payload,
        "signatures": [
            {
                "protected": protected,
                "signature": base64.urlsafe_b64encode(signature).rstrip(b"=").decode(),
            }
        ],
    }


def to_be_sealed() -> dict[str, Any]:
    """A document with the two members that sealing adds."""
    credential = document(issued="2024-07-15T10:30:00+07:00")
    credential["issuer"]["eIDASIdentifier"] = {"notation": "NTRID-1234567890123"}
    return credential


def test_a_sealed_document_is_taken(issuer: httpx.Client, seal_key: RSAPrivateKey) -> None:
    credential = to_be_sealed()
    assert issue(issuer, sealed(credential, seal_key)).status_code == 200
    [taken] = [
        one
        for one in issuer.get("/_sandbox/europass/credentials").json()
        if one["credential_id"] == credential["id"]
    ]
    assert taken["sealed"] is True


def test_a_seal_that_does_not_fit_is_refused(issuer: httpx.Client, seal_key: RSAPrivateKey) -> None:
    good = sealed(to_be_sealed(), seal_key)
    other = generate_private_key(65537, 2048)
    for bad in (
        {**good, "payload": good["payload"].replace("Budi", "Badu")},
        {**good, "signatures": []},
        sealed(to_be_sealed(), seal_key, x5c=[certificate(other)]),
        sealed(to_be_sealed(), seal_key, alg="none"),
        sealed(to_be_sealed(), seal_key, crit=["sigT"]),
    ):
        answer = issue(issuer, bad)
        assert (answer.status_code, list(answer.json()["error"]["fields"])) == (422, ["credential"])


def test_a_seal_brings_the_two_members_that_it_adds(issuer: httpx.Client, seal_key: RSAPrivateKey) -> None:
    answer = issue(issuer, sealed(document(), seal_key))
    assert set(answer.json()["error"]["fields"]) == {
        "credential.issued",
        "credential.issuer.eIDASIdentifier",
    }
