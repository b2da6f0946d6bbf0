"""`python -m benchmarks.pages [FORM…]`: measure, print, and exit 1 only when an answer was wrong.

Credentials are read by people, wallets and verifiers at 200 requests a second that know nothing of one
another (open loop, so waiting counts), from an API started as users start it. A form that nobody has asked
for yet is signed on its first request: these are sent before the clock runs. Without a FORM (such as `page`)
all are measured.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from uuid import UUID

import httpx

from benchmarks import machine
from benchmarks.payments.load import Plan, arrivals, request, send
from benchmarks.payments.stage import Cores, Stage, WrongAnswer, check, stage
from credentials import exports
from records import credential
from records.credential import Content, Holder, Unit
from records.db import unit_of_work
from records.sealed import seal

RATE = 200.0
TARGET_MS = 50.0
REQUESTS = 2_000
ROUNDS = 3
CONNECTIONS = 64
CREDENTIALS = 100
CONTENT = Content(
    "Pengembangan Perangkat Lunak",
    "Pelatihan berbasis kompetensi untuk pengembang perangkat lunak.",
    "Lulus uji kompetensi untuk semua unit.",
    tuple(Unit(f"J.620100.{number:03}.02", f"Unit kompetensi {number}") for number in range(1, 6)),
    6,
)


@dataclass(frozen=True)
class Form:
    """One form of a credential. media_type: how its answer begins."""

    name: str
    accept: str
    media_type: str
    path: str = "/credentials/{id}"


FORMS = (
    Form("JSON", "application/json", "application/vc+ld+json"),
    Form("JWT", "application/vc+jwt", "application/vc+jwt"),
    Form("page", "text/html", "text/html"),
    Form("picture", "image/png", "image/png"),
    Form("list", "*/*", "application/vc+jwt", "/status/revocation/1"),
)


def main(asked: Sequence[str] = ()) -> int:
    """Everything in a temporary folder; nothing is left."""
    for name in [name for name in os.environ if name.startswith(("JEMBATAN_", "PREFECT_"))]:
        del os.environ[name]  # a set-up of the user's must neither be used nor changed
    try:
        with (
            tempfile.TemporaryDirectory(prefix="jembatan-bench-") as folder,
            stage(Path(folder), api=True) as on,
        ):
            said = machine.describe(on.database_url, ("fastapi", "uvicorn", "cryptography"))
            print(" · ".join(f"{name} {value}" for name, value in said.items()))
            ids = _issued()
            for form in FORMS:
                if not asked or form.name in asked:
                    _measured(on, form, ids)
    except WrongAnswer as wrong:
        print(f"Wrong answer: {wrong}")
        return 1
    return 0


def _issued() -> list[UUID]:
    holders = [
        Holder(
            f"page-{number}", seal(f"Siti Aminah {number}".encode()), f"CERT-{number:05}", name_is_public=True
        )
        for number in range(CREDENTIALS)
    ]
    with unit_of_work() as session:
        made = credential.from_completion(
            session,
            program_code="PAGES",
            lpk_registration_number="LPK-3171-0042",
            achievement=CONTENT,
            issued_on=date(2026, 7, 15),
            holders=holders,
        )
    ids = sorted(one.id for one in made.credentials)
    exports.step("open_badge", ids)
    return ids


def _measured(on: Stage, form: Form, ids: list[UUID]) -> None:
    headers = {"Accept": form.accept}
    with httpx.Client(base_url=f"http://127.0.0.1:{on.api_port}", headers=headers, timeout=60) as reader:
        for one in ids:
            answer = reader.get(form.path.format(id=one))
            if not answer.headers["Content-Type"].startswith(form.media_type):
                print(f"{form.name}: not offered here")
                return
            check(answer.status_code == 200, f"{form.name}: {answer.status_code}")
    paths = [form.path.format(id=ids[number % len(ids)]) for number in range(REQUESTS)]
    requests = [request("GET", path, b"", [("Accept", form.accept)]) for path in paths]
    kept = []
    for turn in range(ROUNDS):
        cores = Cores()
        times = arrivals(RATE, REQUESTS, f"{form.name} {turn}")
        answers = send(Plan(on.api_port or 0, requests, CONNECTIONS, times))
        check(answers.count(200) == REQUESTS, f"{form.name}: {REQUESTS - answers.count(200)} were not 200")
        kept.append((answers.percentile(0.5), answers.percentile(0.95), cores.look()[1]))
    half, most = median(one[0] for one in kept), median(one[1] for one in kept)
    verdict = "met" if most <= TARGET_MS else "NOT met"
    each = ", ".join(f"{one[1]:.1f} ms beside {one[2]:.1f} busy cores" for one in kept)
    print(f"{form.name}: p50 {half:.1f} ms, p95 {most:.1f} ms (at most {TARGET_MS:.0f}: {verdict}); {each}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
