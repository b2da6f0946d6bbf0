"""A caller of the sandbox's issuer, and a whole document of which a test changes one member."""

import base64
from typing import Any
from uuid import uuid4

import httpx
from sandbox_linkedin import png
from sandbox_siplatih import changed

PATH = "/europass/api/credentials/issue"
KEY = "sandbox-europass-key"


def document(**changes: Any) -> dict[str, Any]:
    """A small credential; `a__b` changes member b of a, None takes a member away."""
    text = {"id": "Sertifikat", "en": "Certificate"}
    language = {"id": "http://publications.europa.eu/resource/authority/language/IND", "type": "Concept"}
    organisation = {
        "id": "urn:epass:org:1",
        "type": "Organisation",
        "legalName": {"id": "LPK Teknologi Indonesia"},
        "location": {"id": "urn:epass:location:1", "type": "Location"},
    }
    image = {"id": "urn:epass:image:1", "content": base64.b64encode(png()).decode()}
    members = {
        "@context": [
            "https://www.w3.org/2018/credentials/v1",
            "http://data.europa.eu/snb/model/context/edc-ap",
        ],
        "id": f"urn:credential:{uuid4()}",
        "type": ["VerifiableCredential", "EuropeanDigitalCredential"],
        "credentialSchema": {
            "id": "http://data.europa.eu/snb/model/ap/edc-generic-full",
            "type": "ShaclValidator2017",
        },
        "validFrom": "2024-07-15T10:30:00+07:00",
        "issuer": organisation,
        "displayParameter": {
            "title": text,
            "primaryLanguage": language,
            "language": [language],
            "individualDisplay": [{"language": language, "displayDetail": [{"page": 1, "image": image}]}],
        },
        "credentialSubject": {
            "id": "urn:epass:person:1",
            "type": "Person",
            "givenName": {"id": "Budi"},
            "hasClaim": {"id": "urn:epass:achievement:1", "type": "LearningAchievement", "title": text},
        },
    }
    return changed(members, changes)


def issue(issuer: httpx.Client, credential: Any, key: str | None = None, **more: Any) -> httpx.Response:
    """Deliver; each call with a key of its own unless one is named."""
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": key or str(uuid4())}
    return issuer.post(PATH, json={"credential": credential}, headers=headers, **more)


def deliveries(issuer: httpx.Client, credential: dict[str, Any]) -> list[int]:
    """How often a credential came, by the books: empty when it was never taken."""
    taken = issuer.get("/_sandbox/europass/credentials").json()
    return [one["times"] for one in taken if one["credential_id"] == credential["id"]]
