"""The CSV of a statement's exceptions: all of them, streamed, and harmless in a spreadsheet."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from common.cells import neutral
from common.clock import JAKARTA
from common.money import plain
from records.db import unit_of_work
from records.exceptions import ExceptionEvent, ReconciliationException

_BATCH = 10_000
_BOM = "\ufeff"  # without it Excel takes UTF-8 for the machine's old code page

COLUMNS = (
    "exception", "class", "state", "type", "reference", "reason", "note",
    "expected_status", "expected_currency", "expected_amount", "expected_fee", "expected_at",
    "expected_gateway_reference",
    "found_status", "found_currency", "found_amount", "found_fee", "found_at", "found_gateway_reference",
    "unreadable_column", "unreadable_text", "source", "line", "opened_at", "closed_at",
    "last_event", "last_event_by", "last_event_at",
)  # fmt: skip

_E = ReconciliationException
_LAST = (
    sa.select(ExceptionEvent.reason, ExceptionEvent.actor, ExceptionEvent.at)
    .where(ExceptionEvent.exception_id == _E.id)
    .order_by(ExceptionEvent.id.desc())
    .limit(1)
    .lateral()
)
# Columns and not objects: a statement may have as many exceptions as its report has lines.
_ROWS = (
    sa.select(
        _E.id,
        _E.class_,
        _E.state,
        _E.is_refund,
        _E.reference,
        _E.reason,
        _E.note,
        _E.expected,
        _E.found,
        _E.source_name,
        _E.line_no,
        _E.opened_at,
        _E.closed_at,
        _LAST.c.reason.label("last_event"),
        _LAST.c.actor.label("last_actor"),
        _LAST.c.at.label("last_at"),
    )
    .outerjoin(_LAST, sa.true())
    .where(_E.last_run_id == sa.bindparam("run"), _E.id > sa.bindparam("after"))
    .order_by(_E.id)
    .limit(sa.bindparam("batch"))
)


def exceptions_csv(run_id: UUID) -> Iterator[str]:
    """The file in pieces, `timing` included; no transaction stays open between two pieces."""
    yield _BOM + _lines([COLUMNS])
    after = 0
    while True:
        with unit_of_work() as session:
            batch = session.execute(_ROWS, {"run": run_id, "after": after, "batch": _BATCH}).all()
        if not batch:
            return
        yield _lines([_cells(row) for row in batch])
        after = batch[-1].id


def _cells(row: Any) -> list[str]:
    seen = row.found if row.class_ == "malformed_line" else {}
    values: list[Any] = [
        row.id, row.class_, row.state, "refund" if row.is_refund else "payment",
        row.reference, row.reason, row.note,
        *_side(row.expected), *_side(row.found),
        seen.get("column"), seen.get("seen"), row.source_name, row.line_no,
        _wib(row.opened_at), _wib(row.closed_at),
        row.last_event, row.last_actor, _wib(row.last_at),
    ]  # fmt: skip
    return [neutral("" if value is None else str(value)) for value in values]


def _side(said: dict[str, Any]) -> list[str | None]:
    at = said.get("at")
    return [
        said.get("status"),
        said.get("currency"),
        *(
            plain(said[name]) if said.get(name) is not None else None
            for name in ("amount_minor", "fee_minor")
        ),
        _wib(datetime.fromisoformat(at)) if at else None,
        said.get("gateway_reference"),
    ]


def _wib(value: datetime | None) -> str | None:
    return value.astimezone(JAKARTA).isoformat(timespec="seconds") if value else None


def _lines(rows: list[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()
