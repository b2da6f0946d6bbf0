"""`python -m benchmarks.credentials [PROOF…]`: measure, print, and exit 1 only when an answer was wrong.

10,000 completions become credentials, each with a place in a status list, its export and its signed badge,
against openbadgeslib signing the very same badges and doing nothing else, in one thread each. Without a PROOF
all three are measured.
"""

import gc
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from openbadgeslib.ob3 import OB3Signer, add_data_integrity_proof

from benchmarks import machine
from common.settings import settings
from credentials import checking, exports, ours
from jembatan.stack import database
from providers.open_badges.document import Achieved, Award, Centre, Writer
from providers.open_badges.keys import Alg
from records import credential, credential_export, db
from records.credential import Content, Holder, Unit
from records.sealed import seal

TARGET = 0.5
ROUNDS = 3
LEARNERS = 10_000
EMBEDDED = 100  # the embedded proof takes some 40 ms each
LIBRARIES = ("openbadgeslib", "cryptography", "pyld", "psycopg")
LPK = "LPK-3171-0042"
DAY = date(2026, 7, 15)
CONTENT = Content(
    "Pengembangan Perangkat Lunak",
    "Pelatihan berbasis kompetensi untuk pengembang perangkat lunak.",
    "Lulus uji kompetensi untuk semua unit.",
    tuple(Unit(f"J.620100.{number:03}.02", f"Unit kompetensi {number}") for number in range(1, 6)),
    6,
)


def main(asked: Sequence[str] = ()) -> int:
    """Everything in a temporary folder; nothing is left."""
    for name in [name for name in os.environ if name.startswith(("JEMBATAN_", "PREFECT_"))]:
        del os.environ[name]  # a set-up of the user's must neither be used nor changed
    with tempfile.TemporaryDirectory(prefix="jembatan-bench-") as name, database(Path(name)) as url:
        os.environ["JEMBATAN_HOME"] = name
        os.environ["JEMBATAN_DATABASE_URL"] = url
        settings.cache_clear()
        db.upgrade(url)
        gc.collect()
        gc.freeze()  # as the nursery does, of which flow runs are forked (jembatan.runs)
        print(" · ".join(f"{key} {value}" for key, value in machine.describe(url, LIBRARIES).items()))
        for proof, number, few, bare in (
            ("RS256", LEARNERS, 2_000, _bare_jwt("RS256")),
            ("EdDSA", LEARNERS, LEARNERS // 2, _bare_jwt("EdDSA")),  # fewer take half a second, and vary
            ("eddsa-rdfc-2022", EMBEDDED, EMBEDDED, _bare_embedded),
        ):
            if asked and proof not in asked:
                continue
            os.environ["JEMBATAN_BADGES__PROOF"] = proof
            settings.cache_clear()
            if not _measured(url, proof, number, few, bare):
                return 1
    return 0


def _measured(url: str, proof: str, number: int, few: int, bare: Callable[[int], float]) -> bool:
    """few: how many the library signs before each of our turns, and again after it."""
    shares, rates = [], []
    for turn in range(1, ROUNDS + 1):
        before = bare(few)
        seconds, early, late = _ours(f"{proof}-{turn}", number)
        alone = 2 * few / (before + bare(few))  # what is measured lies between them
        rates.append(number / seconds)
        shares.append(rates[-1] / alone)
        print(f"{proof}: {rates[-1]:,.0f}/s, the library alone {alone:,.0f}/s: {shares[-1]:.0%}")
        if not _is_right(url, f"{proof}-{turn}", number):
            return False
    share = statistics.median(shares)
    verdict = "met" if share >= TARGET else "NOT met"
    print(
        f"{proof}: {statistics.median(rates):,.0f} badges a second with records and places, {share:.0%} of "
        f"the library alone ({TARGET:.0%}: {verdict}); peak memory {early} MB after a fifth, {late} MB"
    )
    return True


def _ours(proof: str, number: int) -> tuple[float, int, int]:
    """Seconds for all of them, and the peak memory after a fifth of them and at the end."""
    holders = [
        Holder(f"{proof}-{one}", seal(f"Siti Aminah {one}".encode()), f"CERT-{one:06}", score="92.50")
        for one in range(number)  # as completions have it: sealed since it was reported, and no address
    ]
    early = 0
    begun = time.perf_counter()
    with db.unit_of_work() as session:
        made = credential.from_completion(
            session,
            program_code=proof,
            lpk_registration_number=LPK,
            achievement=CONTENT,
            issued_on=DAY,
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


def _bare_jwt(alg: Alg) -> Callable[[int], float]:
    def measure(number: int) -> float:
        sign = OB3Signer(_pem(alg), alg).sign_payload
        return _timed(sign, [document | _claims(document) for document in _documents(number)])

    return measure


def _bare_embedded(number: int) -> float:
    """The proof alone: the library's `OB3LdpSigner` also checks what it made, we check one of a batch."""
    key, method = _pem("EdDSA"), f"{ours.issuer().id}#key"
    return _timed(lambda one: add_data_integrity_proof(one, key, method), _documents(number))


def _timed(sign: Callable[[dict[str, Any]], object], documents: list[dict[str, Any]]) -> float:
    sign(documents[0])  # keys and contexts are read
    begun = time.perf_counter()
    for document in documents:
        sign(document)
    return time.perf_counter() - begun


def _documents(number: int) -> list[dict[str, Any]]:
    """The very badges that we sign, ready before the clock runs."""
    achieved = Achieved(
        uuid4(),
        "PRG",
        CONTENT.name,
        CONTENT.description,
        CONTENT.criteria,
        Centre(LPK),
        [(unit.code, unit.title) for unit in CONTENT.skkni_units],
        CONTENT.kkni_level,
    )
    writer = Writer(ours.issuer(), achieved, ours.base_url())
    return [
        writer.document(Award(uuid4(), uuid4(), DAY, None, (1, one), f"sha256${'a' * 64}", "b" * 32, "92.50"))
        for one in range(number)
    ]


def _claims(document: dict[str, Any]) -> dict[str, Any]:
    return {
        "iss": document["issuer"]["id"],
        "jti": document["id"],
        "sub": document["credentialSubject"]["id"],
        "nbf": int(datetime.fromisoformat(document["validFrom"]).timestamp()),
    }


def _pem(alg: Alg) -> bytes:
    return ours.keys().for_alg(alg).pem


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
