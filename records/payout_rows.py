"""The rows of a payout proof: the gateway's bank entries, and each row as people and programs read it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from hashlib import md5
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common import money
from common.errors import BadInput
from common.settings import GATEWAYS, PayoutPlan, settings
from records.bank import BankEntry, BankMalformedLine, BankStatement, covered_days
from records.payout_explained import explain
from records.payout_pairing import Booked, Pairing
from records.payout_sums import Settled


@dataclass(frozen=True)
class Row:
    """One row of a proof, as it is recorded. identity: the same over all runs that find the same thing."""

    identity: UUID
    class_: str
    ledger_minor: int | None
    report_minor: int | None
    entry_id: UUID | None
    day: date
    details: dict[str, Any]


@dataclass(frozen=True)
class BankSide:
    """What the bank's statements say of one gateway, from some days before the run's first to its last."""

    entries: dict[UUID, BankEntry]
    unreadable: list[BankMalformedLine]  # of the run's own days
    statements: dict[UUID, BankStatement]
    is_covered: Callable[[date], bool]


def is_a_gateways(narrative: str) -> bool:
    """Whether some gateway's pattern knows this bank entry."""
    return any(_search(settings().gateway(name).payout, narrative) for name in GATEWAYS)


def bank_side(session: Session, gateway: str, since: date, first_day: date, last_day: date) -> BankSide:
    """The gateway's entries from `since` on, and its lines of these days that cannot be read.

    Raises BadInput where an entry fits the patterns of two gateways.
    """
    plan = settings().gateway(gateway).payout
    spans = covered_days(session, plan.account)
    return BankSide(
        _entries(session, gateway, plan, since, last_day),
        _unreadable(session, plan, first_day, last_day),
        {one.id: one for one in session.scalars(sa.select(BankStatement))},
        lambda day: any(first <= day <= last for first, last in spans),
    )


def booked(entry: BankEntry, plan: PayoutPlan) -> Booked:
    """The entry as the pairing looks at it."""
    match = _search(plan, entry.narrative or "")
    return Booked(
        entry.id,
        entry.booked_on,
        entry.amount_minor,
        entry.currency,
        (match.groupdict().get("reference") or None) if match else None,
        (entry.account + entry.identity, entry.copy),
    )


def row_of(
    session: Session,
    gateway: str,
    pairing: Pairing,
    payout: Settled | None,
    entry: BankEntry | None,
    bank: BankSide,
) -> Row:
    """What was paired, with both sides side by side and its difference explained as far as it can be."""
    details: dict[str, Any] = {
        "gateway": gateway,
        "payout": payout.key if payout else (pairing.booked.reference if pairing.booked else None),
        "class": pairing.class_,
        "reason": pairing.reason,
        "late_days": pairing.late_days,
        **_our_side(payout),
        "bank": _banks_side(entry, bank) if entry else None,
        "difference": None,
        "explanation": None,
        "unreadable": None,
    }
    if payout and pairing.class_ == "missing_at_gateway":
        lines = [line.line_no for line in bank.unreadable if line.booked_on == payout.due_on]
        if lines:
            details["reason"] = f"line {min(lines)} of the bank statement cannot be read"
    if payout and entry and pairing.class_ == "amount_mismatch":
        details["difference"] = money.plain(entry.amount_minor - payout.expected_minor)
        details["explanation"] = explain(session, payout, entry.amount_minor)
    what: tuple[object, ...]
    if payout:
        what, day = ("payout", payout.key), entry.booked_on if entry else payout.due_on
    else:
        assert entry is not None
        content = (
            entry.account,
            entry.booked_on,
            entry.amount_minor,
            entry.currency,
            entry.identity,
            entry.copy,
        )
        what, day = ("entry", *content), entry.booked_on
    return Row(
        _identity(gateway, *what),
        pairing.class_,
        payout.expected_minor if payout else None,
        entry.amount_minor if entry else None,
        entry.id if entry else None,
        day,
        details | {"day": day.isoformat()},
    )


def unreadable_row(gateway: str, line: BankMalformedLine, bank: BankSide) -> Row:
    """A line that cannot be read, and why; it counts 0."""
    statement = bank.statements[line.statement_id].name
    where = f"{statement}, line {line.line_no}"
    column = f"{line.column_name}: " if line.column_name else ""
    details = {
        "gateway": gateway,
        "payout": None,
        "class": "malformed_line",
        "reason": f"{where}: {column}{line.reason} (seen: {line.seen!r})",
        "late_days": None,
        **_our_side(None),
        "bank": None,
        "difference": None,
        "explanation": None,
        "unreadable": {
            "column": line.column_name,
            "seen": line.seen,
            "reason": line.reason,
            "statement": statement,
            "line": line.line_no,
        },
        "day": line.booked_on.isoformat(),
    }
    identity = _identity(gateway, "line", line.identity, line.copy)
    return Row(identity, "malformed_line", None, 0, None, line.booked_on, details)


def _entries(
    session: Session, gateway: str, plan: PayoutPlan, since: date, until: date
) -> dict[UUID, BankEntry]:
    query = sa.select(BankEntry).where(
        BankEntry.narrative.is_not(None), BankEntry.booked_on.between(since, until)
    )
    if plan.account:
        query = query.where(BankEntry.account == plan.account)
    found = {}
    for entry in session.scalars(query):
        narrative = entry.narrative or ""
        if not _search(plan, narrative):
            continue
        for other in GATEWAYS:
            theirs = settings().gateway(other).payout
            is_theirs = theirs.account in ("", entry.account) and _search(theirs, narrative)
            if other != gateway and is_theirs:
                raise BadInput(
                    f"the bank entry of {entry.booked_on}, line {entry.line_no}, fits the patterns of both "
                    f"{gateway} and {other}: make one of them narrower"
                )
        found[entry.id] = entry
    return found


def _unreadable(
    session: Session, plan: PayoutPlan, first_day: date, last_day: date
) -> list[BankMalformedLine]:
    line = BankMalformedLine
    query = sa.select(line).where(line.narrative.is_not(None), line.booked_on.between(first_day, last_day))
    if plan.account:
        query = query.where(sa.or_(line.account.is_(None), line.account == plan.account))
    ordered = session.scalars(query.order_by(line.booked_on, line.identity, line.copy))
    return [one for one in ordered if _search(plan, one.narrative or "")]


def _our_side(payout: Settled | None) -> dict[str, Any]:
    names = ("payments", "refunds", "chargebacks", "fees", "transfer_fee", "expected")
    if payout is None:
        return dict.fromkeys(("due_on", "first_business_day", "last_business_day", "lines", *names))
    return {
        "due_on": payout.due_on.isoformat(),
        "first_business_day": payout.first_day.isoformat(),
        "last_business_day": payout.last_day.isoformat(),
        "lines": payout.lines,
        **{name: money.plain(getattr(payout, f"{name}_minor")) for name in names},
    }


def _banks_side(entry: BankEntry, bank: BankSide) -> dict[str, Any]:
    named = entry.identity.startswith("ref:")
    return {
        "booked_on": entry.booked_on.isoformat(),
        "amount": money.plain(entry.amount_minor),
        "currency": entry.currency,
        "account": entry.account,
        "reference": entry.identity.removeprefix("ref:") if named else None,
        "statement": bank.statements[entry.statement_id].name,
        "line": entry.line_no,
    }


def _identity(*parts: object) -> UUID:
    return UUID(md5("|".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest())


def _search(plan: PayoutPlan, narrative: str) -> re.Match[str] | None:
    return re.search(plan.pattern, narrative, re.IGNORECASE) if plan.pattern else None
