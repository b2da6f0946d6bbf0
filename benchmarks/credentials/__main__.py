"""`python -m benchmarks.credentials`: measure, print, and exit 1 only when an answer was wrong.

10,000 completions become credentials, each with a place in a status list, its export and its signed badge,
against openbadgeslib signing as many badges of the same content, in the same process on the same machine.
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import psycopg
from cryptography.hazmat.primitives import serialization
from openbadgeslib.ob3 import (
    Achievement,
    Alignment,
    IdentityObject,
    Issuer,
    OB3LdpSigner,
    OB3Signer,
    OpenBadgeCredential,
    status_entry,
)

from benchmarks import machine
from common.settings import settings
from credentials import checking, exports, ours
from jembatan.stack import database
from records import credential, credential_export, db
from records.credential import Content, Holder, Unit

TARGET = 0.5
LEARNERS = 10_000
EMBEDDED = 100  # the embedded proof takes some 40 ms each
LIBRARIES = ("openbadgeslib", "cryptography", "pyld", "psycopg")
CONTENT = Content(
    "Pengembangan Perangkat Lunak",
    "Pelatihan berbasis kompetensi untuk pengembang perangkat lunak.",
    "Lulus uji kompetensi untuk semua unit.",
    tuple(Unit(f"J.620100.{number:03}.02", f"Unit kompetensi {number}") for number in range(1, 6)),
    6,
)


def main() -> int:
    """Everything in a temporary folder; nothing is left."""
    for name in [name for name in os.environ if name.startswith(("JEMBATAN_", "PREFECT_"))]:
        del os.environ[name]  # a set-up of the user's must neither be used nor changed
    with tempfile.TemporaryDirectory(prefix="jembatan-bench-") as name, database(Path(name)) as url:
        os.environ["JEMBATAN_HOME"] = name
        os.environ["JEMBATAN_DATABASE_URL"] = url
        settings.cache_clear()
        db.upgrade(url)
        print(" · ".join(f"{key} {value}" for key, value in machine.describe(url, LIBRARIES).items()))
        for proof, number, bare in (
            ("RS256", LEARNERS, _bare_jwt("RS256")),
            ("EdDSA", LEARNERS, _bare_jwt("EdDSA")),
            ("eddsa-rdfc-2022", EMBEDDED, _bare_embedded),
        ):
            os.environ["JEMBATAN_BADGES__PROOF"] = proof
            settings.cache_clear()
            if not _measured(url, proof, number, bare):
                return 1
    return 0


def _measured(url: str, proof: str, number: int, bare: Callable[[int], float]) -> bool:
    few = min(number, 2_000)
    before = bare(few)
    seconds, early, late = _ours(proof, number)
    rate_bare = few / min(before, bare(few))
    rate = number / seconds
    verdict = "met" if rate >= TARGET * rate_bare else "NOT met"
    print(
        f"{proof}: {rate:,.0f} badges a second with records and places, the library alone {rate_bare:,.0f}: "
        f"{rate / rate_bare:.0%} ({TARGET:.0%}: {verdict}); peak memory {early} MB after a fifth, {late} MB"
    )
    return _is_right(url, proof, number)


def _ours(proof: str, number: int) -> tuple[float, int, int]:
    """Seconds for all of them, and the peak memory after a fifth of them and at the end."""
    holders = [
        Holder(f"{proof}-{one}", f"Siti Aminah {one}", f"CERT-{one:06}", f"siti{one}@example.id", "92.50")
        for one in range(number)
    ]
    early = 0
    begun = time.perf_counter()
    with db.unit_of_work() as session:
        made = credential.from_completion(
            session,
            program_code=proof,
            lpk_registration_number="LPK-3171-0042",
            achievement=CONTENT,
            issued_on=date(2026, 7, 15),
            holders=holders,
        )
    assert made.run is not None
    done, after = 0, None
    while True:
        with db.unit_of_work() as session:
            batch = exports.TARGETS["open_badge"].batch
            ids = credential_export.to_work(session, [made.run.id], "open_badge", batch, after)
        if not ids:
            break
        done += len(exports.step("open_badge", ids))
        after = ids[-1]
        if not early and done >= number / 5:
            early = _peak()
    return time.perf_counter() - begun, early, _peak()


def _is_right(url: str, proof: str, number: int) -> bool:
    """Each has one badge and a place of its own, and those that are looked at verify."""
    with psycopg.connect(url) as raw:
        badges, places, done = raw.execute(
            """SELECT count(b.body), count(DISTINCT (c.status_list, c.status_index)),
                count(*) FILTER (WHERE e.state = 'done')
            FROM credentials c JOIN open_badges b ON b.credential_id = c.id
            JOIN credential_exports e ON e.credential_id = c.id WHERE c.program_code = %s""",
            [proof],
        ).fetchone() or (0, 0, 0)
        some = raw.execute(
            """SELECT b.body FROM open_badges b JOIN credentials c ON c.id = b.credential_id
            WHERE c.program_code = %s ORDER BY c.id LIMIT 5""",
            [proof],
        ).fetchall()
    states = {checking.check(body.encode()).state for (body,) in some}
    if (badges, places, done) != (number, number, number) or states != {"valid"}:
        print(f"Wrong answer: {badges} badges, {places} places, {done} done of {number}; {states}")
        return False
    return True


def _bare_jwt(alg: str) -> Callable[[int], float]:
    def measure(number: int) -> float:
        signer = OB3Signer(_pem(alg), alg)
        return _timed(signer.sign, number)

    return measure


def _bare_embedded(number: int) -> float:
    return _timed(OB3LdpSigner(_pem("EdDSA")).sign, number)


def _timed(sign: Callable[[OpenBadgeCredential], object], number: int) -> float:
    badges = [_badge(one) for one in range(number)]
    sign(badges[0])  # keys and contexts are read
    begun = time.perf_counter()
    for badge in badges:
        sign(badge)
    return time.perf_counter() - begun


def _badge(number: int) -> OpenBadgeCredential:
    """The same content as the library's own model has it."""
    return OpenBadgeCredential(
        issuer=Issuer(ours.issuer().id, "Jembatan"),
        recipient_id=f"urn:uuid:7c0e5d4e-6d2b-4f0a-9a53-{number:012}",
        achievement=Achievement(
            "https://issuer.example/achievements/1",
            CONTENT.name,
            CONTENT.description,
            CONTENT.criteria,
            achievement_type="Certificate",
            alignments=[
                Alignment(unit.title, f"https://skkni.example/{unit.code}", "SKKNI", unit.code)
                for unit in CONTENT.skkni_units
            ],
        ),
        credential_status=[status_entry("https://issuer.example/status/1", "revocation", number)],
        identifiers=[IdentityObject.create(f"siti{number}@example.id", "a" * 32)],
    )


def _pem(alg: str) -> bytes:
    key = ours.keys().for_alg("RS256" if alg == "RS256" else "EdDSA")
    return key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    sys.exit(main())
