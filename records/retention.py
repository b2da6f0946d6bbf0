"""What is kept for a time only. Bounded: the sweep calls it each minute, and the rest goes with the next one.

Settings say for how many days; docs/personal-data.md what stays for good.
"""

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common import clock
from common.settings import settings

MOST = 5_000
_EVENTS = sa.text(
    """DELETE FROM platform_events WHERE id IN (
           SELECT id FROM platform_events WHERE state <> 'waiting' AND created_at < :before
           LIMIT :most FOR UPDATE SKIP LOCKED)"""
)
_KEYS = sa.text(
    """DELETE FROM idempotency_keys WHERE (client_id, key) IN (
           SELECT client_id, key FROM idempotency_keys WHERE created_at < :before
           LIMIT :most FOR UPDATE SKIP LOCKED)"""
)
_ANSWERS = sa.text(
    """UPDATE completion_calls SET answer = NULL WHERE id IN (
           SELECT id FROM completion_calls WHERE answer IS NOT NULL AND sent_at < :before
           ORDER BY sent_at LIMIT :most FOR UPDATE SKIP LOCKED)"""
)
_CHECKS = sa.text(
    """UPDATE credential_checks SET answer = NULL WHERE id IN (
           SELECT id FROM credential_checks WHERE answer IS NOT NULL AND answered_at < :before
           ORDER BY answered_at LIMIT :most FOR UPDATE SKIP LOCKED)"""
)


def forget_old(session: Session) -> int:
    """Take away what has been kept long enough: events that were delivered or given up, keys of requests, and
    the register's sealed answers (what came of them stays). Tells how many."""
    keep = settings().keep
    gone = 0
    for statement, days in ((_EVENTS, keep.events), (_KEYS, keep.keys), (_ANSWERS, keep.answers),
                            (_CHECKS, keep.answers)):  # fmt: skip
        before = clock.now() - timedelta(days=days)
        result = session.execute(statement, {"before": before, "most": MOST})
        gone += result.rowcount  # type: ignore[attr-defined]
    return gone
