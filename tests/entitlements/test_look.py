"""The look at every learner's programs: the SQL held against the rules in plain Python."""

import random
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import entitlement_oracle as oracle
import psycopg
import pytest
import sqlalchemy as sa
from entitlement_oracle import Badge, Done, Grace, Pay, Population, Say
from entitlement_world import GRACE, NOW, look, random_population, shuffled, store, tell

from common.settings import settings
from records import db, entitlement, entitlement_look, entitlement_sql, process
from records.db import unit_of_work
from records.entitlement import CLASSES, EntitlementRun, Finding, FindingEvent
from records.entitlement_look import Rules


def run_of(run_id: UUID) -> EntitlementRun:
    with unit_of_work() as session:
        return session.get_one(EntitlementRun, run_id)


def open_ones() -> set[tuple[str | None, str, str]]:
    with unit_of_work() as session:
        found = session.scalars(sa.select(Finding).filter_by(state="open"))
        return {(one.learner_id, one.program_code, one.class_) for one in found}


def truth(world: Population, grace: Grace = GRACE, now: datetime = NOW) -> dict[str, Any]:
    """What the run has to say of that population, by the second implementation."""
    pairs = oracle.look(world, now, grace)
    is_found = [pair for pair, one in pairs.items() if "found" in one.values()]
    is_awaited = [pair for pair, one in pairs.items() if one and "found" not in one.values()]
    named = Counter((name, word) for one in pairs.values() for name, word in one.items())
    return {
        "pairs": len(pairs),
        "differing": len(is_found),
        "awaited": len(is_awaited),
        "in_order": len(pairs) - len(is_found) - len(is_awaited),
        "found": {name: named[name, "found"] for name in CLASSES},
        "waits": {name: named[name, "awaited"] for name in CLASSES},
        "open": {
            (*pair, name) for pair, one in pairs.items() for name, word in one.items() if word == "found"
        },
    }


def seen(run: EntitlementRun) -> dict[str, Any]:
    """The same of what was recorded."""
    return {
        "pairs": run.pairs,
        "differing": run.differing,
        "awaited": run.awaited,
        "in_order": run.in_order,
        "found": {name: run.classes[name]["found"] for name in CLASSES},
        "waits": {name: run.classes[name]["awaited"] for name in CLASSES},
        "open": open_ones(),
    }


@pytest.mark.parametrize("seed", range(6))
def test_every_pair_gets_the_classes_of_the_rules(database: str, seed: int) -> None:
    rng = random.Random(seed)
    world = random_population(rng, rng.choice([1, 40, 150]), f"s{seed}")
    grace = rng.choice([GRACE, GRACE, Grace(0, 0, 0, 0), Grace(since=date(2026, 11, 22))])
    store(world)
    run = run_of(look(grace))
    assert run.is_balanced, run.proof
    assert seen(run) == truth(world, grace)


def test_the_population_is_dense_enough_to_show_every_class_and_its_near_misses() -> None:
    found: Counter[tuple[str, str]] = Counter()
    for seed in range(6):
        world = random_population(random.Random(seed), 150)
        for one in oracle.look(world, NOW, GRACE).values():
            found.update(one.items())
    assert set(found) == {(name, word) for name in CLASSES for word in ("found", "awaited")}


def hours(count: float) -> datetime:
    """So many hours before the look."""
    return NOW - timedelta(hours=count)


# Each rule and what lies just beside it: what is known, and the classes that it is found in.
_DAY = (NOW - timedelta(days=7)).date()  # its midnight is exactly as old as a report may be
RULES: dict[str, tuple[list[Pay | Say | Done | Badge], set[str]]] = {
    "paid a day ago": ([Pay("a", "L", "P", "paid", hours(24))], {"paid_not_enrolled"}),
    "paid a second less than a day ago": (
        [Pay("a", "L", "P", "paid", hours(24) + timedelta(seconds=1))],
        set(),
    ),
    "paid and enrolled": (
        [Pay("a", "L", "P", "paid", hours(99)), Say("L", "P", "enrolled", hours(98))], set(),
    ),
    "paid and enrolled elsewhere": (
        [Pay("a", "L", "P", "paid", hours(99)), Say("L", "Q", "enrolled", hours(98), is_free=True)],
        {"paid_not_enrolled"},
    ),
    "paid under the order of another program": (
        [Pay("a", "L", "P", "paid", hours(99)), Say("L", "Q", "enrolled", hours(98), payment="a")],
        set(),
    ),
    "paid and withdrawn": (
        [Pay("a", "L", "P", "paid", hours(99)), Say("L", "P", "enrolled", hours(98)),
         Say("L", "P", "withdrawn", hours(25))],
        {"paid_not_enrolled"},
    ),
    "paid and withdrawn just now": (
        [Pay("a", "L", "P", "paid", hours(99)), Say("L", "P", "withdrawn", hours(23))], set(),
    ),
    "paid and withdrawn, and the money is going back": (
        [Pay("a", "L", "P", "paid", hours(99), is_going_back=True), Say("L", "P", "withdrawn", hours(90))],
        set(),
    ),
    "paid twice, and only one is going back": (
        [Pay("a", "L", "P", "paid", hours(99), is_going_back=True), Pay("b", "L", "P", "paid", hours(99))],
        {"paid_not_enrolled"},
    ),
    "pending": ([Pay("a", "L", "P", "pending", hours(99))], set()),
    "enrolled three days ago": ([Say("L", "P", "enrolled", hours(72))], {"enrolled_not_paid"}),
    "enrolled less than three days ago": ([Say("L", "P", "enrolled", hours(71))], set()),
    "enrolled for nothing": ([Say("L", "P", "enrolled", hours(99), is_free=True)], set()),
    "free, and then not": (
        [Say("L", "P", "enrolled", hours(99), is_free=True),
         Say("L", "P", "completed", hours(1), is_free=False)],
        {"enrolled_not_paid"},
    ),
    "enrolled, and the payment has expired": (
        [Say("L", "P", "enrolled", hours(99)), Pay("a", "L", "P", "expired", hours(99))],
        {"enrolled_not_paid"},
    ),
    "withdrawn without payment": ([Say("L", "P", "withdrawn", hours(99))], set()),
    "enrolled anew just now": (
        [Say("L", "P", "enrolled", hours(99)), Say("L", "P", "withdrawn", hours(50)),
         Say("L", "P", "enrolled", hours(2))], set(),
    ),
    "the money went back a day ago": (
        [Say("L", "P", "enrolled", hours(99)), Pay("a", "L", "P", "refunded", hours(98), hours(24))],
        {"refunded_still_enrolled"},
    ),
    "the money went back this morning": (
        [Say("L", "P", "enrolled", hours(99)), Pay("a", "L", "P", "refunded", hours(98), hours(8))], set(),
    ),
    "part of it went back": (
        [Say("L", "P", "enrolled", hours(99)), Pay("a", "L", "P", "partially_refunded", hours(98))], set(),
    ),
    "it went back and was paid again": (
        [Say("L", "P", "enrolled", hours(99)), Pay("a", "L", "P", "refunded", hours(98), hours(90)),
         Pay("b", "L", "P", "paid", hours(80))], set(),
    ),
    "reversed by the wallet": (
        [Say("L", "P", "enrolled", hours(99)), Pay("a", "L", "P", "reversed", hours(98), hours(30))],
        {"refunded_still_enrolled"},
    ),
    "it went back, and the learner enrolled anew": (
        [Pay("a", "L", "P", "refunded", hours(98), hours(90)), Say("L", "P", "enrolled", hours(80))],
        {"enrolled_not_paid"},
    ),
    "it went back and withdrawn": (
        [Say("L", "P", "withdrawn", hours(50)), Pay("a", "L", "P", "refunded", hours(98), hours(90))], set(),
    ),
    "completed a week ago, as the platform says": (
        [Say("L", "P", "completed", hours(168), is_free=True)], {"completed_not_reported"},
    ),
    "completed a week ago, as a class says": (
        [Done("L", "P", "LPK-1", 0, "COMPLETED", "rejected", _DAY, hours(1))], {"completed_not_reported"},
    ),
    "completed six days ago": (
        [Done("L", "P", "LPK-1", 0, "COMPLETED", "waiting", _DAY + timedelta(days=1), hours(1))], set(),
    ),
    "certified and never reported": ([Badge("L", "P", "C", _DAY)], {"completed_not_reported"}),
    "certified and revoked": ([Badge("L", "P", "C", _DAY, "revoked")], set()),
    "failed and not reported": ([Done("L", "P", "LPK-1", 0, "FAILED", "waiting", _DAY, hours(1))], set()),
    "completed, and reported as failed": (
        [Say("L", "P", "completed", hours(200), is_free=True),
         Done("L", "P", "LPK-1", 0, "FAILED", "accepted", _DAY, hours(200))], {"completed_not_reported"},
    ),
    "a correction on its way, the first is there": (
        [Done("L", "P", "LPK-1", 0, "COMPLETED", "accepted", _DAY, hours(70)),
         Done("L", "P", "LPK-1", 1, "COMPLETED", "waiting", _DAY, hours(1))], set(),
    ),
    "reported three days ago without payment": (
        [Done("L", "P", "LPK-1", 0, "COMPLETED", "accepted", _DAY, hours(72))], {"reported_without_payment"},
    ),
    "reported yesterday without payment": (
        [Done("L", "P", "LPK-1", 0, "COMPLETED", "accepted", _DAY, hours(24))], set(),
    ),
    "reported for nothing": (
        [Say("L", "P", "enrolled", hours(99), is_free=True),
         Done("L", "P", "LPK-1", 0, "COMPLETED", "accepted", _DAY, hours(99))], set(),
    ),
    "reported, and the money went back": (
        [Done("L", "P", "LPK-1", 0, "COMPLETED", "accepted", _DAY, hours(99)),
         Say("L", "P", "completed", hours(99)), Pay("a", "L", "P", "refunded", hours(98), hours(30))],
        {"reported_without_payment", "refunded_still_enrolled"},
    ),
    "sent, and the answer was lost": (
        [Done("L", "P", "LPK-1", 0, "COMPLETED", "unknown", _DAY, hours(99))], {"completed_not_reported"},
    ),
    "everything as it should be": (
        [Pay("a", "L", "P", "paid", hours(300)), Say("L", "P", "enrolled", hours(299)),
         Say("L", "P", "completed", hours(200)), Badge("L", "P", "C", _DAY),
         Done("L", "P", "LPK-1", 0, "COMPLETED", "accepted", _DAY, hours(190))], set(),
    ),
}  # fmt: skip


def test_each_rule_holds_and_so_does_what_lies_beside_it(database: str) -> None:
    """All of them in one population, each with learners, programs and references of its own."""
    world, expected = Population(), set()
    for number, (known, classes) in enumerate(RULES.values()):
        for one in known:
            names = {"learner": f"L{number}", "program": f"{one.program}{number}"}
            if isinstance(one, Pay):
                world.pays.append(replace(one, reference=f"{one.reference}{number}", **names))
            elif isinstance(one, Say):
                world.says.append(replace(one, payment=one.payment and f"{one.payment}{number}", **names))
            elif isinstance(one, Done):
                world.done.append(replace(one, number=len(world.done), **names))
            else:
                world.badges.append(replace(one, number=f"{one.number}{number}", **names))
        expected |= {(number, class_) for class_ in classes}
    store(world)
    run = run_of(look())
    names = list(RULES)
    found = {(int(str(learner)[1:]), class_) for learner, _, class_ in open_ones()}
    assert {(names[number], class_) for number, class_ in found} == {
        (names[number], class_) for number, class_ in expected
    }
    assert run.is_balanced, run.proof
    assert seen(run) == truth(world)


@pytest.mark.parametrize("seed", [7])
def test_the_order_in_which_anything_came_changes_nothing(
    fresh_database: Any, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = random.Random(seed)
    world = random_population(rng, 60, "o")
    runs = []
    for one, chunk in ((world, 1_000), (shuffled(world, rng), 7)):
        with fresh_database() as url:
            monkeypatch.setenv("JEMBATAN_DATABASE_URL", url)
            settings.cache_clear()
            store(one, chunk)
            runs.append(seen(run_of(look())))
            db.engine(url).dispose()
    settings.cache_clear()
    assert runs[0] == runs[1] == truth(world)


def test_a_second_look_finds_nothing_new_and_changes_nothing(database: str) -> None:
    world = random_population(random.Random(11), 60, "i")
    store(world)
    first = run_of(look())
    with unit_of_work() as session:
        before = {one.id: (one.state, one.opened_at) for one in session.scalars(sa.select(Finding))}
        events = session.scalar(sa.select(sa.func.count()).select_from(FindingEvent))
    second = run_of(look())
    assert {name: one["opened"] for name, one in second.classes.items()} == dict.fromkeys(CLASSES, 0)
    assert {name: one["resolved"] for name, one in second.classes.items()} == dict.fromkeys(CLASSES, 0)
    for name in CLASSES:
        assert second.classes[name]["still_open"] == first.classes[name]["opened"]
    with unit_of_work() as session:
        now = {one.id: (one.state, one.opened_at) for one in session.scalars(sa.select(Finding))}
        assert now == before
        assert session.scalar(sa.select(sa.func.count()).select_from(FindingEvent)) == events


def test_a_finding_keeps_its_identity_over_the_nights(database: str) -> None:
    store(Population(pays=[Pay("n-1", "L", "P", "paid", hours(48))]))
    first = run_of(look())
    with unit_of_work() as session:
        (finding,) = session.scalars(sa.select(Finding))
    assert first.classes["paid_not_enrolled"] | {"awaited": 0} == {
        "found": 1, "opened": 1, "still_open": 0, "explained": 0, "resolved": 0, "awaited": 0,
    }  # fmt: skip
    tell([Say("L", "P", "enrolled", hours(1))], {})
    second = run_of(look(at=NOW + timedelta(days=1)))
    assert (second.classes["paid_not_enrolled"]["resolved"], second.in_order) == (1, 1)
    tell([Say("L", "P", "withdrawn", hours(0.5))], {})
    third = run_of(look(at=NOW + timedelta(days=2)))
    assert third.classes["paid_not_enrolled"]["opened"] == 1
    with unit_of_work() as session:
        entitlement.explain(session, finding.id, by="client:rina", reason="The seat is kept for May; HR-12")
    fourth = run_of(look(at=NOW + timedelta(days=3)))
    assert (
        fourth.classes["paid_not_enrolled"]["found"],
        fourth.classes["paid_not_enrolled"]["explained"],
    ) == (1, 1)
    tell([Say("L", "P", "enrolled", hours(0))], {})
    look(at=NOW + timedelta(days=4))
    tell([Say("L", "P", "withdrawn", NOW + timedelta(hours=1))], {})
    fifth = run_of(look(at=NOW + timedelta(days=5)))
    assert (
        fifth.classes["paid_not_enrolled"]["still_open"] + fifth.classes["paid_not_enrolled"]["opened"] == 1
    )
    with unit_of_work() as session:
        (again,) = session.scalars(sa.select(Finding))
        assert again.id == finding.id
        told = [one.to_state for one in entitlement.history(session, again.id)]
    assert told == ["open", "resolved", "open", "explained", "resolved", "open"]


def test_a_proof_whose_figures_differ_does_not_balance(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(random_population(random.Random(3), 20, "b"))
    monkeypatch.setattr(entitlement_sql, "PAIRS", entitlement_sql.PAIRS + " LIMIT 9")
    run = run_of(look())
    assert not run.is_balanced
    assert run.proof["pairs"][1] == 9
    assert run.proof["pairs"][0] > 9


def test_a_look_that_dies_leaves_nothing_behind(database: str) -> None:
    store(Population(pays=[Pay("d-1", "L", "P", "paid", hours(48))]))
    with unit_of_work() as session:
        run, _ = process.request(session, entitlement.PROCESS, "dies", {})
    with psycopg.connect(db.database_url()) as dying:
        entitlement_look.take(dying, run.id, Rules.of(settings().entitlements), NOW)
        dying.rollback()
    assert open_ones() == set()
    look()
    assert open_ones() == {("L", "P", "paid_not_enrolled")}
