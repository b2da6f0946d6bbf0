"""Training programs and their versions, checks of credentials, and gates before outside services."""

from alembic import op

revision = "0011"
down_revision = "0010"

UPGRADE = """
-- Whether a service is called at all, and when the next call may go: one row, shared by all workers.
CREATE TABLE service_gates (
    service text CONSTRAINT service_gates_pkey PRIMARY KEY,
    failures integer NOT NULL DEFAULT 0 CONSTRAINT gate_failures_not_negative CHECK (failures >= 0),
    shut_since timestamptz,
    shut_until timestamptz,
    trial_until timestamptz,
    reason text,
    free_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT gate_shut_until_a_time CHECK (
        (shut_since IS NULL) = (shut_until IS NULL) AND (shut_since IS NULL) = (reason IS NULL))
);

-- A program as it is known by LPK and code. What the register has of it is that of `registered_version`.
CREATE TABLE training_programs (
    id uuid DEFAULT uuidv7() CONSTRAINT training_programs_pkey PRIMARY KEY,
    lpk_registration_number text NOT NULL COLLATE "C",
    program_code text NOT NULL COLLATE "C",
    lpk_name_key text NOT NULL,
    siplatih_program_id text COLLATE "C" CONSTRAINT training_programs_number UNIQUE,
    registered_at timestamptz,
    registered_version integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT training_programs_lpk_code UNIQUE (lpk_registration_number, program_code),
    CONSTRAINT program_registered_whole CHECK (
        (siplatih_program_id IS NULL) = (registered_version IS NULL)
        AND (registered_at IS NULL OR siplatih_program_id IS NOT NULL))
);
CREATE INDEX training_programs_code ON training_programs (program_code);
CREATE INDEX training_programs_lpk_name ON training_programs (lpk_name_key);

-- What was asked to be registered. Instructors are persons: sealed, apart from the rest.
CREATE TABLE program_versions (
    id uuid DEFAULT uuidv7() CONSTRAINT program_versions_pkey PRIMARY KEY,
    program_id uuid NOT NULL CONSTRAINT program_versions_program_fkey REFERENCES training_programs (id),
    version integer NOT NULL CONSTRAINT program_version_counts CHECK (version >= 1),
    content jsonb NOT NULL CONSTRAINT program_content_without_persons CHECK (
        NOT content ? 'instructor_qualifications'),
    instructors bytea NOT NULL,
    fingerprint bytea NOT NULL CONSTRAINT program_fingerprint_size CHECK (octet_length(fingerprint) = 32),
    status text NOT NULL DEFAULT 'pending' CONSTRAINT program_status_known CHECK (status IN
        ('pending', 'registered', 'rejected', 'unknown', 'conflict')),
    is_outstanding boolean NOT NULL DEFAULT false,
    sends integer NOT NULL DEFAULT 0,
    sent_at timestamptz,
    problem text,
    faults jsonb NOT NULL DEFAULT '[]',
    warnings jsonb NOT NULL DEFAULT '[]',
    requested_by text NOT NULL CONSTRAINT program_requested_by_somebody CHECK (requested_by <> ''),
    process_run_id uuid NOT NULL CONSTRAINT program_versions_process_fkey REFERENCES process_runs (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT program_versions_of_program UNIQUE (program_id, version),
    CONSTRAINT program_versions_process UNIQUE (process_run_id),
    CONSTRAINT program_outstanding_was_sent CHECK (
        NOT is_outstanding OR (sent_at IS NOT NULL AND status IN ('pending', 'unknown')))
);
CREATE UNIQUE INDEX program_versions_one_under_way ON program_versions (program_id)
    WHERE status IN ('pending', 'unknown');

CREATE TABLE program_events (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT program_events_pkey PRIMARY KEY,
    program_id uuid NOT NULL CONSTRAINT program_events_program_fkey REFERENCES training_programs (id),
    version integer NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    from_status text,
    to_status text NOT NULL,
    cause text NOT NULL,
    source text NOT NULL,
    note text,
    evidence bytea
);
CREATE INDEX program_events_program ON program_events (program_id, id);
CREATE TRIGGER program_events_append_only BEFORE DELETE ON program_events
    FOR EACH STATEMENT EXECUTE FUNCTION only_insert();
CREATE TRIGGER program_events_only_sealed_anew BEFORE UPDATE ON program_events
    FOR EACH ROW EXECUTE FUNCTION only_seal_anew('evidence');

-- A credential that the register is asked about. Question and answer name a person: both sealed.
CREATE TABLE credential_checks (
    id uuid DEFAULT uuidv7() CONSTRAINT credential_checks_pkey PRIMARY KEY,
    credential_id uuid NOT NULL,
    fingerprint bytea NOT NULL CONSTRAINT check_fingerprint_size CHECK (octet_length(fingerprint) = 32),
    nik_hash bytea NOT NULL CONSTRAINT check_nik_hash_size CHECK (octet_length(nik_hash) = 32),
    question bytea,
    answer bytea,
    status text NOT NULL DEFAULT 'pending' CONSTRAINT check_status_known CHECK (status IN
        ('pending', 'verified', 'not_verified')),
    reason text,
    requested_by text NOT NULL CONSTRAINT check_requested_by_somebody CHECK (requested_by <> ''),
    process_run_id uuid NOT NULL CONSTRAINT credential_checks_process_fkey REFERENCES process_runs (id)
        CONSTRAINT credential_checks_process UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    answered_at timestamptz,
    sent_unknown_at timestamptz,
    CONSTRAINT check_answered_at_a_time CHECK ((answered_at IS NULL) = (status = 'pending')),
    -- Once it is answered nobody needs the NIK any more.
    CONSTRAINT check_asks_until_answered CHECK ((question IS NULL) = (answered_at IS NOT NULL))
);
CREATE INDEX credential_checks_person ON credential_checks (nik_hash);
CREATE INDEX credential_checks_credential ON credential_checks (credential_id, created_at);
"""

DOWNGRADE = """
DROP TABLE credential_checks, program_events, program_versions, training_programs, service_gates;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
