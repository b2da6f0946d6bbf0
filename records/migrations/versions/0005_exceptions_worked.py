"""Exceptions that people work: more ends, questions to a second one, lines paired by hand, money at risk."""

from alembic import op

revision = "0005"
down_revision = "0004"

UPGRADE = """
ALTER TABLE reconciliation_exceptions
    DROP CONSTRAINT exception_state_known,
    ADD CONSTRAINT exception_state_known CHECK (state IN
        ('open', 'explained', 'healed', 'refunded', 'matched', 'written_off',
         'settled', 'carried', 'cleared')),
    -- Where both sides name an amount in one currency it is what differs, except for a wrong status, where
    -- it is all of it; else the larger side.
    ADD COLUMN risk_minor bigint NOT NULL GENERATED ALWAYS AS (CASE class
        WHEN 'amount_mismatch' THEN abs(coalesce(ledger_minor, 0) - coalesce(report_minor, 0))
        WHEN 'fee_mismatch' THEN
            abs(coalesce((expected->>'fee_minor')::bigint, 0) - coalesce((found->>'fee_minor')::bigint, 0))
        ELSE greatest(coalesce(ledger_minor, 0), coalesce(report_minor, 0)) END) STORED;

DROP INDEX reconciliation_exceptions_open;
CREATE INDEX reconciliation_exceptions_open ON reconciliation_exceptions (gateway, business_date, id)
    INCLUDE (class, risk_minor) WHERE state = 'open';
CREATE INDEX reconciliation_exceptions_risk ON reconciliation_exceptions (risk_minor DESC, id)
    WHERE state = 'open';
CREATE INDEX reconciliation_exceptions_age ON reconciliation_exceptions (business_date, id);

-- What a second person is asked: to write off some exceptions, or to match one by hand. The question itself
-- is the approval with this id as its subject; the amounts are those at which it was asked.
CREATE TABLE exception_requests (
    id uuid DEFAULT uuidv7() CONSTRAINT exception_requests_pkey PRIMARY KEY,
    to_state text NOT NULL CONSTRAINT exception_request_state_known
        CHECK (to_state IN ('written_off', 'matched')),
    payment_id uuid CONSTRAINT exception_requests_payment_fkey REFERENCES payments (id),
    CONSTRAINT exception_request_match_has_payment CHECK ((payment_id IS NOT NULL) = (to_state = 'matched'))
);
CREATE TABLE exception_request_items (
    request_id uuid NOT NULL CONSTRAINT exception_request_items_fkey REFERENCES exception_requests (id),
    exception_id bigint NOT NULL
        CONSTRAINT exception_request_items_exception_fkey REFERENCES reconciliation_exceptions (id),
    reason text NOT NULL,
    ledger_minor bigint,
    report_minor bigint,
    risk_minor bigint NOT NULL,
    CONSTRAINT exception_request_items_pkey PRIMARY KEY (request_id, exception_id)
);
CREATE INDEX exception_request_items_exception ON exception_request_items (exception_id);

-- A report line of another reference, and the payment that it is: every later run knows it.
CREATE TABLE hand_matches (
    exception_id bigint CONSTRAINT hand_matches_pkey PRIMARY KEY
        CONSTRAINT hand_matches_exception_fkey REFERENCES reconciliation_exceptions (id),
    gateway text NOT NULL,
    business_date date NOT NULL,
    reference text COLLATE "C" NOT NULL,
    gateway_reference text COLLATE "C",
    payment_id uuid NOT NULL CONSTRAINT hand_matches_payment_key UNIQUE
        CONSTRAINT hand_matches_payment_fkey REFERENCES payments (id),
    is_adopted boolean NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT hand_matches_reference_key UNIQUE (gateway, reference)
);
CREATE TRIGGER hand_matches_append_only BEFORE UPDATE OR DELETE ON hand_matches
    FOR EACH STATEMENT EXECUTE FUNCTION only_insert();
CREATE TRIGGER exception_request_items_append_only BEFORE UPDATE OR DELETE ON exception_request_items
    FOR EACH STATEMENT EXECUTE FUNCTION only_insert();
"""

DOWNGRADE = """
DROP TABLE hand_matches, exception_request_items, exception_requests;
DROP INDEX reconciliation_exceptions_age, reconciliation_exceptions_risk, reconciliation_exceptions_open;
CREATE INDEX reconciliation_exceptions_open ON reconciliation_exceptions (gateway, business_date)
    WHERE state = 'open';
-- The schema before knows these ends only as explained ones; the history keeps what they were.
UPDATE reconciliation_exceptions SET state = 'explained'
    WHERE state IN ('refunded', 'matched', 'written_off');
ALTER TABLE reconciliation_exceptions
    DROP COLUMN risk_minor,
    DROP CONSTRAINT exception_state_known,
    ADD CONSTRAINT exception_state_known CHECK (state IN
        ('open', 'explained', 'healed', 'settled', 'carried', 'cleared'));
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
