"""`jembatan completions`: a class from a sheet to the register, as somebody at a desk does it."""

import json
from pathlib import Path
from typing import Any

import pytest
from class_room import DAY, LPK, ClassRoom, nik, people, person, program_registered, worked
from typer.testing import CliRunner

from common.settings import settings
from jembatan.cli import app


def jembatan(*words: str) -> Any:
    return CliRunner().invoke(app, ["completions", *words])


def sheet(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """The template, filled in."""
    file = folder / "class.csv"
    assert jembatan("template", str(file)).exit_code == 0
    columns = file.read_text(encoding="utf-8-sig").strip().split(",")
    lines = "".join(",".join(str(row.get(name, "")) for name in columns) + "\n" for row in rows)
    with file.open("a", encoding="utf-8") as out:
        out.write(lines)
    return file


def reported(file: Path, code: str, *more: str) -> Any:
    return jembatan("report", str(file), "--program", code, "--lpk", LPK, "--date", DAY, *more)


def test_a_class_goes_from_the_template_to_the_register(room: ClassRoom, tmp_path: Path) -> None:
    code = program_registered()
    file = sheet(tmp_path, people(3))
    taken = json.loads(reported(file, code, "--json").output)
    assert taken["is_new"]
    assert "Known already" in reported(file, code).output
    worked()
    listed = json.loads(jembatan("list", "--program", code, "--json").output)
    assert [one["participants"]["accepted"] for one in listed] == [3]
    shown = jembatan("show", taken["report_id"])
    assert "3 accepted" in shown.output
    assert f"{nik(0)[:4]}********{nik(0)[12:]}" in shown.output
    assert nik(0) not in shown.output
    assert "Siti" not in shown.output


def test_bad_rows_are_told_by_line_and_nothing_is_sent(room: ClassRoom, tmp_path: Path) -> None:
    code = program_registered()
    file = sheet(tmp_path, [person(0), person(1, nik="97" + nik(1)[2:])])
    refused = reported(file, code)
    assert refused.exit_code == 1
    assert "statistics office" in refused.output
    assert nik(1)[2:] not in refused.output
    told = json.loads(reported(file, code, "--json").output)
    assert [one["row"] for one in told["refused"]] == [3]
    assert worked() == []
    assert reported(file, code, "--allow-partial").exit_code == 0
    (step,) = worked()
    assert step.states["accepted"] == 1


def test_lost_answers_are_settled_by_a_person(
    room: ClassRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JEMBATAN_SIPLATIH__KNOWS_REPEATS", "false")
    settings.cache_clear()
    code = program_registered()
    report_id = json.loads(reported(sheet(tmp_path, people(2)), code, "--json").output)["report_id"]
    room.fail("complete", "timeout")  # it never arrived
    worked()
    said = jembatan("settle", report_id, "--is-not-there", "--reason", "Not on their page")
    assert "2 participants are sent again" in said.output
    worked()
    assert [one["times_told"] for one in room.book(code)] == [1, 1]
    assert "Not on their page" in jembatan("show", report_id).output
    assert "Of nobody" in jembatan("settle", report_id, "--is-there", "--reason", "Twice").output


@pytest.mark.parametrize(
    "words",
    [
        ("report", "nowhere.csv", "--program", "P", "--lpk", LPK, "--date", DAY),
        ("template", "class.pdf"),
        ("show", "019ab1c2-9b00-7c3e-9d55-0a4b6f1e2d3c"),
    ],
)
def test_what_cannot_be_is_said(database: str, words: tuple[str, ...]) -> None:
    assert jembatan(*words).exit_code != 0
