"""What is settled and not yet seen at the bank: the report lines of each day, added up into payouts."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, LiteralString

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from records.calendar import paid_out_on
from records.db import Base
from records.payout_pairing import Expected

# Statements that may be relied on; what is not summed yet is summed once and kept.
_DAYS: LiteralString = """
SELECT r.no, r.business_date, r.sources FROM reconciliations r
WHERE r.gateway = :gateway AND r.is_current AND r.is_balanced
  AND r.business_date BETWEEN :since AND :until ORDER BY r.business_date"""
_SUM_UP: LiteralString = """
INSERT INTO settled_sums (run_no, payout_reference, lines, payments_minor, refunds_minor, chargebacks_minor,
    net_minor)
SELECT n.run_no, coalesce(o.payout_reference, ''), count(o.run_no),
    coalesce(sum(o.report_minor) FILTER (WHERE NOT o.is_refund AND o.net_minor <> -o.report_minor), 0),
    coalesce(sum(o.report_minor) FILTER (WHERE o.is_refund), 0),
    coalesce(sum(o.report_minor) FILTER (WHERE NOT o.is_refund AND o.net_minor = -o.report_minor), 0),
    coalesce(sum(o.net_minor), 0)
FROM unnest(CAST(:runs AS integer[])) AS n(run_no)
LEFT JOIN reconciliation_outcomes o
    ON o.run_no = n.run_no AND o.net_minor IS NOT NULL AND o.run_no = ANY (CAST(:runs AS integer[]))
GROUP BY 1, 2
ON CONFLICT DO NOTHING"""
_SUMS: LiteralString = """
SELECT run_no, payout_reference, lines, payments_minor, refunds_minor, chargebacks_minor, net_minor
FROM settled_sums WHERE run_no = ANY (CAST(:runs AS integer[])) AND lines > 0
ORDER BY run_no, payout_reference"""


class SettledSum(Base):
    """The settled lines of one statement that name one payout (or none: the empty text), added up."""

    __tablename__ = "settled_sums"
    run_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    payout_reference: Mapped[str] = mapped_column(sa.Text(collation="C"), primary_key=True)
    lines: Mapped[int]
    payments_minor: Mapped[Decimal]
    refunds_minor: Mapped[Decimal]
    chargebacks_minor: Mapped[Decimal]
    net_minor: Mapped[Decimal]


@dataclass
class Settled:
    """The lines of one payout, added up; amounts in minor units. parts: (run_no, payout reference)."""

    key: str
    has_reference: bool
    due_on: date
    first_day: date
    last_day: date
    lines: int = 0
    payments_minor: int = 0
    refunds_minor: int = 0
    chargebacks_minor: int = 0
    net_minor: int = 0
    transfer_fee_minor: int = 0
    parts: list[tuple[int, str]] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)

    @property
    def fees_minor(self) -> int:
        """What the gateway keeps of the payments and refunds."""
        return self.payments_minor - self.refunds_minor - self.chargebacks_minor - self.net_minor

    @property
    def expected_minor(self) -> int:
        """What the bank is to book."""
        return self.net_minor - self.transfer_fee_minor

    def as_expected(self) -> Expected:
        """The payout as the pairing looks at it."""
        return Expected(self.key, self.has_reference, self.due_on, self.last_day, self.expected_minor)


def settled(
    session: Session,
    gateway: str,
    since: date,
    until: date,
    transfer_fee_minor: int,
) -> dict[str, Settled]:
    """The payouts of business days from `since` to `until`, by key.

    Lines that name a payout are one payout by that name; all others of the days that are due together are
    one payout by that day.
    """
    days = {
        row.no: row
        for row in session.execute(sa.text(_DAYS), {"gateway": gateway, "since": since, "until": until})
    }
    found: dict[str, Settled] = {}
    for row in _sums(session, list(days)):
        day = days[row.run_no]
        due_on = paid_out_on(gateway, day.business_date)
        key = row.payout_reference or f"due:{due_on}"
        one = found.setdefault(
            key,
            Settled(
                key,
                bool(row.payout_reference),
                due_on,
                day.business_date,
                day.business_date,
                transfer_fee_minor=transfer_fee_minor,
            ),
        )
        one.due_on = max(one.due_on, due_on)
        one.first_day = min(one.first_day, day.business_date)
        one.last_day = max(one.last_day, day.business_date)
        one.lines += row.lines
        one.payments_minor += int(row.payments_minor)
        one.refunds_minor += int(row.refunds_minor)
        one.chargebacks_minor += int(row.chargebacks_minor)
        one.net_minor += int(row.net_minor)
        one.parts.append((row.run_no, row.payout_reference))
        one.sources += day.sources
    return found


def _sums(session: Session, runs: list[int]) -> list[Any]:
    known = sa.text("SELECT DISTINCT run_no FROM settled_sums WHERE run_no = ANY (CAST(:runs AS integer[]))")
    summed = set(session.scalars(known, {"runs": runs}))
    if missing := [no for no in runs if no not in summed]:
        session.execute(sa.text(_SUM_UP), {"runs": missing})
    return list(session.execute(sa.text(_SUMS), {"runs": runs}))


def counted(session: Session, payouts: Iterable[Settled]) -> tuple[int, int]:
    """How many payouts these are and what their lines are worth, from the lines themselves: for the proof."""
    parts = [(one.key, *part) for one in payouts for part in one.parts]
    row = session.execute(
        sa.text(
            """
            SELECT count(DISTINCT k.key), coalesce(sum(o.net_minor), 0)
            FROM unnest(CAST(:keys AS text[]), CAST(:runs AS integer[]), CAST(:names AS text[]))
                AS k(key, run_no, name)
            JOIN reconciliation_outcomes o ON o.run_no = k.run_no
                AND coalesce(o.payout_reference, '') = k.name AND o.net_minor IS NOT NULL
                AND o.run_no = ANY (CAST(:runs AS integer[]))"""
        ),
        {
            "keys": [key for key, _, _ in parts],
            "runs": [run_no for _, run_no, _ in parts],
            "names": [name for _, _, name in parts],
        },
    ).one()
    return row[0], int(row[1])
