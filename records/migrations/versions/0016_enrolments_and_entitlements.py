"""Enrolments as the platform tells them, and what the nightly look at every learner's programs has found."""

from alembic import op

revision = "0016"
down_revision = "0015"

UPGRADE = """
-- What is true now of one learner in one program; nobody's any more once the learner was erased.
CREATE TABLE enrolments (
    id uuid DEFAULT uuidv7() CONSTRAINT enrolments_pkey PRIMARY KEY,
    learner_id text,
    program_code text NOT NULL COLLATE "C",
    state text NOT NULL
        CONSTRAINT enrolment_state_known CHECK (state IN ('enrolled', 'completed', 'withdrawn')),
    state_at timestamptz NOT NULL,
    since timestamptz NOT NULL,
    is_free boolean NOT NULL,
    payment_id uuid CONSTRAINT enrolments_payment_fkey REFERENCES payments (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT enrolments_once UNIQUE (learner_id, program_code),
    CONSTRAINT enrolment_since_in_order CHECK (since <= state_at)
);
CREATE INDEX enrolments_payment ON enrolments (payment_id) WHERE payment_id IS NOT NULL;

-- What was told, each statement once, in whatever order it came.
CREATE TABLE enrolment_statements (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT enrolment_statements_pkey PRIMARY KEY,
    enrolment_id uuid NOT NULL CONSTRAINT enrolment_statements_enrolment_fkey REFERENCES enrolments (id),
    state text NOT NULL
        CONSTRAINT enrolment_statement_known CHECK (state IN ('enrolled', 'completed', 'withdrawn')),
    occurred_at timestamptz NOT NULL,
    is_free boolean,
    payment_id uuid CONSTRAINT enrolment_statements_payment_fkey REFERENCES payments (id),
    told_by text NOT NULL,
    told_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT enrolment_statements_once
        UNIQUE NULLS NOT DISTINCT (enrolment_id, state, occurred_at, is_free, payment_id)
);
CREATE TRIGGER enrolment_statements_append_only BEFORE UPDATE OR DELETE ON enrolment_statements
    FOR EACH STATEMENT EXECUTE FUNCTION only_insert();

-- One look at every pair of learner and program: its counts, and the proof that each was looked at once.
CREATE TABLE entitlement_runs (
    process_run_id uuid CONSTRAINT entitlement_runs_pkey PRIMARY KEY
        CONSTRAINT entitlement_runs_process_fkey REFERENCES process_runs (id),
    looked_at timestamptz NOT NULL,
    pairs bigint NOT NULL,
    in_order bigint NOT NULL,
    awaited bigint NOT NULL,
    differing bigint NOT NULL,
    classes jsonb NOT NULL,
    left_out jsonb NOT NULL,
    rules jsonb NOT NULL,
    proof jsonb NOT NULL,
    is_balanced boolean NOT NULL
);
CREATE INDEX entitlement_runs_newest ON entitlement_runs (looked_at);

-- A difference keeps its row over the nights. facts: what it was seen in, nothing personal.
CREATE TABLE entitlement_findings (
    id uuid DEFAULT uuidv7() CONSTRAINT entitlement_findings_pkey PRIMARY KEY,
    learner_id text,
    program_code text NOT NULL COLLATE "C",
    class text NOT NULL CONSTRAINT entitlement_class_known CHECK (class IN
        ('paid_not_enrolled', 'enrolled_not_paid', 'completed_not_reported', 'reported_without_payment',
         'refunded_still_enrolled')),
    state text NOT NULL
        CONSTRAINT entitlement_state_known CHECK (state IN ('open', 'explained', 'resolved')),
    since timestamptz NOT NULL,
    facts jsonb NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    first_run_id uuid NOT NULL
        CONSTRAINT entitlement_findings_first_fkey REFERENCES entitlement_runs (process_run_id),
    last_run_id uuid NOT NULL
        CONSTRAINT entitlement_findings_last_fkey REFERENCES entitlement_runs (process_run_id),
    CONSTRAINT entitlement_findings_identity UNIQUE (learner_id, program_code, class),
    CONSTRAINT entitlement_closed_at_a_time CHECK ((state = 'open') = (closed_at IS NULL))
);
CREATE INDEX entitlement_findings_state ON entitlement_findings (state, id);

CREATE TABLE entitlement_events (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT entitlement_events_pkey PRIMARY KEY,
    finding_id uuid NOT NULL CONSTRAINT entitlement_events_finding_fkey REFERENCES entitlement_findings (id),
    at timestamptz NOT NULL DEFAULT now(),
    from_state text,
    to_state text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL
);
CREATE INDEX entitlement_events_finding ON entitlement_events (finding_id, id);
CREATE TRIGGER entitlement_events_append_only BEFORE UPDATE OR DELETE ON entitlement_events
    FOR EACH STATEMENT EXECUTE FUNCTION only_insert();
"""

DOWNGRADE = """
DROP TABLE entitlement_events, entitlement_findings, entitlement_runs, enrolment_statements, enrolments;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
