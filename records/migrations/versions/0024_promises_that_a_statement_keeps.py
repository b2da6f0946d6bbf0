"""Exports and badges are not asked, row by row, whether their credential is there."""

from alembic import op

revision = "0024"
down_revision = "0023"

# Exports are inserted by a statement that selects from credentials, badges are signed from such rows in the
# same transaction; and a credential neither goes nor changes its id, which its trigger sees to. To look each
# one up once more took 15 µs of a badge's 120 in the database. The keys stay declared: people read them, and
# TRUNCATE … CASCADE goes by them.
KEYS = (
    ("credential_exports", "credential_exports_credential_fkey"),
    ("open_badges", "open_badges_credential_fkey"),
)


def upgrade() -> None:
    op.execute(_stays("id, status_list, status_index, subject_id, achievement_id"))
    for table, key in KEYS:
        op.execute(f"ALTER TABLE {table} ALTER CONSTRAINT {key} NOT ENFORCED")


def downgrade() -> None:
    for table, key in KEYS:
        op.execute(f"ALTER TABLE {table} ALTER CONSTRAINT {key} ENFORCED")
    op.execute(_stays("status_list, status_index, subject_id, achievement_id"))


def _stays(columns: str) -> str:
    old, new = (", ".join(f"{row}.{one}" for one in columns.split(", ")) for row in ("OLD", "NEW"))
    return f"""
CREATE OR REPLACE FUNCTION credential_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'a credential is not deleted: its place in the status list stays taken'
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.state = 'revoked' AND NEW.state <> 'revoked' THEN
        RAISE EXCEPTION 'a revocation is not undone' USING ERRCODE = 'restrict_violation';
    END IF;
    IF ({new}) <> ({old}) THEN
        RAISE EXCEPTION 'what a badge was signed with does not change' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$"""
