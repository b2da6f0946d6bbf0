"""Which settled lines a payout's difference is made of, where that can be told."""

from collections import Counter
from collections.abc import Mapping
from itertools import combinations_with_replacement
from math import comb, prod
from typing import Any, LiteralString

import sqlalchemy as sa
from sqlalchemy.orm import Session

from records.payout_sums import Settled

SHOWN = 10
MOST_VALUES_FOR_THREE = 1_500  # distinct amounts; three of more are too many to try, and never unique

_LINES: LiteralString = """
FROM unnest(CAST(:runs AS integer[]), CAST(:names AS text[])) AS k(run_no, name)
JOIN reconciliation_outcomes o ON o.run_no = k.run_no AND coalesce(o.payout_reference, '') = k.name
    AND o.run_no = ANY (CAST(:runs AS integer[]))"""
_WORTH: LiteralString = "SELECT o.net_minor, count(*) " + _LINES + " WHERE o.net_minor > 0 GROUP BY 1"
_NAMED: LiteralString = (
    "SELECT coalesce(o.reference, p.reference, f.reference) AS reference, count(*) OVER () AS all "
    + _LINES
    + """
LEFT JOIN payments p ON p.id = o.subject_id AND NOT o.is_refund
LEFT JOIN refunds f ON f.id = o.subject_id AND o.is_refund"""
)
# In the order in which they are tried; the first that has a line explains the difference.
_SINGLE: tuple[tuple[str, int, LiteralString], ...] = (
    ("missing_payment", 1, "o.net_minor = :worth"),
    ("missing_payment_but_not_its_fee", 1, "o.net_minor > 0 AND o.report_minor = :worth"),
    ("refund_not_taken_off", -1, "o.is_refund AND o.net_minor = -CAST(:worth AS bigint)"),
    ("chargeback_not_taken_off", -1, "NOT o.is_refund AND o.net_minor = -CAST(:worth AS bigint)"),
    (
        "repeated_line_paid",
        -1,
        "o.net_minor IS NULL AND o.class = 'duplicate_at_gateway' AND NOT o.is_refund"
        " AND o.reason = 'repeated_line' AND o.report_minor - coalesce(o.fee_minor, 0) = :worth",
    ),
)


def explain(session: Session, payout: Settled, booked_minor: int) -> dict[str, Any] | None:
    """Say what a payout's difference is: one line, or the only two or three payments that make it up.

    `is_unique` is false where several lines are worth the same: then it is one of `references`.
    """
    short = payout.expected_minor - booked_minor
    values = {"runs": [run_no for run_no, _ in payout.parts], "names": [name for _, name in payout.parts]}
    for what, sign, condition in _SINGLE:
        if (short > 0) != (sign > 0):
            continue
        found = session.execute(
            sa.text(f"{_NAMED} WHERE {condition} ORDER BY 1 LIMIT {SHOWN}"),
            {**values, "worth": abs(short)},
        ).all()
        if found:
            return _said(what, [row.reference for row in found], is_unique=found[0].all == 1, of=found[0].all)
    if short <= 0:
        return None
    worth = {int(row[0]): int(row[1]) for row in session.execute(sa.text(_WORTH), values)}
    for size in (2, 3):
        ways = combinations(worth, short, size)
        if len(ways) > 1:
            return None  # several of two explain nothing, and then neither does one of three
        if ways:
            named = sa.text(f"{_NAMED} WHERE o.net_minor = ANY (CAST(:parts AS bigint[])) ORDER BY 1")
            rows = session.execute(named, {**values, "parts": list(ways[0])})
            return _said("missing_payments", [row.reference for row in rows], is_unique=True, of=size)
    return None


def combinations(worth: Mapping[int, int], total: int, size: int) -> list[tuple[int, ...]]:
    """The ways in which `size` lines add up to `total`, by their worth: none, the only one, two of several.

    worth: how many lines have each worth.
    """
    if size > 2 and len(worth) > MOST_VALUES_FOR_THREE:
        return []
    found: list[tuple[int, ...]] = []
    for some in combinations_with_replacement(sorted(worth), size - 1):
        last = total - sum(some)
        if last < some[-1] or last not in worth:
            continue
        parts = (*some, last)
        ways = prod(comb(worth[value], times) for value, times in Counter(parts).items())
        found += [parts] * min(ways, 2)
        if len(found) > 1:
            return found[:2]
    return found


_WHAT = {
    "missing_payment": "the payment {names} is missing in it",
    "missing_payment_but_not_its_fee": "the payment {names} is missing in it, its fee was taken all the same",
    "missing_payments": "the payments {names} are missing in it",
    "chargeback_not_taken_off": "the payment {names}, which was taken back, was not taken off",
    "refund_not_taken_off": "the refund {names} was not taken off",
    "repeated_line_paid": "the payment {names}, which the report lists twice, was paid twice",
}


def in_words(said: Mapping[str, Any] | None) -> str:
    """An explanation as people read it; empty where there is none."""
    if not said:
        return ""
    names = ", ".join(map(str, said["references"]))
    if not said["is_unique"]:
        more = " …" if said["lines"] > len(said["references"]) else ""
        names = f"(one of {said['lines']:,} that are worth the same: {names}{more})"
    return _WHAT[said["what"]].format(names=names)


def _said(what: str, references: list[str], *, is_unique: bool, of: int) -> dict[str, Any]:
    return {"what": what, "is_unique": is_unique, "lines": of, "references": references}
