"""The match of one report against the ledger: set-based SQL in one snapshot, all of it or nothing.

The rules are those of docs/reconciliation.md. Payments and refunds go through the same statements; each
report line and each ledger item in scope ends in exactly one row of `reconciliation_outcomes`.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from common import clock
from common.errors import NothingReported, Transient
from records import matching_exceptions
from records import matching_sql as statements
from records.classes import CLASSES, LEDGER_CLASSES, LINE_CLASSES
from records.staging import Staging


@dataclass(frozen=True)
class Rules:
    """What the classes depend on besides the files and the ledger; kept with the statement."""

    fee_percent: Decimal
    fee_fixed: Decimal
    tolerance: Decimal
    cutoff_grace_minutes: int

    def as_json(self) -> dict[str, Any]:
        return {
            "fee_percent": str(self.fee_percent),
            "fee_fixed": str(self.fee_fixed),
            "tolerance": str(self.tolerance),
            "cutoff_grace_minutes": self.cutoff_grace_minutes,
        }


@dataclass(frozen=True)
class Source:
    """One report file of the run: rows and their sum as its reader counted them."""

    name: str
    sha256: str
    rows: int
    amount_minor: int

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "sha256": self.sha256,
            "rows": self.rows,
            "amount_minor": str(self.amount_minor),
        }


@dataclass(frozen=True)
class _Kind:
    """How payments and refunds differ for the match; the SQL is the same."""

    is_refund: bool
    table: LiteralString
    time: LiteralString
    paid: LiteralString
    fee_plan: LiteralString  # fees that a line may state
    note: LiteralString
    is_foreign: LiteralString  # made at the gateway without us


_PAYMENTS = _Kind(
    False,
    "payments",
    "paid_at",
    "status IN ('paid', 'partially_refunded', 'refunded')",
    "l.fee_minor = plan_fee_minor(s.amount_minor, %(rate)s, %(fixed)s)",
    statements.PAIRED_NOTE,
    "false",
)
_REFUNDS = _Kind(
    True,
    "refunds",
    "confirmed_at",
    "status = 'confirmed'",
    "l.fee_minor IN (0, plan_fee_minor(s.amount_minor, %(rate)s, %(fixed)s))",
    statements.PAIRED_REFUND_NOTE,
    "i.is_foreign",
)


@dataclass(frozen=True)
class Day:
    """Which reconciliation is recorded."""

    process_run_id: UUID
    gateway: str
    business_date: date
    rules: Rules
    allow_empty: bool = False


def record(db: psycopg.Connection, run_id: UUID, day: Day, sources: list[Source]) -> None:
    """Classify the staged lines against the ledger and record the statement, in one transaction.

    db: a connection with no transaction open. Raises NothingReported for an empty report of a day that
    has items in scope. Nothing is visible before the commit, and a killed attempt leaves nothing.
    """
    db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    db.execute("SET LOCAL work_mem = '256MB'")
    db.execute("SET LOCAL parallel_tuple_cost = 0.001")  # the full join in parallel takes half the time
    db.execute("SET LOCAL default_statistics_target = 10")  # what the plans need, at a tenth of the price
    staging = Staging(day.process_run_id)
    _check_staging(db, staging, sources)
    overlap_rows, overlap_minor = _remove_overlap(db, staging) if len(sources) > 1 else (0, 0)
    no = _one(db, "SELECT nextval(pg_get_serial_sequence('reconciliations', 'no'))")[0]
    outcomes = sql.Identifier(f"reconciliation_outcomes_{no}")
    names = {"lines": staging.lines, "malformed": staging.malformed, "outcomes": outcomes}
    values = _values(day, no)
    db.execute(sql.SQL("ANALYZE {}, {}").format(staging.lines, staging.malformed))
    for statement in statements.PREPARE:
        db.execute(sql.SQL(statement).format(**names), values)
    # Arrays, not temporary tables, which would keep the join below from running in parallel.
    for name, query in (
        ("early", statements.EARLY),
        ("yesterday", statements.YESTERDAY),
        ("healed", "SELECT subject_id FROM healed"),
    ):
        values[name] = [row[0] for row in db.execute(query, values)]
    scope_rows, scope_minor = _work_kinds(db, names, values)
    reported = sum(source.rows for source in sources) - overlap_rows
    if not reported and scope_rows and not day.allow_empty:
        raise NothingReported(
            f"the report has no lines, but the ledger has {scope_rows:,} items of that day in scope"
        )
    db.execute(sql.SQL(statements.MALFORMED).format(**names), values)
    _finish_partition(db, outcomes, no)
    for kind in (_PAYMENTS, _REFUNDS):
        db.execute(_for_kind(statements.NAMED_BY_MALFORMED, kind, names), values)
    _store(
        db,
        run_id,
        no,
        day,
        sources,
        overlap_rows,
        {
            "ledger_rows_counted": scope_rows,
            "ledger_minor_counted": str(scope_minor),
            "report_rows_counted": reported,
            "report_minor_counted": str(sum(s.amount_minor for s in sources) - overlap_minor),
        },
        _totals(db, outcomes),
    )
    plan = {name: values[name] for name in ("rate", "fixed")}
    matching_exceptions.record(db, run_id, day.gateway, day.business_date, names, plan)


def _check_staging(db: psycopg.Connection, staging: Staging, sources: list[Source]) -> None:
    """Unlogged tables come back empty after a crash of the server: where files had lines, some are there."""
    found = sql.SQL("SELECT EXISTS (SELECT FROM {}) OR EXISTS (SELECT FROM {})")
    (is_there,) = _one(db, found.format(staging.lines, staging.malformed))
    if not is_there and any(source.rows for source in sources):
        raise Transient("database", "staging", "has lost the staged lines")


def _work_kinds(
    db: psycopg.Connection, names: dict[str, sql.Identifier], values: dict[str, Any]
) -> tuple[int, Decimal]:
    """Both passes for payments, then refunds; returns the ledger's own count and sum of the scope."""
    rows, minor = 0, Decimal(0)
    db.execute(_for_kind("CREATE TABLE {outcomes} AS " + statements.THE_DAY, _PAYMENTS, names), values)
    db.execute(_for_kind("INSERT INTO {outcomes} " + statements.THE_DAY, _REFUNDS, names), values)
    for statement in statements.NOTED:
        db.execute(sql.SQL(statement).format(**names))
    for kind in (_PAYMENTS, _REFUNDS):
        for statement in statements.MATCH:
            db.execute(_for_kind(statement, kind, names), values)
        for statement in statements.COUNT:
            count, amount = _one(db, _for_kind(statement, kind, names), values)
            rows, minor = rows + count, minor + amount
        db.execute("DROP TABLE strays, matched_before")
    return rows, minor


def _for_kind(statement: LiteralString, kind: _Kind, names: dict[str, sql.Identifier]) -> sql.Composed:
    is_refund = sql.SQL("true" if kind.is_refund else "false")
    fragments = {
        "fee_plan": sql.SQL(kind.fee_plan),
        "table": sql.Identifier(kind.table),
        "time": sql.Identifier(kind.time),
        "is_refund": is_refund,
        "paired_reason": sql.SQL(statements.PAIRED_REASON),
        "paired_note": sql.SQL(kind.note),
        "is_foreign": sql.SQL(kind.is_foreign),
        "net": sql.SQL(statements.NET),
        "is_paid": sql.SQL(statements.IS_PAID).format(paid=sql.SQL(kind.paid)),
        **names,
    }
    fragments["paired_class"] = sql.SQL(statements.PAIRED_CLASS).format(fee_plan=fragments["fee_plan"])
    return sql.SQL(statement).format(**fragments)


def _values(day: Day, no: int) -> dict[str, Any]:
    start, end = clock.day_bounds(day.business_date)
    return {
        "no": no,
        "gateway": day.gateway,
        "day": day.business_date,
        "start": start,
        "end": end,
        "grace": end - timedelta(minutes=day.rules.cutoff_grace_minutes),
        "rate": int(day.rules.fee_percent * 10_000),
        "fixed": int(day.rules.fee_fixed * 100),
        "tolerance": int(day.rules.tolerance * 100),
        "healed": [],
    }


def _remove_overlap(db: psycopg.Connection, staging: Staging) -> tuple[int, int]:
    rows = minor = 0
    for table, fields, amount in (
        (staging.lines, statements.LINE_FIELDS, "t.amount_minor"),
        (staging.malformed, "content", "0"),
    ):
        delete = sql.SQL(statements.OVERLAP).format(
            table=table, fields=sql.SQL(fields), amount=sql.SQL(amount + " AS amount")
        )
        removed = db.execute(
            sql.SQL("WITH gone AS ({}) SELECT count(*), coalesce(sum(amount), 0) FROM gone").format(delete)
        ).fetchone()
        assert removed is not None
        rows, minor = rows + removed[0], minor + int(removed[1])
    return rows, minor


def _finish_partition(db: psycopg.Connection, outcomes: sql.Identifier, no: int) -> None:
    """A table of its own first: filling and indexing it in bulk costs a third of doing so in place."""
    db.execute(
        sql.SQL(
            "ALTER TABLE {} ADD CONSTRAINT one_run CHECK (run_no = {}), ALTER run_no SET NOT NULL,"
            " ALTER class SET NOT NULL, ALTER is_refund SET NOT NULL"
        ).format(outcomes, sql.Literal(no))
    )
    db.execute(sql.SQL("CREATE INDEX ON {} (subject_id)").format(outcomes))
    db.execute(
        sql.SQL("ALTER TABLE reconciliation_outcomes ATTACH PARTITION {} FOR VALUES IN ({})").format(
            outcomes, sql.Literal(no)
        )
    )
    db.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT one_run").format(outcomes))


def _totals(db: psycopg.Connection, outcomes: sql.Identifier) -> dict[str, dict[str, Any]]:
    totals = {name: {"count": 0, "ledger_minor": "0", "report_minor": "0"} for name in CLASSES}
    for name, count, ledger, report, early in db.execute(
        sql.SQL(statements.TOTALS).format(outcomes=outcomes)
    ):
        totals[name] = {"count": count, "ledger_minor": str(ledger), "report_minor": str(report)}
        if early:
            totals[name]["early"] = early
    return totals


def _store(
    db: psycopg.Connection,
    run_id: UUID,
    no: int,
    day: Day,
    sources: list[Source],
    overlap_rows: int,
    counted: dict[str, Any],
    totals: dict[str, dict[str, Any]],
) -> None:
    """The statement's row, as the day's new version; the one before stays, but is no longer current."""
    key = [day.gateway, day.business_date]
    early_rows = totals["matched"].pop("early", 0)
    db.execute(
        "UPDATE reconciliations SET is_current = false"
        " WHERE gateway = %s AND business_date = %s AND is_current",
        key,
    )
    db.execute(
        """
        INSERT INTO reconciliations (id, no, process_run_id, gateway, business_date, version, is_current,
            sources, rules, classes, ledger_rows, report_rows, ledger_minor, report_minor, overlap_rows,
            early_rows, proof)
        OVERRIDING SYSTEM VALUE
        VALUES (%s, %s, %s, %s, %s, (SELECT coalesce(max(version), 0) + 1 FROM reconciliations
            WHERE gateway = %s AND business_date = %s), true, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            run_id,
            no,
            day.process_run_id,
            *key,
            *key,
            Jsonb([source.as_json() for source in sources]),
            Jsonb(day.rules.as_json()),
            Jsonb(totals),
            counted["ledger_rows_counted"],
            counted["report_rows_counted"],
            Decimal(counted["ledger_minor_counted"]),
            Decimal(counted["report_minor_counted"]),
            overlap_rows,
            early_rows,
            Jsonb(counted),
        ],
    )


def prove(db: psycopg.Connection, run_id: UUID) -> bool:
    """Hold the sums over the outcomes against what was counted from the files and from the ledger.

    The sums were taken over the recorded rows themselves, in the transaction that committed them. Both sides,
    in rows and in money; stores the proof with the statement and returns whether it balances.
    """
    totals, proof = _one(db, "SELECT classes, proof FROM reconciliations WHERE id = %s FOR UPDATE", [run_id])
    summed = {
        "ledger_rows_summed": sum(totals[name]["count"] for name in LEDGER_CLASSES),
        "ledger_minor_summed": str(sum(int(totals[name]["ledger_minor"]) for name in LEDGER_CLASSES)),
        "report_rows_summed": sum(totals[name]["count"] for name in LINE_CLASSES),
        "report_minor_summed": str(sum(int(totals[name]["report_minor"]) for name in LINE_CLASSES)),
    }
    balanced = all(
        str(summed[f"{side}_{what}_summed"]) == str(proof[f"{side}_{what}_counted"])
        for side in ("ledger", "report")
        for what in ("rows", "minor")
    )
    db.execute(
        "UPDATE reconciliations SET is_balanced = %s, proof = %s WHERE id = %s",
        [balanced, Jsonb(proof | summed), run_id],
    )
    return balanced


def _one(db: psycopg.Connection, query: Any, values: Any = None) -> tuple[Any, ...]:
    row = db.execute(query, values).fetchone()
    assert row is not None
    return tuple(row)
