"""Certificate numbers, and answers that were kept long enough, are found without reading all there is."""

from alembic import op

revision = "0023"
down_revision = "0022"

UPGRADE = """
CREATE INDEX completions_certificate ON completions (certificate_number) WHERE certificate_number IS NOT NULL;
CREATE INDEX credentials_certificate ON credentials (certificate_number) WHERE withdrawn_at IS NULL;
CREATE INDEX completion_calls_answered ON completion_calls (sent_at) WHERE answer IS NOT NULL;
CREATE INDEX credential_checks_answered ON credential_checks (answered_at) WHERE answer IS NOT NULL;
"""

DOWNGRADE = """
DROP INDEX completions_certificate, credentials_certificate, completion_calls_answered,
    credential_checks_answered;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
