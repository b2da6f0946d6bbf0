"""A credential as a European Digital Credential: JSON-LD of the European Learning Model v3.

It passes the EU's shapes `edc-generic-full`; without a seal but for `issued` and the issuer's eIDAS
identifier, which sealing adds. KKNI levels are told as what they are: Indonesia has not referenced them to
the EQF, so no EQF level is written. No NIK, no date of birth. Source: the EU's shapes and context (ELM v3),
read in November 2026.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from common import clock
from providers.europass import concepts
from providers.europass.concepts import LANGUAGES, Language, Texts

CONTEXT = ("https://www.w3.org/2018/credentials/v1", "http://data.europa.eu/snb/model/context/edc-ap")
SCHEMA = {"id": "http://data.europa.eu/snb/model/ap/edc-generic-full", "type": "ShaclValidator2017"}
TITLE: Texts = {"id": "Sertifikat Pelatihan", "en": "Training Certificate"}


@dataclass(frozen=True)
class Organisation:
    """Issuer or training centre. registration: number and the list that it is of. country: two letters."""

    name: str
    registration: tuple[str, str] | None = None
    country: str = "ID"
    url: str | None = None


@dataclass(frozen=True)
class Achieved:
    """What all these credentials have in common. Texts are in Indonesian, and in English where that was
    told. units: SKKNI code and title. isced_f: code of the field of education."""

    title: Texts
    description: Texts
    criteria: Texts
    centre: Organisation
    units: tuple[tuple[str, Texts], ...] = ()
    kkni_level: int | None = None
    hours: int | None = None
    isced_f: str | None = None


@dataclass(frozen=True)
class Award:
    """One learner's part. page_url: our public page, which tells the credential's state."""

    id: UUID
    subject_id: UUID
    name: str = field(repr=False)
    certificate_number: str
    issued_on: date
    expires_on: date | None
    page_url: str
    score: str | None = None


@dataclass(frozen=True)
class Sealing:
    """What sealing adds: who seals, by the certificate (`VATES-A00000000`), from which country, and when."""

    identifier: str
    country: str
    at: datetime


class Writer:
    """Writes the credentials of one achievement; what they have in common is put together once."""

    def __init__(self, issuer: Organisation, achieved: Achieved) -> None:
        self._achieved = achieved
        self._issuer = _organisation(issuer, 1)
        self._centre = _organisation(achieved.centre, 2)
        self._qualification = _qualification(achieved)
        self._title = {
            language: f"{kind}: {achieved.title.get(language) or achieved.title['id']}"
            for language, kind in TITLE.items()
        }

    def document(
        self, award: Award, pages: Mapping[Language, bytes], sealing: Sealing | None = None
    ) -> dict[str, Any]:
        """The credential. pages: the certificate's page in each language, PNG."""
        first, last = _moment(award.issued_on, time.min), None
        if award.expires_on is not None:
            last = _moment(award.expires_on, time(23, 59, 59))
        document: dict[str, Any] = {
            "@context": list(CONTEXT),
            "id": f"urn:credential:{award.id}",
            "type": ["VerifiableCredential", "EuropeanDigitalCredential"],
            "credentialSchema": SCHEMA,
            "credentialProfiles": concepts.generic_credential(),
            "identifier": {
                "id": "urn:epass:identifier:certificate",
                "type": "Identifier",
                "notation": award.certificate_number,
                "schemeName": "Certificate number",
            },
            "validFrom": first,
            "displayParameter": self._display(pages),
            "issuer": self._issuer
            if sealing is None
            else self._issuer | {"eIDASIdentifier": _eidas(sealing)},
            "credentialSubject": _person(award) | {"hasClaim": self._claim(award, first)},
        }
        if last is not None:
            # which of the two a viewer reads differs
            document |= {"validUntil": last, "expirationDate": last}
        if sealing is not None:
            issued = f"{sealing.at.astimezone(clock.JAKARTA):%Y-%m-%dT%H:%M:%S}+07:00"
            document |= {"issued": issued, "issuanceDate": issued}
        return document

    def _claim(self, award: Award, awarded: str) -> dict[str, Any]:
        claim: dict[str, Any] = {
            "id": "urn:epass:learningAchievement:1",
            "type": "LearningAchievement",
            "title": self._achieved.title,
            "description": self._achieved.description,
            "awardedBy": self._awarding(1, awarded),
            "specifiedBy": self._qualification,
            "supplementaryDocument": {
                "id": "urn:epass:webResource:status",
                "type": "WebResource",
                "title": {
                    "id": "Halaman verifikasi dan status sertifikat",
                    "en": "Page on which the certificate and its state are verified",
                },
                "contentURL": award.page_url,
            },
        }
        if award.score is not None:
            claim["provenBy"] = {
                "id": "urn:epass:learningAssessment:1",
                "type": "LearningAssessment",
                "title": {"id": "Penilaian akhir", "en": "Final assessment"},
                "awardedBy": self._awarding(2, awarded),
                "grade": _note("grade", {"id": award.score, "en": award.score}),
            }
        return claim

    def _awarding(self, number: int, awarded: str) -> dict[str, Any]:
        return {
            "id": f"urn:epass:awardingProcess:{number}",
            "type": "AwardingProcess",
            "awardingBody": self._centre,
            "awardingDate": awarded,
        }

    def _display(self, pages: Mapping[Language, bytes]) -> dict[str, Any]:
        return {
            "id": "urn:epass:displayParameter:1",
            "type": "DisplayParameter",
            "primaryLanguage": concepts.language("id"),
            "language": [concepts.language(one) for one in LANGUAGES],
            "title": self._title,
            "description": self._achieved.description,
            "individualDisplay": [_page(one, pages[one]) for one in LANGUAGES if one in pages],
        }


def upload_form(document: dict[str, Any]) -> dict[str, Any]:
    """What the EU's web issuer takes as a file: the document, and where it is to be sent; the person who
    uploads it says that there."""
    return {"credential": document, "deliveryDetails": {}}


def _moment(day: date, at: time) -> str:
    """A moment of a day in Jakarta."""
    return f"{datetime.combine(day, at):%Y-%m-%dT%H:%M:%S}+07:00"


def _person(award: Award) -> dict[str, Any]:
    """The learner. Texts must have a language, so the name has ours. A name of one word is a given name."""
    words = award.name.split()
    person: dict[str, Any] = {
        "id": f"urn:uuid:{award.subject_id}",
        "type": "Person",
        "fullName": {"id": award.name},
        "givenName": {"id": " ".join(words[:-1]) or award.name},
    }
    if len(words) > 1:
        person["familyName"] = {"id": words[-1]}
    return person


def _organisation(known: Organisation, number: int) -> dict[str, Any]:
    country = concepts.country(known.country)
    node: dict[str, Any] = {
        "id": f"urn:epass:org:{number}",
        "type": "Organisation",
        "legalName": {"id": known.name, "en": known.name},
        "location": {
            "id": f"urn:epass:location:{number}",
            "type": "Location",
            "address": {"id": f"urn:epass:address:{number}", "type": "Address", "countryCode": country},
        },
    }
    if known.registration is not None:
        notation, scheme = known.registration
        node["registration"] = {
            "id": f"urn:epass:registration:{number}",
            "type": "LegalIdentifier",
            "notation": notation,
            "schemeName": scheme,
            "spatial": country,
        }
    if known.url is not None:
        node["homepage"] = {
            "id": f"urn:epass:homepage:{number}",
            "type": "WebResource",
            "contentURL": known.url,
        }
    return node


def _eidas(sealing: Sealing) -> dict[str, Any]:
    return {
        "id": "urn:epass:eidas:1",
        "type": "LegalIdentifier",
        "notation": sealing.identifier,
        "spatial": concepts.country(sealing.country),
    }


def _qualification(achieved: Achieved) -> dict[str, Any]:
    node: dict[str, Any] = {
        "id": "urn:epass:qualification:1",
        "type": "Qualification",
        "title": achieved.title,
        "description": achieved.description,
        "language": concepts.language("id"),
        "learningSetting": concepts.non_formal(),
    }
    notes = [_note("criteria", achieved.criteria)]
    if achieved.isced_f is not None:
        node["thematicArea"] = concepts.field_of_education(achieved.isced_f)
    if achieved.hours is not None:
        node["volumeOfLearning"] = f"PT{achieved.hours}H"
    if achieved.kkni_level is not None:
        level = achieved.kkni_level
        node["educationLevel"] = concepts.kkni(level)
        said = {
            "id": f"Jenjang {level} Kerangka Kualifikasi Nasional Indonesia (KKNI), yang belum disetarakan "
            "dengan EQF.",
            "en": f"Level {level} of the Indonesian National Qualifications Framework (KKNI), which is not "
            "referenced to the EQF.",
        }
        notes.append(_note("kkni", said))
    node["additionalNote"] = notes
    if achieved.units:
        node["learningOutcome"] = [_unit(number, *unit) for number, unit in enumerate(achieved.units, 1)]
    return node


def _unit(number: int, code: str, title: Texts) -> dict[str, Any]:
    return {
        "id": f"urn:epass:learningOutcome:{number}",
        "type": "LearningOutcome",
        "title": title,
        "identifier": {
            "id": f"urn:epass:identifier:{number}",
            "type": "Identifier",
            "notation": code,
            "schemeName": "SKKNI",
        },
    }


def _note(name: str, said: Texts) -> dict[str, Any]:
    return {"id": f"urn:epass:note:{name}", "type": "Note", "noteLiteral": said}


def _page(language: Language, picture: bytes) -> dict[str, Any]:
    return {
        "id": f"urn:epass:individualDisplay:{language}",
        "type": "IndividualDisplay",
        "language": concepts.language(language),
        "displayDetail": {
            "id": f"urn:epass:displayDetail:{language}",
            "type": "DisplayDetail",
            "page": 1,
            "image": {
                "id": f"urn:epass:mediaObject:{language}",
                "type": "MediaObject",
                "content": base64.b64encode(picture).decode(),
                "contentEncoding": concepts.base64(),
                "contentType": concepts.png(),
            },
        },
    }
