"""What is wrong with a program is told before anything is sent: everything at once, by its path, without its
value."""

import csv
import io
import json
from typing import Any

import pytest
from register_desk import NAME_OF_A_PERSON, program

from common.errors import UnusableFile
from common.nik import PROVINCES
from common.services import Siplatih
from providers.siplatih import program_file, provinces
from providers.siplatih.program import Checked, checked

SECTION = Siplatih()


def look(**changes: Any) -> Checked:
    return checked(program(**changes), SECTION)


def paths(found: Checked) -> list[str]:
    return [one.path for one in found.faults]


def test_a_valid_program_is_sent_as_it_is_with_its_english_name() -> None:
    members = program()
    found = checked(members, SECTION)
    assert (found.faults, found.warnings) == ([], [])
    assert found.program == members | {"program_name_en": members["program_name"]}


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"program_code": None}, "program_code", "missing"),
        ({"program_code": "   "}, "program_code", "empty"),
        ({"program_code": "A\nB"}, "program_code", "cannot be printed"),
        ({"program_code": "x" * 65}, "program_code", "longer than 64"),
        ({"program_name": 7}, "program_name", "text"),
        ({"program_name": "a\ud800"}, "program_name", "cannot be printed"),
        ({"lpk_registration_number": "AB"}, "lpk_registration_number", "shorter than 3"),
        ({"lpk_registration_number": "A\x07BC"}, "lpk_registration_number", "cannot be printed"),
        ({"lpk_name": None}, "lpk_name", "missing"),
        ({"program_type": "SCHOOL"}, "program_type", "VOCATIONAL"),
        ({"sector": "Information Technology"}, "sector", "capitals"),
        ({"sub_sector": "SOFTWARE__X"}, "sub_sector", "capitals"),
        ({"duration_days": 0}, "duration_days", "whole number"),
        ({"duration_days": True}, "duration_days", "whole number"),
        ({"duration_days": "180"}, "duration_days", "whole number"),
        ({"duration_days": 180.0}, "duration_days", "whole number"),
        ({"duration_days": 184}, "duration_days", "only 183 days"),
        ({"duration_hours": 4321}, "duration_hours", "only 4320 hours"),
        ({"participant_capacity": 0}, "participant_capacity", "whole number"),
        ({"start_date": "2024-02-30"}, "start_date", "no such day"),
        ({"start_date": "15-01-2024"}, "start_date", "2024-01-15"),
        ({"program_name": "Kelas 3201010101010001"}, "program_name", "NIK in it"),
        ({"start_date": "0024-01-15"}, "start_date", "from 2000 to 2099"),
        ({"start_date": "2024-01-15T00:00:00Z"}, "start_date", "2024-01-15"),
        ({"start_date": "\u0662\u0660\u0662\u0664-01-15"}, "start_date", "2024-01-15"),
        ({"end_date": "2024-01-14"}, "end_date", "before start_date"),
        ({"location": "Jakarta"}, "location", "object"),
        ({"location__address": None}, "location.address", "missing"),
        ({"location__province": "Jakarte"}, "location.province", "DKI Jakarta is near"),
        ({"location__province": "Bavaria"}, "location.province", "38 provinces"),
        ({"location__postal_code": 10220}, "location.postal_code", "as text"),
        ({"location__postal_code": "01022"}, "location.postal_code", "five digits"),
        ({"location__street": "x"}, "location.street", "no such member"),
        ({"skkni_code": None}, "skkni_code", "missing"),
        ({"instructor_qualifications": None}, "instructor_qualifications", "list"),
        ({"instructor_qualifications__0__name": ""}, "instructor_qualifications[0].name", "empty"),
        ({"curriculum": []}, "curriculum", "at least one"),
        ({"curriculum__0__duration_hours": 0}, "curriculum[0].duration_hours", "whole number"),
        ({"curriculum__0__learning_outcomes": [1]}, "curriculum[0].learning_outcomes[0]", "text"),
        ({"curriculum": ["Microservices"]}, "curriculum[0]", "object"),
        ({"tution": 1}, "tution", "no such member"),
    ],
)
def test_each_fault_has_its_path_and_sentence(changes: dict[str, Any], path: str, words: str) -> None:
    found = look(**changes)
    assert paths(found) == [path]
    assert words in found.faults[0].reason


def test_all_faults_are_told_at_once_and_no_value() -> None:
    found = look(
        program_code=None,
        lpk_registration_number="12",
        end_date="2023-01-01",
        location__postal_code="x",
        instructor_qualifications__0__qualification=f"{NAME_OF_A_PERSON}\x00",
        curriculum__0__module_name=None,
    )
    assert set(paths(found)) == {
        "program_code",
        "lpk_registration_number",
        "end_date",
        "location.postal_code",
        "instructor_qualifications[0].qualification",
        "curriculum[0].module_name",
    }
    assert NAME_OF_A_PERSON not in repr(found.faults)


@pytest.mark.parametrize("members", [None, [], "program", 7])
def test_what_is_no_object_is_no_program(members: Any) -> None:
    assert paths(checked(members, SECTION)) == [""]


def test_names_of_one_word_and_with_an_apostrophe_are_fine_and_composed() -> None:
    found = look(instructor_qualifications__0__name="Suharto", program_name="Ma\u2019ruf Cafe\u0301 Jum'at")
    assert found.faults == []
    assert found.program["program_name"] == "Ma\u2019ruf Caf\u00e9 Jum'at"


def test_a_warning_stops_nothing() -> None:
    found = look(
        skkni_code="SKKNI-IT-2023-001",
        curriculum__0__duration_hours=1441,
        location__province="jakarta",
    )
    assert found.faults == []
    assert [one.path for one in found.warnings] == ["location.province", "skkni_code", "curriculum"]
    assert found.program["location"]["province"] == "DKI Jakarta"


@pytest.mark.parametrize(
    ("code", "warns"),
    [
        ("J.620100.004.02", False),
        ("M.74100.005.02", True),
        ("TIK.PR02.001.01", True),
        ("SKKNI-IT-2023-001", True),
        ("V.620100.004.02", True),
    ],
)
def test_codes_of_competence_units_are_known_by_their_form(code: str, warns: bool) -> None:
    found = look(skkni_code=code)
    assert (found.faults, bool(found.warnings)) == ([], warns)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("D.K.I. Jakarta", "DKI Jakarta"),
        ("Daerah Khusus Ibukota Jakarta", "DKI Jakarta"),
        ("D.I. Yogyakarta", "DI Yogyakarta"),
        ("Daerah Istimewa Yogyakarta", "DI Yogyakarta"),
        ("Provinsi Jawa Barat", "Jawa Barat"),
        ("JABAR", "Jawa Barat"),
        ("ntt", "Nusa Tenggara Timur"),
        ("Kep. Bangka Belitung", "Kepulauan Bangka Belitung"),
        ("West Java", "Jawa Barat"),
        ("Papua Barat Daya", "Papua Barat Daya"),
        ("Papua", "Papua"),
    ],
)
def test_usual_spellings_of_provinces_are_understood(text: str, name: str) -> None:
    assert provinces.province(text) == name


def test_every_province_is_known_by_its_own_name() -> None:
    assert [provinces.province(name) for name in PROVINCES.values()] == list(PROVINCES.values())
    assert len(PROVINCES) == 38


# Files


def as_csv(*programs: dict[str, Any]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, program_file.COLUMNS, restval="")
    writer.writeheader()
    for one in programs:
        cells = {name: value for name, value in one.items() if name != "location"}
        cells |= {f"location.{name}": value for name, value in one["location"].items()}
        writer.writerow(
            {name: json.dumps(value) if isinstance(value, list) else value for name, value in cells.items()}
        )
    return out.getvalue().encode("utf-8-sig")


def test_a_csv_has_the_same_programs_as_its_json() -> None:
    programs = [program(), program(instructor_qualifications=[])]
    from_csv = program_file.read("p.csv", as_csv(*programs))
    from_json = program_file.read("p.json", json.dumps(programs).encode())
    assert [checked(one.members, SECTION).program for one in from_csv] == [
        checked(one.members, SECTION).program for one in from_json
    ]
    assert [one.where for one in from_csv] == ["line 2", "line 3"]
    assert [one.where for one in from_json] == ["program 1", "program 2"]


def test_cells_that_are_wrong_are_faults_of_their_member() -> None:
    broken = program() | {"duration_days": "180 days", "curriculum": "Microservices"}
    (entry,) = program_file.read("p.csv", as_csv(broken))
    assert set(paths(checked(entry.members, SECTION))) == {"duration_days", "curriculum"}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "first line"),
        (b"program_code\nA\n", "lacks program_name"),
        (b"{", "no JSON"),
        (b"[]", "0 programs"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff\xfe", "UTF-8"),
        (as_csv(program()).replace(b"program_code", b"program_name"), "lacks program_code"),
        (as_csv(program()) + b"one,two\n", "2 cells"),
        (as_csv(program()) + b'"open\n', "no CSV"),
    ],
)
def test_a_file_that_is_none_is_refused_with_a_sentence(raw: bytes, words: str) -> None:
    with pytest.raises(UnusableFile, match=words):
        program_file.read("p", raw)
