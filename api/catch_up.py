"""Missed nights: a day not reconciled because the machine was off is asked for once it is on again."""

from collections.abc import Collection
from datetime import date, datetime, time, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common import clock
from common.settings import GATEWAYS, settings
from deployments.names import RECONCILE_FLOW
from records import process
from records.process import ProcessRun
from records.reconciliation import Reconciliation, nightly_key, request_input

NIGHTLY_AT = time(2, 0)  # WIB, of the schedule in prefect.yaml
GRACE = timedelta(minutes=15)  # the nightly run comes first


def missed_days(now: datetime, first: date, days_back: int, known: Collection[date]) -> list[date]:
    """Days whose night has passed without a run: at most `days_back` ago, on duty, and not `known`.

    first: the gateway's first day of duty. A day's night is the next one's 02:00 WIB, and 15 minutes more.
    """
    today = clock.business_date(now)
    oldest = max(first, today - timedelta(days=days_back))
    days = (oldest + timedelta(days=number) for number in range((today - oldest).days))
    return [day for day in days if _night_of(day) + GRACE <= now and day not in known]


def request_missed(session: Session, now: datetime) -> list[tuple[str, date]]:
    """Open a process run for each missed day of each gateway that has a report source; returns the new ones.

    Its key is that of the nightly run, so a day is asked for once, however many ask.
    """
    made = []
    founded = _founded(session, now)
    for gateway in GATEWAYS:
        if settings().gateway(gateway).report.source is None:
            continue
        first = _first_statement(session, gateway) or founded
        known = _statements(session, gateway) | _asked_for(session, gateway)
        for day in missed_days(now, first, settings().catch_up_days, known):
            _, is_new = process.request(
                session, RECONCILE_FLOW, nightly_key(gateway, day), request_input(gateway, day)
            )
            if is_new:
                made.append((gateway, day))
    return made


def _night_of(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), NIGHTLY_AT, clock.JAKARTA)


def _first_statement(session: Session, gateway: str) -> date | None:
    return session.scalar(sa.select(sa.func.min(Reconciliation.business_date)).filter_by(gateway=gateway))


def _statements(session: Session, gateway: str) -> set[date]:
    found = sa.select(Reconciliation.business_date).filter_by(gateway=gateway, is_current=True)
    return set(session.scalars(found))


def _asked_for(session: Session, gateway: str) -> set[date]:
    """Days of the nightly process runs, whatever became of them: a failed one waits for a person."""
    found = session.scalars(
        sa.select(ProcessRun.key).where(
            ProcessRun.process == RECONCILE_FLOW, ProcessRun.key.like(f"{gateway}/____-__-__")
        )
    )
    return {date.fromisoformat(key.partition("/")[2]) for key in found}


def _founded(session: Session, now: datetime) -> date:
    """The business day on which this installation was set up, by the oldest trace of use; else today."""
    oldest = session.scalar(
        sa.text(
            "SELECT least((SELECT min(at) FROM ledger_imports), (SELECT min(created_at) FROM process_runs),"
            " (SELECT min(recorded_at) FROM reconciliations))"
        )
    )
    return clock.business_date(oldest or now)
