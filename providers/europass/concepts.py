"""The EU's lists of terms, as far as our credentials name terms of them.

Each term carries its list and a label, as the model wants it. Source: the EU's authority tables and the
vocabularies of the European Learning Model v3, read in November 2026.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

from common.errors import BadInput

Language = Literal["id", "en"]
LANGUAGES: tuple[Language, ...] = ("id", "en")
Texts = dict[str, str]  # a text by language

_SNB = "http://data.europa.eu/snb"
_AUTHORITY = "http://publications.europa.eu/resource/authority"
_ENDING = "25831c2"  # of the lists under `snb`
_LANGUAGE_CODES: dict[Language, tuple[str, Texts]] = {
    "id": ("IND", {"id": "Indonesia", "en": "Indonesian"}),
    "en": ("ENG", {"id": "Inggris", "en": "English"}),
}
# Countries of those who may seal for us: the EU and its neighbours with trust lists of their own, and ours.
_COUNTRIES = {
    "AT": ("AUT", "Austria"), "BE": ("BEL", "Belgium"), "BG": ("BGR", "Bulgaria"),
    "CY": ("CYP", "Cyprus"), "CZ": ("CZE", "Czechia"), "DE": ("DEU", "Germany"),
    "DK": ("DNK", "Denmark"), "EE": ("EST", "Estonia"), "ES": ("ESP", "Spain"),
    "FI": ("FIN", "Finland"), "FR": ("FRA", "France"), "GR": ("GRC", "Greece"),
    "EL": ("GRC", "Greece"), "HR": ("HRV", "Croatia"), "HU": ("HUN", "Hungary"),
    "IE": ("IRL", "Ireland"), "IS": ("ISL", "Iceland"), "IT": ("ITA", "Italy"),
    "LI": ("LIE", "Liechtenstein"), "LT": ("LTU", "Lithuania"), "LU": ("LUX", "Luxembourg"),
    "LV": ("LVA", "Latvia"), "MT": ("MLT", "Malta"), "NL": ("NLD", "Netherlands"),
    "NO": ("NOR", "Norway"), "PL": ("POL", "Poland"), "PT": ("PRT", "Portugal"),
    "RO": ("ROU", "Romania"), "SE": ("SWE", "Sweden"), "SI": ("SVN", "Slovenia"),
    "SK": ("SVK", "Slovakia"), "CH": ("CHE", "Switzerland"), "GB": ("GBR", "United Kingdom"),
    "ID": ("IDN", "Indonesia"),
}  # fmt: skip


def concept(iri: str, scheme: str, label: Texts) -> dict[str, Any]:
    """One term of a list."""
    return {
        "id": iri,
        "type": "Concept",
        "inScheme": {"id": scheme, "type": "ConceptScheme"},
        "prefLabel": label,
    }


def _of(kind: str, name: str, label: str) -> dict[str, Any]:
    return concept(f"{_SNB}/{kind}/{name}", f"{_SNB}/{kind}/{_ENDING}", {"en": label})


def language(code: Language) -> dict[str, Any]:
    """A language, as a term: texts are tagged with two letters, terms have three."""
    name, label = _LANGUAGE_CODES[code]
    return concept(f"{_AUTHORITY}/language/{name}", f"{_AUTHORITY}/language", label)


def country(two_letters: str) -> dict[str, Any]:
    """A country by its two letters; raises BadInput for one that is not among those above: another one in its
    place would be a lie under a seal."""
    found = _COUNTRIES.get(two_letters)
    if found is None:
        raise BadInput(
            f"{two_letters} is no country that European credentials can name here: they are ID, and those of "
            "the EU and its neighbours"
        )
    return concept(f"{_AUTHORITY}/country/{found[0]}", f"{_AUTHORITY}/country", {"en": found[1]})


def generic_credential() -> dict[str, Any]:
    """The kind of credential that needs no accreditation."""
    return _of("credential", "e34929035b", "Generic")


def non_formal() -> dict[str, Any]:
    """Training outside schools and universities."""
    return _of("learning-setting", "e207a81fc7", "Non-formal learning")


def base64() -> dict[str, Any]:
    """How a picture is written."""
    return _of("encoding", "6146cde7dd", "base64")


def png() -> dict[str, Any]:
    """What kind of picture it is."""
    return concept(f"{_AUTHORITY}/file-type/PNG", f"{_AUTHORITY}/file-type", {"en": "PNG"})


def kkni(level: int) -> dict[str, Any]:
    """A level of the Indonesian framework. A list of our own: the EU's has none of it."""
    label = {"id": f"KKNI jenjang {level}", "en": f"KKNI level {level}"}
    return concept(f"urn:kkni:level:{level}", "urn:kkni:levels", label)


def field_of_education(code: str) -> dict[str, Any]:
    """A field of ISCED-F 2013 by its code, such as `0613`; raises KeyError for one that is none."""
    return _of("isced-f", code, fields_of_education()[code])


@cache
def fields_of_education() -> dict[str, str]:
    """All fields of ISCED-F by code, with their English names."""
    known: dict[str, str] = json.loads(Path(__file__).with_name("isced_f.json").read_text(encoding="utf-8"))
    return known
