"""Differences of payouts are exceptions like all others; an entry of the bank is matched by hand."""

from alembic import op

revision = "0009"
down_revision = "0008"

UPGRADE = """
-- An exception about a payout: subject_id is the payout's identity, last_run_id a payout run, and both
-- together name the row of payout_outcomes that has its evidence. It may move to another day.
ALTER TABLE reconciliation_exceptions
    ADD COLUMN is_payout boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT exception_about_one_thing CHECK (NOT (is_payout AND is_refund)),
    -- As before (0005), and of a debit that nobody expected all of it.
    ALTER COLUMN risk_minor SET EXPRESSION AS (CASE class
        WHEN 'amount_mismatch' THEN abs(coalesce(ledger_minor, 0) - coalesce(report_minor, 0))
        WHEN 'fee_mismatch' THEN
            abs(coalesce((expected->>'fee_minor')::bigint, 0) - coalesce((found->>'fee_minor')::bigint, 0))
        ELSE greatest(abs(coalesce(ledger_minor, 0)), abs(coalesce(report_minor, 0))) END);
CREATE UNIQUE INDEX reconciliation_exceptions_payout ON reconciliation_exceptions (gateway, identity)
    WHERE is_payout;

-- What is known to differ already is open from now on.
WITH opened AS (
    INSERT INTO reconciliation_exceptions (gateway, business_date, identity, class, is_refund, is_payout,
        subject_id, reference, gateway_reference, reason, expected, found, ledger_minor, report_minor,
        source_name, line_no, first_run_id, last_run_id)
    SELECT gateway, day, md5(concat_ws('|', class, identity))::uuid, class, false, true, identity,
        details->>'payout', details->'bank'->>'reference', details->>'reason',
        CASE WHEN ledger_minor IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('currency', 'IDR',
            'amount_minor', ledger_minor, 'due_on', details->'due_on') END,
        CASE WHEN class = 'malformed_line' THEN jsonb_build_object('reason', details->'reason')
             WHEN entry_id IS NULL THEN '{}'::jsonb
             ELSE jsonb_build_object('currency', details->'bank'->'currency', 'amount_minor', report_minor,
                'gateway_reference', details->'bank'->'reference', 'entry_id', entry_id) END,
        ledger_minor, report_minor, details->'bank'->>'statement', (details->'bank'->>'line')::int,
        last_run_id, last_run_id
    FROM payouts WHERE class NOT IN ('matched', 'timing')
    RETURNING id, last_run_id
)
INSERT INTO exception_events (exception_id, actor, to_state, reason, run_id)
SELECT id, 'payouts', 'open', 'found', last_run_id FROM opened;

-- A question about a match names the other side: our payment, or the payout that an entry of the bank is.
ALTER TABLE exception_requests
    ADD COLUMN payout text,
    DROP CONSTRAINT exception_request_match_has_payment,
    ADD CONSTRAINT exception_request_match_has_other_side
        CHECK (num_nonnulls(payment_id, payout) = (to_state = 'matched')::int);

-- An entry of the bank and the payout that it is, as two people have said: every later run knows it.
CREATE TABLE payout_matches (
    exception_id bigint CONSTRAINT payout_matches_pkey PRIMARY KEY
        CONSTRAINT payout_matches_exception_fkey REFERENCES reconciliation_exceptions (id),
    gateway text NOT NULL,
    payout text COLLATE "C" NOT NULL,
    entry_id uuid NOT NULL CONSTRAINT payout_matches_entry_key UNIQUE
        CONSTRAINT payout_matches_entry_fkey REFERENCES bank_entries (id),
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT payout_matches_payout_key UNIQUE (gateway, payout)
);
CREATE TRIGGER payout_matches_append_only BEFORE UPDATE OR DELETE ON payout_matches
    FOR EACH STATEMENT EXECUTE FUNCTION only_insert();
"""

DOWNGRADE = """
DROP TABLE payout_matches;
-- The schema before has no exceptions about payouts, nor their histories and questions.
ALTER TABLE exception_events DISABLE TRIGGER exception_events_append_only;
ALTER TABLE exception_request_items DISABLE TRIGGER exception_request_items_append_only;
DELETE FROM exception_events e USING reconciliation_exceptions x WHERE x.id = e.exception_id AND x.is_payout;
DELETE FROM exception_request_items i USING reconciliation_exceptions x
    WHERE x.id = i.exception_id AND x.is_payout;
UPDATE approvals SET state = 'expired', decided_at = now() WHERE state = 'open' AND subject = 'exception'
    AND subject_id IN (SELECT id::text FROM exception_requests r WHERE NOT EXISTS
        (SELECT FROM exception_request_items i WHERE i.request_id = r.id));
DELETE FROM exception_requests r WHERE payout IS NOT NULL;
ALTER TABLE exception_events ENABLE TRIGGER exception_events_append_only;
ALTER TABLE exception_request_items ENABLE TRIGGER exception_request_items_append_only;
DELETE FROM reconciliation_exceptions WHERE is_payout;
ALTER TABLE exception_requests
    DROP CONSTRAINT exception_request_match_has_other_side,
    DROP COLUMN payout,
    ADD CONSTRAINT exception_request_match_has_payment
        CHECK ((payment_id IS NOT NULL) = (to_state = 'matched'));
DROP INDEX reconciliation_exceptions_payout;
ALTER TABLE reconciliation_exceptions
    ALTER COLUMN risk_minor SET EXPRESSION AS (CASE class
        WHEN 'amount_mismatch' THEN abs(coalesce(ledger_minor, 0) - coalesce(report_minor, 0))
        WHEN 'fee_mismatch' THEN
            abs(coalesce((expected->>'fee_minor')::bigint, 0) - coalesce((found->>'fee_minor')::bigint, 0))
        ELSE greatest(coalesce(ledger_minor, 0), coalesce(report_minor, 0)) END),
    DROP CONSTRAINT exception_about_one_thing,
    DROP COLUMN is_payout;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
