"""Taking over an existing ledger: payments and refunds from our canonical CSV, by the million, repeatably.

Every row is checked exactly; a row that does not fit is refused by line, column and reason, the others
are taken. The same row again changes nothing; the same reference with other content is refused.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from common import columns
from common.columns import Checked
from common.settings import GATEWAYS
from common.tables import Batch, Table, columns_of, open_table
from records.payment import PAID, PAYMENT_STATUSES
from records.refund import REFUND_STATUSES
from records.staging import csv_bytes

REFERENCE = r"^[A-Za-z0-9._~-]{1,32}$"
LARGEST_MINOR = 10**18
LISTED = 1_000
SEEN = 80
_ONE_IMPORT = 0x6C656467  # two imports at once take turns


@dataclass(frozen=True)
class Refused:
    """One row that was not taken."""

    line: int
    column: str | None
    reason: str
    text: str


@dataclass
class Imported:
    """What became of a file's rows; `refused` holds the first thousand, `refused_count` counts all."""

    rows: int = 0
    imported: int = 0
    unchanged: int = 0
    refused_count: int = 0
    refused: list[Refused] = field(default_factory=list)

    def refuse(self, rows: list[Refused], count: int | None = None) -> None:
        """Note refused rows; the list stays short however many there are."""
        self.refused_count += len(rows) if count is None else count
        self.refused.extend(rows[: LISTED - len(self.refused)])


@dataclass(frozen=True)
class Kind:
    """What the payments' and the refunds' files have in common, and what not."""

    name: str
    fields: tuple[str, ...]
    table: LiteralString
    time: str
    statuses: frozenset[str]
    paid: frozenset[str]
    compared: tuple[LiteralString, ...]


PAYMENTS = Kind(
    "payments",
    ("reference", "gateway", "gateway_reference", "amount", "currency", "status", "created_at", "paid_at"),
    "payments",
    "paid_at",
    PAYMENT_STATUSES,
    PAID,
    ("gateway", "gateway_reference", "amount_minor", "currency", "created_at"),
)
REFUNDS = Kind(
    "refunds",
    (
        "reference",
        "payment_reference",
        "gateway",
        "gateway_reference",
        "amount",
        "currency",
        "status",
        "created_at",
        "confirmed_at",
    ),
    "refunds",
    "confirmed_at",
    REFUND_STATUSES,
    frozenset({"confirmed"}),
    ("gateway", "gateway_reference", "amount_minor", "currency", "created_at"),
)


def import_file(
    db: psycopg.Connection,
    path: Path,
    kind: Kind = PAYMENTS,
    *,
    size_limit: int,
    scratch: Path,
    progress: Callable[[int], None] = lambda rows: None,
) -> Imported:
    """Take the rows of one file over, all in one transaction; memory does not grow with the file.

    db: a connection with no transaction open. progress: told how many rows have been read.
    Raises UnusableFile for a file that is no such table.
    """
    required = [{name} for name in kind.fields]
    table = open_table(path, path.name, required=required, size_limit=size_limit, scratch=scratch)
    result = Imported()
    db.execute("SELECT pg_advisory_xact_lock(%s)", [_ONE_IMPORT])
    db.execute("SET LOCAL work_mem = '256MB'")
    _load(db, table, kind, result, progress)
    db.execute("ANALYZE incoming")
    _refuse_other_content(db, kind, result)
    if kind is REFUNDS:
        _refuse_refunds_that_do_not_fit(db, result)
    number = _insert(db, kind, path.name, result)
    result.unchanged = result.rows - result.imported - result.refused_count
    result.refused.sort(key=lambda row: row.line)
    db.execute(
        "UPDATE ledger_imports SET rows = %s, imported = %s, unchanged = %s, refused = %s WHERE id = %s",
        [result.rows, result.imported, result.unchanged, result.refused_count, number],
    )
    return result


def _load(
    db: psycopg.Connection, table: Table, kind: Kind, result: Imported, progress: Callable[[int], None]
) -> None:
    db.execute(
        """CREATE TEMP TABLE incoming (line_no integer, reference text COLLATE "C", payment_reference text,
        gateway text, gateway_reference text COLLATE "C", amount_minor bigint, currency text, status text,
        created_at timestamptz, ended_at timestamptz) ON COMMIT DROP"""
    )
    names = ["line_no", *(f for f in kind.fields if f != "amount"), "amount"]
    into = sql.SQL(", ").join(
        sql.Identifier({"amount": "amount_minor", kind.time: "ended_at"}.get(name, name)) for name in names
    )
    batches = _checked(table, kind, result)
    with (
        ThreadPoolExecutor(1) as reader,
        db.cursor().copy(sql.SQL("COPY incoming ({}) FROM STDIN (FORMAT csv)").format(into)) as copy,
    ):
        upcoming = reader.submit(next, batches, None)
        while (good := upcoming.result()) is not None:
            upcoming = reader.submit(next, batches, None)
            copy.write(good)
            progress(result.rows)


def _checked(table: Table, kind: Kind, result: Imported) -> Iterator[bytes]:
    """Good rows of the file as COPY reads them; the others are refused in `result`."""
    places = columns_of(table, {name: {name} for name in kind.fields})
    for batch in table.batches():
        result.rows += len(batch.lines) + len(batch.rejected)
        result.refuse([Refused(line.line, None, line.reason, _shown(line.text)) for line in batch.rejected])
        cells = {name: batch.columns[places[name]] for name in kind.fields}
        faults = _faults(cells, kind, table.survey.has_nul)
        is_bad = faults[0][1].bad
        for _, check in faults:
            is_bad = pc.or_(is_bad, check.bad)
        if pc.any(is_bad).as_py():
            _refuse_values(batch, is_bad, faults, cells, result)
        values = {name: check.values for name, check in faults if check.values is not None}
        good = [values[name] for name in kind.fields if name != "amount"] + [values["amount"]]
        rows = pa.record_batch(
            [pa.array(batch.lines), *good], names=["line_no", *(str(i) for i in range(len(good)))]
        )
        yield csv_bytes(rows.filter(pc.invert(is_bad)))


def _faults(cells: dict[str, pa.StringArray], kind: Kind, has_nul: bool) -> list[tuple[str, Checked]]:
    """For each column what is wrong in it, in the order in which a row's first fault is named."""
    faults = []
    if has_nul:
        faults += [(name, Checked(None, columns.has_nul(c), "holds a NUL byte")) for name, c in cells.items()]
    for name, cell in cells.items():
        faults.append((name, _check(name, cell, kind)))
    checks = dict(faults)
    is_rupiah = pc.equal(cells["currency"], "IDR")
    minor = checks["amount"].values
    rest = pc.subtract(minor, pc.multiply(pc.divide(minor, 100), 100))
    faults.append(("amount", Checked(None, pc.and_(is_rupiah, pc.not_equal(rest, 0)), "not whole rupiah")))
    faults.append(
        ("amount", Checked(None, pc.greater(minor, LARGEST_MINOR), "larger than any payment can be"))
    )
    is_paid = pc.is_in(cells["status"], value_set=pa.array(sorted(kind.paid)))
    without = pc.and_(is_paid, pc.equal(cells[kind.time], ""))
    faults.append((kind.time, Checked(None, without, "empty, though the status says that it happened")))
    return faults


def _check(name: str, cells: pa.StringArray, kind: Kind) -> Checked:
    match name:
        case "reference" | "payment_reference":
            fits = pc.match_substring_regex(cells, REFERENCE)
            return Checked(cells, pc.invert(fits), "not 1 to 32 characters of A-Z a-z 0-9 . _ ~ -")
        case "gateway":
            return columns.words(cells, {one: one for one in GATEWAYS}, "gateway")
        case "gateway_reference":
            return columns.texts(cells, 128, empty=True)
        case "amount":
            return columns.amounts(cells, zero=False)
        case "currency":
            return columns.currencies(cells)
        case "status":
            return columns.words(cells, {one: one for one in sorted(kind.statuses)}, "status")
        case _:
            return columns.iso_times(cells, empty=name == kind.time)


def _refuse_values(
    batch: Batch,
    is_bad: pa.BooleanArray,
    faults: list[tuple[str, Checked]],
    cells: dict[str, pa.StringArray],
    result: Imported,
) -> None:
    """Note each bad row's first fault; only as many rows as are listed become Python objects."""
    count = int(pc.sum(is_bad).as_py())
    room = max(LISTED - len(result.refused), 0)
    chosen = pc.indices_nonzero(is_bad)[:room]
    rows = []
    for index in chosen.to_pylist():
        name, check = next((name, check) for name, check in faults if check.bad[index].as_py())
        rows.append(Refused(int(batch.lines[index]), name, check.reason, _shown(cells[name][index].as_py())))
    result.refuse(rows, count)


def _refuse_other_content(db: psycopg.Connection, kind: Kind, result: Imported) -> None:
    """Refuse rows whose reference is taken by other content, in the ledger or on an earlier line.

    A status that has moved since the import is no other content: the row is compared with what was
    imported as well as with what stands there now.
    """
    db.execute(
        """CREATE TEMP TABLE sieve ON COMMIT DROP AS
        SELECT hashtext(reference) AS hash FROM incoming GROUP BY 1 HAVING count(*) > 1"""
    )
    db.execute("ANALYZE sieve")
    differs = sql.SQL(", ").join(
        sql.SQL("CASE WHEN i.{0} IS DISTINCT FROM o.{0} THEN {1} END").format(
            sql.Identifier(name), sql.Literal("amount" if name == "amount_minor" else name)
        )
        for name in kind.compared
    )
    time = sql.Identifier(kind.time)
    listing = sql.SQL(
        """
        WITH repeated AS (
            SELECT i.*, row_number() OVER (PARTITION BY reference ORDER BY line_no) AS nth,
                first_value(line_no) OVER (PARTITION BY reference ORDER BY line_no) AS first_line
            FROM incoming i WHERE hashtext(reference) IN (SELECT hash FROM sieve)
        ), clash AS (
            SELECT i.line_no, coalesce({differs},
                CASE WHEN i.status <> o.status THEN 'status'
                     WHEN i.ended_at IS DISTINCT FROM o.ended_at THEN {time_name} END) AS column_name,
                'line ' || i.first_line || ' has this reference with other content' AS reason
            FROM repeated i JOIN incoming o ON o.line_no = i.first_line WHERE i.nth > 1
            UNION ALL
            SELECT i.line_no, coalesce({differs},
                CASE WHEN NOT EXISTS (SELECT FROM payment_events e
                        WHERE {same_event} AND e.cause = 'import' AND e.to_status = i.status
                          AND e.effective_at IS NOT DISTINCT FROM i.ended_at)
                     THEN CASE WHEN i.status <> o.status THEN 'status'
                               WHEN i.ended_at IS DISTINCT FROM o.{time} THEN {time_name} END END),
                'the ledger has this reference with other content'
            FROM incoming i JOIN {table} o ON o.reference = i.reference
        )
        SELECT DISTINCT ON (line_no) line_no, column_name, reason
        FROM clash WHERE column_name IS NOT NULL ORDER BY line_no, reason DESC"""
    ).format(
        differs=differs,
        time=time,
        time_name=sql.Literal(kind.time),
        table=sql.Identifier(kind.table),
        same_event=sql.SQL(
            "e.payment_id = o.id AND e.refund_id IS NULL"
            if kind is PAYMENTS
            else "e.payment_id = o.payment_id AND e.refund_id = o.id"
        ),
    )
    db.execute(sql.SQL("CREATE TEMP TABLE clashes ON COMMIT DROP AS {}").format(listing))
    _take_out(db, result)


def _refuse_refunds_that_do_not_fit(db: psycopg.Connection, result: Imported) -> None:
    """Refuse refunds of unknown payments, of another gateway's, and beyond what was paid."""
    db.execute(
        """CREATE TEMP TABLE clashes ON COMMIT DROP AS
        SELECT i.line_no, 'payment_reference' AS column_name,
            CASE WHEN p.id IS NULL THEN 'the ledger has no such payment'
                 ELSE 'that payment is of another gateway or currency' END AS reason
        FROM incoming i LEFT JOIN payments p ON p.reference = i.payment_reference
        WHERE p.id IS NULL OR p.gateway <> i.gateway OR p.currency <> i.currency"""
    )
    _take_out(db, result)
    db.execute(
        """CREATE TEMP TABLE clashes ON COMMIT DROP AS
        SELECT line_no, 'amount' AS column_name,
            'with the other refunds more than the payment''s amount' AS reason
        FROM (SELECT i.line_no, p.amount_minor,
                sum(i.amount_minor) FILTER (WHERE i.status <> 'refused')
                    OVER (PARTITION BY p.id ORDER BY i.line_no)
                + coalesce((SELECT sum(f.amount_minor) FROM refunds f
                    WHERE f.payment_id = p.id AND f.status <> 'refused'
                      AND f.reference NOT IN (SELECT reference FROM incoming)), 0) AS together
            FROM incoming i JOIN payments p ON p.reference = i.payment_reference) summed
        WHERE together > amount_minor"""
    )
    _take_out(db, result)


def _take_out(db: psycopg.Connection, result: Imported) -> None:
    """Move the rows named in `clashes` from the incoming ones to the refused ones."""
    (count,) = _one(db, "SELECT count(*) FROM clashes")
    if count:
        listed = db.execute(
            """SELECT line_no, column_name, reason, CASE column_name
                WHEN 'amount' THEN trim_scale(amount_minor / 100.0)::text
                WHEN 'paid_at' THEN ended_at::text
                WHEN 'confirmed_at' THEN ended_at::text
                ELSE coalesce(to_jsonb(i) ->> column_name, '') END
            FROM clashes JOIN incoming i USING (line_no) ORDER BY line_no LIMIT %s""",
            [LISTED],
        )
        result.refuse([Refused(*row) for row in listed], count)
        db.execute("DELETE FROM incoming i USING clashes c WHERE c.line_no = i.line_no")
    db.execute("DROP TABLE clashes")


def _insert(db: psycopg.Connection, kind: Kind, file_name: str, result: Imported) -> int:
    """Insert what is new, each with the event of its import; returns the import's number."""
    (number,) = _one(
        db,
        "INSERT INTO ledger_imports (file_name, kind, rows, imported, unchanged, refused)"
        " VALUES (%s, %s, 0, 0, 0, 0) RETURNING id",
        [file_name[:120], kind.name],
    )
    # What is open in a ledger taken over is asked about by the sweep, after an hour to look at it first.
    open_ones = sql.SQL(
        "CASE WHEN i.status IN ('created', 'pending', 'unknown') THEN now() + interval '1 hour' END, "
    )
    extra = (
        (sql.SQL("next_status_at, "), open_ones)
        if kind is PAYMENTS
        else (sql.SQL("payment_id, "), sql.SQL("p.id, "))
    )
    join = sql.SQL("" if kind is PAYMENTS else "JOIN payments p ON p.reference = i.payment_reference")
    statement = sql.SQL(
        """
        WITH new AS (
            INSERT INTO {table} ({extra_column}reference, gateway, gateway_reference, amount_minor, currency,
                status, created_at, {time})
            SELECT {extra_value}i.reference, i.gateway, i.gateway_reference, i.amount_minor, i.currency,
                i.status, i.created_at, i.ended_at
            FROM incoming i {join}
            WHERE NOT EXISTS (SELECT FROM {table} o WHERE o.reference = i.reference)
            ON CONFLICT (reference) DO NOTHING
            RETURNING id, {event_ids}, status, {time} AS ended_at
        )
        INSERT INTO payment_events (payment_id, refund_id, cause, source, to_status, effective_at)
        SELECT payment_id, refund_id, 'import', %(source)s, status, ended_at FROM new"""
    ).format(
        table=sql.Identifier(kind.table),
        time=sql.Identifier(kind.time),
        extra_column=extra[0],
        extra_value=extra[1],
        join=join,
        event_ids=sql.SQL(
            "id AS payment_id, NULL::uuid AS refund_id" if kind is PAYMENTS else "payment_id, id AS refund_id"
        ),
    )
    result.imported = db.execute(statement, {"source": f"import {number}"}).rowcount
    if kind is REFUNDS:
        db.execute(
            """UPDATE payments p SET refunded_minor = r.total
            FROM (SELECT payment_id, sum(amount_minor) AS total FROM refunds
                  WHERE status = 'confirmed' AND payment_id IN (
                    SELECT o.id FROM incoming i JOIN payments o ON o.reference = i.payment_reference)
                  GROUP BY 1) r WHERE p.id = r.payment_id AND p.refunded_minor <> r.total"""
        )
    return int(number)


def _shown(text: str) -> str:
    return text.replace("\x00", "␀")[:SEEN]


def _one(db: psycopg.Connection, query: LiteralString, values: list[Any] | None = None) -> tuple[Any, ...]:
    row = db.execute(query, values).fetchone()
    assert row is not None
    return tuple(row)
