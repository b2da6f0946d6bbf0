"""Credentials at the ministry's register: verified only on an explicit yes, and no NIK is left behind."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa
from register_desk import API, Desk, checked, later

from common import clock
from records import audit, breach, person
from records.db import unit_of_work
from records.process import ProcessRun
from records.sealed import seal, unseal

NIK = "3201014101900007"


def question(**changes: Any) -> dict[str, Any]:
    number = str(uuid4())
    return {
        "credential_id": number,
        "credential_url": f"https://issuer.example/credentials/{number}",
        "participant_nik": NIK,
        "skkni_code": "J.620100.004.02",
        "issuance_date": "2024-07-15T10:30:00Z",
    } | changes


def asked(desk: Desk, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = desk.till.http.post(f"{API}/verify-credential", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def shown(desk: Desk, one: dict[str, Any]) -> dict[str, Any]:
    answer = desk.till.http.get(f"{API}/credential-checks/{one['check']['check_id']}")
    return dict(answer.raise_for_status().json())


@pytest.mark.parametrize(
    ("verdict", "status"),
    [("yes", "verified"), ("no", "not_verified"), ("silent", "not_verified"), ("text", "not_verified")],
)
def test_only_an_explicit_yes_is_one(desk: Desk, verdict: str, status: str) -> None:
    desk.behaves(verdict=verdict)
    made = asked(desk, question())
    checked()
    found = shown(desk, made)
    assert (found["status"], found["verified"]) == (status, status == "verified")
    ended = desk.process(made)
    assert (ended["state"], ended["outcome"]["verified"]) == ("succeeded", status == "verified")


def test_the_answer_is_kept_whole_and_the_nik_nowhere_in_clear(desk: Desk, database: str) -> None:
    desk.behaves(verdict="yes")
    made = asked(desk, question())
    with psycopg.connect(database) as db:
        ((sealed,),) = db.execute("SELECT question FROM credential_checks").fetchall()
        assert json.loads(unseal(bytes(sealed)))["participant_nik"] == NIK
    checked()
    with psycopg.connect(database) as db:
        ((kept, answer),) = db.execute("SELECT question, answer FROM credential_checks").fetchall()
        assert kept is None
        assert json.loads(unseal(bytes(answer)))["data"]["verified"] is True
        for (table,) in db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
            rows = db.execute(f'SELECT t::text FROM "{table}" t'.encode()).fetchall()
            assert not any(NIK in text for (text,) in rows), table
    assert NIK not in json.dumps([made, shown(desk, made), desk.process(made)])


def test_the_same_question_joins_the_open_one_and_asks_anew_later(desk: Desk) -> None:
    body = question()
    first = asked(desk, body)
    assert asked(desk, body)["process_id"] == first["process_id"]
    checked()
    assert asked(desk, body)["process_id"] != first["process_id"]


def test_the_same_request_key_is_the_same_check(desk: Desk) -> None:
    body = question()
    first = asked(desk, body, **{"Idempotency-Key": "k-1"})
    checked()
    assert asked(desk, body, **{"Idempotency-Key": "k-1"})["process_id"] == first["process_id"]
    answer = desk.till.http.post(
        f"{API}/verify-credential", json=question(), headers={"Idempotency-Key": "k-1"}
    )
    assert answer.json()["type"] == "urn:jembatan:problem:idempotency-key-reused"


def test_a_register_that_is_away_is_asked_later(desk: Desk) -> None:
    desk.behaves(verdict="yes")
    made = asked(desk, question())
    desk.fail("verify", "500", times=3)
    checked()
    assert desk.process(made)["state"] == "waiting"
    later(hours=1)
    checked()
    assert shown(desk, made)["verified"] is True


def test_a_check_that_cannot_be_made_holds_up_no_other(desk: Desk, database: str) -> None:
    desk.behaves(verdict="yes")
    broken, whole = asked(desk, question()), asked(desk, question())
    with psycopg.connect(database) as db:
        db.execute(
            "UPDATE credential_checks SET question = 'not sealed' WHERE id = %s",
            [broken["check"]["check_id"]],
        )
    checked()
    assert shown(desk, whole)["verified"] is True
    assert shown(desk, broken)["status"] == "pending"
    assert desk.process(broken)["state"] == "needs_attention"


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"credential_id": "1"}, "body.credential_id"),
        ({"credential_url": "http://issuer.example/1"}, "body.credential_url"),
        ({"credential_url": "javascript:alert(1)"}, "body.credential_url"),
        ({"participant_nik": "3201014101900000"}, "body.participant_nik"),
        ({"participant_nik": 3201014101900007}, "body.participant_nik"),
        ({"skkni_code": ""}, "body.skkni_code"),
        ({"credential_url": "https://issuer.example/1\n2"}, "body.credential_url"),
        ({"credential_url": f"https://issuer.example/{NIK}"}, "body.credential_url"),
        ({"credential_url": "https://issuer.example:99999/1"}, "body.credential_url"),
        ({"issuance_date": "2024-07-15T10:30:00"}, "body.issuance_date"),
        ({"issuance_date": "2124-07-15T10:30:00Z"}, "body.issuance_date"),
        ({"nik": NIK}, "body.nik"),
    ],
)
def test_a_wrong_question_is_refused_by_its_member_without_its_value(
    desk: Desk, changes: dict[str, Any], where: str
) -> None:
    answer = desk.till.http.post(f"{API}/verify-credential", json=question(**changes))
    assert answer.status_code == 422
    assert [one["where"] for one in answer.json()["errors"]] == [where]
    assert "32010141019" not in answer.text


def test_who_was_told_of_a_stranger_stands_in_the_breach_report(desk: Desk) -> None:
    desk.behaves(verdict="no")
    made = asked(desk, question())
    checked()
    with unit_of_work() as session:
        told = breach.report(session, clock.now() - timedelta(hours=1), clock.now() + timedelta(hours=1))
    (group,) = [one for one in told["groups"] if one["recipient"] == "siplatih"]
    assert (group["act"], group["persons"], group["times"]) == ("sent", 1, 1)
    assert shown(desk, made)["status"] == "not_verified"


def test_what_did_not_go_is_not_told_as_sent(desk: Desk) -> None:
    with unit_of_work() as session:
        (known,) = person.keep_many(session, [person.Named(NIK, seal(b"Siti Rahma"))])
    desk.fail("any", "500", times=None)
    for _ in range(8):
        asked(desk, question())
    checked()
    with unit_of_work() as session:
        lines = audit.of_person(session, known)
    assert 0 < len(lines) < 8  # the gate was shut after some: the others were never sent
    with unit_of_work() as session:
        session.execute(sa.update(ProcessRun).values(next_attempt_at=clock.now()))
    checked()  # they are due, and the gate is shut still
    with unit_of_work() as session:
        assert len(audit.of_person(session, known)) == len(lines)
