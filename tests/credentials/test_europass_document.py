"""European credentials by the EU's own shapes and contexts, and what stands in them and on their pages."""

import base64
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from elm import SEALING, faults, nodes, unknown_members
from png import Reader  # type: ignore[import-untyped]

from providers.europass import page
from providers.europass.document import Achieved, Award, Organisation, Sealing, Writer, upload_form
from providers.europass.page import Page
from providers.open_badges import image
from providers.open_badges.image import Look

ISSUER = Organisation("PT Jembatan", ("9120001234567", "NIB"), url="https://jembatan.example")
CENTRE = Organisation("LPK Teknologi Indonesia", ("LPK-3171-0042", "LPK"), url="https://lpk.example")
ACHIEVED = Achieved(
    title={"id": "Pengembangan Perangkat Lunak", "en": "Software development"},
    description={"id": "Pelatihan berbasis kompetensi."},
    criteria={"id": "Lulus uji kompetensi.", "en": "Passed the assessment."},
    centre=CENTRE,
    units=(
        ("J.620100.004.02", {"id": "Menggunakan Struktur Data", "en": "Using data structures"}),
        ("J.620100.009.02", {"id": "Menggunakan Spesifikasi Program"}),
    ),
    kkni_level=6,
    hours=320,
    isced_f="0613",
)
AWARD = Award(
    id=UUID("7c0e5d4e-6d2b-4f0a-9a53-0f2f4a1d9b11"),
    subject_id=UUID("0d6c1f0e-6d2b-4f0a-9a53-0f2f4a1d9b11"),
    name="Siti Nur Aminah",
    certificate_number="CERT-2026-001234",
    issued_on=date(2026, 7, 15),
    expires_on=date(2031, 7, 15),
    page_url="https://jembatan.example/credentials/7c0e5d4e",
    score="92.50",
)
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PAGE = Page(
    centre="LPK Teknologi Indonesia",
    achievement="Pengembangan Perangkat Lunak",
    name="Siti Nur Aminah",
    number="CERT-2026-001234",
    units=(("J.620100.004.02", "Menggunakan Struktur Data"),),
    kkni_level=6,
    hours=320,
    score="92.50",
    issued_on=date(2026, 7, 15),
    expires_on=date(2031, 7, 15),
    url="https://jembatan.example/credentials/7c0e5d4e",
)
NAMES = [
    "Ni'mah",
    "Sukarno",
    "محمد بن عبد الله",
    "ꦱꦶꦠꦶ ꦄꦩꦶꦤꦃ",
    "x" * 200,
    "Siti " * 39 + "Aminah",
    "<b>Siti</b> & <script>alert(1)</script>",
    '#eval("1") $x$ `raw` @ref \\ "quoted" /* no */ // comment',
    "\u202eSiti\u202c",
    "\u200fمحمد\u200f",
]


def document(award: Award = AWARD, achieved: Achieved = ACHIEVED, sealing: Sealing | None = None) -> Any:
    made = Writer(ISSUER, achieved).document(award, {"id": PNG, "en": PNG}, sealing)
    return json.loads(json.dumps(made))


SEALED_AT = Sealing("NTRID-9120001234567", "ID", datetime(2026, 7, 16, 3, 0, tzinfo=UTC))
BARE = replace(ACHIEVED, units=(), kkni_level=None, hours=None, isced_f=None)


@pytest.mark.parametrize("achieved", [ACHIEVED, BARE], ids=["everything", "the least"])
def test_it_passes_the_eus_shapes_but_for_the_two_members_that_sealing_adds(achieved: Achieved) -> None:
    award = AWARD if achieved is ACHIEVED else replace(AWARD, score=None, expires_on=None)
    unsealed = document(award, achieved)
    assert faults(unsealed) == SEALING
    assert unknown_members(unsealed) == set()
    assert faults(document(award, achieved, SEALED_AT)) == set()


def test_the_shapes_see_what_is_wrong() -> None:
    """The judge of the test above is awake."""
    spoilt = document(sealing=SEALED_AT)
    spoilt["credentialSubject"]["hasClaim"]["title"] = "no text by language"
    spoilt["credentialSubject"]["hasClaim"]["specifiedBy"]["volumeOfLearning"] = "P320H"
    assert faults(spoilt) == {"title", "volumeOfLearning"}
    assert unknown_members({"type": "Person", "birthDate": "2000-01-01"}) == {"birthDate"}


def test_one_id_names_one_content() -> None:
    """In RDF two nodes of one id become one: an issuer told twice and differently would be both."""
    by_id: dict[str, set[str]] = {}
    for node in nodes(document(sealing=SEALED_AT)):
        by_id.setdefault(node["id"], set()).add(json.dumps(node, sort_keys=True))
    assert {name for name, contents in by_id.items() if len(contents) > 1} == set()


def test_it_says_what_was_achieved_and_by_whom() -> None:
    said = document(sealing=SEALED_AT)
    assert said["id"] == f"urn:credential:{AWARD.id}"
    assert said["identifier"]["notation"] == "CERT-2026-001234"
    assert said["validFrom"] == "2026-07-15T00:00:00+07:00"
    assert said["validUntil"] == said["expirationDate"] == "2031-07-15T23:59:59+07:00"
    assert said["issued"] == said["issuanceDate"] == "2026-07-16T10:00:00+07:00"
    assert said["issuer"]["eIDASIdentifier"]["notation"] == "NTRID-9120001234567"
    assert said["displayParameter"]["title"] == {
        "id": "Sertifikat Pelatihan: Pengembangan Perangkat Lunak",
        "en": "Training Certificate: Software development",
    }
    displays = said["displayParameter"]["individualDisplay"]
    assert [one["language"]["id"].rsplit("/", 1)[-1] for one in displays] == ["IND", "ENG"]
    person = said["credentialSubject"]
    assert person["fullName"] == {"id": "Siti Nur Aminah"}
    assert (person["givenName"], person["familyName"]) == ({"id": "Siti Nur"}, {"id": "Aminah"})
    claim = person["hasClaim"]
    assert claim["awardedBy"]["awardingBody"]["registration"]["notation"] == "LPK-3171-0042"
    assert claim["provenBy"]["grade"]["noteLiteral"]["id"] == "92.50"
    assert claim["supplementaryDocument"]["contentURL"] == AWARD.page_url
    qualification = claim["specifiedBy"]
    assert qualification["thematicArea"]["id"] == "http://data.europa.eu/snb/isced-f/0613"
    assert qualification["volumeOfLearning"] == "PT320H"
    units = qualification["learningOutcome"]
    assert [one["identifier"]["notation"] for one in units] == ["J.620100.004.02", "J.620100.009.02"]
    assert {one["identifier"]["schemeName"] for one in units} == {"SKKNI"}
    assert units[1]["title"] == {
        "id": "Menggunakan Spesifikasi Program"
    }  # nothing is called English that is not


def test_kkni_is_told_as_what_it_is_and_no_eqf_level_is_made_of_it() -> None:
    said = document()
    qualification = said["credentialSubject"]["hasClaim"]["specifiedBy"]
    assert qualification["educationLevel"]["prefLabel"] == {"id": "KKNI jenjang 6", "en": "KKNI level 6"}
    notes = " ".join(note["noteLiteral"].get("en", "") for note in qualification["additionalNote"])
    assert "Level 6 of the Indonesian National Qualifications Framework" in notes
    text = json.dumps(said)
    for word in ("eqfLevel", "nqfLevel", "/snb/eqf/", "nationalID", "dateOfBirth"):
        assert word not in text


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_as_it_is_and_a_name_of_one_word_has_no_family_name(name: str) -> None:
    said = document(replace(AWARD, name=name))
    person = said["credentialSubject"]
    assert person["fullName"] == {"id": name}
    assert ("familyName" in person) == (len(name.split()) > 1)
    assert "-" not in person["givenName"].values()


def test_names_of_any_script_pass_the_shapes() -> None:
    for name in NAMES[:4]:
        assert faults(document(replace(AWARD, name=name), sealing=SEALED_AT)) == set()


def test_the_file_for_the_eus_web_issuer_has_the_document_and_room_for_the_delivery() -> None:
    assert upload_form({"id": "x"}) == {"credential": {"id": "x"}, "deliveryDetails": {}}


def shown_text(svg: bytes) -> int:
    """How many glyphs are drawn."""
    return len(re.findall(rb"<use ", svg))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_drawn_whatever_the_name_and_nothing_of_it_is_code(name: str) -> None:
    picture = page.drawn(replace(PAGE, name=name), "id", "png")
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert picture[16:24] == page.drawn(PAGE, "id", "png")[16:24]  # of one size, on one page


def test_a_name_is_drawn_letter_by_letter() -> None:
    """Were it code, or markup, letters of it would be missing."""
    nameless = shown_text(page.drawn(replace(PAGE, name="x"), "id", "svg"))
    name = '#eval("1")$x$`raw`@ref*b*_i_'
    assert shown_text(page.drawn(replace(PAGE, name=name), "id", "svg")) == nameless - 1 + len(name)


def test_scripts_of_indonesia_have_their_letters() -> None:
    """No two letters look alike, as they would if a font lacked them and drew its box."""
    for letters in ("ꦏꦒ", "ᬓᬕ", "ᮊᮌ", "ᯂᯎ", "ᨀᨁ", "كم", "Жб"):
        one, other = (page.drawn(replace(PAGE, name=letter), "id", "png") for letter in letters)
        assert one != other, letters


def test_a_badges_picture_has_these_letters_too_and_turns_no_text() -> None:
    drawn = {name: image.rendered(Look(name, "LPK")).png for name in ("ꦏ", "ꦒ", "exe", "\u202eexe")}
    assert drawn["ꦏ"] != drawn["ꦒ"]
    assert drawn["exe"] == drawn["\u202eexe"]


def frame(look: Look) -> bytes:
    """A badge's picture beyond the circle that its text may fill."""
    width, height, rows, _ = Reader(bytes=image.rendered(look).png).asRGBA8()
    radius = width * 134 / 300  # as the template draws it
    return bytes(
        row[4 * x + band]
        for y, row in enumerate(rows)
        for x in range(width)
        if (x - width / 2) ** 2 + (y - height / 2) ** 2 >= radius**2
        for band in range(4)
    )


@pytest.mark.parametrize("text", ["W" * 160, "Mw " * 53, "ꦏ" * 160])
def test_the_longest_names_stay_within_the_ring_of_a_badges_picture(text: str) -> None:
    logo = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
    assert frame(Look(text, text, "KKNI jenjang 6", logo=logo, logo_type="svg")) == frame(Look("x", "x"))


def test_the_two_languages_and_the_pdf_come_from_one_template() -> None:
    assert page.drawn(PAGE, "id", "png") != page.drawn(PAGE, "en", "png")
    many = replace(PAGE, units=tuple((f"J.{number}", "Unit") for number in range(60)))
    made = page.drawn(many, "id", "pdf")
    assert made.startswith(b"%PDF-")
    assert b"/Count 2" in made  # pages: the units that the first has no room for are on the second
    assert b"/Count 1" in page.drawn(PAGE, "id", "pdf")
    assert len(page.drawn(many, "id", "png")) < 200_000


def test_a_pdf_is_made_of_a_name_that_no_font_has_letters_for() -> None:
    """PDF/A lets no letter stand without its shape; a certificate with boxes is better than none."""
    assert b"pdfaid" in page.drawn(PAGE, "id", "pdf")
    made = page.drawn(replace(PAGE, name="李明 😀"), "id", "pdf")
    assert made.startswith(b"%PDF-")
    assert b"pdfaid" not in made


def test_a_page_without_a_name_is_drawn_once_for_all() -> None:
    shared = replace(PAGE, name="", number="")
    assert page.drawn(shared, "id", "png") is page.drawn(replace(PAGE, name="", number=""), "id", "png")
