"""The match of a report against the ledger: the SQL held against the rules in plain Python."""

import random
from datetime import timedelta
from pathlib import Path

import oracle
import psycopg
import pytest
import world
from psycopg import sql
from world import DAY, counts, load_ledger, random_items, random_line, run_day

from common.errors import Transient
from records import matching, reconciliation
from records.db import connection, unit_of_work
from records.staging import Staging


@pytest.mark.parametrize(
    "seed", [*range(8), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(8, 40))]
)
def test_every_line_and_payment_gets_the_class_of_the_rules(database: str, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    items = random_items(rng, rng.choice([1, 8, 60]))
    load_ledger(tmp_path, items)
    earlier: list[oracle.Result] = []
    for offset in (-1, 0, 1):
        day = DAY + timedelta(days=offset)
        lines = [random_line(rng, items, day) for _ in range(rng.choice([3, 30, 120]))]
        lines += rng.choices(lines, k=len(lines) // 10)
        expected = oracle.reconcile(items, [lines], day, earlier=earlier)
        assert counts(run_day(tmp_path, [lines], day)) == expected.counts()
        earlier.append(expected)


@pytest.mark.parametrize("seed", range(5))
def test_order_of_lines_files_and_overlap_change_nothing(database: str, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    items = random_items(rng, 40)
    load_ledger(tmp_path, items)
    lines = [random_line(rng, items, DAY) for _ in range(100)]
    lines += rng.choices(lines, k=10)
    whole = counts(run_day(tmp_path, [lines]))
    shuffled = rng.sample(lines, len(lines))
    assert counts(run_day(tmp_path, [shuffled])) == whole
    distinct = list(dict.fromkeys(lines))
    first, second = set(distinct[: len(distinct) // 2]), set(distinct[len(distinct) // 2 :])
    parts = [[line for line in lines if line in part] for part in (first, second)]
    assert counts(run_day(tmp_path, parts)) == whole
    overlapping = [[line for line in lines if line in first | set(distinct[-20:])], parts[1]]
    statement = run_day(tmp_path, overlapping)
    assert counts(statement) == whole
    with unit_of_work() as session:
        found = session.get_one(reconciliation.Reconciliation, statement)
        assert found.overlap_rows == oracle.without_overlap(overlapping)[1]
        assert found.version == 4


def test_world_is_dense_enough_to_show_every_class() -> None:
    seen: set[str] = set()
    for seed in range(10):
        rng = random.Random(seed)
        items = random_items(rng, 60)
        lines = [random_line(rng, items, DAY) for _ in range(120)]
        result = oracle.reconcile(items, [lines], DAY)
        seen |= {name for name, rows in result.classes.items() if rows}
    assert seen == set(world.oracle.CLASSES)


def test_staged_lines_that_a_crash_of_the_server_has_emptied_are_noticed(
    database: str, tmp_path: Path
) -> None:
    rng = random.Random(1)
    lines = [random_line(rng, random_items(rng, 3), DAY) for _ in range(5)]
    path = world.write(tmp_path / "report.csv", world.REPORT_HEAD, [world.line_text(line) for line in lines])

    def crash(db: psycopg.Connection, table: Staging) -> None:
        db.execute(sql.SQL("TRUNCATE {}").format(table.lines))

    with pytest.raises(Transient, match="has lost the staged lines"):
        world.run_files([path], DAY, tmp_path, after_staging=crash)


@pytest.mark.parametrize("figure", ["ledger_rows", "ledger_minor", "report_rows", "report_minor"])
def test_a_proof_whose_figures_differ_does_not_balance(database: str, tmp_path: Path, figure: str) -> None:
    rng = random.Random(7)
    items = random_items(rng, 10)
    load_ledger(tmp_path, items)
    statement = run_day(tmp_path, [[random_line(rng, items, DAY) for _ in range(10)]])
    with connection() as db:
        name = f"{figure}_counted"
        db.execute(
            "UPDATE reconciliations"
            " SET proof = jsonb_set(proof, ARRAY[%s], to_jsonb((proof->>%s)::bigint + 1))",
            [name, name],
        )
        assert not matching.prove(db, statement)
    with unit_of_work() as session:
        assert session.get_one(reconciliation.Reconciliation, statement).is_balanced is False
