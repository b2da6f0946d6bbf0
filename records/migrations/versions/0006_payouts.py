"""What a settled line is worth in a payout; bank statements and their entries; payouts and their proofs."""

from alembic import op

revision = "0006"
down_revision = "0005"

UPGRADE = """
-- Null in what was recorded before: such a day has no settled lines until it is run again.
ALTER TABLE reconciliation_outcomes
    ADD COLUMN net_minor bigint, ADD COLUMN payout_reference text COLLATE "C";

-- The settled lines of one statement added up, once: one row for each payout that its lines name.
CREATE TABLE settled_sums (
    run_no integer NOT NULL,
    payout_reference text COLLATE "C" NOT NULL,
    lines integer NOT NULL,
    payments_minor numeric NOT NULL,
    refunds_minor numeric NOT NULL,
    chargebacks_minor numeric NOT NULL,
    net_minor numeric NOT NULL,
    CONSTRAINT settled_sums_pkey PRIMARY KEY (run_no, payout_reference)
);

CREATE TABLE bank_statements (
    id uuid DEFAULT uuidv7() CONSTRAINT bank_statements_pkey PRIMARY KEY,
    sha256 text NOT NULL CONSTRAINT bank_statements_sha256_key UNIQUE
        CONSTRAINT bank_statements_file_fkey REFERENCES kept_files (sha256),
    name text NOT NULL,
    format text NOT NULL CONSTRAINT bank_statement_format_known CHECK (format IN ('csv', 'mt940', 'camt053')),
    rows integer NOT NULL,
    overlap_rows integer NOT NULL,
    malformed_rows integer NOT NULL,
    imported_at timestamptz NOT NULL DEFAULT now()
);

-- Which days of which account a statement covers, days without an entry included.
CREATE TABLE bank_coverage (
    statement_id uuid NOT NULL CONSTRAINT bank_coverage_statement_fkey REFERENCES bank_statements (id),
    account text COLLATE "C" NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    CONSTRAINT bank_coverage_pkey PRIMARY KEY (statement_id, account, first_day),
    CONSTRAINT bank_coverage_in_order CHECK (first_day <= last_day)
);

-- Credits are positive, debits negative. `seen`: in how many statements it stands. The narrative is kept
-- where it is a gateway's: that of others may name people.
CREATE TABLE bank_entries (
    id uuid DEFAULT uuidv7() CONSTRAINT bank_entries_pkey PRIMARY KEY,
    account text COLLATE "C" NOT NULL,
    booked_on date NOT NULL,
    amount_minor bigint NOT NULL CONSTRAINT bank_entry_amount_not_zero CHECK (amount_minor <> 0),
    currency text NOT NULL CONSTRAINT bank_entry_currency_form CHECK (length(currency) = 3),
    identity text COLLATE "C" NOT NULL,
    copy integer NOT NULL CONSTRAINT bank_entry_copy_counts CHECK (copy > 0),
    narrative text,
    seen integer NOT NULL DEFAULT 1,
    statement_id uuid NOT NULL CONSTRAINT bank_entries_statement_fkey REFERENCES bank_statements (id),
    line_no integer NOT NULL,
    CONSTRAINT bank_entries_identity UNIQUE (account, booked_on, amount_minor, currency, identity, copy)
);
CREATE INDEX bank_entries_booked ON bank_entries (booked_on) WHERE narrative IS NOT NULL;

CREATE TABLE bank_malformed_lines (
    statement_id uuid NOT NULL CONSTRAINT bank_malformed_statement_fkey REFERENCES bank_statements (id),
    line_no integer NOT NULL,
    booked_on date NOT NULL,
    account text COLLATE "C",
    column_name text,
    reason text NOT NULL,
    seen text NOT NULL,
    narrative text,
    identity text NOT NULL,
    copy integer NOT NULL,
    CONSTRAINT bank_malformed_lines_pkey PRIMARY KEY (statement_id, line_no),
    CONSTRAINT bank_malformed_lines_identity UNIQUE (identity, copy)
);

CREATE TABLE payout_runs (
    id uuid DEFAULT uuidv7() CONSTRAINT payout_runs_pkey PRIMARY KEY,
    gateway text NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
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
    is_balanced boolean NOT NULL,
    proof jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT payout_runs_version_key UNIQUE (gateway, first_day, last_day, version),
    CONSTRAINT payout_run_days_in_order CHECK (first_day <= last_day)
);
CREATE UNIQUE INDEX payout_runs_current ON payout_runs (gateway, first_day, last_day) WHERE is_current;

-- What each run found, for ever.
CREATE TABLE payout_outcomes (
    run_id uuid NOT NULL CONSTRAINT payout_outcomes_run_fkey REFERENCES payout_runs (id),
    identity uuid NOT NULL,
    class reconciliation_class NOT NULL,
    ledger_minor bigint,
    report_minor bigint,
    details jsonb NOT NULL,
    CONSTRAINT payout_outcomes_pkey PRIMARY KEY (run_id, identity)
);
CREATE TRIGGER payout_outcomes_append_only BEFORE UPDATE OR DELETE ON payout_outcomes
    FOR EACH STATEMENT EXECUTE FUNCTION only_insert();

-- What is known of each payout now: as the run that looked furthest has found it.
CREATE TABLE payouts (
    id uuid DEFAULT uuidv7() CONSTRAINT payouts_pkey PRIMARY KEY,
    gateway text NOT NULL,
    identity uuid NOT NULL,
    class reconciliation_class NOT NULL,
    ledger_minor bigint,
    report_minor bigint,
    entry_id uuid CONSTRAINT payouts_entry_fkey REFERENCES bank_entries (id),
    day date NOT NULL,
    details jsonb NOT NULL,
    as_of date NOT NULL,
    last_run_id uuid NOT NULL CONSTRAINT payouts_run_fkey REFERENCES payout_runs (id),
    CONSTRAINT payouts_identity UNIQUE (gateway, identity)
);
CREATE INDEX payouts_day ON payouts (gateway, day);
"""

DOWNGRADE = """
DROP TABLE payouts, payout_outcomes, payout_runs, bank_malformed_lines, bank_entries, bank_coverage,
    bank_statements, settled_sums;
ALTER TABLE reconciliation_outcomes DROP COLUMN net_minor, DROP COLUMN payout_reference;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
