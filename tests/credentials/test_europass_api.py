"""European credentials over HTTP: asked for by id or told at once, downloaded, and the certificate."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from elm import SEALING, faults
from issuing import worked
from test_credentials_api import TOLD, made

from common.settings import settings

GENERATE = "/api/v1/integrations/europass/generate"


@pytest.fixture(autouse=True)
def no_issuer(at: httpx.Client) -> None:
    """They are made for download, and sent nowhere."""
    settings().europass.base_url = ""


def generated(at: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    answer = at.post(GENERATE, json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"].endswith(answer.json()["process_id"])
    return dict(answer.json())


def test_a_credential_is_asked_for_by_its_id_and_downloaded_for_the_eus_web_issuer(at: httpx.Client) -> None:
    name = made(at)["credential_id"]
    asked = generated(at, {"credential_id": name})
    assert (asked["credential_id"], asked["exports"]) == (name, 1)
    (row,) = worked(UUID(asked["process_id"])).values()
    assert row.state == "done"
    download = at.get(row.links["download"])
    assert download.headers["Content-Disposition"].startswith("attachment")
    assert download.headers["Cache-Control"] == "no-store"
    form = download.json()
    assert form["deliveryDetails"] == {}
    assert faults(form["credential"]) == SEALING
    assert at.get(row.links["download"], params={"form": "document"}).json() == form["credential"]
    exports = at.get(f"/api/v1/credentials/{name}").json()["exports"]
    assert [one["target"] for one in exports] == ["europass", "open_badge"]
    assert generated(at, {"credential_id": name})["exports"] == 0  # it is done


def test_a_credential_is_told_at_once_with_english_and_a_field_of_education(at: httpx.Client) -> None:
    achievement = TOLD["achievement"] | {
        "name_en": "Software development",
        "isced_f": "0613",
        "skkni_units": [{"code": "J.1", "title": "Struktur Data", "title_en": "Data structures"}],
    }
    asked = generated(at, TOLD | {"achievement": achievement})
    worked(UUID(asked["process_id"]))
    url = f"/api/v1/credentials/{asked['credential_id']}"
    claim = at.get(f"{url}/europass.json").json()["credential"]["credentialSubject"]["hasClaim"]
    assert claim["title"] == {"id": "Pengembangan Perangkat Lunak", "en": "Software development"}
    assert claim["specifiedBy"]["thematicArea"]["id"].endswith("/0613")
    assert claim["specifiedBy"]["learningOutcome"][0]["title"]["en"] == "Data structures"
    assert at.get(url).json()["achievement"]["isced_f"] == "0613"


def test_the_certificate_is_a_pdf_in_two_languages(at: httpx.Client) -> None:
    url = f"/api/v1/credentials/{made(at)['credential_id']}/certificate.pdf"
    indonesian, english = at.get(url), at.get(url, params={"language": "en"})
    assert indonesian.headers["Content-Type"] == "application/pdf"
    assert indonesian.content.startswith(b"%PDF-")
    assert indonesian.content != english.content
    assert at.get(url, params={"language": "jv"}).status_code == 422


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        ({"credential_id": "7c0e5d4e-6d2b-4f0a-9a53-0f2f4a1d9b11"}, 404, ""),
        ({"credential_id": "none"}, 422, "credential_id"),
        ({}, 422, "learner"),
        (TOLD | {"achievement": TOLD["achievement"] | {"isced_f": "0699"}}, 422, "isced_f"),
        (TOLD | {"achievement": TOLD["achievement"] | {"nik": "1"}}, 422, "nik"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_by_name(
    at: httpx.Client, body: dict[str, Any], status: int, where: str
) -> None:
    answer = at.post(GENERATE, json=body)
    assert answer.status_code == status
    assert where in answer.text


def test_a_revoked_one_is_neither_made_nor_handed_out(at: httpx.Client) -> None:
    name = made(at)["credential_id"]
    url = f"/api/v1/credentials/{name}"
    assert at.get(f"{url}/europass.json").status_code == 200
    at.post(f"{url}/revoke", json={"reason": "Issued in error"}).raise_for_status()
    answer = at.post(GENERATE, json={"credential_id": name})
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("not-possible")
    assert at.get(f"{url}/europass.json").status_code == 404
    assert at.get(f"{url}/certificate.pdf").status_code == 404


def test_downloads_need_a_key(at: httpx.Client) -> None:
    """A European credential has the learner's name in it."""
    url = f"/api/v1/credentials/{made(at)['credential_id']}"
    for path in ("europass.json", "certificate.pdf"):
        assert httpx.get(at.base_url.join(f"{url}/{path}")).status_code == 401
