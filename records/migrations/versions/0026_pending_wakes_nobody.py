"""The event of a pending charge wakes no courier: its next look finds it, two seconds later at most.

PostgreSQL lets transactions that notify commit one after the other, each with its own wait for the disk. A
charge is what people wait for, and its answer says already what the event does.
"""

from alembic import op

revision = "0026"
down_revision = "0025"

UPGRADE = """
DROP TRIGGER platform_events_announced ON platform_events;
CREATE TRIGGER platform_events_announced AFTER INSERT ON platform_events
    FOR EACH ROW WHEN (NEW.type <> 'payment.pending') EXECUTE FUNCTION announce();
"""

DOWNGRADE = """
DROP TRIGGER platform_events_announced ON platform_events;
CREATE TRIGGER platform_events_announced AFTER INSERT ON platform_events
    FOR EACH STATEMENT EXECUTE FUNCTION announce();
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
