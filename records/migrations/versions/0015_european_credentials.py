"""European credentials: each document as it was made, under seal or not, and the key it is delivered with."""

from alembic import op

revision = "0015"
down_revision = "0014"

# body: the document, packed and encrypted, as the learner's name is in it.
UPGRADE = """
CREATE TABLE european_credentials (
    credential_id uuid CONSTRAINT european_credentials_pkey PRIMARY KEY
        CONSTRAINT european_credentials_credential_fkey REFERENCES credentials (id),
    body bytea NOT NULL,
    digest bytea NOT NULL CONSTRAINT european_credential_digest_size CHECK (octet_length(digest) = 32),
    is_sealed boolean NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE european_credentials ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE FUNCTION european_credential_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.credential_id, NEW.digest, NEW.is_sealed) <> (OLD.credential_id, OLD.digest, OLD.is_sealed) THEN
        RAISE EXCEPTION 'what was sealed is not changed' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER european_credentials_stay BEFORE UPDATE ON european_credentials
    FOR EACH ROW EXECUTE FUNCTION european_credential_stays();
"""

DOWNGRADE = """
DROP TABLE european_credentials;
DROP FUNCTION european_credential_stays();
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
