"""Completions: who of a class is reported to the ministry, each person's state, and each call."""

from alembic import op

revision = "0012"
down_revision = "0011"

UPGRADE = """
CREATE TABLE completion_reports (
    id uuid DEFAULT uuidv7() CONSTRAINT completion_reports_pkey PRIMARY KEY,
    program_id uuid NOT NULL CONSTRAINT completion_reports_program_fkey REFERENCES training_programs (id),
    completion_date date NOT NULL,
    content bytea NOT NULL CONSTRAINT completion_report_content_size CHECK (octet_length(content) = 32),
    enrolled integer NOT NULL CONSTRAINT completion_report_enrolled CHECK (enrolled > 0),
    completed integer NOT NULL,
    certified integer NOT NULL,
    completion_rate numeric(4, 1) NOT NULL,
    certification_rate numeric(4, 1) NOT NULL,
    reported_before integer NOT NULL CONSTRAINT completion_report_before CHECK (reported_before >= 0),
    refused jsonb NOT NULL,
    allow_partial boolean NOT NULL,
    is_correction boolean NOT NULL,
    requested_by text NOT NULL,
    process_run_id uuid NOT NULL CONSTRAINT completion_reports_process_fkey REFERENCES process_runs (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT completion_reports_once UNIQUE (program_id, content),
    CONSTRAINT completion_report_counts CHECK (
        0 <= certified AND certified <= completed AND completed <= enrolled),
    CONSTRAINT completion_report_rates CHECK (
        0 <= certification_rate AND certification_rate <= completion_rate AND completion_rate <= 100)
);
CREATE INDEX completion_reports_process ON completion_reports (process_run_id);

-- One statement about one person in one program. Other values are another row, which supersedes this one.
CREATE TABLE completions (
    id uuid DEFAULT uuidv7() CONSTRAINT completions_pkey PRIMARY KEY,
    report_id uuid NOT NULL CONSTRAINT completions_report_fkey REFERENCES completion_reports (id),
    row integer NOT NULL,
    chunk integer NOT NULL,
    program_id uuid NOT NULL CONSTRAINT completions_program_fkey REFERENCES training_programs (id),
    lpk_registration_number text NOT NULL COLLATE "C",
    person_id uuid NOT NULL CONSTRAINT completions_person_fkey REFERENCES persons (id),
    certificate_number text,
    completion_status text NOT NULL,
    final_score numeric(5, 2) CONSTRAINT completion_score CHECK (final_score BETWEEN 0 AND 100),
    completion_date date NOT NULL,
    name bytea,
    fingerprint bytea NOT NULL CONSTRAINT completion_fingerprint_size CHECK (octet_length(fingerprint) = 32),
    state text NOT NULL DEFAULT 'waiting' CONSTRAINT completion_state_known CHECK (state IN
        ('waiting', 'sent', 'accepted', 'rejected', 'unknown')),
    code text,
    problem text,
    sent_at timestamptz,
    answered_at timestamptz,
    supersedes uuid CONSTRAINT completions_supersedes_fkey REFERENCES completions (id),
    superseded_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT completion_sent_at_a_time CHECK (state = 'waiting' OR sent_at IS NOT NULL)
);
CREATE UNIQUE INDEX completions_one_for_each_person ON completions (program_id, person_id)
    WHERE superseded_at IS NULL;
CREATE UNIQUE INDEX completions_certificate_once ON completions (lpk_registration_number, certificate_number)
    WHERE superseded_at IS NULL AND state <> 'rejected' AND certificate_number IS NOT NULL;
CREATE INDEX completions_report ON completions (report_id, chunk, row);
CREATE INDEX completions_person ON completions (person_id);

-- What the register answered, whole and sealed: the receipt. Or what a person found out, where it did not.
CREATE TABLE completion_calls (
    id uuid DEFAULT uuidv7() CONSTRAINT completion_calls_pkey PRIMARY KEY,
    report_id uuid NOT NULL CONSTRAINT completion_calls_report_fkey REFERENCES completion_reports (id),
    chunk integer,
    participants integer NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT now(),
    answered_at timestamptz,
    outcome text,
    answer bytea,
    decided_by text,
    CONSTRAINT completion_call_or_decision CHECK ((chunk IS NULL) = (decided_by IS NOT NULL))
);
CREATE INDEX completion_calls_report ON completion_calls (report_id, id);
"""

DOWNGRADE = "DROP TABLE completion_calls, completions, completion_reports"


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
