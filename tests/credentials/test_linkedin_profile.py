"""The Add-to-profile link: the issuer's months, nothing personal, and no claim that LinkedIn stored it."""

from datetime import date
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from networking import API, LEARNER, Network, credentials, opened, rows

from common.settings import settings
from records import credential_state
from records.db import unit_of_work


def test_add_certification_gives_the_link_and_the_values_and_claims_nothing(network: Network) -> None:
    (made,) = credentials(issued_on=date(2026, 1, 31)).credentials
    body = {"learner_id": LEARNER, "credential_id": str(made.id)}
    answer = network.api.post(f"{API}/add-certification", json=body)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    link = said["add_to_profile_url"]
    asked = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    page = settings().page_url(f"/credentials/{made.id}")
    assert asked == {
        "startTask": "CERTIFICATION_NAME",
        "name": "Pengembangan Perangkat Lunak",
        "organizationName": "Jembatan",
        "issueYear": "2026",
        "issueMonth": "1",
        "expirationYear": "2031",
        "expirationMonth": "7",
        "certUrl": page,
        "certId": str(made.id),
    }
    assert "+" not in link
    assert "certUrl=http%3A%2F%2F" in link
    assert (said["fields"]["issue_month"], said["fields"]["credential_url"]) == (1, page)
    assert said["process_id"] is None
    assert "nobody else is told" in said["note"]
    assert "Siti" not in answer.text


def test_the_issuers_page_goes_before_its_name_and_what_does_not_expire_has_no_end(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JEMBATAN_LINKEDIN__ORGANIZATION_ID", "1234567")
    settings.cache_clear()
    (made,) = credentials(expires_on=None).credentials
    body = {"learner_id": LEARNER, "credential_id": str(made.id)}
    link = network.api.post(f"{API}/add-certification", json=body).json()["add_to_profile_url"]
    assert "organizationId=1234567" in link
    assert "organizationName" not in link
    assert "expiration" not in link


def test_what_cannot_be_added_is_refused_in_words(network: Network) -> None:
    first, second = (one.id for one in credentials(2).credentials)
    assert network.shares(first).status_code == 409  # nothing is connected
    assert network.shares(first).json()["type"].endswith("linkedin-not-connected")
    assert network.shares(first, "learner-1").status_code == 404
    network.connected()
    assert network.shares(first, text="x" * 3001).status_code == 422
    assert network.shares(first, text="").status_code == 422
    with unit_of_work() as session:
        credential_state.apply(session, second, "revoked", source="test", reason="Issued in error")
    revoked = network.shares(second)
    assert (revoked.status_code, revoked.json()["type"].endswith("not-possible")) == (409, True)
    assert rows() == {}


def test_a_learner_shows_the_name_on_the_public_page_and_takes_it_back(network: Network) -> None:
    one = credentials().credentials[0].id
    strangers = credentials(of="somebody-else").credentials[0].id
    browser = opened(network)

    def public(which: UUID) -> str:
        return browser.see(f"/credentials/{which}", Accept="text/html")

    assert "Siti Aminah 0" not in public(one)
    shown = browser.submit("/linkedin/show-name", credential=str(one), on="yes")
    assert "kini menampilkan nama Anda" in shown.text
    assert "Jangan tampilkan nama saya" in shown.text
    assert "Siti Aminah 0" in public(one)
    kept = browser.submit("/linkedin/show-name", credential=str(one), on="no")
    assert "tidak lagi menampilkan nama Anda" in kept.text
    assert "Siti Aminah 0" not in public(one)
    others = browser.submit("/linkedin/show-name", credential=str(strangers), on="yes")
    assert "Itu tidak mungkin" in others.text
    assert "Siti Aminah 0" not in public(strangers)
    with unit_of_work() as session:
        told_by = [(each.source, each.reason) for each in credential_state.history(session, one)]
    assert told_by == [
        ("the learner's page", "the learner agreed to show the name"),
        ("the learner's page", "the learner shows no name"),
    ]
