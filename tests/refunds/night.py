"""A night's reconciliation for tests of refunds: the real steps over a report file, without Prefect."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from common import clock
from common.money import plain
from records import exceptions, files, process, reconciliation
from records.db import unit_of_work
from records.exceptions import ExceptionEvent, ReconciliationException
from records.payment import Payment
from tasks import reconcile_payments as tasks

HEAD = "reference,gateway_reference,type,status,amount,fee,currency,occurred_at"


def line(
    made: dict[str, Any], kind: str = "payment", *, after: timedelta = timedelta(0), **changes: Any
) -> str:
    """A canonical line about a payment, as it is with us; `changes` replace cells, `after` its time."""
    with unit_of_work() as session:
        found = session.get_one(Payment, UUID(made["payment_id"]))
    at = (found.paid_at or datetime.now(UTC)) + after
    cells = {
        "reference": found.reference,
        "gateway_reference": found.gateway_reference or "",
        "type": kind,
        "status": "paid",
        "amount": plain(found.amount_minor),
        "fee": "",
        "currency": found.currency,
        "occurred_at": at.isoformat(),
    } | changes
    return ",".join(str(cell) for cell in cells.values())


def today() -> date:
    """The business day; with the fixture `one_day` it is the same from a test's beginning to its end."""
    return clock.business_date(clock.now())


def night(gateway: str, lines: Sequence[str], day: date | None = None) -> dict[str, int]:
    """Reconcile the day (default: today) with a report of these lines; how many items each class has, but for
    empty ones."""
    day = day or today()
    kept = files.keep("report.csv", ["\n".join([HEAD, *lines, ""]).encode()])
    with unit_of_work() as session:
        run, _ = process.request(session, "reconcile-payments", uuid4().hex, {})
    asked = tasks.Day(run.id, gateway, day, f"sha256:{kept}", "canonical", allow_empty=True)
    sources = tasks.stage_report.fn(asked, [kept])
    tasks.take_in_refunds.fn(asked, sources)
    tasks.classify.fn(asked, sources)
    assert tasks.prove.fn(asked)
    with unit_of_work() as session:
        done = reconciliation.of_process(session, run.id)
        assert done is not None
        return {name: one["count"] for name, one in done.classes.items() if one["count"]}


def notes() -> list[tuple[str, str | None, str | None]]:
    """Class, reason and note of the refund lines in all current statements."""
    query = (
        "SELECT o.class::text, o.reason, o.note FROM reconciliation_outcomes o JOIN reconciliations r "
        "ON r.no = o.run_no WHERE r.is_current AND o.is_refund AND o.line_no IS NOT NULL "
        "ORDER BY r.business_date, o.line_no"
    )
    with unit_of_work() as session:
        return [tuple(row) for row in session.execute(sa.text(query))]


def the_exception(state: str | None = "open", **where: Any) -> ReconciliationException:
    with unit_of_work() as session:
        (found,) = exceptions.search(session, state=state, **where)
        return found


def steps(number: int) -> list[ExceptionEvent]:
    with unit_of_work() as session:
        return exceptions.history(session, number)
