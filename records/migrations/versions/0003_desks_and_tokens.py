"""Each gateway's messages are looked for by themselves; a token is kept with the time of its renewal."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("DROP INDEX notifications_due")
    op.execute("CREATE INDEX notifications_due ON notifications (gateway, due_at) WHERE state = 'received'")
    op.execute("ALTER TABLE gateway_tokens RENAME COLUMN expires_at TO renew_at")


def downgrade() -> None:
    op.execute("ALTER TABLE gateway_tokens RENAME COLUMN renew_at TO expires_at")
    op.execute("DROP INDEX notifications_due")
    op.execute("CREATE INDEX notifications_due ON notifications (due_at) WHERE state = 'received'")
