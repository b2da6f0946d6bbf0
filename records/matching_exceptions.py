"""From outcomes to exceptions: each difference once, with an identity that survives re-runs of the day."""

from datetime import date
from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

# What was expected (ours) and found (theirs), side by side. The identity of a difference is its ledger
# item, or where it has none its content: never its position in the file.
_FOUND: LiteralString = """
CREATE TEMP TABLE found ON COMMIT DROP AS
SELECT class, is_refund, subject_id, reference, gateway_reference, reason, note, expected, found,
    ledger_minor, report_minor, source, line_no,
    md5(concat_ws('|', class, is_refund, identity,
        row_number() OVER (PARTITION BY class, is_refund, identity ORDER BY source, line_no)))::uuid
        AS identity
FROM (
    SELECT o.class, o.is_refund, o.subject_id,
        coalesce(p.reference, f.reference, o.reference) AS reference, o.gateway_reference, o.reason,
        concat_ws(', ', o.note, CASE WHEN o.late_days > 0 THEN o.late_days || ' days late' END) AS note,
        CASE WHEN coalesce(p.id, f.id) IS NULL OR o.class = 'duplicate_at_gateway' THEN '{{}}'::jsonb
        ELSE jsonb_build_object(
            'status', coalesce(h.status, p.status, f.status), 'currency', coalesce(p.currency, f.currency),
            'amount_minor', coalesce(p.amount_minor, f.amount_minor),
            'gateway_reference', coalesce(p.gateway_reference, f.gateway_reference),
            'at', coalesce(p.paid_at, f.confirmed_at),
            'fee_minor', plan_fee_minor(coalesce(p.amount_minor, f.amount_minor), %(rate)s, %(fixed)s)) END
            AS expected,
        CASE WHEN m.line_no IS NOT NULL THEN jsonb_build_object(
                'column', m.column_name, 'seen', m.seen, 'reason', m.reason)
             WHEN l.line_no IS NULL THEN '{{}}'::jsonb
             ELSE jsonb_build_object(
                'status', l.status, 'currency', l.currency, 'amount_minor', l.amount_minor,
                'fee_minor', l.fee_minor, 'gateway_reference', l.gateway_reference, 'at', l.occurred_at) END
            AS found,
        o.ledger_minor, o.report_minor, o.source, o.line_no,
        CASE WHEN m.line_no IS NOT NULL THEN m.content
             WHEN o.class = 'missing_in_ledger' THEN l.reference
             WHEN o.class = 'duplicate_at_gateway' THEN concat_ws('|', l.reference,
                coalesce(l.gateway_reference, '-'), l.amount_minor, l.status, coalesce(l.fee_minor, -1),
                l.currency, extract(epoch FROM l.occurred_at))
             ELSE o.subject_id::text END AS identity
    FROM {outcomes} o
    LEFT JOIN noted l ON l.source = o.source AND l.line_no = o.line_no
    LEFT JOIN {malformed} m ON m.source = o.source AND m.line_no = o.line_no
    LEFT JOIN payments p ON p.id = o.subject_id AND NOT o.is_refund
    LEFT JOIN refunds f ON f.id = o.subject_id AND o.is_refund
    LEFT JOIN healed h ON h.subject_id = o.subject_id
    WHERE o.class <> 'matched'
) named"""

_UPSERT: LiteralString = """
WITH before AS (
    SELECT id, identity, state FROM reconciliation_exceptions
    WHERE gateway = %(gateway)s AND business_date = %(day)s
), now AS (
    INSERT INTO reconciliation_exceptions AS e (gateway, business_date, identity, class, is_refund,
        subject_id, reference, gateway_reference, reason, note, expected, found, ledger_minor,
        report_minor, source_name, line_no, first_run_id, last_run_id, state, closed_at)
    SELECT %(gateway)s, %(day)s, identity, class, is_refund, subject_id, reference, gateway_reference,
        reason, nullif(note, ''), expected, found, ledger_minor, report_minor,
        (SELECT sources->(found.source::int)->>'name' FROM reconciliations WHERE id = %(run)s),
        line_no, %(run)s, %(run)s, CASE WHEN {given_back} THEN 'refunded' ELSE 'open' END,
        CASE WHEN {given_back} THEN now() END
    FROM found
    ON CONFLICT (gateway, business_date, identity) DO UPDATE SET
        reason = excluded.reason, note = excluded.note, expected = excluded.expected,
        found = excluded.found, ledger_minor = excluded.ledger_minor, report_minor = excluded.report_minor,
        source_name = excluded.source_name, line_no = excluded.line_no, last_run_id = excluded.last_run_id,
        state = CASE WHEN {again} THEN 'open' ELSE e.state END,
        closed_at = CASE WHEN {again} THEN NULL ELSE e.closed_at END
    RETURNING e.id, e.identity, e.state
)
INSERT INTO exception_events (exception_id, actor, from_state, to_state, reason, run_id)
SELECT now.id, 'reconcile-payments', before.state, now.state,
    CASE WHEN before.id IS NULL AND now.state = 'refunded' THEN 'found; this charge was given back already'
         WHEN before.id IS NULL THEN 'found' WHEN before.state = 'cleared' THEN 'found again'
         WHEN before.state = 'matched' THEN 'found again: the line that it was matched with is gone'
         ELSE 'found again with other amounts' END, %(run)s
FROM now LEFT JOIN before USING (identity)
WHERE before.id IS NULL OR (now.state = 'open' AND before.state <> 'open')"""

# A second charge that went back is not given back again, whichever day or version has its line once more.
_GIVEN_BACK: LiteralString = """(found.class = 'duplicate_at_gateway' AND NOT found.is_refund AND EXISTS (
    SELECT FROM refunds r WHERE r.payment_id = found.subject_id AND r.status = 'confirmed'
        AND r.charge_reference = found.gateway_reference))"""

# A cleared one that is back is open again; so is one that was explained or written off with other amounts
# or another fee than now, and a payment matched by hand with a line of this very day that is gone now.
_AGAIN: LiteralString = """(e.state = 'cleared'
    OR (e.state IN ('explained', 'written_off') AND
        (e.ledger_minor, e.report_minor) IS DISTINCT FROM (excluded.ledger_minor, excluded.report_minor))
    OR (e.state IN ('explained', 'written_off') AND e.class = 'fee_mismatch' AND
        (e.expected->'fee_minor', e.found->'fee_minor') IS DISTINCT FROM
        (excluded.expected->'fee_minor', excluded.found->'fee_minor'))
    OR (e.state = 'matched' AND EXISTS (SELECT FROM hand_matches h
        WHERE h.payment_id = e.subject_id AND h.business_date = e.business_date)))"""

_CLOSE: LiteralString = """
WITH gone AS (
    UPDATE reconciliation_exceptions e SET state = x.to_state, closed_at = now()
    FROM ({which}) x WHERE e.id = x.id RETURNING e.id, x.to_state, x.reason
)
INSERT INTO exception_events (exception_id, actor, from_state, to_state, reason, run_id)
SELECT id, 'reconcile-payments', 'open', to_state, reason, %(run)s FROM gone"""

# Open ones of an earlier version of this day that the new version no longer finds. What is on its way back
# stays until it is there: the line of a payment that was made to be given back is matched by now.
_CLEARED: LiteralString = """
    SELECT id, 'cleared' AS to_state, 'the new version of the day no longer finds it' AS reason
    FROM reconciliation_exceptions
    WHERE gateway = %(gateway)s AND business_date = %(day)s AND NOT is_payout AND state = 'open'
        AND last_run_id <> %(run)s
        AND NOT EXISTS (SELECT FROM refunds r WHERE r.exception_id = reconciliation_exceptions.id
            AND r.status NOT IN ('confirmed', 'refused'))"""

# Open ones of earlier days whose item this day has matched, or has now as an exception of its own.
_SETTLED: LiteralString = """
    SELECT DISTINCT ON (e.id) e.id,
        CASE WHEN o.class = 'matched' THEN 'settled' ELSE 'carried' END AS to_state,
        CASE WHEN o.class = 'matched' THEN 'its line came with the report of ' || %(day)s::date
             ELSE 'now an exception of ' || %(day)s::date || ': ' || o.class END AS reason
    FROM reconciliation_exceptions e
    JOIN {outcomes} o ON o.subject_id = e.subject_id
    WHERE e.gateway = %(gateway)s AND e.business_date < %(day)s AND e.state = 'open' AND NOT e.is_payout
      AND e.class <> 'duplicate_at_gateway' AND o.class <> 'duplicate_at_gateway'
    ORDER BY e.id, o.class DESC"""


def record(
    db: psycopg.Connection,
    run_id: UUID,
    gateway: str,
    day: date,
    names: dict[str, sql.Identifier],
    plan: dict[str, int],
) -> None:
    """Open what is new, keep what is known, close what is gone; runs in the recording transaction.

    plan: `rate` in millionths and `fixed` in minor units of the fee plan, for the expected fee.
    """
    values = {"gateway": gateway, "day": day, "run": run_id, **plan}
    db.execute(sql.SQL(_FOUND).format(**names), values)
    db.execute(sql.SQL(_UPSERT).format(again=sql.SQL(_AGAIN), given_back=sql.SQL(_GIVEN_BACK)), values)
    for which in (_CLEARED, _SETTLED):
        db.execute(sql.SQL(_CLOSE).format(which=sql.SQL(which).format(**names)), values)
