"""What a class cannot have: each fault with its place and its sentence, never with its value."""

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import xlsxwriter
from at_work import at_work
from class_room import DAY, LPK, PATH, ClassRoom, nik, people, person, program_registered, rows, worked

from common.errors import UnusableFile
from common.raw import nameless
from common.settings import settings
from jembatan.stack import Stack
from records import completion_sheet, db

CERTIFICATE = "participants[0].certificate_number"
HEAD = ("nik", "full_name", "completion_status", "final_score", "certificate_number")


@pytest.fixture(scope="module")
def there(
    parts: Stack,
    fresh_database: Callable[[], AbstractContextManager[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ClassRoom, str]]:
    """A room and a program that the register has, for questions that are refused and change nothing."""
    with fresh_database() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("JEMBATAN_DATABASE_URL", url)
        patch.setenv("JEMBATAN_HOME", str(tmp_path_factory.mktemp("home")))
        settings.cache_clear()
        with at_work(parts, patch) as till:
            till.sandbox.delete("/_sandbox/siplatih").raise_for_status()
            yield ClassRoom(till), program_registered()
        db.engine(url).dispose()
    settings.cache_clear()


@pytest.mark.parametrize(
    ("changes", "where", "words"),
    [
        ({"completion_date": "2999-01-01"}, "completion_date", "in the future"),
        ({"completion_date": "0026-07-15"}, "completion_date", "before the year 2000"),
        ({"completion_date": "2024-01-14"}, "completion_date", "before the program's start, 2024-01-15"),
        ({"completion_date": "15/07/2024"}, "completion_date", "YYYY-MM-DD"),
        ({"completion_date": "2024-02-30"}, "completion_date", "no such day"),
        (
            {"participants": [person(1), person(1, certificate_number="C-2")]},
            "participants[1].nik",
            "row 1 has the same NIK",
        ),
        (
            {"participants": [person(1), person(2, certificate_number="CERT-2024-000001")]},
            "participants[1].certificate_number",
            "row 1 has it too",
        ),
        ({"participants": [person(1, nik=3201010101010001)]}, "participants[0].nik", "a NIK is text"),
        ({"participants": [person(1, nik=None)]}, "participants[0].nik", "missing"),
        ({"participants": [person(1, full_name=" ")]}, "participants[0].full_name", "not text"),
        ({"participants": [person(1, full_name="A\x07B")]}, "participants[0].full_name", "no part of a name"),
        ({"participants": [person(1, full_name=nik(2))]}, "participants[0].full_name", "long number"),
        (
            {"participants": [person(1, completion_status="DONE")]},
            "participants[0].completion_status",
            "FAILED",
        ),
        ({"participants": [person(1, final_score=100.01)]}, "participants[0].final_score", "above 100"),
        ({"participants": [person(1, final_score=92.555)]}, "participants[0].final_score", "two decimals"),
        ({"participants": [person(1, final_score=-1)]}, "participants[0].final_score", "from 0 to 100"),
        ({"participants": [person(1, certificate_number=5)]}, CERTIFICATE, "text"),
        (
            {"participants": [person(1, completion_status="FAILED")]},
            CERTIFICATE,
            "only who is COMPLETED",
        ),
        (
            {"participants": [person(1, certificate_number=nik(1))]},
            CERTIFICATE,
            "a NIK",
        ),
        ({"participants": [person(1, certificate_number=f"LSP-{nik(1)}/24")]}, CERTIFICATE, "a NIK in it"),
        (
            {"participants": [person(1, learner_id="L-1"), person(2, learner_id="L-1")]},
            "participants[1].learner_id",
            "row 1 has it too",
        ),
        ({"participants": [person(1, full_name="#N/A")]}, "participants[0].full_name", "error of one"),
        ({"participants": [person(1, shoe_size=43)]}, "participants[0].shoe_size", "no such member"),
        ({"participants": ["x"]}, "participants[0]", "no object"),
        ({"participants": [person(1) | {nik(1): 1}]}, "participants[0].?", "no such member"),
        ({"participants": [person(1, full_name="\ud800")]}, "participants[0].full_name", "no part of a name"),
        ({"participants": [person(1, learner_id=nik(1))]}, "participants[0].learner_id", "a NIK in it"),
        (
            {"participants": [person(n, nik=nik(n)[:12] + f"{n + 1:03d}0") for n in range(8)]},
            "participants",
            "every NIK ends in 0",
        ),
    ],
)
def test_each_fault_has_its_sentence_and_its_place(
    there: tuple[ClassRoom, str], changes: dict[str, Any], where: str, words: str
) -> None:
    room, code = there
    answer = room.ask(code, **({"participants": [person(1)]} | changes))
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["where"] == f"body.{where}"
    assert words in error["reason"]


def upload(there: tuple[ClassRoom, str], body: bytes, **more: str) -> httpx.Response:
    room, code = there
    asked = {"program_code": code, "lpk_registration_number": LPK, "completion_date": DAY} | more
    return room.http.post(f"{PATH}/sheet", params=asked, content=body)


def workbook(fill: Callable[[Any, Any], None]) -> bytes:
    """An XLSX with our header, filled from its second row on."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEAD)
        fill(sheet, book.add_format({"num_format": "yyyy-mm-dd"}))
    return out.getvalue()


def cells(number: int, **changes: Any) -> list[Any]:
    one = person(number, **changes)
    return [one.get(name, "") for name in HEAD]


def test_a_workbooks_damage_is_told_by_line_and_column(there: tuple[ClassRoom, str]) -> None:
    def fill(sheet: Any, as_date: Any) -> None:
        sheet.write_row(1, 0, cells(1))
        sheet.write_row(2, 0, cells(2))
        sheet.write_number(2, 0, int(nik(2)))
        sheet.write_row(3, 0, cells(3))
        sheet.write_datetime(3, 4, datetime(2024, 7, 15), as_date)
        sheet.write_row(4, 0, cells(4))
        sheet.write_formula(4, 3, "=90+2")
        sheet.write_row(5, 0, cells(5, nik="3.20101E+15"))

    answer = upload(there, workbook(fill))
    assert answer.status_code == 422
    told = {error["where"]: error["reason"] for error in answer.json()["errors"]}
    assert set(told) == {"row 3, nik", "row 4, certificate_number", "row 5, final_score", "row 6, nik"}
    assert "its cell is a number" in told["row 3, nik"]
    assert "has made a date of it" in told["row 4, certificate_number"]
    assert "formula" in told["row 5, final_score"]
    assert nik(2)[:12] not in answer.text


def test_a_zip_bomb_and_other_files_are_refused_before_they_are_read(there: tuple[ClassRoom, str]) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (80 * 1024 * 1024))
    far_apart = workbook(lambda sheet, _: sheet.write_row(1, 0, cells(1)) or sheet.write(9_999, 16_383, "x"))
    for body, words in (
        (bomb.getvalue(), "larger than the limit"),
        (b"PK\x03\x04 and no more", "damaged"),
        (b"", "empty"),
        (b"<html>", "web page"),
        (b"name,status\nSiti,COMPLETED\n", "lacks the columns"),
        (b"nik,full_name,completion_status\n", "no rows"),
        (b"nik,nama,full_name,status\n1,Siti,Ani,COMPLETED\n", "columns nama and full_name are the same"),
        (far_apart, "far away from the table"),
    ):
        answer = upload(there, body)
        assert answer.json()["type"] == "urn:jembatan:problem:unusable-sheet", answer.text
        assert words in answer.json()["detail"]


def test_a_file_that_cannot_be_read_gives_away_nothing_that_stands_in_it(
    there: tuple[ClassRoom, str],
) -> None:
    body = f'nik,full_name,completion_status\n{nik(1)},"Siti,COMPLETED\n{nik(2)},Ani,COMPLETED\n'
    answer = upload(there, body.encode())
    assert answer.status_code == 422
    assert "not closed" in answer.text
    for secret in (nik(1), nik(2), "Siti", "Ani"):
        assert secret not in answer.text


def test_what_a_person_does_not_see_of_a_workbook_is_not_reported(tmp_path: Path) -> None:
    path = tmp_path / "class.xlsx"
    with xlsxwriter.Workbook(path) as book:
        for name, number in (("last year", 1), ("this year", 2)):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, HEAD)
            sheet.write_row(1, 0, cells(number))
        book.worksheets()[1].activate()
        book.worksheets()[0].hide()
    (row,) = completion_sheet.read(path, path.name, tmp_path)
    assert row.values["nik"] == nik(2)
    # Some programs write no places into cells: which of them is a number can then not be told.
    bare = tmp_path / "bare.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(bare, "w") as new:
        for member in old.namelist():
            new.writestr(member, re.sub(rb'(<c) r="[A-Z]+[0-9]+"', rb"\1", old.read(member)))
    with pytest.raises(UnusableFile, match="save it again"):
        completion_sheet.read(bare, bare.name, tmp_path)


def test_an_uploaded_sheet_leaves_nothing_behind_when_its_process_is_killed(tmp_path: Path) -> None:
    with nameless(b"nik\n" + nik(1).encode(), tmp_path) as path:
        assert [path.read_bytes(), path.read_bytes()] == [b"nik\n" + nik(1).encode()] * 2
        assert not list(tmp_path.iterdir())  # so there is nothing that somebody would have to take away


def test_rows_that_a_spreadsheet_leaves_below_its_table_are_nobody(tmp_path: Path) -> None:
    path = tmp_path / "class.csv"
    path.write_text("\n".join([",".join(HEAD), ",".join(map(str, cells(1))), ",,,,", " , ,,,", ",,,,\n"]))
    assert [row.number for row in completion_sheet.read(path, path.name, tmp_path)] == [2]


def test_a_csv_of_ten_thousand_rows_names_its_37_bad_ones(there: tuple[ClassRoom, str]) -> None:
    lines = [",".join(HEAD)]
    for number in range(10_000):
        one = cells(number) if number % 270 or number == 0 else cells(number, nik="97" + nik(number)[2:])
        lines.append(",".join(map(str, one)))
    before = there[0].calls()
    answer = upload(there, "\r\n".join(lines).encode())
    assert answer.status_code == 422, answer.text
    assert (worked(), there[0].calls()) == ([], before)
    assert answer.json()["detail"] == "37 of 10,000 participants cannot be reported; nothing was sent."
    errors = answer.json()["errors"]
    assert [error["where"] for error in errors[:2]] == ["row 272, nik", "row 542, nik"]
    assert len(errors) == 37


def test_the_template_filled_in_is_taken_in_both_forms_with_headers_of_ones_own(
    there: tuple[ClassRoom, str], tmp_path: Path
) -> None:
    room, code = there
    for form in ("csv", "xlsx"):
        empty = room.http.get(f"{PATH}/template", params={"format": form}).raise_for_status().content
        assert "no rows" in upload(there, empty).json()["detail"]
    head = "NIK;Nama Lengkap;Status;Nilai;Nomor Sertifikat\n"
    body = head + f"{nik(1)};Sri O'Neil;completed;92,5;C-1\n{nik(2)};Sukarno;FAILED;;\n"
    taken = upload(there, b"\xef\xbb\xbf" + body.encode())
    assert taken.status_code == 202, taken.text
    (step,) = worked()
    assert step.states["accepted"] == 2
    assert [one.row for one in rows(taken.json()["report_id"])] == [2, 3]
    # The same content by another door is another order of the same: JSON has a number where CSV has text.
    assert len(room.book(code)) == 2


def test_too_many_participants_are_refused(there: tuple[ClassRoom, str]) -> None:
    room, code = there
    answer = room.ask(code, people(50_001))
    assert answer.status_code == 422
