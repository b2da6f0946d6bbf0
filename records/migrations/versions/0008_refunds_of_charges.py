"""Refunds that end an exception, of another charge than the payment's own, or known from a report alone; and
answers kept with an Idempotency-Key."""

from alembic import op

revision = "0008"
down_revision = "0007"

UPGRADE = """
ALTER TABLE refunds
    ADD COLUMN exception_id bigint
        CONSTRAINT refunds_exception_fkey REFERENCES reconciliation_exceptions (id),
    ADD COLUMN charge_reference text COLLATE "C",
    ADD COLUMN charge_minor bigint,
    ADD COLUMN line_reference text COLLATE "C",
    ADD COLUMN is_told boolean NOT NULL DEFAULT true,
    ADD CONSTRAINT refund_charge_has_amount CHECK ((charge_reference IS NULL) = (charge_minor IS NULL)),
    ADD CONSTRAINT refund_within_its_charge CHECK (amount_minor <= charge_minor),
    ADD CONSTRAINT refund_of_a_charge_ends_an_exception
        CHECK (charge_reference IS NULL OR exception_id IS NOT NULL),
    ADD CONSTRAINT refund_not_told_of_is_foreign CHECK (is_told OR is_foreign);
-- Whoever asks at the same time: an exception has one refund on its way.
CREATE UNIQUE INDEX refunds_one_for_an_exception ON refunds (exception_id)
    WHERE status NOT IN ('confirmed', 'refused');
CREATE INDEX refunds_exception ON refunds (exception_id) WHERE exception_id IS NOT NULL;
CREATE UNIQUE INDEX refunds_line_key ON refunds (gateway, line_reference) WHERE line_reference IS NOT NULL;

ALTER TABLE idempotency_keys ADD COLUMN answer jsonb;
"""

DOWNGRADE = """
ALTER TABLE idempotency_keys DROP COLUMN answer;
ALTER TABLE refunds
    DROP COLUMN exception_id, DROP COLUMN charge_reference, DROP COLUMN charge_minor,
    DROP COLUMN line_reference, DROP COLUMN is_told;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
