"""A class is reported: each person once, whatever is repeated, lost or refused, by the register's books."""

import json
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from class_room import (
    PATH,
    ClassRoom,
    later,
    nik,
    people,
    person,
    program_asked,
    program_registered,
    rows,
    run_of,
    worked,
)

from common.settings import settings
from ministry import reporting
from records import credential_state, process
from records import person as persons
from records.completion import CompletionCall, CompletionReport
from records.credential import Credential
from records.db import unit_of_work
from records.person import Person
from records.process import ProcessRun


def states(taken: dict[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in rows(taken["report_id"]):
        found[one.state] = found.get(one.state, 0) + 1
    return found


def ended(room: ClassRoom, taken: dict[str, Any], hours: float = 2) -> None:
    """Work until the process has succeeded; nobody waits for the hours in between."""
    for _ in range(8):
        worked()
        if run_of(taken).state == "succeeded":
            return
        later(hours)
    raise AssertionError(run_of(taken).error)


def test_a_class_is_reported_and_each_participant_has_the_registers_yes(room: ClassRoom) -> None:
    code = program_registered()
    taken = room.asked(code, [*people(18), person(18, certificate_number=None), person(
        19, completion_status="FAILED", certificate_number=None, final_score=None)])  # fmt: skip
    (step,) = worked()
    assert (step.next, step.states["accepted"]) == ("ended", 20)
    shown = room.shown(taken)
    assert shown["process_state"] == "succeeded"
    assert (shown["completion_rate"], shown["certification_rate"]) == ("95.0", "90.0")
    assert [one["times_told"] for one in room.book(code)] == [1] * 20
    listed = room.http.get(f"/api/v1/integrations/siplatih/completions/{taken['report_id']}/participants")
    (first, *_) = listed.json()["items"]
    assert first["nik"] == f"{nik(0)[:4]}********{nik(0)[12:]}"
    assert nik(0) not in listed.text
    assert "Siti" not in listed.text
    with unit_of_work() as session:
        (call,) = session.scalars(sa.select(CompletionCall).options(sa.orm.undefer(CompletionCall.answer)))
        assert call.answer
        assert call.outcome == "20 accepted"


def test_who_is_certified_and_known_to_the_platform_gets_one_credential_with_the_registers_yes(
    room: ClassRoom,
) -> None:
    code = program_registered()
    class_ = [
        *(person(number, learner_id=f"learner-{number}") for number in range(3)),
        person(3, learner_id="learner-3", certificate_number=None),
        person(4, learner_id="learner-4", completion_status="FAILED", certificate_number=None),
        person(5),
    ]
    taken = room.asked(code, class_)
    room.fail("complete", "lost")
    worked()
    with unit_of_work() as session:
        assert session.scalars(sa.select(Credential)).all() == []
    ended(room, taken)
    with unit_of_work() as session:
        made = session.scalars(sa.select(Credential).order_by(Credential.learner_id)).all()
        assert [(one.learner_id, one.certificate_number) for one in made] == [
            (f"learner-{number}", f"CERT-2024-{number:06d}") for number in range(3)
        ]
        assert {(one.program_code, one.issued_on.isoformat(), one.score) for one in made} == {
            (code, "2024-07-15", "92.5")
        }
        assert made[0].holder_name() == "Siti Rahma 0"


def test_a_correction_leaves_no_credential_that_says_otherwise_without_a_person_being_told(
    room: ClassRoom,
) -> None:
    code = program_registered()
    room.behaves(corrections=True)
    class_ = [
        person(number, learner_id=f"{code}-{number}", final_score=score)
        for number, score in enumerate((100, 90, 80))
    ]
    ended(room, room.asked(code, class_))

    def issued() -> dict[str, Credential]:
        with unit_of_work() as session:
            wanted = sa.select(Credential).where(Credential.program_code == code)
            return {one.learner_id.removeprefix(f"{code}-"): one for one in session.scalars(wanted)}

    before = issued()
    assert {name: one.score for name, one in before.items()} == {"0": "100", "1": "90", "2": "80"}
    class_[0]["final_score"], class_[1]["full_name"] = 70, "Siti Aminah"
    room.behaves(corrections=False)
    room.asked(code, [class_[2] | {"certificate_number": "C-2A"}], correction=True)
    assert worked()[0].states["rejected"] == 1
    room.behaves(corrections=True)
    class_[2]["certificate_number"] = "C-2B"
    taken = room.asked(code, class_, correction=True)
    worked()
    run = run_of(taken)
    assert (run.state, (run.error or {})["type"]) == ("needs_attention", "credentials-differ")
    assert all(str(before[name].id) in (run.error or {})["message"] for name in before)
    with unit_of_work() as session:
        for name in before:
            credential_state.apply(session, before[name].id, "revoked", source="test", reason="Corrected")
        assert process.retry(session, run.id)
    worked()
    assert run_of(taken).state == "succeeded"


def test_the_same_class_a_hundred_times_is_one_report(room: ClassRoom) -> None:
    code = program_registered()
    taken = {room.asked(code, people(3))["report_id"] for _ in range(50)}
    worked()
    taken |= {room.asked(code, people(3)[::-1])["report_id"] for _ in range(50)}
    assert len(taken) == 1
    assert worked() == []
    assert [one["times_told"] for one in room.book(code)] == [1, 1, 1]


def test_nothing_is_sent_while_a_row_is_bad_and_every_fault_is_told_at_once(room: ClassRoom) -> None:
    code = program_registered()
    class_ = people(60)
    for number in range(37):
        class_[number] = person(number, nik="97" + nik(number)[2:])
    answer = room.ask(code, class_)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "37 of 60 participants cannot be reported; nothing was sent."
    errors = answer.json()["errors"]
    assert len(errors) == 37
    assert errors[5]["where"] == "body.participants[5].nik"
    assert "statistics office" in errors[5]["reason"]
    assert not any(nik(number)[2:] in answer.text for number in range(60))
    assert worked() == []
    with unit_of_work() as session:
        for table in (CompletionReport, Person):
            assert session.scalar(sa.select(sa.func.count()).select_from(table)) == 0
    taken = room.asked(code, class_, allow_partial=True)
    assert len(taken["refused"]) == 37
    worked()
    shown = room.shown(taken)
    assert shown["participants"]["accepted"] == 23
    assert (shown["enrolled"], shown["completion_rate"]) == (60, "100.0")
    whole = room.asked(code, people(60))  # the file once more, corrected
    worked()
    assert room.shown(whole)["reported_before"] == 23
    assert [one["times_told"] for one in room.book(code)] == [1] * 60


@pytest.mark.parametrize("kind", ["lost", "500_after", "502_html", "reset_after"])
def test_a_lost_answer_reports_nobody_twice(room: ClassRoom, kind: str) -> None:
    code = program_registered()
    taken = room.asked(code, people(5))
    room.fail("complete", kind)
    (step,) = worked()
    assert (step.next, states(taken)) == ("waits", {"unknown": 5})
    assert run_of(taken).next_attempt_at is not None
    ended(room, taken)
    assert [(one["times_told"], one["versions"]) for one in room.book(code)] == [(2, 1)] * 5
    assert states(taken) == {"accepted": 5}


def test_where_repeats_are_not_recognised_a_person_says_what_became_of_lost_answers(
    room: ClassRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JEMBATAN_SIPLATIH__KNOWS_REPEATS", "false")
    settings.cache_clear()
    code = program_registered()
    taken = room.asked(code, people(5))
    room.fail("complete", "lost")
    (step,) = worked()
    assert step.next == "needs_attention"
    assert "jembatan completions settle" in step.sentence
    later(24)
    assert worked() == []
    path = f"/api/v1/integrations/siplatih/completions/{taken['report_id']}/settle"
    refused = room.http.post(path, json={"is_there": True, "reason": f"Asked for {nik(1)}"})
    assert refused.status_code == 422
    said = room.http.post(path, json={"is_there": True, "reason": "Seen on their page"})
    assert said.json() == {"settled": 5}
    ended(room, taken)
    assert [one["times_told"] for one in room.book(code)] == [1] * 5


def test_a_call_that_surely_did_not_happen_goes_again(room: ClassRoom) -> None:
    code = program_registered()
    taken = room.asked(code, people(3))
    room.fail("complete", "429", times=5, retry_after=60)
    (step,) = worked()
    assert (step.next, states(taken)) == ("waits", {"waiting": 3})
    ended(room, taken)
    assert [one["times_told"] for one in room.book(code)] == [1] * 3


def test_a_chunk_that_is_rejected_loses_no_other(room: ClassRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEMBATAN_SIPLATIH__CHUNK_SIZE", "4")
    settings.cache_clear()
    code = program_registered()
    room.refuses("CERT-2024-000002")
    taken = room.asked(code, people(12))
    room.fail("complete", "code", code="400")  # the first chunk as a whole
    (step,) = worked()
    assert step.next == "needs_attention"
    assert states(taken) == {"rejected": 4, "accepted": 8}
    room.asked(code, people(12))  # handed in again: only who was rejected goes again
    worked()
    assert states(taken) == {"rejected": 1, "accepted": 11}
    (no,) = [one for one in rows(taken["report_id"]) if one.state == "rejected"]
    assert (no.code, no.row) == ("NIK_NOT_FOUND", 3)
    assert sorted(one["times_told"] for one in room.book(code)) == [1] * 11


def test_too_many_at_once_go_in_halves(room: ClassRoom) -> None:
    code = program_registered()
    room.behaves(max_participants=3)
    taken = room.asked(code, people(10))
    worked()
    assert states(taken) == {"accepted": 10}
    assert [one["times_told"] for one in room.book(code)] == [1] * 10


def test_a_409_is_done_only_where_the_certificate_agrees(room: ClassRoom) -> None:
    code = program_registered()
    taken = room.asked(code, people(3))
    room.fail("complete", "lost")
    worked()
    room.behaves(duplicates="conflict")
    ended(room, taken)
    assert [(one["times_told"], one["versions"]) for one in room.book(code)] == [(1, 1)] * 3


def test_other_values_of_a_person_are_a_correction_and_need_the_word(room: ClassRoom) -> None:
    code = program_registered()
    room.asked(code, people(10))
    worked()
    other = [person(4, final_score=71, full_name="Siti R. Wijaya")]
    answer = room.ask(code, other)
    assert answer.status_code == 422
    assert "say that it is a correction" in answer.json()["errors"][0]["reason"]
    room.behaves(corrections=True)
    taken = room.asked(code, other, correction=True)
    worked()
    assert room.shown(taken)["enrolled"] == 10  # rates are those of the whole class
    assert [one["versions"] for one in room.book(code)] == [1, 1, 1, 1, 2, 1, 1, 1, 1, 1]
    assert room.asked(code, other, correction=True)["report_id"] == taken["report_id"]
    with unit_of_work() as session:
        known = persons.find(session, nik(4))
        assert known is not None
        whole = persons.identity(known)
        assert whole is not None
        assert whole.name == "Siti R. Wijaya"


def test_a_correction_that_the_register_refuses_leaves_what_it_has(room: ClassRoom) -> None:
    code = program_registered()
    room.asked(code, people(2))
    worked()
    taken = room.asked(code, [person(0, final_score=71)], correction=True)
    (step,) = worked()  # "reported with other values", by the same certificate
    assert (step.next, step.states["rejected"], step.states["accepted"]) == ("needs_attention", 1, 0)
    room.behaves(corrections=True)
    room.refuses("CERT-2024-000001", code="ALREADY_REPORTED")
    room.asked(code, [person(1, final_score=71)], correction=True)
    assert worked()[0].states["rejected"] == 1
    # Both are still there with what was accepted: another value is a correction, and a certificate is theirs.
    assert "is a correction" in room.ask(code, [person(0, final_score=70)]).text
    assert "one person's" in room.ask(code, [person(5, certificate_number="CERT-2024-000000")]).text
    before = room.calls()
    longer = room.asked(code, people(3))
    (step,) = worked()
    assert (room.calls() - before, step.states["accepted"]) == (1, 1)
    assert [room.shown(longer)[name] for name in ("enrolled", "completed", "reported_before")] == [3, 3, 2]
    assert [one["versions"] for one in room.book(code)] == [1, 1, 1]
    assert sum(room.shown(taken)["participants"].values()) == 0


def test_a_certificate_number_is_one_persons_over_all_programs_of_the_lpk(room: ClassRoom) -> None:
    room.asked(program_registered(), people(2))
    answer = room.ask(program_registered(), [person(7, certificate_number="CERT-2024-000001")])
    assert answer.status_code == 422
    assert "one person's" in answer.json()["errors"][0]["reason"]


def test_a_score_is_sent_as_it_was_written(room: ClassRoom) -> None:
    code = program_registered()
    scores = [92.5, 92.55, 100, 0, 0.1, 33.33]
    taken = room.asked(code, [person(number, final_score=score) for number, score in enumerate(scores)])
    worked()
    assert states(taken) == {"accepted": 6}  # the register refuses a third decimal
    assert [one.final_score for one in rows(taken["report_id"])] == [Decimal(str(one)) for one in scores]


def test_a_class_waits_for_its_program_and_an_unknown_program_is_refused(room: ClassRoom) -> None:
    answer = room.ask("NOBODY-KNOWS", people(1))
    assert answer.json()["type"] == "urn:jembatan:problem:program-unknown"
    code = "P-not-yet"
    program_asked(code)
    taken = room.asked(code, people(2))
    (step,) = worked()
    assert (step.next, step.kind) == ("waits", "program-not-registered")
    program_registered(code)
    ended(room, taken)
    assert len(room.book(code)) == 2


def test_a_program_that_the_register_has_lost_is_for_a_person(room: ClassRoom) -> None:
    code = program_registered()
    taken = room.asked(code, people(2))
    room.till.sandbox.delete(f"/_sandbox/siplatih/programs/{code}").raise_for_status()
    (step,) = worked()
    assert (step.next, step.kind, states(taken)) == ("needs_attention", "program-unknown", {"waiting": 2})


def test_three_days_of_outage_hold_no_worker_and_lose_nobody(room: ClassRoom) -> None:
    codes = [program_registered() for _ in range(2)]
    taken = [room.asked(code, people(5, first=100 * place)) for place, code in enumerate(codes)]
    before = room.calls()  # other tests call the same sandbox
    for kind in ("500", "html", "lost"):
        room.till.sandbox.delete("/_sandbox/failures")
        room.fail("complete", kind, times=None)
        worked()
        for one in taken:
            run = run_of(one)
            assert run.state == "waiting"
            assert run.next_attempt_at is not None
            assert run.error is not None
        later(24)
    assert room.calls() - before < 20  # the gate keeps useless calls away
    room.till.sandbox.delete("/_sandbox/failures")
    for _ in range(4):
        worked()
        later(2)
    assert [run_of(one).state for one in taken] == ["succeeded"] * 2
    for code in codes:
        book = room.book(code)
        assert [one["versions"] for one in book] == [1] * 5


def test_an_idempotency_key_names_one_request(room: ClassRoom) -> None:
    code = program_registered()
    headers = {"Idempotency-Key": "class-1"}
    first = room.ask(code, people(1), headers=headers)
    assert first.status_code == 202
    assert room.ask(code, people(1), headers=headers).json()["is_new"] is False
    other = room.ask(code, people(2), headers=headers)
    assert other.json()["type"] == "urn:jembatan:problem:idempotency-key-reused"


def test_only_who_may_write_hands_in_a_class(room: ClassRoom) -> None:
    from records import client as clients

    with unit_of_work() as session:
        _, key = clients.create(session, "reader", ["siplatih:read"])
    answer = room.http.post(PATH, json={}, headers={"Authorization": f"Bearer {key.text}"})
    assert answer.status_code == 403


def test_a_report_under_way_is_not_overtaken_by_other_values(room: ClassRoom) -> None:
    code = program_registered()
    room.asked(code, people(1))
    answer = room.ask(code, [person(0, final_score=50)], correction=True)
    assert "just now" in answer.json()["errors"][0]["reason"]
    with unit_of_work() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(ProcessRun).filter_by(
            process="report-completion")) == 1  # fmt: skip


@pytest.mark.parametrize("is_ascii", [True, False])
def test_a_receipt_keeps_no_name_and_no_nik_of_whom_it_quotes(is_ascii: bool) -> None:
    one = {"nik": "3201014101900007", "full_name": "José Ni'mah"}
    chunk = reporting._Chunk(uuid4(), [uuid4()], [one], was_unknown=False)
    told = {"data": {"accepted": [one]}, "message": f"{one['full_name']} taken"}
    said = json.dumps(told, ensure_ascii=is_ascii)
    kept = chunk.without_persons(said.encode()).decode()
    assert json.loads(kept)["data"]["accepted"] == [{"nik": "3201********0007", "full_name": "***"}]
    assert json.loads(kept)["message"] == "*** taken"
