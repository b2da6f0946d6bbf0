"""Random learners, dense with trouble, and the way to put them into the database."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
from entitlement_oracle import WIB, Badge, Done, Grace, Pay, Population, Say

from records import enrolment, entitlement_look, process
from records.db import connection, unit_of_work
from records.enrolment import Statement
from records.entitlement import PROCESS
from records.entitlement_look import Rules

NOW = datetime(2026, 11, 25, 0, 0, tzinfo=WIB)  # midnight, so that a completion's day can be exactly as old
GRACE = Grace()
LPKS = ("LPK-1", "LPK-2")
_HOURS = (0, 1, 23, 24, 25, 48, 71, 72, 73, 167, 168, 169, 400, 1000)


def rules(grace: Grace = GRACE) -> Rules:
    hours = [timedelta(hours=one) for one in (grace.enrol, grace.pay, grace.report, grace.withdraw)]
    return Rules(*hours, grace.since)


def ago(rng: random.Random) -> datetime:
    """Some time before now: often exactly a grace, or a second beside it."""
    return NOW - timedelta(hours=rng.choice(_HOURS), seconds=rng.choice([0, 0, 1, -1]))


def random_population(rng: random.Random, learners: int, mark: str = "") -> Population:
    """People of whom anything may be known, in two or three programs."""
    world = Population()
    programs = [f"P{mark}-{number}" for number in range(3)]
    for number in range(learners):
        learner = f"L{mark}-{number}"
        for program in rng.sample(programs, rng.choice([1, 1, 2])):
            _random_pair(rng, world, learner, program, f"{mark}{number}{program}")
    # Payments of nobody, as another ledger's: some are named by enrolments, of two learners too.
    for number in range(max(1, learners // 10)):
        reference = f"X{mark}-{number}"
        world.pays.append(Pay(reference, None, None, rng.choice(["paid", "refunded"]), ago(rng)))
        for place in (
            rng.sample(range(len(world.says)), min(2, len(world.says))) if rng.random() < 0.7 else []
        ):
            world.says[place] = replace(world.says[place], payment=reference, is_free=None)
    return world


def _random_pair(rng: random.Random, world: Population, learner: str, program: str, mark: str) -> None:
    mine = []
    for number in range(rng.choices([0, 1, 2], [30, 60, 10])[0]):
        status = rng.choices(
            ["paid", "partially_refunded", "refunded", "reversed", "pending", "expired"], [55, 8, 17, 5, 8, 7]
        )[0]
        paid_at = ago(rng)
        back = (
            paid_at + timedelta(hours=rng.choice([0, 1, 24, 100]))
            if status in ("refunded", "reversed")
            else None
        )
        holds = status in ("paid", "partially_refunded")
        mine.append(
            Pay(
                f"R{mark}-{number}", learner, program, status, paid_at,
                back if rng.random() < 0.9 else None, holds and rng.random() < 0.15,
            )
        )  # fmt: skip
    world.pays += mine
    for number in range(rng.choices([0, 1, 2, 3], [25, 45, 20, 10])[0]):
        state = rng.choices(["enrolled", "completed", "withdrawn"], [55, 20, 25])[0]
        payment = rng.choice(mine).reference if mine and rng.random() < 0.3 else None
        is_free = None if payment else rng.choices([None, True, False], [75, 15, 10])[0]
        at = ago(rng) if number == 0 or rng.random() < 0.8 else world.says[-1].at  # at the same moment too
        if any(
            (say.learner, say.program, say.at, say.state) == (learner, program, at, state)
            for say in world.says
        ):
            continue  # what contradicts itself at one moment goes by what came last, and is no random matter
        world.says.append(Say(learner, program, state, at, payment, is_free))
    for lpk in LPKS[: rng.choices([0, 1, 2], [55, 38, 7])[0]]:
        for number in range(rng.choices([1, 2], [75, 25])[0]):
            state = rng.choices(["accepted", "waiting", "sent", "unknown", "rejected"], [60, 10, 10, 10, 10])[
                0
            ]
            status = rng.choices(["COMPLETED", "FAILED", "WITHDRAWN"], [75, 15, 10])[0]
            learner_or_none = learner if rng.random() < 0.97 or number else None
            world.done.append(
                Done(learner_or_none, program, lpk, len(world.done), status, state, ago(rng).date(), ago(rng))
            )
            if learner_or_none is None:
                break
    if rng.random() < 0.25:
        state = rng.choices(["valid", "suspended", "revoked"], [70, 10, 20])[0]
        world.badges.append(Badge(learner, program, f"C{mark}", ago(rng).date(), state))


def shuffled(world: Population, rng: random.Random) -> Population:
    """The same in another order; completions of one person stay one after the other."""
    parts = [rng.sample(part, len(part)) for part in (world.pays, world.says, world.badges)]
    places = {one: rng.random() for one in sorted({(str(d.learner), d.program, d.lpk) for d in world.done})}
    order = sorted(world.done, key=lambda d: (places[str(d.learner), d.program, d.lpk], d.number))
    return Population(parts[0], parts[1], order, parts[2])


def store(world: Population, chunk: int = 200) -> None:
    """Put it all into the database; enrolments go in as the platform tells them."""
    with connection() as db:
        payments = _store_payments(db, world.pays)
        _store_completions(db, world.done)
        _store_credentials(db, world.badges)
    tell(world.says, payments, chunk)


def tell(says: Sequence[Say], payments: dict[str, UUID], chunk: int = 200) -> None:
    statements = [
        Statement(
            one.learner, one.program, one.state, one.at, one.is_free,
            payments[one.payment] if one.payment else None,
        )
        for one in says
    ]  # fmt: skip
    for first in range(0, len(statements), chunk):
        with unit_of_work() as session:
            enrolment.tell(session, statements[first : first + chunk], by="client:platform")


def look(grace: Grace = GRACE, at: datetime = NOW) -> UUID:
    """Take one look; the id of its run."""
    with unit_of_work() as session:
        run, _ = process.request(session, PROCESS, uuid4().hex, {})
    with connection() as db:
        entitlement_look.take(db, run.id, rules(grace), at)
    return run.id


def _store_payments(db: psycopg.Connection, pays: Sequence[Pay]) -> dict[str, UUID]:
    ids = {one.reference: uuid4() for one in pays}
    with db.cursor() as cursor:
        with cursor.copy(
            "COPY payments (id, reference, gateway, amount_minor, refunded_minor, currency, status,"
            " created_at, paid_at, learner_id, program_code) FROM STDIN"
        ) as rows:
            for one in pays:
                was_paid = one.status not in ("pending", "expired")
                rows.write_row(
                    (
                        ids[one.reference], one.reference, "gopay", 15_000_000,
                        15_000_000 if one.status == "refunded" else 0, "IDR", one.status, one.paid_at,
                        one.paid_at if was_paid else None, one.learner, one.program,
                    )
                )  # fmt: skip
        gone = [one for one in pays if one.back_at]
        cursor.executemany(
            "INSERT INTO payment_events (payment_id, cause, to_status, effective_at)"
            " VALUES (%s, 'test', %s, %s)",
            [(ids[one.reference], one.status, one.back_at) for one in gone if one.status == "reversed"],
        )
        cursor.executemany(
            "INSERT INTO refunds (payment_id, reference, gateway, amount_minor, currency, status, created_at,"
            " confirmed_at) VALUES (%s, %s, 'gopay', 15000000, 'IDR', %s, now(), %s)",
            [
                (ids[one.reference], f"B-{one.reference}", "confirmed", one.back_at)
                for one in gone
                if one.status == "refunded"
            ]
            + [
                (ids[one.reference], f"B-{one.reference}", "approved", None)
                for one in pays
                if one.is_going_back
            ],
        )
    return ids


def _store_completions(db: psycopg.Connection, done: Sequence[Done]) -> None:
    programs: dict[tuple[str, str], UUID] = {}
    reports: dict[UUID, UUID] = {}
    people: dict[object, UUID] = {}
    newest: dict[tuple[UUID, UUID], UUID] = {}
    for place, one in enumerate(done):
        program = programs.get((one.lpk, one.program))
        if program is None:
            program = programs[one.lpk, one.program] = uuid4()
            reports[program] = uuid4()
            run = db.execute(
                "INSERT INTO process_runs (process, key, state) VALUES ('report-completion', %s, 'succeeded')"
                " RETURNING id",
                [str(program)],
            ).fetchone()
            assert run
            db.execute(
                "INSERT INTO training_programs (id, lpk_registration_number, program_code, lpk_name_key)"
                " VALUES (%s, %s, %s, 'lpk')",
                [program, one.lpk, one.program],
            )
            db.execute(
                "INSERT INTO completion_reports (id, program_id, completion_date, content, enrolled,"
                " completed, certified, completion_rate, certification_rate, reported_before, refused,"
                " allow_partial, is_correction, requested_by, process_run_id)"
                " VALUES (%s, %s, %s, %s, 1, 1, 0, 100, 0, 0, '[]', false, false, 'client:platform', %s)",
                [reports[program], program, one.on, program.bytes * 2, run[0]],
            )
        who = one.learner if one.learner is not None else place
        if who not in people:
            people[who] = uuid4()
            db.execute(
                "INSERT INTO persons (id, nik_hash, nik, name, learner_id) VALUES (%s, %s, 'x', 'x', %s)",
                [people[who], people[who].bytes * 2, one.learner],
            )
        mine = (program, people[who])
        made, before = uuid4(), newest.get(mine)
        if before:
            db.execute("UPDATE completions SET superseded_at = now() WHERE id = %s", [before])
        newest[mine] = made
        db.execute(
            "INSERT INTO completions (id, report_id, row, chunk, program_id, lpk_registration_number,"
            " person_id, completion_status, completion_date, fingerprint, state, sent_at, answered_at,"
            " supersedes, created_at)"
            " VALUES (%s, %s, 1, 0, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                made, reports[program], program, one.lpk, people[who], one.status, one.on, made.bytes * 2,
                one.state, one.answered_at,
                one.answered_at if one.state in ("accepted", "rejected") else None,
                before, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=one.number),
            ],
        )  # fmt: skip


def _store_credentials(db: psycopg.Connection, badges: Sequence[Badge]) -> None:
    if not badges:
        return
    number = db.execute(
        "INSERT INTO status_lists (size, taken, places) VALUES (131072, %s, %s) RETURNING number",
        [len(badges), bytes(4 * 131072)],
    ).fetchone()
    achievement = uuid4()
    db.execute(
        "INSERT INTO achievements (id, program_code, lpk_registration_number, content, digest)"
        " VALUES (%s, 'P', 'LPK-1', %s, %s)",
        [achievement, json.dumps({"name": "n", "description": "d", "criteria": "c"}), achievement.bytes * 2],
    )
    assert number
    with db.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO credentials (learner_id, program_code, certificate_number, achievement_id,"
            " issued_on,"
            " status_list, status_index, state, reason) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    one.learner, one.program, one.number, achievement, one.on, number[0], index, one.state,
                    None if one.state == "valid" else "a test",
                )
                for index, one in enumerate(badges)
            ],
        )  # fmt: skip
