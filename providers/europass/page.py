"""The page of a certificate, drawn from one template in Indonesian or English: PNG, SVG or PDF.

Typst draws it with fonts of its own and those in `fonts/`: it looks the same on every machine, and draws
Latin, Greek, Cyrillic and Arabic letters and those of Java, Bali, Sunda, Batak and Bugis. What is said goes
in as data, so that nothing of it is ever code.
"""

import json
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import typst

from common.errors import BadInput
from providers.europass.concepts import Language
from providers.europass.document import TITLE
from providers.open_badges import image
from providers.open_badges.image import FONTS, logo_file
from providers.open_badges.image import unturned as unturned

Form = Literal["png", "svg", "pdf"]
COLOUR = "#1b4f8f"
PIXELS_PER_INCH = 84.0  # A4: 982 x 695, about 100 KB
_HERE = Path(__file__).parent
_TEMPLATE = (_HERE / "certificate.typ").read_bytes()
SHARED = {"fitted.typ": (_HERE / "fitted.typ").read_bytes()}  # what templates import
_ONE_PAGE = 12  # units on the first page
_LONGEST_WORD = 36
_MONTHS: dict[Language, tuple[str, ...]] = {
    "id": ("Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September", "Oktober",
           "November", "Desember"),
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"),
}  # fmt: skip
_LABELS: dict[Language, dict[str, str]] = {
    "id": {
        "number": "Nomor",
        "awarded": "diberikan kepada",
        "completed": "yang telah menyelesaikan pelatihan",
        "programme": "untuk pelatihan",
        "units": "Unit kompetensi (SKKNI)",
        "more": "dan {} unit lain",
        "check": "Keaslian dan status sertifikat:",
    },
    "en": {
        "number": "Number",
        "awarded": "awarded to",
        "completed": "who has completed the training",
        "programme": "for the training",
        "units": "Units of competency (SKKNI, Indonesia)",
        "more": "and {} more units",
        "check": "Verify this certificate and its state:",
    },
}
_DETAILS: dict[Language, tuple[str, str, str, str, str]] = {
    "id": ("KKNI jenjang {}", "{} jam pelatihan", "Nilai {}", "Diterbitkan {}", "Berlaku sampai {}"),
    "en": ("KKNI level {} (Indonesia)", "{} hours of training", "Grade {}", "Issued on {}", "Valid until {}"),
}


@dataclass(frozen=True)
class Page:
    """What a certificate says. name: empty where the page shows what was achieved, and nobody's name.
    achievement, units: in the language of the page, or in Indonesian. logo: checked before it was stored."""

    centre: str
    achievement: str
    name: str = field(default="", repr=False)
    number: str = ""
    units: tuple[tuple[str, str], ...] = ()
    kkni_level: int | None = None
    hours: int | None = None
    score: str | None = None
    issued_on: date | None = None
    expires_on: date | None = None
    url: str = ""
    colour: str = COLOUR
    logo: bytes | None = field(default=None, repr=False)
    logo_type: str | None = None


@lru_cache(maxsize=64)
def drawn(page: Page, language: Language, form: Form) -> bytes:
    """The page. What many share, a page without a name, is drawn once. A PDF goes on with the units that its
    first page has no room for. Raises BadInput where the logo cannot be drawn."""
    logo = logo_file(page.logo, page.logo_type)
    # Typst takes files by their names; its types do not say so.
    files: Any = {"main.typ": _TEMPLATE} | SHARED | logo
    said = {"said": json.dumps(_said(page, language, next(iter(logo), ""), form), ensure_ascii=False)}
    for standard in _STANDARDS[form]:
        try:
            made: Any = typst.compile(
                files,
                format=form,
                ppi=PIXELS_PER_INCH,
                font_paths=FONTS,
                sys_inputs=said,
                pdf_standards=standard,
            )
        except typst.TypstError:
            continue
        return bytes(made[0] if isinstance(made, list) else made)
    raise BadInput(
        "the certificate cannot be drawn: save the training centre's logo anew as a plain PNG or SVG"
    )


# PDF/A for the archive, its text to be searched; a letter that no font has may stand in a plain PDF only.
_STANDARDS: dict[Form, tuple[Any, ...]] = {"png": ([],), "svg": ([],), "pdf": ("a-2u", [])}


def _said(page: Page, language: Language, logo: str, form: Form) -> dict[str, Any]:
    kkni, hours, grade, issued, expires = _DETAILS[language]
    details = [
        text.format(value)
        for text, value in ((kkni, page.kkni_level), (hours, page.hours), (grade, page.score))
        if value is not None
    ]
    dates = [
        text.format(written(day, language))
        for text, day in ((issued, page.issued_on), (expires, page.expires_on))
        if day is not None
    ]
    labels = _LABELS[language] | {"title": TITLE[language]}
    labels["more"] = labels["more"].format(len(page.units) - _ONE_PAGE)
    return {
        "language": language,
        "labels": labels,
        "colour": page.colour,
        "logo": logo,
        "centre": breakable(page.centre),
        "name": breakable(page.name),
        "number": breakable(page.number),
        "achievement": breakable(page.achievement),
        "details": [breakable(one) for one in details],
        "units": [{"code": breakable(code), "title": breakable(title)} for code, title in page.units],
        "dates": dates,
        "url": page.url,
        "whole": form == "pdf",
    }


def written(day: date, language: Language) -> str:
    """A day in words, such as `15 Juli 2026`."""
    return f"{day.day} {_MONTHS[language][day.month - 1]} {day.year}"


def breakable(text: str) -> str:
    """A text as it can be drawn within its place: a word without an end may be broken."""
    return image.breakable(text, _LONGEST_WORD)
