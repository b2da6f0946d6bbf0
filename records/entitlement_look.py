"""One look at every pair of learner and program, recorded whole or not at all."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from common import clock
from common.settings import Entitlements
from records import entitlement_sql as sql
from records.entitlement import CLASSES, PROCESS

_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Rules:
    """How long each thing may take before its lack is a finding; what began before `since` is left alone."""

    enrol_within: timedelta
    pay_within: timedelta
    report_within: timedelta
    withdraw_within: timedelta
    since: date | None = None

    @classmethod
    def of(cls, said: Entitlements) -> "Rules":
        """The rules that the settings say."""
        return cls(
            timedelta(hours=said.enrol_within_hours),
            timedelta(hours=said.pay_within_hours),
            timedelta(hours=said.report_within_hours),
            timedelta(hours=said.withdraw_within_hours),
            said.since,
        )

    def as_json(self) -> dict[str, Any]:
        """As they are kept with the run: hours, and a day."""
        spans = ("enrol_within", "pay_within", "report_within", "withdraw_within")
        hours = {f"{name}_hours": getattr(self, name) // timedelta(hours=1) for name in spans}
        return hours | {"since": self.since.isoformat() if self.since else None}


def take(db: psycopg.Connection, run_id: UUID, rules: Rules, at: datetime) -> bool:
    """Look at every pair as of one moment and record what was found; tells whether the proof balances.

    db: a connection whose transaction has not begun; nothing of it is seen before the caller commits. Who
    explains a finding meanwhile waits for that. at: the moment up to which graces are counted.
    """
    db.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    db.execute("LOCK TABLE entitlement_findings IN EXCLUSIVE MODE")  # before the snapshot is taken
    first = clock.day_bounds(rules.since)[0] if rules.since else _BEGINNING
    given = {
        "now": at,
        "since": first,
        "enrol_within": rules.enrol_within,
        "pay_within": rules.pay_within,
        "report_within": rules.report_within,
        "withdraw_within": rules.withdraw_within,
    }
    db.execute(sql.PAIRS.encode(), given)
    db.execute("ANALYZE entitlement_pairs")
    db.execute(sql.FOUND.encode(), given)
    db.execute("ANALYZE entitlement_found")
    pairs, in_order, awaited, differing, *waiting = _row(db, sql.VERDICTS, given)
    left_out = dict(zip(("payments", "completions"), _row(db, sql.LEFT_OUT), strict=True))
    _begin(db, run_id, at, rules, (pairs, in_order, awaited, differing), left_out)
    noted = {"run": run_id, "now": at, "actor": PROCESS}
    reopened = _by_class(db, sql.REOPENED, noted)
    db.execute(sql.KEPT.encode(), noted)
    opened = _by_class(db, sql.OPENED, noted)
    resolved = _by_class(db, sql.RESOLVED, noted)
    present = {(class_, state): count for class_, state, count in db.execute(sql.PRESENT.encode(), noted)}
    classes = {}
    for name, waits in zip(CLASSES, waiting, strict=True):
        new = opened.get(name, 0) + reopened.get(name, 0)
        is_open, explained = present.get((name, "open"), 0), present.get((name, "explained"), 0)
        classes[name] = {
            "found": is_open + explained,
            "opened": new,
            "still_open": is_open - new,
            "explained": explained,
            "resolved": resolved.get(name, 0),
            "awaited": waits,
        }
    proof = _proof(db, (pairs, in_order, awaited, differing), classes)
    is_balanced = all(counted == seen for counted, seen in proof.values())
    db.execute(
        "UPDATE entitlement_runs SET classes = %s, proof = %s, is_balanced = %s WHERE process_run_id = %s",
        [Jsonb(classes), Jsonb(proof), is_balanced, run_id],
    )
    return is_balanced


def _begin(
    db: psycopg.Connection,
    run_id: UUID,
    at: datetime,
    rules: Rules,
    verdicts: tuple[int, ...],
    left_out: dict[str, int],
) -> None:
    """The run's own row, to which its findings refer; its classes and its proof follow."""
    db.execute(
        """INSERT INTO entitlement_runs (process_run_id, looked_at, pairs, in_order, awaited, differing,
            classes, left_out, rules, proof, is_balanced)
        VALUES (%s, %s, %s, %s, %s, %s, '{}', %s, %s, '{}', false)
        ON CONFLICT (process_run_id) DO UPDATE SET looked_at = excluded.looked_at, pairs = excluded.pairs,
            in_order = excluded.in_order, awaited = excluded.awaited, differing = excluded.differing,
            left_out = excluded.left_out, rules = excluded.rules, is_balanced = false""",
        [run_id, at, *verdicts, Jsonb(left_out), Jsonb(rules.as_json())],
    )


def _proof(
    db: psycopg.Connection, verdicts: tuple[int, ...], classes: dict[str, dict[str, int]]
) -> dict[str, list[int]]:
    """By figure, what was counted in the tables themselves and what was looked at. Each pair stands once in
    the look, with one verdict; so does each payment, enrolment, completion and credential in its pairs."""
    names = ("pairs", "payments", "enrolments", "completions", "credentials")
    rows, distinct, *sums = map(int, _row(db, sql.LOOKED_AT))
    counted = [int(one) for one in _row(db, sql.COUNTED)]
    proof = {name: [one, seen] for name, one, seen in zip(names, counted, [rows, *sums], strict=True)}
    proof["pairs_looked_at_once"] = [rows, distinct]
    proof["verdicts"] = [counted[0], sum(verdicts[1:])]
    flagged = _by_class(db, sql.FLAGGED)
    for name in CLASSES:
        proof[name] = [flagged.get(name, 0), classes[name]["found"]]
    return proof


def _by_class(db: psycopg.Connection, statement: str, given: dict[str, Any] | None = None) -> dict[str, int]:
    return {name: int(count) for name, count in db.execute(statement.encode(), given)}


def _row(db: psycopg.Connection, statement: str, given: dict[str, Any] | None = None) -> tuple[int, ...]:
    found = db.execute(statement.encode(), given).fetchone()
    assert found is not None  # counts have one row always
    return tuple(found)
