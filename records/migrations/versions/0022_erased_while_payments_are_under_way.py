"""Who is erased while a payment is under way keeps the platform's id until it has ended: by that the payment
is found when they are erased once more."""

from alembic import op

revision = "0022"
down_revision = "0019"

UPGRADE = """
ALTER TABLE persons DROP CONSTRAINT person_known_or_erased, ADD CONSTRAINT person_known_or_erased CHECK (
    (nik IS NULL) = (erased_at IS NOT NULL) AND (name IS NULL) = (erased_at IS NOT NULL)
    AND (nik_hash IS NULL) = (erased_at IS NOT NULL));
"""

DOWNGRADE = """
UPDATE persons SET learner_id = NULL WHERE erased_at IS NOT NULL;
ALTER TABLE persons DROP CONSTRAINT person_known_or_erased, ADD CONSTRAINT person_known_or_erased CHECK (
    (nik IS NULL) = (erased_at IS NOT NULL) AND (name IS NULL) = (erased_at IS NOT NULL)
    AND (nik_hash IS NULL) = (erased_at IS NOT NULL) AND (erased_at IS NULL OR learner_id IS NULL));
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
