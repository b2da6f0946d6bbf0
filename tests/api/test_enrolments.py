"""Enrolments over the API and from the command line: kept once, in any order, all of a list or nothing."""

import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
import xlsxwriter
from learner_world import paid
from typer.testing import CliRunner

from common import clock
from records import client as clients
from records.client import Client
from records.db import unit_of_work
from records.enrolment import Enrolment, EnrolmentStatement

PATH = "/api/v1/enrolments"
SHEET = f"{PATH}/sheet"


def at(hours: float = 1) -> str:
    """So many hours ago."""
    return (clock.now() - timedelta(hours=hours)).isoformat(timespec="seconds").replace("+00:00", "Z")


def statement(**changes: Any) -> dict[str, Any]:
    """Something that the platform may tell; None takes a member out."""
    made = {"learner_id": "learner-1", "program_code": "ENR-1", "state": "enrolled", "occurred_at": at()}
    return {name: value for name, value in (made | changes).items() if value is not None}


def kept() -> list[tuple[Any, ...]]:
    with unit_of_work() as session:
        rows = session.scalars(sa.select(Enrolment).order_by(Enrolment.learner_id, Enrolment.program_code))
        return [(one.learner_id, one.program_code, one.state, one.since, one.is_free) for one in rows]


def statements() -> int:
    with unit_of_work() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(EnrolmentStatement)) or 0


def test_one_or_a_list_is_told_as_often_as_you_like(client: httpx.Client) -> None:
    one = client.post(PATH, json=statement())
    assert one.status_code == 200, one.text
    assert (one.json()["new"], one.json()["items"][0]["state"]) == (1, "enrolled")
    again = client.post(PATH, json=[statement(occurred_at=one.json()["items"][0]["state_at"])])
    assert (again.json()["new"], again.json()["known"]) == (0, 1)
    assert again.json()["items"][0]["enrolment_id"] == one.json()["items"][0]["enrolment_id"]
    assert (len(kept()), statements()) == (1, 1)


def test_a_key_names_one_request_for_good(client: httpx.Client) -> None:
    key, body = {"Idempotency-Key": "enrol-1"}, statement()
    assert client.post(PATH, json=body, headers=key).json()["new"] == 1
    assert client.post(PATH, json=body, headers=key).json()["new"] == 0
    other = client.post(PATH, json=statement(state="withdrawn"), headers=key)
    assert other.status_code == 422
    assert other.json()["type"].endswith("idempotency-key-reused")
    assert statements() == 1


def test_whatever_the_order_the_latest_by_its_time_is_true(client: httpx.Client) -> None:
    life = [("enrolled", 90), ("completed", 40), ("withdrawn", 30), ("enrolled", 20), ("completed", 20)]
    told = [statement(state=state, occurred_at=at(hours)) for state, hours in life]
    for number in range(4):
        order = random.Random(number).sample(told, len(told))
        for one in order if number % 2 else []:
            client.post(PATH, json=one | {"learner_id": f"order-{number}"}).raise_for_status()
        if number % 2 == 0:
            body = [one | {"learner_id": f"order-{number}"} for one in order]
            client.post(PATH, json=body).raise_for_status()
    assert len({one[1:] for one in kept()}) == 1
    (_, _, state, since, _) = kept()[0]
    assert (state, since.isoformat()) == ("completed", told[3]["occurred_at"].replace("Z", "+00:00"))


def test_a_payment_is_named_by_reference_or_id_and_belongs_to_the_learner(client: httpx.Client) -> None:
    with unit_of_work() as session:
        me = session.scalar(sa.select(Client.id).filter_by(name="tests"))
        other = clients.create(session, "another", ["*"])[0].id
    mine = paid("ENR-MINE", "learner-1", "ENR-1", client=me)
    paid("ENR-THEIRS", None, None, client=other)
    paid("ENR-SOMEBODYS", "learner-2", "ENR-1", client=me)
    paid("ENR-LEDGER", None, None)
    for name, value in (("payment_reference", "ENR-MINE"), ("payment_id", str(mine))):
        answer = client.post(PATH, json=statement(**{name: value}))
        assert answer.json()["items"][0]["payment_id"] == str(mine), answer.text
    assert client.post(PATH, json=statement(payment_reference="ENR-LEDGER")).status_code == 200
    for reference, why in (
        ("ENR-THEIRS", "you have no such payment"),
        ("ENR-NONE", "you have no such payment"),
        ("ENR-SOMEBODYS", "it is another learner's payment"),
    ):
        answer = client.post(PATH, json=statement(payment_reference=reference))
        (fault,) = answer.json()["errors"]
        assert (answer.status_code, fault["where"]) == (422, "body.payment_reference")
        assert why in fault["reason"]


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"learner_id": None}, "learner_id", "it is missing"),
    ({"learner_id": "3201010101900001"}, "learner_id", "a NIK in it"),
    ({"learner_id": 17}, "learner_id", "characters of text"),
    ({"program_code": None}, "program_code", "it is missing"),
    ({"program_code": "P" * 65}, "program_code", "1 to 64 characters"),
    ({"state": "Enrolled"}, "state", "it is one of enrolled, completed, withdrawn"),
    ({"state": None}, "state", "it is one of"),
    ({"occurred_at": None}, "occurred_at", "it is missing"),
    ({"occurred_at": "2024-01-12"}, "occurred_at", "write it as 2026-11-24T09:00:00+07:00"),
    ({"occurred_at": "2024-01-12T09:00:00"}, "occurred_at", "no moment with its offset"),
    ({"occurred_at": "2024-02-30T09:00:00Z"}, "occurred_at", "no moment"),
    ({"occurred_at": "2024-01-12T09:00:00-17:39"}, "occurred_at", "no moment with its offset"),
    ({"occurred_at": "2099-01-12T09:00:00Z"}, "occurred_at", "it is in the future"),
    ({"occurred_at": "1970-01-12T09:00:00Z"}, "occurred_at", "before the year 2000"),
    ({"payment_id": "4711"}, "payment_id", "it is no id of a payment"),
    ({"payment_id": str(uuid4()), "payment_reference": "A"}, "payment_id", "give one of both"),
    ({"is_free": "yes"}, "is_free", "it is true or false"),
    ({"is_free": True, "payment_reference": "A"}, "is_free", "say one of both"),
    ({"colour": "red"}, "colour", "there is no such member"),
]


def test_every_bad_row_is_named_with_its_member_and_nothing_is_kept(client: httpx.Client) -> None:
    body = [statement()] + [
        statement(learner_id=f"b-{place}") | changes for place, (changes, *_) in enumerate(BAD)
    ]
    body = [{name: value for name, value in one.items() if value is not None} for one in body]
    answer = client.post(PATH, json=[*body, 17])
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"].endswith("enrolments-refused")
    assert (
        f"{len(BAD) + 1} of {len(BAD) + 2} enrolments cannot be taken; nothing was kept" in problem["detail"]
    )
    found = {(one["where"], one["reason"]) for one in problem["errors"]}
    for place, (_, member, why) in enumerate(BAD, 1):
        where = f"body[{place}].{member}"
        assert [reason for name, reason in found if name == where and why in reason], (where, why, found)
    assert (f"body[{len(BAD) + 1}]", "it is no object") in found
    assert "3201010101900001" not in answer.text
    assert statements() == 0
    assert client.post(PATH, json=[]).status_code == 422


def sheet(rows: list[list[str]]) -> bytes:
    head = ["learner_id", "program_code", "state", "occurred_at", "is_free"]
    return "\n".join(",".join(row) for row in [head, *rows]).encode()


def test_a_sheet_is_the_same_by_its_lines(client: httpx.Client, tmp_path: Path) -> None:
    good = [
        ["s-1", "ENR-2", "Enrolled", at(5), "ya"],
        ["s-2", "ENR-2", "withdrawn", at(4).replace("T", " "), ""],
    ]
    answer = client.post(SHEET, content=sheet(good), headers={"Content-Type": "text/csv"})
    assert answer.status_code == 200, answer.text
    assert [(one["state"], one["is_free"]) for one in answer.json()["items"]] == [
        ("enrolled", True),
        ("withdrawn", False),
    ]
    bad = client.post(SHEET, content=sheet([*good, ["s-3", "", "enrolled", at(3), ""]]))
    assert [one["where"] for one in bad.json()["errors"]] == ["row 4, program_code"]
    assert client.post(SHEET, content=b"a,b\n1,2\n").json()["type"].endswith("unusable-sheet")
    path = tmp_path / "told.xlsx"
    with xlsxwriter.Workbook(path) as book:
        page = book.add_worksheet()
        page.write_row(0, 0, ["learner_id", "program_code", "state", "occurred_at"])
        page.write_row(1, 0, [4711, "ENR-2", "enrolled", at(5)])
    numbers = client.post(SHEET, content=path.read_bytes())
    assert numbers.json()["errors"][0]["where"] == "row 2, learner_id"
    assert "its cell is a number" in numbers.json()["errors"][0]["reason"]
    assert len(kept()) == 2


def test_who_may_only_read_tells_nothing(client: httpx.Client) -> None:
    with unit_of_work() as session:
        key = clients.create(session, "narrow", ["learners:read"])[1].text
    answer = client.post(PATH, json=statement(), headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, statements()) == (403, 0)


def test_a_file_is_imported_whole_or_not_at_all(database: str, tmp_path: Path) -> None:
    from jembatan.cli import app

    def run(*words: str) -> tuple[int, Any]:
        done = CliRunner().invoke(app, ["enrolments", "import", *words, "--json", "--by", "rina"])
        return done.exit_code, json.loads(done.stdout)

    rows = [[f"f-{number}", "ENR-3", "enrolled", at(5), ""] for number in range(40)]
    path = tmp_path / "told.csv"
    path.write_bytes(sheet(rows))
    assert run(str(path), "--dry-run") == (
        0,
        {"rows": 40, "new": 40, "known": 0, "dry_run": True, "faults": []},
    )
    assert kept() == []
    bad = [[*row[:2], "left" if place % 3 == 0 else row[2], *row[3:]] for place, row in enumerate(rows)]
    worse = tmp_path / "bad.csv"
    worse.write_bytes(sheet(bad))
    code, said = run(str(worse))
    assert (code, len(said["faults"])) == (1, 14)
    assert said["faults"][1] == {
        "row": 5, "column": "state", "reason": "it is one of enrolled, completed, withdrawn",
    }  # fmt: skip
    assert kept() == []
    assert run(str(path))[1]["new"] == 40
    assert run(str(path))[1] | {"dry_run": False} == {
        "rows": 40, "new": 0, "known": 40, "dry_run": False, "faults": [],
    }  # fmt: skip
    with unit_of_work() as session:
        told_by = set(session.scalars(sa.select(EnrolmentStatement.told_by)))
    assert told_by == {"operator:rina"}


@pytest.mark.parametrize("state", ["enrolled", "withdrawn"])
def test_what_the_database_keeps_is_only_added_to(client: httpx.Client, state: str) -> None:
    client.post(PATH, json=statement(state=state)).raise_for_status()
    with pytest.raises(sa.exc.DBAPIError), unit_of_work() as session:
        session.execute(sa.text("UPDATE enrolment_statements SET state = 'completed'"))
