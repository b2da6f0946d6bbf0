"""Programs at the ministry's register: each once by its own books, whatever becomes of the answers."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from register_desk import NAME_OF_A_PERSON, Desk, codes, gate, later, program, row, worked
from till import wait_until

from common import clock
from ministry import line, registering
from records import service_gate
from records.db import database_url, unit_of_work
from records.process import ProcessRun
from records.program import ProgramEvent
from records.service_gate import Shut
from tasks import work


def test_a_program_is_registered_once_and_keeps_its_number(desk: Desk) -> None:
    asked = desk.asked()
    assert (asked["status"], asked["version"], asked["sent"]) == ("pending", 1, 0)
    worked()
    shown = desk.shown(asked)
    (booked,) = desk.books()
    assert (shown["status"], shown["siplatih_program_id"]) == ("registered", booked["siplatih_program_id"])
    assert shown["registered_at"] is not None
    assert [one["to_status"] for one in shown["events"]] == ["pending", "registered"]
    ended = desk.process(shown)
    assert ended["state"] == "succeeded"
    assert ended["outcome"]["siplatih_program_id"] == booked["siplatih_program_id"]
    assert worked() == []


def test_the_same_program_again_is_the_same_registration(desk: Desk) -> None:
    body = program()
    first = desk.asked(body)
    assert desk.asked(dict(reversed(body.items())))["process_id"] == first["process_id"]
    worked()
    again = desk.asked(body)
    assert (again["status"], again["process_id"]) == ("registered", first["process_id"])
    assert worked() == []
    assert len(desk.calls("register")) == 1


def test_a_burst_goes_in_its_order(desk: Desk) -> None:
    asked = [desk.asked() for _ in range(60)]
    steps = worked()
    assert codes(desk.books()) == codes(asked)
    assert [one.program_code for one in steps] == codes(asked)


def test_the_end_of_a_batch_wakes_the_relay_for_the_next(desk: Desk) -> None:
    asked = desk.asked()
    with psycopg.connect(database_url(), autocommit=True) as relay:
        relay.execute("LISTEN process_runs")
        with work.batch([UUID(asked["process_id"])]) as runs:
            registering.work(runs)
            assert not list(relay.notifies(timeout=0))
        assert list(relay.notifies(timeout=10, stop_after=1))
    assert desk.shown(asked)["status"] == "registered"


# Answers that are lost


@pytest.mark.parametrize("kind", ["lost", "reset_after", "500_after", "502_html", "half"])
def test_a_lost_answer_never_registers_twice(desk: Desk, kind: str) -> None:
    asked = desk.asked()
    desk.fail("register", kind)
    worked()
    shown = desk.shown(asked)
    assert (shown["status"], desk.process(shown)["state"]) == ("unknown", "waiting")
    later(minutes=2)
    assert desk.becomes(asked, "registered")["siplatih_program_id"] == desk.books()[0]["siplatih_program_id"]
    assert len(desk.calls("register")) == 1
    assert [one["to_status"] for one in desk.shown(asked)["events"]] == ["pending", "unknown", "registered"]


@pytest.mark.parametrize("kind", ["timeout", "reset", "500", "html"])
def test_what_never_arrived_is_sent_again_after_a_look(desk: Desk, kind: str) -> None:
    asked = desk.asked()
    desk.fail("register", kind)
    worked()
    assert desk.shown(asked)["status"] == "unknown"
    later(minutes=2)
    desk.becomes(asked, "registered")
    assert [one["operation"] for one in _of_programs(desk)][-2:] == ["look_up", "register"]
    assert len(desk.books()) == 1


def _of_programs(desk: Desk) -> list[dict[str, Any]]:
    calls = desk.calls("register") + desk.calls("look_up")
    return sorted(calls, key=lambda one: one["at"])


def test_what_may_be_on_its_way_is_not_sent_again_at_once(desk: Desk) -> None:
    asked = desk.asked()
    desk.fail("register", "late", seconds=1.5)  # it happens when the caller has gone
    worked()
    _due_now(asked)
    worked()
    assert desk.shown(asked)["status"] in ("unknown", "registered")
    wait_until(desk.books, "it to arrive, before the tests' clock says that it never will")
    later(minutes=2)
    desk.becomes(asked, "registered")
    assert len(desk.calls("register")) == 1


def _due_now(asked: dict[str, Any]) -> None:
    with unit_of_work() as session:
        session.execute(
            sa.update(ProcessRun).where(ProcessRun.state == "waiting").values(next_attempt_at=clock.now())
        )


def test_without_a_look_up_a_person_decides_that_it_is_registered(desk: Desk) -> None:
    desk.behaves(lookup="404")
    asked = desk.asked()
    desk.fail("register", "lost")
    worked()
    later(minutes=2)
    worked()
    shown = desk.shown(asked)
    assert (shown["status"], desk.process(shown)["state"]) == ("unknown", "needs_attention")
    assert "Ask the ministry" in shown["problem"]
    assert worked() == []  # nothing is sent by itself
    number = desk.books()[0]["siplatih_program_id"]
    assert desk.decide(asked, decision="registered", siplatih_program_id=number).status_code == 200
    shown = desk.shown(asked)
    assert (shown["status"], shown["siplatih_program_id"]) == ("registered", number)
    assert desk.process(shown)["state"] == "succeeded"
    assert shown["events"][-1]["source"] == "client:platform"
    assert len(desk.calls("register")) == 1


def test_without_a_look_up_a_person_lets_it_be_sent_again(desk: Desk) -> None:
    desk.behaves(lookup="405")
    asked = desk.asked()
    desk.fail("register", "reset")
    worked()
    later(minutes=2)
    worked()
    assert desk.decide(asked, decision="send_again").json()["status"] == "pending"
    worked()
    assert desk.shown(asked)["status"] == "registered"
    answer = desk.decide(asked, decision="send_again")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:jembatan:problem:not-undecided")


def test_a_number_of_another_program_is_not_taken(desk: Desk) -> None:
    first, second = desk.asked(), desk.asked()
    desk.behaves(lookup="404")
    desk.fail("register", "lost", times=2)
    worked()
    later(minutes=2)
    worked()
    number = desk.books()[0]["siplatih_program_id"]
    desk.decide(first, decision="registered", siplatih_program_id=number).raise_for_status()
    answer = desk.decide(second, decision="registered", siplatih_program_id=number)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:jembatan:problem:number-taken")


def test_what_is_never_answered_is_not_sent_for_ever(desk: Desk) -> None:
    asked = desk.asked()
    desk.fail("register", "html", times=None)
    for _ in range(12):
        worked()
        later(hours=2)
    shown = desk.shown(asked)
    assert (shown["sent"], desk.process(shown)["state"]) == (5, "needs_attention")


# What the register has already, or does not take


def test_what_the_register_has_of_the_same_lpk_and_name_is_taken_over(desk: Desk) -> None:
    body = program()
    asked = desk.asked(body)
    desk.fail("register", "lost")
    worked()
    number = desk.books()[0]["siplatih_program_id"]
    with unit_of_work() as session:  # we have lost all that we knew of the call
        session.execute(sa.text("UPDATE program_versions SET status = 'pending', is_outstanding = false"))
    later(minutes=2)
    worked()
    assert desk.shown(asked)["siplatih_program_id"] == number
    assert desk.calls("register")[-1]["status"] == 409


def test_the_code_of_another_lpk_is_a_conflict(desk: Desk) -> None:
    taken = desk.asked(program(program_code="SAME"))
    worked()
    asked = desk.asked(program(program_code="SAME", lpk_registration_number="LPK-2", lpk_name="LPK Lain"))
    worked()
    shown = desk.shown(asked)
    assert (shown["status"], desk.process(shown)["state"]) == ("conflict", "needs_attention")
    assert len(desk.books()) == 1
    assert taken["program_id"] != asked["program_id"]


@pytest.mark.parametrize("form", ["own", "laravel", "problem", "text"])
def test_a_refusal_is_final_and_says_why_in_every_form(desk: Desk, form: str) -> None:
    desk.behaves(program_types=["OTHER"], error_form=form)
    asked = desk.asked()
    worked()
    shown = desk.shown(asked)
    ended = desk.process(shown)
    assert (shown["status"], ended["state"], ended["error"]["type"]) == ("rejected", "failed", "rejected")
    if form in ("own", "laravel"):
        assert [one["where"] for one in shown["faults"]] == ["program_type"]
    desk.behaves(program_types=["VOCATIONAL"], error_form="own")
    desk.till.http.get("/")  # a person has it tried again
    with unit_of_work() as session:
        from uuid import UUID

        from records import process

        assert process.retry(session, UUID(shown["process_id"]))
    worked()
    assert desk.shown(asked)["status"] == "registered"


def test_a_corrected_program_is_a_new_version(desk: Desk) -> None:
    desk.behaves(program_types=["OTHER"])
    body = program()
    first = desk.asked(body)
    worked()
    desk.behaves(program_types=["VOCATIONAL"])
    second = desk.asked(body | {"participant_capacity": 60})
    assert (second["version"], second["program_id"]) == (2, first["program_id"])
    worked()
    assert desk.shown(second)["registered_version"] == 2


def test_a_change_of_a_registered_program_needs_the_word(desk: Desk) -> None:
    body = program()
    asked = desk.asked(body)
    changed = body | {"participant_capacity": 60}
    answer = desk.ask(changed)
    assert answer.json()["type"] == "urn:jembatan:problem:program-under-way"
    worked()
    number = desk.shown(asked)["siplatih_program_id"]
    answer = desk.ask(changed)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:jembatan:problem:program-registered")
    assert number in answer.json()["detail"]
    desk.asked(changed | {"change": True})
    worked()
    shown = desk.shown(asked)  # the register has no call for it, and says so
    assert (shown["version"], shown["status"]) == (2, "conflict")
    assert (shown["siplatih_program_id"], shown["registered_version"]) == (number, 1)
    assert "changed there by hand" in shown["problem"]
    desk.decide(asked, decision="registered", siplatih_program_id=number).raise_for_status()
    assert desk.shown(asked)["registered_version"] == 2


def test_a_register_that_takes_changes_has_the_new_version(desk: Desk) -> None:
    desk.behaves(updates=True)
    body = program()
    desk.asked(body)
    worked()
    asked = desk.asked(body | {"participant_capacity": 60, "change": True})
    worked()
    shown = desk.shown(asked)
    assert (shown["status"], shown["registered_version"]) == ("registered", 2)
    assert len(desk.books()) == 1


# Keys and tokens


def test_a_wrong_key_stops_all_and_tells_a_person(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from common.settings import settings

    asked = [desk.asked() for _ in range(3)]
    monkeypatch.setenv("JEMBATAN_SIPLATIH__CLIENT_SECRET", "another")
    settings.cache_clear()
    worked()
    states = [desk.process(one)["state"] for one in asked]
    assert states == ["needs_attention", "waiting", "waiting"]
    assert "CLIENT_ID" in desk.process(asked[0])["error"]["message"]
    assert len(desk.calls("register")) == 0


def test_tokens_that_end_early_are_renewed(desk: Desk) -> None:
    desk.asked()
    worked()
    desk.till.sandbox.delete("/_sandbox/tokens").raise_for_status()
    asked = desk.asked()
    worked()
    assert desk.shown(asked)["status"] == "registered"


# Persons


def test_names_of_instructors_are_nowhere_but_sealed(desk: Desk, database: str) -> None:
    desk.behaves(program_types=["OTHER"])
    asked = desk.asked()
    worked()
    desk.behaves(program_types=["VOCATIONAL"])
    second = desk.asked(program())
    worked()
    seen = json.dumps([desk.shown(asked), desk.shown(second), desk.process(asked), desk.process(second)])
    assert NAME_OF_A_PERSON not in seen
    import psycopg

    with psycopg.connect(database) as db:
        for (table,) in db.execute(
            "SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall():
            rows = db.execute(f"SELECT t::text FROM {table} t".encode()).fetchall()  # type: ignore[arg-type]
            assert not any("Ratna" in text or "Ilmu Komputer" in text for (text,) in rows), table
    (_, version) = row(second)
    assert version.content.keys() >= {"program_code", "curriculum"}


# The register is away


def test_an_outage_shuts_the_gate_and_everything_waits_until_a_stated_time(desk: Desk) -> None:
    desk.fail("any", "500", times=None)
    asked = [desk.asked() for _ in range(20)]
    worked()
    states = [desk.process(one) for one in asked]
    assert {one["state"] for one in states} == {"waiting"}
    found = gate()
    assert found is not None
    assert found.shut_until is not None
    assert {one["next_attempt_at"] for one in states[6:]} == {
        found.shut_until.isoformat().replace("+00:00", "Z")
    }
    assert "tried again at" in states[-1]["error"]["message"]
    tokens = len(desk.calls("token"))
    late = desk.asked()  # while it is shut nobody starts a worker for it
    assert desk.process(late)["state"] == "waiting"
    assert worked() == []
    assert len(desk.calls("token")) == tokens


def test_the_one_that_was_the_trial_waits_no_longer_than_those_behind_it(desk: Desk) -> None:
    desk.fail("any", "500", times=None)
    asked = [desk.asked() for _ in range(8)]
    for _ in range(3):
        worked()
        assert len({desk.process(one)["next_attempt_at"] for one in asked}) == 1
        later(hours=2)


@pytest.mark.slow
def test_three_days_away_then_all_goes_through_once_and_in_order(desk: Desk) -> None:
    """The same with two hundred programs and five thousand people is in test_outage.py."""
    asked = [desk.asked() for _ in range(8)]
    for hour, kind in ((0, "500"), (24, "html"), (48, "reset")):
        desk.fail("any", kind, times=None)
        worked()
        if hour == 24:
            asked += [desk.asked() for _ in range(2)]
        assert {desk.process(one)["state"] for one in (asked[0], asked[3], asked[-1])} == {"waiting"}
        desk.heal()
        later(hours=24)
    assert len(desk.calls("register")) == 0
    for _ in range(3):
        worked()
        later(minutes=40)
    assert codes(desk.books()) == codes(asked)
    assert {one["state"] for one in map(desk.process, asked)} == {"succeeded"}
    found = gate()
    assert found is not None
    assert (found.failures, found.shut_until) == (0, None)


def test_only_one_trial_goes_at_a_time(desk: Desk) -> None:
    desk.asked()
    worked()
    service_gate.shut("siplatih", "does not answer", timedelta(0))
    turns = service_gate.take_turns("siplatih", 500)
    assert (turns.is_trial, turns.left) == (True, 1)
    with pytest.raises(Shut):
        service_gate.take_turns("siplatih", 500)
    service_gate.answered("siplatih", turns)
    assert line.shut_now() is None
    assert not service_gate.take_turns("siplatih", 500).is_trial


def test_pauses_grow_to_half_an_hour(desk: Desk) -> None:
    desk.asked()
    worked()
    pauses = []
    turns = service_gate.Turns(0)
    for _ in range(12):
        until = service_gate.failed("siplatih", turns, "does not answer")
        turns = service_gate.Turns(1, is_trial=until is not None)
        if until is not None:
            pauses.append(round((until - clock.now()).total_seconds() / 60))
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


def test_who_is_asked_to_slow_down_waits_as_long_as_told_and_all_others_too(desk: Desk) -> None:
    asked = [desk.asked() for _ in range(3)]
    desk.fail("register", "429", times=1, retry_after=90)
    worked()
    assert {desk.process(one)["state"] for one in asked} == {"waiting"}
    later(seconds=95)
    worked()
    assert codes(desk.books()) == codes(asked)


def test_a_pace_is_kept_by_all_together(desk: Desk) -> None:
    import time

    begun = time.monotonic()
    for _ in range(10):
        service_gate.take_turns("siplatih", 50)  # five calls each
    assert time.monotonic() - begun > 0.8  # fifty calls at fifty a second


def test_the_history_is_only_added_to(desk: Desk) -> None:
    desk.asked()
    with pytest.raises(sa.exc.DBAPIError), unit_of_work() as session:
        session.execute(sa.delete(ProgramEvent))
