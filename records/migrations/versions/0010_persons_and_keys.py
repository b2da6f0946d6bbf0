"""Persons with sealed NIK and name, who saw them, keys of hashes; sealed evidence may be sealed anew."""

from alembic import op

revision = "0010"
down_revision = "0009"

UPGRADE = """
-- Keys of hashes, each sealed: made once, so that the keys that seal can change.
CREATE TABLE hash_keys (
    name text CONSTRAINT hash_keys_pkey PRIMARY KEY,
    key bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);

-- Who is erased keeps the row, so that what refers to it stays whole.
CREATE TABLE persons (
    id uuid DEFAULT uuidv7() CONSTRAINT persons_pkey PRIMARY KEY,
    nik_hash bytea CONSTRAINT persons_nik_hash UNIQUE
        CONSTRAINT person_nik_hash_size CHECK (octet_length(nik_hash) = 32),
    nik bytea,
    name bytea,
    learner_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    erased_at timestamptz,
    CONSTRAINT person_known_or_erased CHECK (
        (nik IS NULL) = (erased_at IS NOT NULL) AND (name IS NULL) = (erased_at IS NOT NULL)
        AND (nik_hash IS NULL) = (erased_at IS NOT NULL) AND (erased_at IS NULL OR learner_id IS NULL))
);
CREATE INDEX persons_learner ON persons (learner_id) WHERE learner_id IS NOT NULL;

CREATE INDEX payments_learner ON payments (learner_id) WHERE learner_id IS NOT NULL;

CREATE TABLE personal_data_audit (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT personal_data_audit_pkey PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    person_id uuid NOT NULL CONSTRAINT personal_data_audit_person_fkey REFERENCES persons (id),
    act text NOT NULL CONSTRAINT audit_act_known CHECK (act IN
        ('found', 'revealed', 'exported', 'sent', 'erased')),
    fields text[] NOT NULL,
    by text NOT NULL CONSTRAINT audit_somebody CHECK (by <> ''),
    recipient text NOT NULL CONSTRAINT audit_recipient CHECK (recipient <> ''),
    reason text NOT NULL CONSTRAINT audit_reason CHECK (reason <> ''),
    origin text NOT NULL CONSTRAINT audit_origin CHECK (origin <> '')
);
CREATE INDEX personal_data_audit_person ON personal_data_audit (person_id, id);
CREATE INDEX personal_data_audit_at ON personal_data_audit (at);
CREATE TRIGGER personal_data_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON personal_data_audit
    FOR EACH STATEMENT EXECUTE FUNCTION only_insert();

-- History stays as it is, but what is sealed in it may be sealed with another key: by who says that it does
-- that, where there was something, and nothing else in the row changes. TG_ARGV[0] names the sealed column.
CREATE FUNCTION only_seal_anew() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('jembatan.seals_anew', true) IS DISTINCT FROM 'on'
        OR to_jsonb(NEW) - TG_ARGV[0] IS DISTINCT FROM to_jsonb(OLD) - TG_ARGV[0]
        OR to_jsonb(NEW) -> TG_ARGV[0] = 'null' OR to_jsonb(OLD) -> TG_ARGV[0] = 'null'
    THEN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
DROP TRIGGER payment_events_append_only ON payment_events;
CREATE TRIGGER payment_events_append_only BEFORE DELETE ON payment_events
    FOR EACH STATEMENT EXECUTE FUNCTION only_insert();
CREATE TRIGGER payment_events_only_sealed_anew BEFORE UPDATE ON payment_events
    FOR EACH ROW EXECUTE FUNCTION only_seal_anew('evidence');
"""

DOWNGRADE = """
DROP TRIGGER payment_events_only_sealed_anew ON payment_events;
DROP TRIGGER payment_events_append_only ON payment_events;
CREATE TRIGGER payment_events_append_only BEFORE UPDATE OR DELETE ON payment_events
    FOR EACH STATEMENT EXECUTE FUNCTION only_insert();
DROP FUNCTION only_seal_anew();
DROP INDEX payments_learner;
DROP TABLE personal_data_audit, persons, hash_keys;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
