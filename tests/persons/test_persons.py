"""Who is known is sealed; who sees a whole NIK says why; what is erased is gone and all still adds up."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
import sqlalchemy as sa
from class_room import ClassRoom, nik, people, person, program_asked, program_registered, worked
from till import EMAIL
from typer.testing import CliRunner

from common import clock
from jembatan.cli import app
from records import audit, breach, process, program, retention, timeline
from records import client as clients
from records import person as persons
from records.db import unit_of_work
from records.person import Named, Person
from records.sealed import seal

WHY = "Asked for by the person, DPO-31"


def known(count: int = 1, learner_id: str | None = None) -> list[UUID]:
    """People whom we know, without a report."""
    with unit_of_work() as session:
        return persons.keep_many(
            session, [Named(nik(n), seal(f"Siti Rahma {n}".encode()), learner_id) for n in range(count)]
        )


def may(room: ClassRoom, *scopes: str) -> dict[str, str]:
    """The header of a client with these scopes."""
    with unit_of_work() as session:
        _, key = clients.create(session, "-".join(scopes).replace(":", "."), scopes)
    return {"Authorization": f"Bearer {key.text}"}


def acts(person_id: UUID) -> list[str]:
    with unit_of_work() as session:
        return [line.act for line in audit.of_person(session, person_id)]


def jembatan(*words: str, stdin: str = "") -> Any:
    return CliRunner().invoke(app, list(words), input=stdin)


def test_a_person_is_stored_sealed_and_found_by_the_number_alone(database: str) -> None:
    (id_,) = known()
    with psycopg.connect(database) as db:
        row = db.execute("SELECT nik_hash, nik, name FROM persons").fetchone()
    assert row is not None
    for stored in map(bytes, row):
        assert nik(0).encode() not in stored
        assert b"Siti" not in stored
    with unit_of_work() as session:
        found = persons.find(session, nik(0))
        assert found is not None
        assert found.id == id_
        assert persons.masked_nik(found) == f"{nik(0)[:4]}********{nik(0)[12:]}"
        assert persons.find(session, nik(1)) is None
    assert known() == [id_]  # the same person again


def test_a_whole_nik_needs_the_scope_and_a_reason_and_leaves_a_line(room: ClassRoom) -> None:
    (id_,) = known()
    path = f"/api/v1/persons/{id_}/reveal"
    assert room.http.post(path, json={"reason": WHY}).status_code == 403  # `*` does not include it
    with_scope = may(room, "persons:reveal")
    for reason in ("", "  ", "12", f"Is it {nik(0)}", "x" * 300):
        assert room.http.post(path, json={"reason": reason}, headers=with_scope).status_code == 422
    assert acts(id_) == []
    seen = room.http.post(path, json={"reason": WHY}, headers=with_scope)
    assert seen.json() == {"person_id": str(id_), "nik": nik(0), "full_name": "Siti Rahma 0"}
    assert seen.headers["cache-control"] == "no-store"
    lines = room.http.get(f"/api/v1/persons/{id_}/audit").json()["items"]
    assert [(one["act"], one["by"], one["reason"]) for one in lines] == [
        ("revealed", "client:persons.reveal", WHY)
    ]
    assert lines[0]["origin"] == "api 127.0.0.1"


def test_to_find_somebody_is_noted_too_and_shows_no_more_than_may_be_shown(room: ClassRoom) -> None:
    (id_,) = known()
    found = room.http.post("/api/v1/persons/find", json={"nik": nik(0)})
    assert found.json()["person_id"] == str(id_)
    assert nik(0) not in found.text
    assert "Siti" not in found.text
    assert acts(id_) == ["found"]
    missing = room.http.post("/api/v1/persons/find", json={"nik": nik(5)})
    assert missing.status_code == 404
    assert nik(5) not in missing.text


def test_the_audit_is_only_ever_added_to(database: str) -> None:
    (id_,) = known()
    with unit_of_work() as session:
        audit.note(
            session, [id_], "found", ["nik"], by="operator:x", recipient="operator:x", reason="r", origin="o"
        )
    for change in ("UPDATE personal_data_audit SET by = 'x'", "DELETE FROM personal_data_audit",
                   "TRUNCATE personal_data_audit"):  # fmt: skip
        with psycopg.connect(database) as db, pytest.raises(psycopg.errors.RestrictViolation):
            db.execute(change.encode())


def test_erased_is_gone_and_everything_still_adds_up(room: ClassRoom) -> None:
    code = program_registered()
    taken = room.asked(code, [person(n, learner_id=f"learner-{n}") for n in range(3)])
    with unit_of_work() as session:
        id_ = session.scalars(sa.select(Person.id).filter_by(learner_id="learner-1")).one()
    path = f"/api/v1/persons/{id_}/erase"
    early = room.http.post(path, json={"reason": WHY})
    assert early.json()["type"] == "urn:jembatan:problem:still-reported"
    worked()
    payment = room.till.create("gopay", learner={"id": "learner-1", "name": "Siti Rahma 1", "email": EMAIL})
    key = {"Idempotency-Key": "erase-learner-1"}
    done, again = (room.http.post(path, json={"reason": WHY}, headers=key).json() for _ in range(2))
    assert done == again  # the same request is answered as it was
    assert done == {"completions": 1, "credentials": 1, "payments": 0, "payments_under_way": 1}
    room.till.act(payment, "pay")
    room.till.becomes(payment, "paid")
    done = room.http.post(path, json={"reason": WHY}).json()  # once more, as the first answer says
    assert done == {"completions": 0, "credentials": 0, "payments": 1, "payments_under_way": 0}
    with unit_of_work() as session:
        assert persons.find(session, nik(1)) is None
        row = session.execute(sa.text("SELECT nik_hash, nik, name, learner_id FROM persons WHERE id = :id"),
                              {"id": id_}).one()  # fmt: skip
        assert tuple(row) == (None,) * 4
        left = session.execute(
            sa.text("SELECT learner, learner_id, status, amount_minor FROM payments")
        ).one()
        assert tuple(left) == (None, None, "paid", 15_000_000)
    shown = room.shown(taken)
    assert (shown["participants"]["accepted"], shown["enrolled"]) == (3, 3)
    listed = room.http.get(f"/api/v1/integrations/siplatih/completions/{taken['report_id']}/participants")
    assert [one["nik"] is None for one in listed.json()["items"]] == [False, True, False]
    assert acts(id_) == ["sent", "erased"]
    reveal = room.http.post(
        path.replace("erase", "reveal"), json={"reason": WHY}, headers=may(room, "persons:reveal")
    )
    assert reveal.status_code == 404
    again = room.ask(code, [person(1)], completion_date="2024-07-16")  # the certificate is still known
    assert "one person's" in again.json()["errors"][0]["reason"]


def test_what_waits_for_a_person_holds_up_no_erasure(room: ClassRoom) -> None:
    version_id = program_asked(code := "P-refused")
    with unit_of_work() as session:
        program.apply(session, [program.Move(version_id, "rejected", "test", "test")])
    taken = room.asked(code, people(2))
    (step,) = worked()
    assert (step.next, step.kind) == ("needs_attention", "program-not-registered")
    question = {"credential_id": "550e8400-e29b-41d4-a716-446655440000", "participant_nik": nik(0)}
    question |= {"credential_url": "https://issuer.example/1", "skkni_code": "J.620100.004.02"}
    path = "/api/v1/integrations/siplatih/verify-credential"
    check = room.http.post(path, json=question | {"issuance_date": "2024-07-15T10:30:00Z"}).json()
    with unit_of_work() as session:
        id_ = persons.find(session, nik(0)).id  # type: ignore[union-attr]
    erase = f"/api/v1/persons/{id_}/erase"
    assert room.http.post(erase, json={"reason": WHY}).status_code == 409
    with unit_of_work() as session:
        process.finish(session, UUID(check["process_id"]), "needs_attention")
    assert room.http.post(erase, json={"reason": WHY}).json()["completions"] == 1
    with unit_of_work() as session:
        for one in (taken, check):
            process.retry(session, UUID(one["process_id"]))
    worked()
    assert room.shown(taken)["participants"]["waiting"] == 1  # the other one, and nobody else
    check_id = check["check"]["check_id"]
    answer = room.http.get(f"/api/v1/integrations/siplatih/credential-checks/{check_id}").json()
    assert (answer["status"], "erased" in answer["reason"]) == ("not_verified", True)


def test_an_export_has_everything_and_lies_in_a_file_for_its_owner_only(
    room: ClassRoom, tmp_path: Path
) -> None:
    room.asked(program_registered(), [person(0, learner_id="learner-1")])
    worked()
    room.till.create("gopay", learner={"id": "learner-1", "name": "Siti Rahma 0", "email": EMAIL})
    file = tmp_path / "out.json"
    file.touch(0o644)
    ran = jembatan("export-subject", "--reason", WHY, "--output", str(file), stdin=nik(0) + "\n")
    assert ran.exit_code == 0, ran.output
    assert nik(0) not in ran.output
    assert file.stat().st_mode & 0o077 == 0
    found = json.loads(file.read_text())
    assert found["person"]["nik"] == nik(0)
    for what in ("completions", "credentials"):
        assert [one["certificate_number"] for one in found[what]] == ["CERT-2024-000000"]
    assert [one["learner"]["email"] for one in found["payments"]] == [EMAIL]
    assert [one["act"] for one in found["who_saw_it"]] == ["sent", "exported"]
    nobody = jembatan("export-subject", "--reason", WHY, stdin=nik(9) + "\n")
    assert nobody.exit_code != 0
    assert nik(9) not in nobody.output


def test_the_command_line_never_takes_a_nik_as_an_argument() -> None:
    for command in ("export-subject", "erase-subject"):
        told = jembatan(command, "--help").output
        assert "--person" in told
        assert "--nik" not in told


def test_a_breach_report_says_who_received_what_and_when(room: ClassRoom, tmp_path: Path) -> None:
    begin = clock.now()
    (id_,) = known()
    room.asked(program_registered(), people(4))
    worked()
    room.http.post(
        f"/api/v1/persons/{id_}/reveal", json={"reason": WHY}, headers=may(room, "persons:reveal")
    ).raise_for_status()
    room.till.create("gopay")
    lines = tmp_path / "lines.csv"
    ran = jembatan("breach-report", "--since", begin.isoformat(), "--persons", str(lines), "--json")
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.output)
    told = {(one["act"], one["recipient"]): one["persons"] for one in found["groups"]}
    assert told == {("sent", "siplatih"): 4, ("revealed", "client:persons.reveal"): 1, ("sent", "gopay"): 1}
    assert found["persons"] == 4
    assert len(lines.read_text().splitlines()) == 1 + 4 + 1
    assert nik(0) not in lines.read_text() + ran.output
    over_api = room.http.get("/api/v1/persons/breach-report", params={"since": begin.isoformat()})
    assert [one["times"] for one in over_api.json()["groups"]] == [one["times"] for one in found["groups"]]
    nothing = jembatan("breach-report", "--since", clock.now().isoformat())
    assert "Nobody saw" in nothing.output
    # A slip in the year is not answered with "nobody".
    for slip in ("yesterday", (clock.now() + timedelta(days=1)).isoformat()):
        assert jembatan("breach-report", "--since", slip).exit_code != 0


def test_a_breach_report_counts_every_one_of_many_lines(database: str) -> None:
    (id_,) = known()
    with psycopg.connect(database) as db:
        db.execute(
            "INSERT INTO personal_data_audit (person_id, act, fields, by, recipient, reason, origin, at)"
            " SELECT %s, 'sent', '{nik}', 'process:' || n %% 50, 'siplatih', 'r', 'worker',"
            " now() - n * interval '1 second' FROM generate_series(1, 200000) AS n",
            [id_],
        )
    with unit_of_work() as session:
        found = breach.report(session, clock.now() - timedelta(days=10), clock.now())
    assert sum(one["times"] for one in found["groups"]) == 200_000


def test_a_client_without_the_scope_sees_no_person(room: ClassRoom) -> None:
    (id_,) = known()
    other = may(room, "siplatih", "payments")
    for method, path in (
        ("POST", "/api/v1/persons/find"),
        ("GET", f"/api/v1/persons/{id_}"),
        ("GET", f"/api/v1/persons/{id_}/audit"),
        ("POST", f"/api/v1/persons/{id_}/erase"),
        ("POST", f"/api/v1/persons/{id_}/export"),
        ("GET", "/api/v1/persons/breach-report?since=2024-01-01T00:00:00Z"),
    ):
        answer: httpx.Response = room.http.request(method, path, json={}, headers=other)
        assert answer.status_code == 403, path


def test_a_learner_of_whom_we_know_no_nik_has_an_audit_too(room: ClassRoom, tmp_path: Path) -> None:
    begin = clock.now()
    payment = room.till.create("gopay", learner={"id": "learner-7", "name": "Siti Rahma 7", "email": EMAIL})
    room.till.act(payment, "pay")
    room.till.becomes(payment, "paid")
    file = tmp_path / "out.json"
    words = ("--learner", "learner-7", "--reason", WHY)
    for _ in range(2):
        file.unlink(missing_ok=True)
        assert jembatan("export-subject", *words, "--output", str(file)).exit_code == 0
    assert [one["act"] for one in json.loads(file.read_text())["who_saw_it"]] == ["exported"] * 2
    assert jembatan("erase-subject", *words, "--yes").exit_code == 0
    with unit_of_work() as session:
        lines = audit.of_learner(session, "learner-7")
        assert [(line.act, line.reason) for line in lines] == [("exported", WHY)] * 2 + [("erased", WHY)]
        told = breach.report(session, begin, clock.now())
        row = session.execute(sa.text("SELECT string_agg(a::text, ' ') FROM personal_data_audit a")).scalar()
    assert {one["act"]: one["persons"] for one in told["groups"]} == {"exported": 1, "erased": 1}
    assert "learner-7" not in (row or "")


def test_what_is_kept_for_a_time_goes_when_it_is_over(room: ClassRoom) -> None:
    room.asked(program_registered(), people(1), headers={"Idempotency-Key": "old"})
    worked()

    def count() -> tuple[int, ...]:
        with unit_of_work() as session:
            session.execute(sa.text("SET LOCAL enable_seqscan = off"))  # so small a table is read as a whole
            retention.forget_old(session)
            session.execute(sa.text("SELECT pg_stat_force_next_flush()"))  # else it is told a second late
            return tuple(
                session.execute(sa.text(f"SELECT count(*) FROM {what}")).scalar_one()
                for what in ("idempotency_keys", "completion_calls WHERE answer IS NOT NULL")
            )

    assert count() == (1, 1)
    with unit_of_work() as session:
        session.execute(sa.text("UPDATE idempotency_keys SET created_at = created_at - interval '401 days'"))
        session.execute(sa.text("UPDATE completion_calls SET sent_at = sent_at - interval '1826 days'"))
    assert count() == (0, 0)
    with unit_of_work() as session:
        used = set(
            session.scalars(sa.text("SELECT indexrelname FROM pg_stat_user_indexes WHERE idx_scan > 0"))
        )
    assert used >= {"completion_calls_answered", "idempotency_keys_age"}


def test_a_certificate_number_is_found_without_reading_all_of_them(database: str) -> None:
    with unit_of_work() as session:
        session.execute(sa.text("SET LOCAL enable_seqscan = off"))
        assert timeline.find(session, "CERT-2024-000000") is None
        session.execute(sa.text("SELECT pg_stat_force_next_flush()"))
    with unit_of_work() as session:
        used = set(
            session.scalars(sa.text("SELECT indexrelname FROM pg_stat_user_indexes WHERE idx_scan > 0"))
        )
    assert used >= {"completions_certificate", "credentials_certificate"}
