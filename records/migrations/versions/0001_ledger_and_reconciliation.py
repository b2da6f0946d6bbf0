"""The ledger, process runs, kept report files, reconciliations with their outcomes and exceptions."""

from alembic import op

revision = "0001"
down_revision = None

UPGRADE = """
CREATE SCHEMA staging;

CREATE TABLE payments (
    id uuid DEFAULT uuidv7() CONSTRAINT payments_pkey PRIMARY KEY,
    reference text COLLATE "C" NOT NULL,
    gateway text NOT NULL,
    gateway_reference text COLLATE "C",
    amount_minor bigint NOT NULL CONSTRAINT payment_amount_in_range
        CHECK (amount_minor BETWEEN 1 AND 1000000000000000000),
    refunded_minor bigint NOT NULL DEFAULT 0
        CONSTRAINT payment_refunds_within_amount CHECK (refunded_minor BETWEEN 0 AND amount_minor),
    currency text NOT NULL CONSTRAINT payment_currency_form CHECK (length(currency) = 3),
    status text NOT NULL CONSTRAINT payment_status_known CHECK (status IN
        ('created', 'pending', 'paid', 'partially_refunded', 'refunded', 'expired', 'cancelled', 'denied',
         'reversed', 'unknown')),
    created_at timestamptz NOT NULL,
    paid_at timestamptz,
    CONSTRAINT payment_paid_has_time
        CHECK (paid_at IS NOT NULL OR status NOT IN ('paid', 'partially_refunded', 'refunded'))
);
CREATE UNIQUE INDEX payments_reference_key ON payments (reference);
CREATE INDEX payments_paid_day ON payments (gateway, paid_at);

CREATE TABLE refunds (
    id uuid DEFAULT uuidv7() CONSTRAINT refunds_pkey PRIMARY KEY,
    payment_id uuid NOT NULL CONSTRAINT refunds_payment_fkey REFERENCES payments (id),
    reference text COLLATE "C" NOT NULL,
    gateway text NOT NULL,
    gateway_reference text COLLATE "C",
    amount_minor bigint NOT NULL CONSTRAINT refund_amount_in_range
        CHECK (amount_minor BETWEEN 1 AND 1000000000000000000),
    currency text NOT NULL CONSTRAINT refund_currency_form CHECK (length(currency) = 3),
    status text NOT NULL CONSTRAINT refund_status_known CHECK (status IN
        ('requested', 'awaiting_approval', 'approved', 'sent', 'accepted', 'confirmed', 'refused',
         'unknown')),
    created_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    CONSTRAINT refund_confirmed_has_time CHECK (confirmed_at IS NOT NULL OR status <> 'confirmed')
);
CREATE UNIQUE INDEX refunds_reference_key ON refunds (reference);
CREATE INDEX refunds_confirmed_day ON refunds (gateway, confirmed_at);
CREATE INDEX refunds_payment ON refunds (payment_id);

CREATE TABLE payment_events (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT payment_events_pkey PRIMARY KEY,
    payment_id uuid NOT NULL,
    refund_id uuid,
    at timestamptz NOT NULL DEFAULT now(),
    cause text NOT NULL,
    source text,
    from_status text,
    to_status text NOT NULL,
    effective_at timestamptz
);
CREATE INDEX payment_events_payment ON payment_events (payment_id);

CREATE FUNCTION only_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER payment_events_append_only BEFORE UPDATE OR DELETE ON payment_events
    FOR EACH STATEMENT EXECUTE FUNCTION only_insert();

CREATE TABLE ledger_imports (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT ledger_imports_pkey PRIMARY KEY,
    file_name text NOT NULL,
    kind text NOT NULL CONSTRAINT ledger_import_kind_known CHECK (kind IN ('payments', 'refunds')),
    rows integer NOT NULL,
    imported integer NOT NULL,
    unchanged integer NOT NULL,
    refused integer NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE process_runs (
    id uuid DEFAULT uuidv7() CONSTRAINT process_runs_pkey PRIMARY KEY,
    process text NOT NULL,
    key text NOT NULL,
    state text NOT NULL DEFAULT 'queued' CONSTRAINT process_run_state_known CHECK (state IN
        ('queued', 'running', 'waiting', 'succeeded', 'failed', 'needs_attention')),
    attempts integer NOT NULL DEFAULT 0,
    lost_workers integer NOT NULL DEFAULT 0,
    input jsonb NOT NULL DEFAULT '{}',
    outcome jsonb,
    error jsonb,
    flow_run_id uuid,
    next_attempt_at timestamptz,
    submitted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    ended_at timestamptz
);
CREATE UNIQUE INDEX process_runs_key ON process_runs (process, key);
CREATE INDEX process_runs_open ON process_runs (state, next_attempt_at)
    WHERE state IN ('queued', 'running', 'waiting');
-- Relays listen; a lost notification only costs them the time to their next look.
CREATE FUNCTION announce_process_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('process_runs', '');
    RETURN NULL;
END $$;
CREATE TRIGGER process_runs_announced AFTER INSERT OR UPDATE ON process_runs
    FOR EACH ROW WHEN (NEW.state = 'queued' AND NEW.submitted_at IS NULL)
    EXECUTE FUNCTION announce_process_run();
CREATE INDEX process_runs_newest ON process_runs (created_at DESC);

CREATE TABLE kept_files (
    sha256 text CONSTRAINT kept_files_pkey PRIMARY KEY,
    name text NOT NULL,
    bytes bigint NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT now()
);

CREATE TYPE reconciliation_class AS ENUM (
    'malformed_line', 'duplicate_at_gateway', 'missing_in_ledger', 'currency_mismatch', 'amount_mismatch',
    'status_mismatch', 'fee_mismatch', 'timing', 'missing_at_gateway', 'matched');

CREATE TABLE reconciliations (
    id uuid CONSTRAINT reconciliations_pkey PRIMARY KEY,
    no integer GENERATED ALWAYS AS IDENTITY CONSTRAINT reconciliations_no_key UNIQUE,
    process_run_id uuid NOT NULL CONSTRAINT reconciliations_process_key UNIQUE
        CONSTRAINT reconciliations_process_fkey REFERENCES process_runs (id),
    gateway text NOT NULL,
    business_date date NOT NULL,
    version integer NOT NULL,
    is_current boolean NOT NULL,
    sources jsonb NOT NULL,
    rules jsonb NOT NULL,
    classes jsonb NOT NULL,
    ledger_rows integer NOT NULL,
    report_rows integer NOT NULL,
    ledger_minor numeric NOT NULL,
    report_minor numeric NOT NULL,
    overlap_rows integer NOT NULL,
    early_rows integer NOT NULL DEFAULT 0,
    is_balanced boolean,
    proof jsonb,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reconciliations_version_key UNIQUE (gateway, business_date, version)
);
CREATE UNIQUE INDEX reconciliations_current ON reconciliations (gateway, business_date) WHERE is_current;

-- One partition per reconciliation: filled and indexed in bulk, seen whole or not at all, dropped whole.
CREATE TABLE reconciliation_outcomes (
    run_no integer NOT NULL,
    class reconciliation_class NOT NULL,
    is_refund boolean NOT NULL,
    subject_id uuid,
    source smallint,
    line_no integer,
    reference text COLLATE "C",
    ledger_minor bigint,
    report_minor bigint,
    fee_minor bigint,
    gateway_reference text COLLATE "C",
    occurred_at timestamptz,
    late_days integer,
    reason text,
    note text
) PARTITION BY LIST (run_no);
CREATE INDEX reconciliation_outcomes_subject ON reconciliation_outcomes (subject_id);

CREATE TABLE reconciliation_exceptions (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT reconciliation_exceptions_pkey PRIMARY KEY,
    gateway text NOT NULL,
    business_date date NOT NULL,
    identity uuid NOT NULL,
    class reconciliation_class NOT NULL,
    state text NOT NULL DEFAULT 'open' CONSTRAINT exception_state_known CHECK (state IN
        ('open', 'explained', 'healed', 'settled', 'carried', 'cleared')),
    is_refund boolean NOT NULL,
    subject_id uuid,
    reference text COLLATE "C",
    gateway_reference text COLLATE "C",
    reason text,
    note text,
    expected jsonb NOT NULL,
    found jsonb NOT NULL,
    ledger_minor bigint,
    report_minor bigint,
    source_name text,
    line_no integer,
    first_run_id uuid NOT NULL,
    last_run_id uuid NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    CONSTRAINT reconciliation_exceptions_identity UNIQUE (gateway, business_date, identity)
);
CREATE INDEX reconciliation_exceptions_run ON reconciliation_exceptions (last_run_id, class);
CREATE INDEX reconciliation_exceptions_open ON reconciliation_exceptions (gateway, business_date)
    WHERE state = 'open';
CREATE INDEX reconciliation_exceptions_subject ON reconciliation_exceptions (subject_id)
    WHERE subject_id IS NOT NULL;

CREATE TABLE exception_events (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT exception_events_pkey PRIMARY KEY,
    exception_id bigint NOT NULL CONSTRAINT exception_events_fkey REFERENCES reconciliation_exceptions (id),
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    from_state text,
    to_state text NOT NULL,
    reason text NOT NULL,
    run_id uuid
);
CREATE INDEX exception_events_exception ON exception_events (exception_id);
CREATE TRIGGER exception_events_append_only BEFORE UPDATE OR DELETE ON exception_events
    FOR EACH STATEMENT EXECUTE FUNCTION only_insert();

-- Fee of one payment: rate in millionths of the amount plus a fixed part, half up to whole rupiah.
-- The numeric branch keeps amounts exact that would overflow bigint arithmetic.
CREATE FUNCTION plan_fee_minor(amount_minor bigint, rate_millionths bigint, fixed_minor bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN amount_minor < 1000000000000
        THEN (amount_minor * rate_millionths + fixed_minor * 1000000 + 50000000) / 100000000 * 100
        ELSE (div(amount_minor::numeric * rate_millionths + fixed_minor::numeric * 1000000 + 50000000,
                  100000000) * 100)::bigint END
$$;
"""

DOWNGRADE = """
DROP FUNCTION plan_fee_minor(bigint, bigint, bigint);
DROP TABLE exception_events, reconciliation_exceptions, reconciliation_outcomes, reconciliations;
DROP TYPE reconciliation_class;
DROP TABLE kept_files, process_runs, ledger_imports, payment_events, refunds, payments;
DROP FUNCTION only_insert(), announce_process_run();
DROP SCHEMA staging CASCADE;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
