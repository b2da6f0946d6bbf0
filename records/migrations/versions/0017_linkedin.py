"""LinkedIn: who has connected it, one-use tickets of sign-ins, learners' browser sessions, shares."""

from alembic import op

revision = "0017"
down_revision = "0016"

# Only hashes of what browsers hold. member_hash: keyed, of LinkedIn's own name of the member.
UPGRADE = """
CREATE TABLE linkedin_connections (
    id uuid DEFAULT uuidv7() CONSTRAINT linkedin_connections_pkey PRIMARY KEY,
    learner_id text NOT NULL CONSTRAINT linkedin_connections_learner_once UNIQUE,
    client_id uuid NOT NULL CONSTRAINT linkedin_connections_client_fkey REFERENCES clients (id),
    member_hash bytea NOT NULL CONSTRAINT linkedin_connections_member_once UNIQUE
        CONSTRAINT linkedin_connection_hash_size CHECK (octet_length(member_hash) = 32),
    tokens bytea NOT NULL,
    scopes text[] NOT NULL,
    expires_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'connected'
        CONSTRAINT linkedin_connection_state_known CHECK (state IN ('connected', 'needs_reconnect')),
    state_since timestamptz NOT NULL DEFAULT now(),
    shares_new_since timestamptz,
    connected_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE learner_tickets (
    hash bytea CONSTRAINT learner_tickets_pkey PRIMARY KEY
        CONSTRAINT learner_ticket_hash_size CHECK (octet_length(hash) = 32),
    kind text NOT NULL CONSTRAINT learner_ticket_kind_known CHECK (kind IN ('page', 'consent')),
    learner_id text NOT NULL,
    client_id uuid NOT NULL CONSTRAINT learner_tickets_client_fkey REFERENCES clients (id),
    browser_hash bytea,
    verifier bytea,
    shares_new boolean NOT NULL DEFAULT false,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX learner_tickets_learner ON learner_tickets (learner_id);

CREATE TABLE learner_sessions (
    hash bytea CONSTRAINT learner_sessions_pkey PRIMARY KEY
        CONSTRAINT learner_session_hash_size CHECK (octet_length(hash) = 32),
    learner_id text NOT NULL,
    client_id uuid NOT NULL CONSTRAINT learner_sessions_client_fkey REFERENCES clients (id),
    opened_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX learner_sessions_learner ON learner_sessions (learner_id);

-- calls: posts sent of which nobody knows what became of them.
CREATE TABLE linkedin_shares (
    credential_id uuid CONSTRAINT linkedin_shares_pkey PRIMARY KEY
        CONSTRAINT linkedin_shares_credential_fkey REFERENCES credentials (id),
    text bytea NOT NULL,
    visibility text NOT NULL
        CONSTRAINT linkedin_share_visibility_known CHECK (visibility IN ('PUBLIC', 'CONNECTIONS')),
    agreed_with text NOT NULL,
    agreed_at timestamptz NOT NULL DEFAULT now(),
    image text,
    calls integer NOT NULL DEFAULT 0 CONSTRAINT linkedin_share_calls_counted CHECK (calls >= 0)
);
"""

DOWNGRADE = """
DROP TABLE linkedin_shares, learner_sessions, learner_tickets, linkedin_connections;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
