"""A file of programs: all or none of it, each once whoever else asks, in a few statements for hundreds."""

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from register_desk import Desk, gate, program, worked
from test_programs_door import run, written
from till import wait_until

from ministry import programs
from ministry.programs import FileAsked
from providers.siplatih.program_file import Entry
from records import program as records_program
from records import program_request, service_gate
from records.db import database_url, engine, unit_of_work
from records.process import ProcessRun
from records.program import Move, Program, ProgramEvent, ProgramVersion
from records.program_request import Asked, Wanted


def asked_for(bodies: Sequence[dict[str, Any]]) -> FileAsked:
    entries = [Entry(f"program {at}", body) for at, body in enumerate(bodies, 1)]
    with unit_of_work() as session:
        return programs.ask_for_file(session, entries, by="operator:test", change=False)


def test_a_file_of_sixty_takes_no_more_statements_than_one_of_three(database: str) -> None:
    asked_for([program()])  # what is made once is made
    counted: list[str] = []
    sa.event.listen(engine(database_url()), "before_cursor_execute", lambda *told: counted.append(told[2]))
    numbers = []
    for size in (3, 60):
        bodies = [program() for _ in range(size)]
        for is_new in (True, False):
            counted.clear()
            asked = asked_for(bodies)
            assert {one.is_new for _, one in asked.asked} == {is_new}
            numbers.append(len(counted))
    assert numbers[:2] == numbers[2:]
    assert max(numbers) <= 12


def test_two_overlapping_files_at_once_ask_for_each_program_once(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in an order of its own, and in so many steps that they meet in the middle."""
    monkeypatch.setattr(program_request, "CHUNK", 2)
    bodies = [program(program_code=f"O-{number:02d}") for number in range(60)]
    asked_for([program()])
    at_once = threading.Barrier(3)

    def ask(some: Sequence[dict[str, Any]]) -> FileAsked:
        at_once.wait()
        return asked_for(some)

    with ThreadPoolExecutor(3) as people:
        told = [people.submit(ask, some) for some in (bodies[:50], bodies[:9:-1], bodies[30:31])]
        files = [one.result() for one in told]
    assert [one.faults for one in files] == [[], [], []]
    assert sum(len(one.new) for one in files) == 60
    with unit_of_work() as session:
        for table in (Program, ProgramVersion, ProcessRun, ProgramEvent):
            assert session.scalar(sa.select(sa.func.count()).select_from(table)) == 61


def test_who_registers_programs_waits_for_them_in_the_order_of_a_file(database: str) -> None:
    """Else a worker and a file that is handed in once more would wait for each other for ever."""
    late, early = (asked_for([program(program_code=code)]).asked[0][1] for code in ("Z", "A"))

    def register() -> None:
        with unit_of_work() as session:
            moves = [moved(one, number) for one, number in ((late, "N-1"), (early, "N-2"))]
            records_program.apply(session, moves)

    with psycopg.connect(database) as file, ThreadPoolExecutor(1) as worker:
        file.execute("SET lock_timeout = '10s'")
        lock = "SELECT FROM training_programs WHERE program_code = %s FOR NO KEY UPDATE"
        file.execute(lock, ["A"])
        registered = worker.submit(register)
        wait_until(lambda: waiting(database), "the worker to wait for the file")
        file.execute(lock, ["Z"])
        file.commit()
        registered.result(20)


def moved(asked: Asked, number: str) -> Move:
    return Move(asked.version.id, "registered", "answer", "process", siplatih_program_id=number)


def waiting(database: str) -> bool:
    with psycopg.connect(database) as db:
        found = db.execute(
            "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return found.fetchone() is not None


def test_a_file_changes_what_is_registered_only_with_the_word(desk: Desk, tmp_path: Path) -> None:
    bodies = [program(program_code=f"C-{number}") for number in range(3)]
    assert run("register", str(written(tmp_path / "a.json", bodies))).exit_code == 0
    worked()
    bodies[1]["participant_capacity"] = 60
    bodies.append(program(program_code="C-3"))
    file = written(tmp_path / "b.json", bodies)
    told = json.loads((result := run("register", str(file), "--json")).stdout)
    assert (result.exit_code, told["programs"], told["new"], told["asked"]) == (1, 4, 0, [])
    assert [(one["program"], one["where"]) for one in told["faults"]] == [("program 2", "program_code")]
    assert "is registered with other content" in told["faults"][0]["reason"]
    told = json.loads(run("register", str(file), "--json", "--change").stdout)
    assert (told["new"], told["known"]) == (2, 2)
    assert [(one["program_code"], one["version"], one["is_new"]) for one in told["asked"]] == [
        ("C-0", 1, False), ("C-1", 2, True), ("C-2", 1, False), ("C-3", 1, True),
    ]  # fmt: skip


def test_an_lpk_that_slips_within_a_file_is_named_by_its_row(database: str) -> None:
    slip = program(lpk_registration_number="LPK-99999-2023")
    asked = asked_for([program(), slip, program()])
    assert [(entry.where, one.path) for entry, one in asked.faults] == [
        ("program 2", "lpk_registration_number")
    ]
    assert asked.asked == []
    with unit_of_work() as session:
        assert session.scalars(sa.select(ProgramVersion)).all() == []
    asked = asked_for([program(), slip | {"new_lpk_number": True}, slip])
    assert (asked.faults[0][0].where, len(asked.faults)) == ("program 3", 1)  # one program, twice in the file


def test_a_file_while_the_register_is_left_alone_waits_until_it_is_called_again(database: str) -> None:
    service_gate.take_turns("siplatih", 500)
    service_gate.shut("siplatih", "does not answer", timedelta(minutes=5))
    asked = asked_for([program() for _ in range(3)])
    found = gate()
    assert found is not None
    assert {(one.run.state, one.run.next_attempt_at) for one in asked.new} == {("waiting", found.shut_until)}
    assert {(one.run.error or {})["type"] for one in asked.new} == {service_gate.SHUT}


def test_what_a_file_asks_for_goes_in_its_order_whatever_its_codes(database: str) -> None:
    codes = ["M", "Z", "A", "K"]
    asked_for([program(program_code=code) for code in codes])
    with unit_of_work() as session:
        runs = session.scalars(sa.select(ProcessRun).order_by(ProcessRun.created_at, ProcessRun.id)).all()
        assert [run.input["program_code"] for run in runs] == codes
        held = program_request.hold(session, [Wanted(program(program_code="M", participant_capacity=1))])
        assert isinstance(held[0], records_program.Refused)
