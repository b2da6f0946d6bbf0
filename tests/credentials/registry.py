"""What the tests of credentials tell: one program, some learners, and how to read what was signed."""

import base64
import json
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from credentials import exports
from records import credential, credential_export
from records.credential import Content, Holder, Made, Unit
from records.db import unit_of_work
from records.sealed import seal

PROGRAM = "PRG-2026-0017"
LPK = "LPK-3171-0042"
CONTENT = Content(
    name="Pengembangan Perangkat Lunak",
    description="Pelatihan berbasis kompetensi pengembang perangkat lunak.",
    criteria="Lulus uji kompetensi untuk semua unit.",
    skkni_units=(
        Unit("J.620100.004.02", "Menggunakan Struktur Data"),
        Unit("J.620100.009.02", "Menggunakan Spesifikasi Program"),
    ),
    kkni_level=6,
    hours=320,
)


def holder(number: int, **changed: Any) -> Holder:
    """A learner, by number."""
    given: dict[str, Any] = {
        "learner_id": f"learner-{number}",
        "name": f"Siti Aminah {number}",
        "certificate_number": f"CERT-{number:05}",
        "email": f"Siti{number}@Example.com",
        "score": "92.50",
    }
    given |= changed
    return Holder(**given | {"name": seal(given["name"].encode())})


def told(holders: Sequence[Holder], **changed: Any) -> Made:
    """A completion is reported."""
    given: dict[str, Any] = {
        "program_code": PROGRAM,
        "lpk_registration_number": LPK,
        "achievement": CONTENT,
        "issued_on": date(2026, 7, 15),
        "expires_on": date(2031, 7, 15),
    }
    with unit_of_work() as session:
        return credential.from_completion(session, holders=holders, **given | changed)


def exported(run_id: UUID, target: str = "open_badge") -> int:
    """Work the exports of a run as its flow does; tells how many."""
    with unit_of_work() as session:
        ids = credential_export.to_work(session, [run_id], target, 100_000)
    return len(exports.step(target, ids)) if ids else 0


def payload(jws: str) -> dict[str, Any]:
    """What a JWT says."""
    return dict(json.loads(decoded(jws.split(".")[1])))


def header(jws: str) -> dict[str, Any]:
    """How a JWT says it is signed."""
    return dict(json.loads(decoded(jws.split(".")[0])))


def decoded(part: str) -> bytes:
    """Base64 for addresses, without its padding."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
