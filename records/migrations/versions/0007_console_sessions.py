"""Sessions of the console: who is signed in with which key."""

from alembic import op

revision = "0007"
down_revision = "0006"

UPGRADE = """
CREATE TABLE console_sessions (
    hash bytea CONSTRAINT console_sessions_pkey PRIMARY KEY,
    key_id text NOT NULL CONSTRAINT console_sessions_key_fkey REFERENCES api_keys (id) ON DELETE CASCADE,
    opened_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    CONSTRAINT console_session_hash_size CHECK (octet_length(hash) = 32),
    CONSTRAINT console_session_seen_after CHECK (seen_at >= opened_at)
);
CREATE INDEX console_sessions_key ON console_sessions (key_id);
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute("DROP TABLE console_sessions")
