"""A credential has its learner's name as a completion has it, sealed when it came in; the e-mail beside it.

What is there is opened and sealed anew: needs the keys, where there are credentials.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

from records.sealed import seal, seal_json, unseal, unseal_json

revision = "0025"
down_revision = "0024"

BATCH = 1_000

UPGRADE = """
ALTER TABLE credentials RENAME COLUMN holder TO name;
ALTER TABLE credentials ADD COLUMN email bytea,
    DROP CONSTRAINT credential_withdrawn_is_empty,
    ADD CONSTRAINT credential_withdrawn_is_empty CHECK (withdrawn_at IS NULL
        OR (state = 'revoked' AND name IS NULL AND email IS NULL AND NOT name_is_public));
"""

DOWNGRADE = """
ALTER TABLE credentials DROP CONSTRAINT credential_withdrawn_is_empty;
ALTER TABLE credentials DROP COLUMN email;
ALTER TABLE credentials RENAME COLUMN name TO holder;
ALTER TABLE credentials ADD CONSTRAINT credential_withdrawn_is_empty CHECK (withdrawn_at IS NULL
    OR (state = 'revoked' AND holder IS NULL AND NOT name_is_public));
"""


def upgrade() -> None:
    op.execute(UPGRADE)
    _each(_apart)


def downgrade() -> None:
    _each(_together)
    op.execute(DOWNGRADE)


def _apart(holder: bytes, _: bytes | None) -> tuple[bytes, bytes | None]:
    told = unseal_json(holder)
    return seal(told["name"].encode()), seal(told["email"].encode()) if told["email"] else None


def _together(name: bytes, email: bytes | None) -> tuple[bytes, bytes | None]:
    told = {"name": unseal(name).decode(), "email": unseal(email).decode() if email else None}
    return seal_json(told), None


def _each(change: Callable[[bytes, bytes | None], tuple[bytes, bytes | None]]) -> None:
    db, after = op.get_bind(), None
    while True:
        rows: Any = db.execute(
            sa.text(
                """SELECT id, name, email FROM credentials
                WHERE name IS NOT NULL AND (CAST(:after AS uuid) IS NULL OR id > :after)
                ORDER BY id LIMIT :batch"""
            ),
            {"after": after, "batch": BATCH},
        ).all()
        if not rows:
            return
        after = rows[-1].id
        changed = [(row.id, *change(bytes(row.name), row.email and bytes(row.email))) for row in rows]
        db.execute(
            sa.text("UPDATE credentials SET name = :name, email = :email WHERE id = :id"),
            [{"id": id_, "name": name, "email": email} for id_, name, email in changed],
        )
