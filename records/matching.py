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
from records import matching_exceptions
from records.reconciliation import CLASSES, LEDGER_CLASSES, LINE_CLASSES
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


class NothingReported(Exception):
    """The report has no lines though the ledger has items of that day in scope."""


@dataclass(frozen=True)
class _Kind:
    """How payments and refunds differ for the match; the SQL is the same."""

    is_refund: bool
    table: LiteralString
    time: LiteralString
    paid: LiteralString
    fee_plan: LiteralString  # fees that a line may state


_PAYMENTS = _Kind(
    False,
    "payments",
    "paid_at",
    "status IN ('paid', 'partially_refunded', 'refunded')",
    "l.fee_minor = plan_fee_minor(s.amount_minor, %(rate)s, %(fixed)s)",
)
_REFUNDS = _Kind(
    True,
    "refunds",
    "confirmed_at",
    "status = 'confirmed'",
    "l.fee_minor IN (0, plan_fee_minor(s.amount_minor, %(rate)s, %(fixed)s))",
)

_LINE_FIELDS: LiteralString = (
    "is_refund, reference, gateway_reference, status, amount_minor, fee_minor, currency, occurred_at"
)

# A line equal in every field to one of another file is worked once: the k-th copy of a line in one file
# and the k-th copy in another are the same line.
_OVERLAP: LiteralString = """
DELETE FROM {table} t USING (
    SELECT ctid, row_number() OVER (PARTITION BY {fields}, copy ORDER BY source, line_no) AS nth
    FROM (SELECT ctid, *, row_number() OVER (PARTITION BY {fields}, source ORDER BY line_no) AS copy
          FROM {table}) numbered) ranked
WHERE t.ctid = ranked.ctid AND nth > 1 RETURNING {amount}"""

# References that several lines name. The hash is a cheap first sieve; the second step is exact.
_SIEVE: LiteralString = """
CREATE TEMP TABLE sieve ON COMMIT DROP AS
SELECT hashtext(reference) AS hash FROM {lines} GROUP BY 1 HAVING count(*) > 1"""
_REPEATED: LiteralString = """
CREATE TEMP TABLE repeated ON COMMIT DROP AS
SELECT is_refund, reference FROM {lines} WHERE hashtext(reference) IN (SELECT hash FROM sieve)
GROUP BY 1, 2 HAVING count(*) > 1"""

# All but *the* line of a reference: the one with our gateway reference, else the smallest by content.
_EXTRA: LiteralString = """
CREATE TEMP TABLE extra ON COMMIT DROP AS
SELECT place, source, line_no, is_refund, subject_id, is_repeat
FROM (
    SELECT l.ctid AS place, l.source, l.line_no, l.is_refund, coalesce(p.id, f.id) AS subject_id,
        row_number() OVER w AS nth,
        l.gateway_reference IS NOT DISTINCT FROM first_value(l.gateway_reference) OVER w AS is_repeat
    FROM {lines} l
    JOIN repeated r ON r.is_refund = l.is_refund AND r.reference = l.reference
    LEFT JOIN payments p ON NOT l.is_refund AND p.reference = l.reference AND p.gateway = %(gateway)s
    LEFT JOIN refunds f ON l.is_refund AND f.reference = l.reference AND f.gateway = %(gateway)s
    WINDOW w AS (PARTITION BY l.is_refund, l.reference ORDER BY
        coalesce(l.gateway_reference = coalesce(p.gateway_reference, f.gateway_reference), false) DESC,
        l.occurred_at, l.gateway_reference NULLS FIRST, l.amount_minor,
        l.status, l.currency, l.fee_minor NULLS FIRST, l.source, l.line_no)
) ranked WHERE nth > 1"""
_MARK_EXTRA: LiteralString = "UPDATE {lines} l SET is_extra = true FROM extra x WHERE l.ctid = x.place"

# What an earlier day has matched though it was paid on this day (the gateway's clock ran ahead).
_EARLY: LiteralString = """
CREATE TEMP TABLE early ON COMMIT DROP AS
SELECT o.subject_id FROM reconciliations r
JOIN reconciliation_outcomes o ON o.run_no = r.no AND o.late_days < 0 AND o.class = 'matched'
WHERE r.gateway = %(gateway)s AND r.is_current AND r.business_date < %(day)s
  AND r.business_date >= %(day)s - 7"""

# Items that the day before left as `timing`.
_YESTERDAY: LiteralString = """
CREATE TEMP TABLE yesterday ON COMMIT DROP AS
SELECT o.subject_id, o.is_refund FROM reconciliations r
JOIN reconciliation_outcomes o ON o.run_no = r.no AND o.class = 'timing'
WHERE r.gateway = %(gateway)s AND r.is_current AND r.business_date = %(day)s - 1"""

# A status that this reconciliation itself has healed counts as it was found: a re-run finds the same.
# What was healed had the other paid-or-not, so one array of ids is enough.
_HEALED: LiteralString = """
CREATE TEMP TABLE healed ON COMMIT DROP AS
SELECT subject_id, expected->>'status' AS status FROM reconciliation_exceptions
WHERE gateway = %(gateway)s AND business_date = %(day)s AND class = 'status_mismatch' AND state = 'healed'"""
_IS_PAID: LiteralString = "(i.{paid}) <> (i.id = ANY (%(healed)s))"

_PAIRED_CLASS: LiteralString = """CASE
    WHEN l.currency <> s.currency THEN 'currency_mismatch'
    WHEN l.amount_minor NOT BETWEEN s.amount_minor - %(tolerance)s AND s.amount_minor + %(tolerance)s
        THEN 'amount_mismatch'
    WHEN (l.status = 'paid') <> s.is_paid THEN 'status_mismatch'
    WHEN l.status = 'paid' AND l.fee_minor IS NOT NULL AND NOT ({fee_plan}) THEN 'fee_mismatch'
    ELSE 'matched' END"""

_PAIRED_REASON: LiteralString = """CASE
    WHEN l.currency <> s.currency THEN NULL
    WHEN l.amount_minor > s.amount_minor + %(tolerance)s THEN 'over'
    WHEN l.amount_minor < s.amount_minor - %(tolerance)s THEN 'under' END"""

_PAIRED_NOTE: LiteralString = (
    "CASE WHEN l.gateway_reference <> s.gateway_reference THEN 'gateway_reference_differs' END"
)

# First pass: the day's own items and yesterday's open ones against the lines. A line without such an
# item is `missing_in_ledger` for now; the second pass looks for its item on other days.
_FIRST_PASS: LiteralString = """
INSERT INTO {outcomes} (run_no, class, is_refund, subject_id, source, line_no, reference, ledger_minor,
    report_minor, fee_minor, gateway_reference, occurred_at, late_days, reason, note)
SELECT %(no)s,
    (CASE WHEN s.id IS NULL THEN 'missing_in_ledger'
          WHEN l.reference IS NULL THEN
            CASE WHEN s.at >= %(grace)s AND s.at < %(end)s THEN 'timing' ELSE 'missing_at_gateway' END
          ELSE {paired_class} END)::reconciliation_class,
    {is_refund}, s.id, l.source, l.line_no, CASE WHEN s.id IS NULL THEN l.reference END, s.amount_minor,
    l.amount_minor, l.fee_minor, l.gateway_reference, l.occurred_at,
    CASE WHEN l.reference IS NOT NULL AND s.at < %(start)s THEN 1 END,
    CASE WHEN s.id IS NOT NULL AND l.reference IS NOT NULL THEN {paired_reason} END,
    {paired_note}
FROM (
    SELECT i.id, i.reference, i.gateway_reference, i.amount_minor, i.currency, i.{time} AS at,
        {is_paid} AS is_paid
    FROM {table} i
    WHERE i.gateway = %(gateway)s
      AND ((i.{time} >= %(start)s AND i.{time} < %(end)s AND i.id NOT IN (SELECT subject_id FROM early))
           {or_yesterday})
) s
FULL JOIN (SELECT * FROM {lines} WHERE is_refund = {is_refund} AND NOT is_extra) l ON l.reference = s.reference"""

# Lines whose item was paid on another day, or never: with what an earlier day has matched of them.
_STRAYS: LiteralString = """
CREATE TEMP TABLE strays ON COMMIT DROP AS
SELECT o.ctid AS place, i.id, i.{time} AS at, i.created_at
FROM {outcomes} o JOIN {table} i ON i.reference = o.reference AND i.gateway = %(gateway)s
WHERE o.class = 'missing_in_ledger' AND o.is_refund = {is_refund}"""

# An item cannot have been matched before it existed; two days of slack for the gateway's clock.
_MATCHED_BEFORE: LiteralString = """
CREATE TEMP TABLE matched_before ON COMMIT DROP AS
SELECT s.id, e.gateway_reference FROM (
    SELECT DISTINCT i.id, (i.created_at AT TIME ZONE 'Asia/Jakarta')::date - 2 AS since
    FROM {table} i WHERE i.id IN (SELECT id FROM strays
                                  UNION SELECT subject_id FROM extra WHERE is_refund = {is_refund})) s
CROSS JOIN LATERAL (
    SELECT o.gateway_reference FROM reconciliations r
    JOIN reconciliation_outcomes o ON o.run_no = r.no AND o.subject_id = s.id AND o.class = 'matched'
    WHERE r.gateway = %(gateway)s AND r.is_current
      AND r.business_date < %(day)s AND r.business_date >= s.since
    ORDER BY r.business_date LIMIT 1) e"""

_SECOND_PASS: LiteralString = """
UPDATE {outcomes} o SET
    subject_id = x.id,
    class = (CASE WHEN b.id IS NOT NULL THEN 'duplicate_at_gateway' ELSE {paired_class} END)
        ::reconciliation_class,
    ledger_minor = CASE WHEN b.id IS NULL THEN s.amount_minor END,
    late_days = CASE WHEN b.id IS NULL
        THEN nullif(%(day)s - (x.at AT TIME ZONE 'Asia/Jakarta')::date, 0) END,
    reason = CASE WHEN b.id IS NULL THEN {paired_reason}
        WHEN b.gateway_reference IS NOT DISTINCT FROM l.gateway_reference THEN 'repeated_line'
        ELSE 'second_charge' END,
    note = CASE WHEN b.id IS NULL THEN {paired_note} ELSE 'matched_on_an_earlier_day' END
FROM strays x
LEFT JOIN matched_before b ON b.id = x.id
JOIN (SELECT i.id, i.amount_minor, i.currency, i.gateway_reference, {is_paid} AS is_paid
      FROM {table} i) s ON s.id = x.id,
{lines} l
WHERE o.ctid = x.place AND l.source = o.source AND l.line_no = o.line_no"""

_DUPLICATES: LiteralString = """
INSERT INTO {outcomes} (run_no, class, is_refund, subject_id, source, line_no, reference, report_minor,
    fee_minor, gateway_reference, occurred_at, reason)
SELECT %(no)s, 'duplicate_at_gateway', x.is_refund, x.subject_id, l.source, l.line_no, l.reference,
    l.amount_minor, l.fee_minor, l.gateway_reference, l.occurred_at,
    CASE WHEN CASE WHEN b.id IS NULL THEN x.is_repeat
                   ELSE b.gateway_reference IS NOT DISTINCT FROM l.gateway_reference END
        THEN 'repeated_line' ELSE 'second_charge' END
FROM extra x JOIN {lines} l ON l.source = x.source AND l.line_no = x.line_no
LEFT JOIN matched_before b ON b.id = x.subject_id
WHERE x.is_refund = {is_refund}"""

_MALFORMED: LiteralString = """
INSERT INTO {outcomes} (run_no, class, is_refund, source, line_no, reference, report_minor, reason)
SELECT %(no)s, 'malformed_line', false, source, line_no, reference, 0,
    coalesce(column_name || ': ', '') || reason
FROM {malformed}"""

# A malformed line pairs with nothing, but its payment's absence says where the line stands.
_NAMED_BY_MALFORMED: LiteralString = """
UPDATE {outcomes} o SET reason = 'line ' || m.line_no || ' names it but is malformed'
FROM (SELECT reference, min(line_no) AS line_no FROM {malformed} GROUP BY 1) m
JOIN {table} i ON i.reference = m.reference AND i.gateway = %(gateway)s
WHERE o.subject_id = i.id AND o.class IN ('timing', 'missing_at_gateway') AND o.is_refund = {is_refund}"""

# The ledger's side of the proof, counted from the ledger and not from the outcomes.
_SCOPE: LiteralString = """
SELECT count(*), coalesce(sum(i.amount_minor), 0) FROM {table} i
WHERE i.gateway = %(gateway)s
  AND ((i.{time} >= %(start)s AND i.{time} < %(end)s AND i.id NOT IN (SELECT subject_id FROM early))
       {or_yesterday})"""
_SCOPE_NAMED: LiteralString = """
SELECT count(*), coalesce(sum(i.amount_minor), 0)
FROM (SELECT DISTINCT id FROM strays EXCEPT SELECT id FROM matched_before) x JOIN {table} i USING (id)"""

_TOTALS: LiteralString = """
SELECT class::text, count(*), coalesce(sum(ledger_minor), 0), coalesce(sum(report_minor), 0)
FROM {outcomes} GROUP BY 1"""


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
    staging = Staging(day.process_run_id)
    overlap_rows, overlap_minor = _remove_overlap(db, staging) if len(sources) > 1 else (0, 0)
    no = _one(db, "SELECT nextval(pg_get_serial_sequence('reconciliations', 'no'))")[0]
    outcomes = sql.Identifier(f"reconciliation_outcomes_{no}")
    names = {"lines": staging.lines, "malformed": staging.malformed, "outcomes": outcomes}
    values = _values(day, no)
    _make_partition(db, outcomes, no)
    db.execute(sql.SQL("ANALYZE {}, {}").format(staging.lines, staging.malformed))
    for statement in (_SIEVE, _REPEATED, _EXTRA, _MARK_EXTRA, _EARLY, _YESTERDAY, _HEALED):
        db.execute(sql.SQL(statement).format(**names), values)
        if statement is _SIEVE:
            db.execute("ANALYZE sieve")
    values["healed"] = [row[0] for row in db.execute("SELECT subject_id FROM healed")]
    scope_rows, scope_minor = _work_kinds(db, names, values)
    reported = sum(source.rows for source in sources) - overlap_rows
    if not reported and scope_rows and not day.allow_empty:
        raise NothingReported(
            f"the report has no lines, but the ledger has {scope_rows:,} items of that day in scope"
        )
    db.execute(sql.SQL(_MALFORMED).format(**names), values)
    _finish_partition(db, outcomes, no)
    for kind in (_PAYMENTS, _REFUNDS):
        db.execute(_for_kind(_NAMED_BY_MALFORMED, kind, names), values)
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


def _work_kinds(
    db: psycopg.Connection, names: dict[str, sql.Identifier], values: dict[str, Any]
) -> tuple[int, Decimal]:
    """Both passes for payments, then refunds; returns the ledger's own count and sum of the scope."""
    rows, minor = 0, Decimal(0)
    for kind in (_PAYMENTS, _REFUNDS):
        for statement in (_FIRST_PASS, _STRAYS, _MATCHED_BEFORE, _SECOND_PASS, _DUPLICATES):
            db.execute(_for_kind(statement, kind, names), values)
        for statement in (_SCOPE, _SCOPE_NAMED):
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
        "paired_reason": sql.SQL(_PAIRED_REASON),
        "paired_note": sql.SQL(_PAIRED_NOTE),
        "is_paid": sql.SQL(_IS_PAID).format(paid=sql.SQL(kind.paid)),
        "or_yesterday": sql.SQL("OR i.id IN (SELECT subject_id FROM yesterday WHERE is_refund = {})").format(
            is_refund
        ),
        **names,
    }
    fragments["paired_class"] = sql.SQL(_PAIRED_CLASS).format(fee_plan=fragments["fee_plan"])
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
        (staging.lines, _LINE_FIELDS, "t.amount_minor"),
        (staging.malformed, "content", "0"),
    ):
        delete = sql.SQL(_OVERLAP).format(
            table=table, fields=sql.SQL(fields), amount=sql.SQL(amount + " AS amount")
        )
        removed = db.execute(
            sql.SQL("WITH gone AS ({}) SELECT count(*), coalesce(sum(amount), 0) FROM gone").format(delete)
        ).fetchone()
        assert removed is not None
        rows, minor = rows + removed[0], minor + int(removed[1])
    return rows, minor


def _make_partition(db: psycopg.Connection, outcomes: sql.Identifier, no: int) -> None:
    """A table of its own first: filling and indexing it in bulk costs a third of doing so in place."""
    db.execute(
        sql.SQL(
            "CREATE TABLE {} (LIKE reconciliation_outcomes, CONSTRAINT one_run CHECK (run_no = {}))"
        ).format(outcomes, sql.Literal(no))
    )


def _finish_partition(db: psycopg.Connection, outcomes: sql.Identifier, no: int) -> None:
    db.execute(sql.SQL("CREATE INDEX ON {} (subject_id)").format(outcomes))
    db.execute(sql.SQL("CREATE INDEX ON {} (subject_id) WHERE late_days < 0").format(outcomes))
    db.execute(
        sql.SQL("ALTER TABLE reconciliation_outcomes ATTACH PARTITION {} FOR VALUES IN ({})").format(
            outcomes, sql.Literal(no)
        )
    )
    db.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT one_run").format(outcomes))


def _totals(db: psycopg.Connection, outcomes: sql.Identifier) -> dict[str, dict[str, Any]]:
    totals = {name: {"count": 0, "ledger_minor": "0", "report_minor": "0"} for name in CLASSES}
    for name, count, ledger, report in db.execute(sql.SQL(_TOTALS).format(outcomes=outcomes)):
        totals[name] = {"count": count, "ledger_minor": str(ledger), "report_minor": str(report)}
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
    db.execute(
        "UPDATE reconciliations SET is_current = false WHERE gateway = %s AND business_date = %s AND is_current",
        key,
    )
    db.execute(
        """
        INSERT INTO reconciliations (id, no, process_run_id, gateway, business_date, version, is_current,
            sources, rules, classes, ledger_rows, report_rows, ledger_minor, report_minor, overlap_rows, proof)
        OVERRIDING SYSTEM VALUE
        VALUES (%s, %s, %s, %s, %s, (SELECT coalesce(max(version), 0) + 1 FROM reconciliations
            WHERE gateway = %s AND business_date = %s), true, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
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
            Jsonb(counted),
        ],
    )


def prove(db: psycopg.Connection, run_id: UUID) -> bool:
    """Sum the durable outcomes again and hold them against what was counted from files and ledger.

    Both sides, in rows and in money; stores the proof with the statement and returns whether it balances.
    """
    no, proof = _one(db, "SELECT no, proof FROM reconciliations WHERE id = %s FOR UPDATE", [run_id])
    totals = _totals(db, sql.Identifier(f"reconciliation_outcomes_{no}"))
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
        "UPDATE reconciliations SET is_balanced = %s, proof = %s, classes = %s WHERE id = %s",
        [balanced, Jsonb(proof | summed), Jsonb(totals), run_id],
    )
    return balanced


def _one(db: psycopg.Connection, query: Any, values: Any = None) -> tuple[Any, ...]:
    row = db.execute(query, values).fetchone()
    assert row is not None
    return tuple(row)
