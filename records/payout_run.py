"""One run over a gateway's payouts: paired, recorded whole or not at all, and proven."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from common import money
from common.errors import BadInput
from common.settings import PayoutPlan, settings
from records import payout_exceptions, payout_match, payout_rows, payout_sums
from records.bank import BankEntry
from records.classes import CLASSES, LEDGER_CLASSES, LINE_CLASSES
from records.payout import Payout, PayoutOutcome, PayoutRun
from records.payout_pairing import concerns, pair
from records.payout_rows import BankSide, Row
from records.payout_sums import Settled

LOOK_BACK = timedelta(days=60)  # what was settled earlier than this before the first day is not awaited


def reconcile(session: Session, gateway: str, first_day: date, last_day: date) -> PayoutRun:
    """Hold the gateway's payouts against its bank entries of these days, and record the proof.

    Nothing is seen before the commit; the same days again are a new version. Raises BadInput where the
    gateway has no pattern, or an entry fits the patterns of two gateways.
    """
    plan = settings().gateway(gateway).payout
    if not plan.pattern:
        name = f"JEMBATAN_{gateway.upper()}__PAYOUT__PATTERN"
        raise BadInput(f"{gateway} has no payouts: set {name} to what its bank entries say")
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    # One run at a time; and nobody ends an exception between the snapshot and its own update.
    session.execute(sa.text("LOCK TABLE payout_runs, reconciliation_exceptions IN EXCLUSIVE MODE"))
    since = first_day - LOOK_BACK
    fee_minor = int(plan.transfer_fee * money.MINOR_PER_UNIT)
    expected = payout_sums.settled(session, gateway, since, last_day, fee_minor)
    bank = payout_rows.bank_side(session, gateway, since, first_day, last_day)
    pairings = pair(
        [one.as_expected() for one in expected.values()],
        [payout_rows.booked(entry, plan) for entry in bank.entries.values()],
        last_day,
        bank.is_covered,
        payout_match.by_hand(session, gateway),
    )
    scope, rows = [], []
    for one in pairings:
        if concerns(one, first_day, last_day):
            payout = expected[one.expected.key] if one.expected else None
            entry = bank.entries[one.booked.id] if one.booked else None
            rows.append(payout_rows.row_of(session, gateway, one, payout, entry, bank))
            scope += [payout] if payout else []
    rows += [payout_rows.unreadable_row(gateway, line, bank) for line in bank.unreadable]
    booked = [entry for entry in bank.entries.values() if entry.booked_on >= first_day]
    run = _store(session, gateway, first_day, last_day, plan, rows)
    run.sources = _sources(scope, booked, bank)
    run.overlap_rows = sum(entry.seen - 1 for entry in booked)
    _prove(session, run, scope, booked, len(bank.unreadable))
    _know(session, run, rows)
    payout_exceptions.record(session, run.id, gateway)
    return run


def _store(
    session: Session, gateway: str, first_day: date, last_day: date, plan: PayoutPlan, rows: list[Row]
) -> PayoutRun:
    """The run as the newest version of its days, and what it found."""
    key = {"gateway": gateway, "first_day": first_day, "last_day": last_day}
    version = session.scalar(sa.select(sa.func.max(PayoutRun.version)).filter_by(**key)) or 0
    session.execute(sa.update(PayoutRun).filter_by(**key, is_current=True).values(is_current=False))
    totals = {name: {"count": 0, "ledger_minor": 0, "report_minor": 0} for name in CLASSES}
    for row in rows:
        total = totals[row.class_]
        total["count"] += 1
        total["ledger_minor"] += row.ledger_minor or 0
        total["report_minor"] += row.report_minor or 0
    run = PayoutRun(
        **key,
        version=version + 1,
        is_current=True,
        sources=[],
        rules=plan.model_dump(mode="json"),
        classes=totals,
        ledger_rows=0,
        report_rows=0,
        ledger_minor=Decimal(0),
        report_minor=Decimal(0),
        overlap_rows=0,
        is_balanced=False,
        proof={},
    )
    session.add(run)
    session.flush()
    for row in rows:
        session.add(
            PayoutOutcome(
                run_id=run.id,
                identity=row.identity,
                class_=row.class_,
                ledger_minor=row.ledger_minor,
                report_minor=row.report_minor,
                details=row.details,
            )
        )
    session.flush()
    return run


def _sources(scope: list[Settled], booked: list[BankEntry], bank: BankSide) -> list[dict[str, Any]]:
    """The files that the run rests on: settlement reports, then bank statements."""
    reports = {source["sha256"]: source for payout in scope for source in payout.sources}
    found = [{name: one[name] for name in ("name", "sha256", "rows")} for _, one in sorted(reports.items())]
    used = {one.statement_id for one in booked} | {one.statement_id for one in bank.unreadable}
    statements = sorted((bank.statements[id_] for id_ in used), key=lambda one: one.sha256)
    return found + [{"name": one.name, "sha256": one.sha256, "rows": one.rows} for one in statements]


def _prove(
    session: Session, run: PayoutRun, scope: list[Settled], booked: list[BankEntry], unreadable: int
) -> None:
    """Hold what was recorded against the report lines and the bank entries themselves, in rows and money."""
    rows, net = payout_sums.counted(session, scope)
    recorded: dict[str, tuple[int, int, int]] = {
        name: (count, int(ledger), int(report))
        for name, count, ledger, report in session.execute(
            sa.text(
                "SELECT class::text, count(*), coalesce(sum(ledger_minor), 0), coalesce(sum(report_minor), 0)"
                " FROM payout_outcomes WHERE run_id = :run GROUP BY 1"
            ),
            {"run": run.id},
        )
    }

    def summed(classes: tuple[str, ...], place: int) -> int:
        return sum(recorded.get(name, (0, 0, 0))[place] for name in classes)

    # `nothing_due` and the like have a payout and no entry: rows of the bank are those that have one.
    with_entry = sa.text(
        "SELECT count(*) FROM payout_outcomes WHERE run_id = :run AND report_minor IS NOT NULL"
    )
    figures = {
        "ledger_rows": (rows, summed(LEDGER_CLASSES, 0)),
        "ledger_minor": (net - sum(one.transfer_fee_minor for one in scope), summed(LEDGER_CLASSES, 1)),
        "report_rows": (len(booked) + unreadable, session.scalar(with_entry, {"run": run.id})),
        "report_minor": (sum(entry.amount_minor for entry in booked), summed(LINE_CLASSES, 2)),
    }
    run.is_balanced = all(counted == found for counted, found in figures.values())
    run.proof = {
        f"{name}_{how}": str(value)
        for name, both in figures.items()
        for how, value in zip(("counted", "summed"), both, strict=True)
    }
    run.ledger_rows, run.report_rows = rows, len(booked) + unreadable
    run.ledger_minor, run.report_minor = (
        Decimal(figures[name][0]) for name in ("ledger_minor", "report_minor")
    )
    session.flush()


def _know(session: Session, run: PayoutRun, rows: list[Row]) -> None:
    """Bring what is known of each payout up to date, unless a run that looked further has been there.

    What waits gives way to whatever is found, and what has no entry to what has one.
    An entry that was taken for nobody's and now pays a payout is one row from then on; and what the last
    version of these days found and this one does not is no more.
    """
    values = [
        {
            "gateway": run.gateway,
            "identity": row.identity,
            "class_": row.class_,
            "ledger_minor": row.ledger_minor,
            "report_minor": row.report_minor,
            "entry_id": row.entry_id,
            "day": row.day,
            "details": row.details,
            "as_of": run.last_day,
            "last_run_id": run.id,
        }
        for row in rows
    ]
    if values:
        added = insert(Payout).values(values)
        kept = ("class", "ledger_minor", "report_minor", "entry_id", "day", "details", "as_of", "last_run_id")
        session.execute(
            added.on_conflict_do_update(
                constraint="payouts_identity",
                set_={name: added.excluded[name] for name in kept},
                where=sa.or_(
                    Payout.as_of <= added.excluded.as_of,
                    Payout.entry_id.is_(None)
                    & (added.excluded.entry_id.is_not(None) | (Payout.class_ == "timing")),
                ),
            )
        )
    session.execute(
        sa.text(
            """
            DELETE FROM payouts p USING payouts now
            WHERE p.gateway = :gateway AND now.gateway = p.gateway AND now.last_run_id = :run
              AND p.entry_id = now.entry_id AND p.id <> now.id AND p.as_of <= now.as_of
              AND p.last_run_id <> :run"""
        ),
        {"gateway": run.gateway, "run": run.id},
    )
    session.execute(
        sa.text(
            """
            DELETE FROM payouts p USING payout_runs r
            WHERE r.id = p.last_run_id AND r.gateway = :gateway AND r.first_day = :first_day
              AND r.last_day = :last_day AND NOT r.is_current"""
        ),
        {"gateway": run.gateway, "first_day": run.first_day, "last_day": run.last_day},
    )
