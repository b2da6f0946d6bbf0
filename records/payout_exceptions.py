"""What differs between settled payouts and the bank, as exceptions: the one workflow, for payouts too.

They follow what is known of each payout now (table `payouts`): the run that changes that opens and ends them
in its own transaction. An exception is its class and what it is about, so another class is another one.
"""

from typing import LiteralString
from uuid import UUID

from psycopg import sql
from sqlalchemy.orm import Session

from records.db import driver

_OPEN: LiteralString = """
WITH before AS (
    SELECT id, identity, state FROM reconciliation_exceptions WHERE gateway = %(gateway)s AND is_payout
), now AS (
    INSERT INTO reconciliation_exceptions AS e (gateway, business_date, identity, class, is_refund, is_payout,
        subject_id, reference, gateway_reference, reason, expected, found, ledger_minor, report_minor,
        source_name, line_no, first_run_id, last_run_id)
    SELECT gateway, day, md5(concat_ws('|', class, identity))::uuid, class, false, true, identity,
        details->>'payout', details->'bank'->>'reference', details->>'reason',
        CASE WHEN ledger_minor IS NULL THEN '{{}}'::jsonb ELSE jsonb_build_object('currency', 'IDR',
            'amount_minor', ledger_minor, 'due_on', details->'due_on') END,
        CASE WHEN class = 'malformed_line' THEN details->'unreadable'
             WHEN entry_id IS NULL THEN '{{}}'::jsonb
             ELSE jsonb_build_object('currency', details->'bank'->'currency', 'amount_minor', report_minor,
                'gateway_reference', details->'bank'->'reference', 'entry_id', entry_id) END,
        ledger_minor, report_minor,
        coalesce(details->'bank'->>'statement', details->'unreadable'->>'statement'),
        coalesce(details->'bank'->>'line', details->'unreadable'->>'line')::int, last_run_id, last_run_id
    FROM payouts WHERE gateway = %(gateway)s AND last_run_id = %(run)s AND class NOT IN ('matched', 'timing')
    ON CONFLICT (gateway, identity) WHERE is_payout DO UPDATE SET
        business_date = excluded.business_date, reference = excluded.reference,
        gateway_reference = excluded.gateway_reference, reason = excluded.reason,
        expected = excluded.expected, found = excluded.found, ledger_minor = excluded.ledger_minor,
        report_minor = excluded.report_minor, source_name = excluded.source_name,
        line_no = excluded.line_no, last_run_id = excluded.last_run_id,
        state = CASE WHEN {again} THEN 'open' ELSE e.state END,
        closed_at = CASE WHEN {again} THEN NULL ELSE e.closed_at END
    RETURNING e.id, e.identity, e.state
)
INSERT INTO exception_events (exception_id, actor, from_state, to_state, reason, run_id)
SELECT now.id, 'payouts', before.state, 'open',
    CASE WHEN before.id IS NULL THEN 'found'
         WHEN before.state IN ('settled', 'carried', 'cleared') THEN 'found again'
         ELSE 'found again with other amounts' END, %(run)s
FROM now LEFT JOIN before USING (identity)
WHERE before.id IS NULL OR (now.state = 'open' AND before.state <> 'open')"""

# What the machine has ended and now finds again; what people have ended only with other amounts than then.
_AGAIN: LiteralString = """(e.state IN ('settled', 'carried', 'cleared')
    OR (e.ledger_minor, e.report_minor) IS DISTINCT FROM (excluded.ledger_minor, excluded.report_minor))"""

# Open ones that are not known any more as what they were. What became of it is known by the payout, or by
# the entry of the bank, which may pay one by now.
_END: LiteralString = """
WITH gone AS (
    UPDATE reconciliation_exceptions e SET state = x.to_state, closed_at = now()
    FROM (
        SELECT e.id,
            CASE WHEN p.id IS NULL OR p.class = 'timing' THEN 'cleared'
                 WHEN p.class = 'matched' THEN 'settled' ELSE 'carried' END AS to_state,
            CASE WHEN p.id IS NULL THEN 'what is known of the bank and the reports now no longer has it'
                 WHEN p.class = 'timing' THEN 'it is awaited again'
                 WHEN p.class <> 'matched' THEN 'now an exception of ' || p.day || ': ' || p.class
                 WHEN p.entry_id IS NULL THEN 'nothing is due any more'
                 WHEN e.ledger_minor IS NULL THEN 'it pays ' || (p.details->>'payout')
                 ELSE 'the bank booked all of it on ' || (p.details->'bank'->>'booked_on') END AS reason
        FROM reconciliation_exceptions e
        LEFT JOIN LATERAL (
            SELECT * FROM payouts p WHERE p.gateway = e.gateway
                AND (p.identity = e.subject_id OR p.entry_id = (e.found->>'entry_id')::uuid)
            ORDER BY p.identity = e.subject_id DESC LIMIT 1) p ON true
        WHERE e.gateway = %(gateway)s AND e.is_payout AND e.state = 'open' AND NOT EXISTS (
            SELECT FROM payouts q
            WHERE q.gateway = e.gateway AND q.identity = e.subject_id AND q.class = e.class)
    ) x WHERE e.id = x.id RETURNING e.id, x.to_state, x.reason
)
INSERT INTO exception_events (exception_id, actor, from_state, to_state, reason, run_id)
SELECT id, 'payouts', 'open', to_state, reason, %(run)s FROM gone"""


def record(session: Session, run_id: UUID, gateway: str) -> None:
    """Open what this run knows to differ, keep what people have ended, end what has come right.

    Runs in the run's transaction, after `payouts` was brought up to date. What people have ended opens again
    only where the amounts are others now.
    """
    db = driver(session)
    values = {"gateway": gateway, "run": run_id}
    db.execute(sql.SQL(_OPEN).format(again=sql.SQL(_AGAIN)), values)
    db.execute(_END, values)
