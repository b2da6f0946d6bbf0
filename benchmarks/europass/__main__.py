"""`python -m benchmarks.europass`: measure, print, and exit 1 only when an answer was wrong.

Documents are made without drawing: their page images are there already, as those that many share are. Seals
and pages are measured beside them. What is made is judged first, by the EU's shapes and without our code
(tests/credentials/elm.py).
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import UUID

from benchmarks import machine
from providers.europass import page, seal
from providers.europass.document import Achieved, Award, Organisation, Writer
from providers.europass.page import Page
from providers.europass.seal import Pkcs12, Seal

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "credentials"))
import elm
import sealers

TARGET = 100  # documents a second
DOCUMENTS = 5_000
SEALED = 1_000
DRAWN = 40
LIBRARIES = ("typst", "cryptography")
UNITS = [(f"J.620100.{number:03}.02", f"Unit kompetensi {number}") for number in range(1, 6)]


def main() -> int:
    """Nothing is stored: this is what the processor does for each credential."""
    print(" · ".join(f"{key} {value}" for key, value in machine.describe(None, LIBRARIES).items()))
    pages = {"id": page.drawn(_page("", "id"), "id", "png"), "en": page.drawn(_page("", "en"), "en", "png")}
    writer = _writer()
    own = Seal(Pkcs12(sealers.pkcs12_of(sealers.rsa_key()), sealers.PASSWORD))
    at = seal.now()

    def plain(number: int) -> str:
        return json.dumps(writer.document(_award(number), pages), separators=(",", ":"), ensure_ascii=False)

    def sealed(number: int) -> str:
        return own.sealed(writer.document(_award(number), pages, own.sealing(at)), at)

    unsealed, under_seal = elm.faults(json.loads(plain(1))), elm.faults(elm.opened(sealed(1))[0])
    if unsealed != elm.SEALING or under_seal:
        print(f"Wrong answer: the EU's shapes find fault with {unsealed | under_seal}")
        return 1
    rate = _rate(plain, DOCUMENTS)
    verdict = "met" if rate >= TARGET else "NOT met"
    print(f"documents: {rate:,.0f} a second, {len(plain(1)) / 1024:,.0f} KiB each ({TARGET}: {verdict})")
    print(f"documents under an RS256 seal: {_rate(sealed, SEALED):,.0f} a second")
    drawn = _rate(lambda number: page.drawn(_page(f"Siti Aminah {number}", "id"), "id", "png"), DRAWN)
    print(f"page images with a name: {drawn:,.0f} a second; without one they are drawn once for all")
    return 0


def _rate(make: Callable[[int], object], number: int) -> float:
    begun = time.perf_counter()
    for one in range(number):
        make(one)
    return number / (time.perf_counter() - begun)


def _writer() -> Writer:
    return Writer(
        Organisation("PT Jembatan", ("9120001234567", "NIB")),
        Achieved(
            title={"id": "Pengembangan Perangkat Lunak", "en": "Software development"},
            description={"id": "Pelatihan berbasis kompetensi untuk pengembang perangkat lunak."},
            criteria={"id": "Lulus uji kompetensi untuk semua unit."},
            centre=Organisation("LPK Teknologi Indonesia", ("LPK-3171-0042", "LPK")),
            units=tuple((code, {"id": title}) for code, title in UNITS),
            kkni_level=6,
            hours=320,
            isced_f="0613",
        ),
    )


def _award(number: int) -> Award:
    return Award(
        id=UUID(int=number + 1),
        subject_id=UUID(int=number + 10**9),
        name=f"Siti Aminah {number}",
        certificate_number=f"CERT-{number:06}",
        issued_on=date(2026, 7, 15),
        expires_on=date(2031, 7, 15),
        page_url=f"https://jembatan.example/credentials/{UUID(int=number + 1)}",
        score="92.50",
    )


def _page(name: str, language: str) -> Page:
    whole = Page("LPK Teknologi Indonesia", "Pengembangan Perangkat Lunak", name, kkni_level=6, hours=320)
    return replace(whole, units=tuple(UNITS), url=f"https://jembatan.example/{language}")


if __name__ == "__main__":
    sys.exit(main())
