"""API clients, live payments, the inbox of notifications, events for the platform, gateways' tokens."""

from alembic import op

revision = "0002"
down_revision = "0001"

UPGRADE = """
CREATE TABLE clients (
    id uuid DEFAULT uuidv7() CONSTRAINT clients_pkey PRIMARY KEY,
    name text NOT NULL CONSTRAINT clients_name_key UNIQUE,
    scopes text[] NOT NULL,
    rate_per_minute integer NOT NULL CONSTRAINT client_rate_in_range
        CHECK (rate_per_minute BETWEEN 1 AND 1000000),
    endpoint_url text,
    endpoint_secrets bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    CONSTRAINT client_endpoint_has_secret CHECK ((endpoint_url IS NULL) = (endpoint_secrets IS NULL))
);

-- Only a hash of each key: whoever reads this table can call nobody.
CREATE TABLE api_keys (
    id text CONSTRAINT api_keys_pkey PRIMARY KEY,
    client_id uuid NOT NULL CONSTRAINT api_keys_client_fkey REFERENCES clients (id),
    hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
CREATE INDEX api_keys_client ON api_keys (client_id);

-- Tokens that we give gateways which sign their notifications with one, and those that they give us.
CREATE TABLE gateway_tokens (
    name text CONSTRAINT gateway_tokens_pkey PRIMARY KEY,
    token bytea NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE SEQUENCE external_ids;
-- Digits that no call of any day had before: the moment in WIB, to the microsecond, and a running number.
CREATE FUNCTION next_external_id() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT to_char(clock_timestamp() AT TIME ZONE 'Asia/Jakarta', 'YYMMDDHH24MISSUS')
        || lpad((nextval('external_ids') % 10000000000)::text, 10, '0')
$$;

ALTER TABLE payments
    ADD COLUMN client_id uuid CONSTRAINT payments_client_fkey REFERENCES clients (id),
    ADD COLUMN learner_id text,
    ADD COLUMN learner bytea,
    ADD COLUMN program_code text,
    ADD COLUMN description text,
    ADD COLUMN return_url text,
    ADD COLUMN fingerprint bytea,
    ADD COLUMN external_id text,
    ADD COLUMN actions jsonb,
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN busy_by bigint,
    ADD COLUMN busy_until timestamptz,
    ADD COLUMN asked_at timestamptz,
    ADD COLUMN answered_at timestamptz,
    ADD COLUMN next_status_at timestamptz,
    ADD COLUMN reason text;
CREATE INDEX payments_client ON payments (client_id, id) WHERE client_id IS NOT NULL;
CREATE INDEX payments_to_ask ON payments (gateway, next_status_at) WHERE next_status_at IS NOT NULL;

ALTER TABLE payment_events
    ADD COLUMN note text,
    ADD COLUMN evidence bytea;

-- A key names one request of one client for good: the same again gets the same answer.
CREATE TABLE idempotency_keys (
    client_id uuid NOT NULL CONSTRAINT idempotency_keys_client_fkey REFERENCES clients (id),
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (client_id, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

CREATE TABLE notifications (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT notifications_pkey PRIMARY KEY,
    gateway text NOT NULL,
    event bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    reference text COLLATE "C",
    gateway_reference text,
    claimed text NOT NULL,
    word text NOT NULL,
    amount_minor bigint,
    currency text,
    at timestamptz,
    confirm boolean NOT NULL,
    merchant_differs boolean NOT NULL,
    message bytea NOT NULL,
    state text NOT NULL DEFAULT 'received' CONSTRAINT notification_state_known CHECK (state IN
        ('received', 'worked', 'quarantined', 'dropped')),
    reason text,
    payment_id uuid,
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    worked_at timestamptz,
    CONSTRAINT notifications_event_key UNIQUE (gateway, event)
);
CREATE INDEX notifications_due ON notifications (due_at) WHERE state = 'received';
CREATE INDEX notifications_reference ON notifications (reference);
CREATE INDEX notifications_quarantined ON notifications (gateway, received_at) WHERE state = 'quarantined';

-- Events for the platform: written with the change that they tell of, delivered in order for each payment.
CREATE TABLE platform_events (
    id uuid DEFAULT uuidv7() CONSTRAINT platform_events_pkey PRIMARY KEY,
    client_id uuid NOT NULL CONSTRAINT platform_events_client_fkey REFERENCES clients (id),
    payment_id uuid NOT NULL,
    type text NOT NULL,
    body jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'waiting' CONSTRAINT platform_event_state_known CHECK (state IN
        ('waiting', 'delivered', 'given_up')),
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    give_up_at timestamptz NOT NULL DEFAULT now() + interval '72 hours',
    delivered_at timestamptz,
    problem text
);
CREATE INDEX platform_events_due ON platform_events (client_id, due_at) WHERE state = 'waiting';
CREATE INDEX platform_events_payment ON platform_events (payment_id, id) WHERE state = 'waiting';
CREATE INDEX platform_events_client ON platform_events (client_id, id);
CREATE INDEX platform_events_undelivered ON platform_events (client_id, state) WHERE state <> 'delivered';

CREATE FUNCTION announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(TG_TABLE_NAME, '');
    RETURN NULL;
END $$;
CREATE TRIGGER platform_events_announced AFTER INSERT ON platform_events
    FOR EACH STATEMENT EXECUTE FUNCTION announce();
"""

DOWNGRADE = """
DROP TABLE platform_events, notifications, idempotency_keys;
DROP FUNCTION announce();
ALTER TABLE payment_events DROP COLUMN note, DROP COLUMN evidence;
DROP INDEX payments_to_ask, payments_client;
ALTER TABLE payments
    DROP COLUMN client_id, DROP COLUMN learner_id, DROP COLUMN learner, DROP COLUMN program_code,
    DROP COLUMN description, DROP COLUMN return_url, DROP COLUMN fingerprint, DROP COLUMN external_id,
    DROP COLUMN actions, DROP COLUMN expires_at, DROP COLUMN busy_by, DROP COLUMN busy_until,
    DROP COLUMN asked_at,
    DROP COLUMN answered_at, DROP COLUMN next_status_at, DROP COLUMN reason;
DROP FUNCTION next_external_id();
DROP SEQUENCE external_ids;
DROP TABLE gateway_tokens, api_keys, clients;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
