"""What a badge says: an AchievementCredential, as the schema of Open Badges 3.0 wants it.

Only plain strings, only members that the contexts know: what they do not know would not be signed. Nothing
of the learner is in it but a fresh `urn:uuid` and a salted hash of the e-mail address.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID

from common import clock

CONTEXTS = (
    "https://www.w3.org/ns/credentials/v2",
    "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
    "https://purl.imsglobal.org/spec/ob/v3p0/extensions.json",  # knows the type of credentialSchema
)
SCHEMA = {
    "id": "https://purl.imsglobal.org/spec/ob/v3p0/schema/json/ob_v3p0_achievementcredential_schema.json",
    "type": "1EdTechJsonSchemaValidator2019",
}
_SKKNI = "https://skkni.kemnaker.go.id/?unit="
_KKNI = "https://peraturan.bpk.go.id/Details/41251/perpres-no-8-tahun-2012"  # the levels are defined there


@dataclass(frozen=True)
class Issuer:
    """Who issues. id: its DID."""

    id: str
    name: str
    url: str | None = None
    email: str | None = None


@dataclass(frozen=True)
class Centre:
    """The training centre (LPK) that taught. number: in the ministry's register."""

    number: str
    name: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class Achieved:
    """What was achieved; the same for everybody who achieved it. units: code and title, SKKNI."""

    id: UUID
    program_code: str
    name: str
    description: str
    criteria: str
    centre: Centre
    units: Sequence[tuple[str, str]] = ()
    kkni_level: int | None = None


class Award(NamedTuple):
    """One learner's part of a badge. place: number of the status list, and index in it."""

    id: UUID
    subject_id: UUID | str
    issued_on: date
    expires_on: date | None
    place: tuple[int, int]
    email_hash: str | None = None
    email_salt: str | None = None
    score: str | None = None


class Writer:
    """Writes the badges of one achievement; what they have in common is put together once, and comes first
    in them, so that it is also encoded once (`signing.Signer.each_jws`).

    base_url: address under which credentials, achievements and status lists are served, for good.
    """

    def __init__(self, issuer: Issuer, achieved: Achieved, base_url: str) -> None:
        self._base = base_url.rstrip("/")
        self._issuer = _profile(issuer)
        self._name = achieved.name
        self._result_id = f"{self._base}/achievements/{achieved.id}#score"
        self._plain = achievement(achieved, self._base)
        self._scored = self._plain | {
            "resultDescription": [
                {
                    "id": self._result_id,
                    "type": ["ResultDescription"],
                    "name": "Nilai",
                    "resultType": "RawScore",
                }
            ]
        }

    def document(self, award: Award) -> dict[str, Any]:
        """The badge before it is signed."""
        subject: dict[str, Any] = {
            "type": ["AchievementSubject"],
            "achievement": self._plain if award.score is None else self._scored,
            "id": f"urn:uuid:{award.subject_id}",
        }
        if award.email_hash is not None:
            subject["identifier"] = [
                {
                    "type": "IdentityObject",
                    "hashed": True,
                    "identityHash": award.email_hash,
                    "identityType": "emailAddress",
                    "salt": award.email_salt,
                }
            ]
        if award.score is not None:
            subject["result"] = [
                {"type": ["Result"], "resultDescription": self._result_id, "value": award.score}
            ]
        badge: dict[str, Any] = {
            "@context": list(CONTEXTS),
            "type": ["VerifiableCredential", "OpenBadgeCredential"],
            "name": self._name,
            "issuer": self._issuer,
            "credentialSchema": [SCHEMA],
            "credentialSubject": subject,
            "id": f"{self._base}/credentials/{award.id}",
            "validFrom": instant(first_moment(award.issued_on)),
            "credentialStatus": status_entry(self._base, *award.place),
        }
        if award.expires_on is not None:
            badge["validUntil"] = instant(last_moment(award.expires_on))
        return badge


def achievement(achieved: Achieved, base_url: str) -> dict[str, Any]:
    """The achievement alone, as it stands in each of its badges."""
    url = f"{base_url.rstrip('/')}/achievements/{achieved.id}"
    stated: dict[str, Any] = {
        "id": url,
        "type": ["Achievement"],
        "achievementType": "Certificate",
        "creator": _centre(achieved.centre),
        "humanCode": achieved.program_code,
        "inLanguage": "id",
        "name": achieved.name,
        "description": achieved.description,
        "criteria": {"narrative": achieved.criteria},
        "image": {"id": f"{url}/image.png", "type": "Image"},
    }
    alignments = [_skkni(code, title) for code, title in achieved.units]
    if achieved.kkni_level is not None:
        alignments.append(_kkni(achieved.kkni_level))
    if alignments:
        stated["alignment"] = alignments
    return stated


@lru_cache(maxsize=1024)
def first_moment(day: date) -> datetime:
    """Midnight in Jakarta with which a day begins."""
    return clock.day_bounds(day)[0]


@lru_cache(maxsize=1024)
def last_moment(day: date) -> datetime:
    """The last full second of a day in Jakarta."""
    return datetime.combine(day, time.min, clock.JAKARTA).astimezone(UTC) + timedelta(days=1, seconds=-1)


@lru_cache(maxsize=4096)
def instant(at: datetime) -> str:
    """A moment as badges say it: UTC, whole seconds, so that the JWT's numbers say the same."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@lru_cache(maxsize=64)
def list_url(base_url: str, purpose: str, number: int) -> str:
    """Where a status list is served."""
    return f"{base_url.rstrip('/')}/status/{purpose}/{number}"


def status_entry(base_url: str, number: int, index: int) -> dict[str, str]:
    """Where the badge's state is to be read. The schema takes one entry, so the badge names revocation;
    the same place of the suspension list says whether it is for good."""
    url = list_url(base_url, "revocation", number)
    return {
        "id": f"{url}#{index}",
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": str(index),
        "statusListCredential": url,
    }


def _profile(issuer: Issuer) -> dict[str, Any]:
    profile: dict[str, Any] = {"id": issuer.id, "type": ["Profile"], "name": issuer.name}
    return profile | {
        name: value for name, value in (("url", issuer.url), ("email", issuer.email)) if value is not None
    }


def _centre(centre: Centre) -> dict[str, Any]:
    profile: dict[str, Any] = {
        "id": f"urn:lpk:{quote(centre.number, safe='')}",
        "type": ["Profile"],
        "name": centre.name or f"LPK {centre.number}",
        "otherIdentifier": [
            {
                "type": "IdentifierEntry",
                "identifier": centre.number,
                "identifierType": "ext:LPKRegistrationNumber",
            }
        ],
    }
    return profile | ({"url": centre.url} if centre.url else {})


def _skkni(code: str, title: str) -> dict[str, Any]:
    return {
        "type": ["Alignment"],
        "targetCode": code,
        "targetName": title,
        "targetFramework": "SKKNI",
        "targetType": "ext:SKKNIUnit",
        "targetUrl": _SKKNI + quote(code, safe=""),
    }


def _kkni(level: int) -> dict[str, Any]:
    return {
        "type": ["Alignment"],
        "targetCode": f"KKNI-{level}",
        "targetName": f"KKNI jenjang {level}",
        "targetFramework": "KKNI",
        "targetType": "ext:KKNILevel",
        "targetUrl": _KKNI,
    }
