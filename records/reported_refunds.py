"""Refund lines whose refund we do not know: made in the gateway's dashboard, and taken in from the report.

The payment is found by its own reference, or by the gateway's reference of it, in the line. Then the line is
given the refund's reference, by which the match pairs it like any other. What cannot be taken in stays as it
is, with a word why. Run again, everything is found as it was taken in.
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import LiteralString
from uuid import UUID

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.orm import Session

from common.money import MINOR_PER_UNIT, rupiah
from records import foreign_refund, payment, refund
from records.db import connection, unit_of_work
from records.payment import PAID, Payment
from records.refund import Refund
from records.staging import Staging

CAUSE = "report"
NEAR = timedelta(days=2)  # a refund's line and the refund itself are seldom further apart

_UNKNOWN: LiteralString = """
CREATE TEMP TABLE unknown_refunds ON COMMIT DROP AS
SELECT source, line_no, reference, gateway_reference, status, amount_minor, currency, occurred_at
FROM {lines} l WHERE is_refund AND NOT EXISTS (
    SELECT FROM refunds f WHERE f.reference = l.reference AND f.gateway = %(gateway)s)"""
# In the order of their content, so that the lines' order in the file decides nothing.
_OF_PAYMENTS: LiteralString = """
SELECT payment_id, of_reference, source, line_no, reference, gateway_reference, status, amount_minor,
    currency, occurred_at
FROM (
    SELECT u.*, p.id AS payment_id, true AS of_reference FROM unknown_refunds u
    JOIN payments p ON p.reference = u.reference AND p.gateway = %(gateway)s
    UNION ALL
    SELECT u.*, p.id, false FROM unknown_refunds u
    JOIN payments p ON p.gateway_reference = u.gateway_reference AND p.gateway = %(gateway)s
    WHERE NOT EXISTS (SELECT FROM payments o WHERE o.reference = u.reference AND o.gateway = %(gateway)s)
) found
ORDER BY payment_id, occurred_at, gateway_reference NULLS FIRST, amount_minor, reference, source, line_no"""
# Refunds that a line of this report names by their own reference, or an earlier day has matched.
_HAS_ITS_LINE: LiteralString = """
SELECT f.id FROM refunds f WHERE f.payment_id = ANY (%(payments)s) AND (
    EXISTS (SELECT FROM {lines} l WHERE l.is_refund AND l.reference = f.reference)
    OR EXISTS (SELECT FROM reconciliations r JOIN reconciliation_outcomes o ON o.run_no = r.no
               WHERE r.gateway = f.gateway AND r.is_current AND r.business_date <> %(day)s
                 AND r.business_date >= (f.created_at AT TIME ZONE 'Asia/Jakarta')::date - 2
                 AND o.subject_id = f.id AND o.class = 'matched'))"""
_NOTE: LiteralString = """
UPDATE {lines} SET reference = coalesce(%(name)s, reference), remark = %(remark)s
WHERE source = %(source)s AND line_no = %(line_no)s"""


@dataclass(frozen=True)
class _Line:
    """One refund line that names a payment. of_reference: by the payment's own reference."""

    payment_id: UUID
    of_reference: bool
    source: int
    line_no: int
    reference: str
    gateway_reference: str | None
    status: str
    amount_minor: int
    currency: str
    occurred_at: datetime

    def number(self, paid: Payment) -> str | None:
        """The gateway's own name of the refund; none where the line only repeats the payment's."""
        if not self.of_reference:
            return self.reference
        is_payments = self.gateway_reference in (None, "", paid.gateway_reference)
        return None if is_payments else self.gateway_reference

    def identity(self, paid: Payment) -> str:
        """By which reports know the refund: its name, or else all that the line says."""
        content = f"{self.amount_minor} {self.occurred_at.astimezone(UTC).isoformat()}"
        return f"{paid.reference}/{self.number(paid) or content}"


def take_in(staging: Staging, gateway: str, told_by: list[str], day: date) -> None:
    """Take in what the staged lines tell of refunds that we do not know.

    told_by: names of the report's files, by their source number. Each refund is a transaction of its own,
    through the doors that every refund goes through.
    """
    with connection() as db:
        lines, has_line = _of_payments(db, staging, gateway, day)
    noted = []
    for line in lines:
        source = f"{told_by[line.source]}, line {line.line_no}"
        with unit_of_work() as session:
            found = _settle(session, line, has_line, source)
        is_refund = isinstance(found, Refund)
        noted.append(
            {
                "name": found.reference if isinstance(found, Refund) else None,
                "remark": None if is_refund else found,
                "source": line.source,
                "line_no": line.line_no,
            }
        )
    if noted:
        with connection() as db, db.cursor() as cursor:
            cursor.executemany(sql.SQL(_NOTE).format(lines=staging.lines), noted)


def _of_payments(
    db: psycopg.Connection, staging: Staging, gateway: str, day: date
) -> tuple[list[_Line], set[UUID]]:
    """Lines of unknown refunds that name one payment of ours; which of its refunds have their own line."""
    db.execute(sql.SQL(_UNKNOWN).format(lines=staging.lines), {"gateway": gateway})
    found = [_Line(*row) for row in db.execute(_OF_PAYMENTS, {"gateway": gateway})]
    payments: dict[tuple[int, int], set[UUID]] = {}
    for line in found:
        payments.setdefault((line.source, line.line_no), set()).add(line.payment_id)
    clear = [line for line in found if len(payments[line.source, line.line_no]) == 1]
    if not clear:
        return [], set()
    values = {"payments": list({line.payment_id for line in clear}), "day": day}
    has_line = {row[0] for row in db.execute(sql.SQL(_HAS_ITS_LINE).format(lines=staging.lines), values)}
    return clear, has_line


def _settle(session: Session, line: _Line, has_line: set[UUID], source: str) -> Refund | str | None:
    """The refund that the line is, taken in where it has to be; else why it is not, in a word."""
    paid = payment.locked(session, line.payment_id)
    refunds = refund.of_payment(session, paid.id)
    identity = line.identity(paid)
    known = next((one for one in refunds if one.line_reference == identity), None)
    if known is not None:
        return known
    if line.status != "paid":
        return None
    known = _told(refunds, line, paid, has_line)
    if known is not None:
        if known.is_foreign and known.line_reference is None:
            known.line_reference = identity
        return known
    why_not = _why_not(refunds, line, paid, has_line)
    if why_not is not None:
        return why_not
    return _adopted(session, line, paid, identity, source) or "reference_taken"


def _told(refunds: Iterable[Refund], line: _Line, paid: Payment, has_line: set[UUID]) -> Refund | None:
    """The refund that the line is, where we have it under another name: by the gateway's number of it, else
    one that the gateway has told of, with the same money and no line so far."""
    refunds, number = list(refunds), line.number(paid)
    for one in refunds:
        if number is not None and number in (one.gateway_reference, one.reference):
            return one
    for one in refunds:
        if (
            one.is_foreign
            and one.line_reference is None
            and one.id not in has_line
            and one.status in ("accepted", "confirmed")
            and one.amount_minor == line.amount_minor
        ):
            return one
    return None


def _why_not(refunds: Iterable[Refund], line: _Line, paid: Payment, has_line: set[UUID]) -> str | None:
    """Why the line's refund cannot be taken in, in a word; None where it can."""
    if paid.status not in PAID:
        return "payment_not_paid"
    if line.currency != paid.currency:
        return "other_currency"
    if line.amount_minor % MINOR_PER_UNIT:
        return "not_whole_rupiah"
    live = [one for one in refunds if one.status != "refused" and one.charge_reference is None]
    for one in live:
        is_near = one.confirmed_at is None or abs(one.confirmed_at - line.occurred_at) <= NEAR
        if (
            one.amount_minor == line.amount_minor
            and is_near
            and not one.is_foreign
            and one.id not in has_line
        ):
            return "may_be_ours"
    if sum(one.amount_minor for one in live) + line.amount_minor > paid.amount_minor:
        return "more_than_was_paid"
    return None


def _adopted(session: Session, line: _Line, paid: Payment, identity: str, source: str) -> Refund | None:
    name = line.number(paid)
    if name is None or session.scalar(sa.select(sa.exists().where(Refund.reference == name))):
        name = "F" + base64.b32encode(hashlib.sha256(identity.encode()).digest()).decode()[:26]
    made = foreign_refund.adopt(
        session,
        paid,
        reference=name,
        amount_minor=line.amount_minor,
        source=source,
        cause=CAUSE,
        gateway_reference=line.gateway_reference or None,
        line_reference=identity,
    )
    if made is None:
        return None
    note = f"The report says that {rupiah(line.amount_minor)} went back."
    refund.apply(session, paid, made, "confirmed", cause=CAUSE, source=source, at=line.occurred_at, note=note)
    return made
