"""The audit also has learners of whom we know no NIK, by a keyed hash of the platform's id; old events are
found by their age."""

from alembic import op

revision = "0019"
down_revision = "0017"

# The platform's id itself would outlive an erasure there: the audit is only ever added to.
UPGRADE = """
ALTER TABLE personal_data_audit ALTER COLUMN person_id DROP NOT NULL,
    ADD COLUMN learner_hash bytea CONSTRAINT audit_learner_hash_size CHECK (octet_length(learner_hash) = 32),
    ADD CONSTRAINT audit_of_somebody CHECK (num_nonnulls(person_id, learner_hash) = 1);
CREATE INDEX personal_data_audit_learner ON personal_data_audit (learner_hash, id)
    WHERE learner_hash IS NOT NULL;

CREATE INDEX platform_events_age ON platform_events USING brin (created_at);
"""

DOWNGRADE = """
DROP INDEX platform_events_age;
ALTER TABLE personal_data_audit DISABLE TRIGGER personal_data_audit_append_only;
DELETE FROM personal_data_audit WHERE person_id IS NULL;
ALTER TABLE personal_data_audit ENABLE TRIGGER personal_data_audit_append_only;
ALTER TABLE personal_data_audit DROP COLUMN learner_hash, ALTER COLUMN person_id SET NOT NULL;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
