"""The doors through which programs are asked for: the API's form and refusals, and the command line."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from register_desk import API, Desk, program, worked
from typer.testing import CliRunner, Result

from jembatan.cli import app
from providers.siplatih.program_file import COLUMNS


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["programs", *words])


def test_a_request_says_where_its_process_is_and_everything_that_is_wrong(desk: Desk) -> None:
    answer = desk.ask(program(location__province="Bavaria", end_date="2020-01-01", extra=1))
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:jembatan:problem:invalid-request"
    assert {one["where"] for one in problem["errors"]} == {
        "body.extra",
        "body.end_date",
        "body.location.province",
    }
    answer = desk.ask(program(change="yes"))
    assert [one["where"] for one in answer.json()["errors"]] == ["body.change"]
    answer = desk.ask(program(location__province="jabar"))
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/v1/processes/{answer.json()['process_id']}"
    assert answer.json()["program"]["warnings"] == [
        {"where": "location.province", "reason": "it is sent as Jawa Barat"}
    ]


def test_an_lpk_keeps_its_number_unless_the_word_is_said(desk: Desk) -> None:
    desk.asked()
    slip = program(lpk_registration_number="LPK-12346-2023")
    answer = desk.ask(slip)
    assert [one["where"] for one in answer.json()["errors"]] == ["body.lpk_registration_number"]
    assert desk.asked(slip | {"new_lpk_number": True})["warnings"] != []


def test_a_key_names_a_request_for_good(desk: Desk) -> None:
    body = program()
    headers = {"Idempotency-Key": "p-1"}
    first = desk.ask(body, **headers)
    assert desk.ask(body, **headers).json()["process_id"] == first.json()["process_id"]
    answer = desk.ask(program(), **headers)
    assert answer.json()["type"] == "urn:jembatan:problem:idempotency-key-reused"


def test_programs_are_listed_and_found(desk: Desk) -> None:
    asked = [desk.asked() for _ in range(3)]
    page = desk.till.http.get(f"{API}/programs", params={"limit": 2}).json()
    assert [one["program_id"] for one in page["items"]] == [one["program_id"] for one in asked[:0:-1]]
    rest = desk.till.http.get(f"{API}/programs", params={"cursor": page["next_cursor"]}).json()
    assert [one["program_id"] for one in rest["items"]] == [asked[0]["program_id"]]
    found = desk.till.http.get(f"{API}/programs", params={"program_code": asked[1]["program_code"]}).json()
    assert [one["program_id"] for one in found["items"]] == [asked[1]["program_id"]]
    assert desk.till.http.get(f"{API}/programs", params={"status": "registered"}).json()["items"] == []
    nowhere = desk.till.http.get(f"{API}/programs/019ab1c2-9a10-7c3e-9d55-0a4b6f1e2d3c")
    assert nowhere.status_code == 404


def test_a_decision_needs_a_number_where_it_is_registered(desk: Desk) -> None:
    asked = desk.asked()
    assert desk.decide(asked, decision="registered").status_code == 422
    word = {"decision": "registered", "siplatih_program_id": "SIPLATIH-1"}
    for wrong in (
        {"registered_on": "2999-01-01"},
        {"registered_on": "0001-01-01"},
        {"reason": "3201010101010001 rang up"},
    ):
        answer = desk.decide(asked, **word | wrong)
        assert answer.json()["type"] == "urn:jembatan:problem:invalid-request", answer.text
    answer = desk.decide(asked, decision="send_again")  # its process has not ended
    assert answer.json()["type"] == "urn:jembatan:problem:program-under-way"


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_a_file_is_registered_in_its_order_and_only_once(desk: Desk, tmp_path: Path, kind: str) -> None:
    programs = [program(program_code=f"F-{number:03d}") for number in range(5)]
    file = written(tmp_path / f"programs.{kind}", programs)
    assert run("register", str(file), "--dry-run").exit_code == 0
    result = run("register", str(file), "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["new"], told["known"], told["faults"]) == (5, 0, [])
    worked()
    assert [one["program_code"] for one in desk.books()] == [one["program_code"] for one in programs]
    told = json.loads(run("register", str(file), "--json").stdout)
    assert (told["new"], told["known"]) == (0, 5)
    listed = json.loads(run("list", "--json").stdout)
    assert {one["status"] for one in listed} == {"registered"}
    assert "Registered." in run("show", "F-000").output


def test_a_file_with_faults_asks_for_nothing_and_lists_them_all(desk: Desk, tmp_path: Path) -> None:
    programs = [
        program(program_code="A"),
        program(program_code="A", participant_capacity=51),
        program(program_code="B", sector="x", start_date="2024-13-01"),
    ]
    file = written(tmp_path / "programs.csv", programs, delimiter=";")
    result = run("register", str(file), "--json")
    assert result.exit_code == 1
    faults = [(one["program"], one["where"]) for one in json.loads(result.stdout)["faults"]]
    assert faults == [("line 3", "program_code"), ("line 4", "sector"), ("line 4", "start_date")]
    assert json.loads(run("list", "--json").stdout) == []


def test_a_person_decides_on_the_command_line(desk: Desk) -> None:
    desk.behaves(lookup="404")
    first, second = desk.asked(), desk.asked()
    desk.fail("register", "lost", times=2)
    worked()
    from register_desk import later

    later(minutes=2)
    worked()
    number = desk.books()[0]["siplatih_program_id"]
    code = first["program_code"]
    result = run("registered", code, "--as", number, "--reason", "asked by telephone", "--by", "sri")
    assert result.exit_code == 0, result.output
    assert desk.shown(first)["events"][-1]["source"] == "operator:sri"
    assert run("send-again", second["program_code"], "--reason", "not there", "--by", "sri").exit_code == 0
    assert desk.shown(second)["status"] == "pending"


@pytest.mark.parametrize("path", ["register", "verify-credential"])
def test_a_broken_character_is_refused_in_words_and_no_number_is_repeated(desk: Desk, path: str) -> None:
    body = b'{"program_name": "\\ud800", "skkni_code": "\\ud800ab", "3201010101010001": 1, "\\ud800": 1}'
    answer = desk.till.http.post(f"{API}/{path}", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, "3201010101010001" in answer.text) == (422, False)
    told = {one["where"]: one["reason"] for one in answer.json()["errors"]}
    assert told["body.skkni_code"] == "it has characters that cannot be printed"


def written(path: Path, programs: list[dict[str, Any]], delimiter: str = ",") -> Path:
    if path.suffix == ".json":
        path.write_text(json.dumps(programs), encoding="utf-8")
        return path
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", delimiter=delimiter)
    writer.writeheader()
    for one in programs:
        flat = {name: value for name, value in one.items() if name != "location"}
        flat |= {f"location.{name}": value for name, value in one["location"].items()}
        writer.writerow(
            {name: json.dumps(value) if isinstance(value, list) else value for name, value in flat.items()}
        )
    path.write_text(out.getvalue(), encoding="utf-8")
    return path
