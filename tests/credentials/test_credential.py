"""One credential for each learner, program and certificate number, however often it is told."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import psycopg
import pytest
import sqlalchemy as sa
from registry import CONTENT, PROGRAM, exported, holder, told

from records import credential_state, db, status_list
from records.credential import Credential, OpenBadge
from records.credential_export import CredentialExport
from records.credential_state import NotPossible
from records.db import unit_of_work
from records.process import ProcessRun
from records.sealed import unseal, unseal_json
from records.status_list import StatusList

pytestmark = pytest.mark.usefixtures("database")


def count(model: type) -> int:
    with unit_of_work() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(model)) or 0


def test_told_a_hundred_times_by_two_workers_it_is_one_credential_with_one_place_and_one_export() -> None:
    people = [holder(number) for number in range(20)]
    with ThreadPoolExecutor(2) as two:
        made = list(two.map(lambda _: told(people), range(100)))
    assert count(Credential) == 20
    assert {tuple(one.id for one in each.credentials) for each in made} == {
        tuple(one.id for one in made[0].credentials)
    }
    assert sum(one.is_new for each in made for one in each.credentials) == 20
    runs = [each.run for each in made if each.run is not None]
    assert len(runs) == count(ProcessRun) == 1
    with unit_of_work() as session:
        assert session.scalars(sa.select(StatusList.taken)).all() == [20]
    assert exported(runs[0].id) == 20
    assert exported(runs[0].id) == 0
    assert count(OpenBadge) == 20


def test_what_is_known_keeps_what_it_says_and_the_teller_hears_that_it_differs() -> None:
    first = told([holder(1)]).credentials[0]
    again = told([holder(1, score="95.00")], issued_on=date(2026, 7, 16)).credentials[0]
    assert (again.id, again.is_new, again.is_same) == (first.id, False, False)
    with unit_of_work() as session:
        kept = session.get_one(Credential, first.id)
        assert (kept.score, kept.issued_on) == ("92.50", date(2026, 7, 15))


def test_the_same_learner_told_twice_in_one_report_is_one_credential() -> None:
    made = told([holder(1), holder(1), holder(2)])
    assert made.credentials[0].id == made.credentials[1].id != made.credentials[2].id
    assert count(Credential) == 2


def test_places_are_drawn_at_random_and_never_twice() -> None:
    for start in range(0, 600, 200):
        told([holder(number) for number in range(start, start + 200)])
    with unit_of_work() as session:
        places = session.execute(
            sa.select(Credential.status_list, Credential.status_index).order_by(Credential.created_at)
        ).all()
    indexes = [index for _, index in places]
    assert len(set(places)) == 600
    assert indexes != sorted(indexes)
    assert max(indexes) > status_list.SIZE / 2 > min(indexes)


def test_a_full_list_is_followed_by_the_next_one() -> None:
    told([holder(0)])
    with unit_of_work() as session:
        session.execute(sa.update(StatusList).values(taken=status_list.SIZE - 3))
        places = status_list.take(session, 5)
    assert [number for number, _ in places] == [places[0][0]] * 3 + [places[4][0]] * 2
    assert places[0][0] != places[4][0]


def test_the_name_and_the_address_are_sealed_and_the_badge_has_a_salted_hash_only(database: str) -> None:
    run = told([holder(1, name="Ni Luh O'Brien-Šiti")]).run
    assert run is not None
    exported(run.id)
    with psycopg.connect(database) as raw:
        rows = raw.execute("SELECT c::text, b.body FROM credentials c JOIN open_badges b ON true").fetchall()
        asked = raw.execute("SELECT input::text, outcome::text FROM process_runs").fetchall()
    text = str(rows) + str(asked)
    assert "Luh" not in text
    assert "@" not in text.lower().replace("@context", "")
    assert "sha256$" in text


def test_suspended_is_restored_and_revoked_is_for_good() -> None:
    one = told([holder(1)]).credentials[0].id
    with unit_of_work() as session:
        credential_state.apply(session, one, "suspended", source="client:lms", reason="Being looked at")
    with unit_of_work() as session:
        assert session.get_one(Credential, one).state == "suspended"
        credential_state.apply(session, one, "valid", source="client:lms", reason="")
        credential_state.apply(session, one, "revoked", source="client:lms", reason="Issued in error")
    with unit_of_work() as session, pytest.raises(NotPossible, match="cannot be undone"):
        credential_state.apply(session, one, "valid", source="client:lms", reason="")
    with unit_of_work() as session:
        assert [event.to_state for event in credential_state.history(session, one)] == [
            "suspended",
            "valid",
            "revoked",
        ]


def test_the_database_itself_lets_no_revocation_be_undone_and_no_badge_be_changed(database: str) -> None:
    run = told([holder(1)]).run
    assert run is not None
    exported(run.id)
    with psycopg.connect(database, autocommit=True) as raw:
        raw.execute("UPDATE credentials SET state = 'revoked', reason = 'x'")
        for statement in (
            "UPDATE credentials SET state = 'valid'",
            "DELETE FROM credentials",
            "UPDATE credentials SET status_index = status_index + 1",
            "UPDATE credentials SET id = gen_random_uuid()",
            "UPDATE open_badges SET body = 'another'",
        ):
            with pytest.raises(psycopg.errors.RestrictViolation):
                raw.execute(statement.encode())


def test_what_is_withdrawn_keeps_its_bit_and_loses_its_person(database: str) -> None:
    run = told([holder(1), holder(2)]).run
    assert run is not None
    exported(run.id)
    with unit_of_work() as session:
        assert credential_state.withdraw(session, "learner-1", source="operator:dpo").credentials == 1
    with psycopg.connect(database) as raw:
        rows = raw.execute("SELECT c::text FROM credentials c WHERE state = 'revoked'").fetchall()
        assert len(rows) == 1
        assert "learner-1" not in str(rows)
        assert raw.execute("SELECT count(*) FROM open_badges").fetchone() == (1,)


def test_a_credential_that_expired_by_its_date_says_so_unless_it_was_revoked() -> None:
    one = told([holder(1)]).credentials[0].id
    with unit_of_work() as session:
        found = session.get_one(Credential, one)
        assert found.state_on(date(2031, 7, 15)) == "valid"
        assert found.state_on(date(2031, 7, 16)) == "expired"
        credential_state.apply(session, one, "revoked", source="client:lms", reason="Issued in error")
        assert found.state_on(date(2031, 7, 16)) == "revoked"


def test_revoked_ones_are_not_exported_any_more_and_new_targets_reach_what_is_known() -> None:
    made = told([holder(1), holder(2)])
    with unit_of_work() as session:
        credential_state.apply(session, made.credentials[0].id, "revoked", source="client:a", reason="x")
    again = told([holder(1), holder(2)], targets=("open_badge", "europass"))
    assert again.run is not None
    with unit_of_work() as session:
        rows = session.scalars(sa.select(CredentialExport).filter_by(target="europass")).all()
        assert [one.credential_id for one in rows] == [made.credentials[1].id]


def test_learners_of_one_achievement_share_its_content() -> None:
    told([holder(1)])
    told([holder(2)])
    told([holder(3)], achievement=CONTENT.__class__("Lain", "Lain", "Lain"))
    with unit_of_work() as session:
        per = session.execute(
            sa.select(Credential.achievement_id, sa.func.count()).group_by(Credential.achievement_id)
        ).all()
        assert sorted(number for _, number in per) == [1, 2]
        assert session.scalars(sa.select(Credential.program_code)).unique().all() == [PROGRAM]


def test_names_that_were_sealed_with_their_address_are_sealed_apart(database: str) -> None:
    with_address, without = told([holder(1), holder(2, name="Ni Luh O'Brien-Šiti", email=None)]).credentials
    db.downgrade(database, "0024")
    with psycopg.connect(database) as raw:
        sealed = dict(raw.execute("SELECT id, holder FROM credentials").fetchall())
    assert unseal_json(sealed[with_address.id]) == {"name": "Siti Aminah 1", "email": "siti1@example.com"}
    db.upgrade(database)
    with unit_of_work() as session:
        first, second = (session.get_one(Credential, one.id) for one in (with_address, without))
        assert (first.holder_name(), second.holder_name()) == ("Siti Aminah 1", "Ni Luh O'Brien-Šiti")
        assert first.email is not None
        assert (unseal(first.email), second.email) == (b"siti1@example.com", None)
