"""Refunds of our own and those made elsewhere; approvals: a second person's word."""

from alembic import op

revision = "0004"
down_revision = "0003"

UPGRADE = """
ALTER TABLE refunds
    ADD COLUMN refund_key text
        CONSTRAINT refund_key_form CHECK (refund_key ~ '^[A-Za-z0-9_-]{1,64}$'),
    ADD COLUMN external_id text,
    ADD COLUMN requested_by text,
    ADD COLUMN reason text,
    ADD COLUMN problem text,
    ADD COLUMN is_foreign boolean NOT NULL DEFAULT false,
    ADD COLUMN sent_at timestamptz,
    ADD COLUMN process_run_id uuid
        CONSTRAINT refunds_process_fkey REFERENCES process_runs (id),
    ADD CONSTRAINT refunds_key_per_payment UNIQUE (payment_id, refund_key),
    ADD CONSTRAINT refund_foreign_has_no_key CHECK (NOT is_foreign OR refund_key IS NULL),
    ADD CONSTRAINT refund_asked_for_by_somebody CHECK (refund_key IS NULL
        OR (external_id IS NOT NULL AND requested_by IS NOT NULL AND reason IS NOT NULL));
CREATE INDEX refunds_open ON refunds (status, id) WHERE status NOT IN ('confirmed', 'refused');

CREATE TABLE approvals (
    id uuid DEFAULT uuidv7() CONSTRAINT approvals_pkey PRIMARY KEY,
    subject text NOT NULL CONSTRAINT approval_subject_known CHECK (subject IN ('refund', 'exception')),
    subject_id text NOT NULL,
    summary text NOT NULL,
    amount_minor bigint NOT NULL CONSTRAINT approval_amount_not_negative CHECK (amount_minor >= 0),
    currency text NOT NULL CONSTRAINT approval_currency_form CHECK (length(currency) = 3),
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'open' CONSTRAINT approval_state_known CHECK (state IN
        ('open', 'approved', 'refused', 'expired')),
    decided_by text,
    decided_at timestamptz,
    reason text,
    CONSTRAINT approval_decided_by_somebody CHECK (
        (decided_by IS NOT NULL) = (state IN ('approved', 'refused'))),
    CONSTRAINT approval_decided_at_a_time CHECK ((decided_at IS NOT NULL) = (state <> 'open')),
    -- Two people: the same name is the same person, by whichever door and however it is written.
    CONSTRAINT approval_by_another_person CHECK (state <> 'approved' OR
        lower(regexp_replace(regexp_replace(decided_by, '^[a-z]+:', ''), '\\s', '', 'g'))
        <> lower(regexp_replace(regexp_replace(requested_by, '^[a-z]+:', ''), '\\s', '', 'g')))
);
CREATE UNIQUE INDEX approvals_one_open ON approvals (subject, subject_id) WHERE state = 'open';
CREATE INDEX approvals_subject ON approvals (subject, subject_id);

-- What was decided stays as it was decided.
CREATE FUNCTION only_while_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.state <> 'open' THEN
        RAISE EXCEPTION '%: a decision is not changed', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_stay_decided BEFORE UPDATE OR DELETE ON approvals
    FOR EACH ROW EXECUTE FUNCTION only_while_open();
"""

DOWNGRADE = """
DROP TABLE approvals;
DROP FUNCTION only_while_open();
DROP INDEX refunds_open;
ALTER TABLE refunds
    DROP COLUMN refund_key, DROP COLUMN external_id, DROP COLUMN requested_by, DROP COLUMN reason,
    DROP COLUMN problem, DROP COLUMN is_foreign, DROP COLUMN sent_at, DROP COLUMN process_run_id;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
