"""The public half of every key that ever signed for us: as long as it is here, its badges verify."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import clock
from common.errors import BadInput
from records.db import Base

_TIME = TIMESTAMP(timezone=True)


class SigningKey(Base):
    """One key. id: thumbprint of its public half (RFC 7638). withdrawn_at: it leaked, and counts no more."""

    __tablename__ = "signing_keys"
    id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    jwk: Mapped[dict[str, Any]] = mapped_column(JSONB)
    first_used_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    withdrawn_at: Mapped[datetime | None] = mapped_column(_TIME)


def keep(session: Session, keys: Mapping[str, Mapping[str, Any]]) -> None:
    """Remember these keys, before anything is signed with them. keys: public JWK by id."""
    rows = [{"id": key_id, "jwk": dict(jwk)} for key_id, jwk in keys.items()]
    if rows:
        session.execute(insert(SigningKey).values(rows).on_conflict_do_nothing())


def all_of_them(session: Session) -> list[SigningKey]:
    """Every key, the withdrawn ones too, newest first."""
    return list(
        session.scalars(sa.select(SigningKey).order_by(SigningKey.first_used_at.desc(), SigningKey.id))
    )


def withdraw(session: Session, key_id: str) -> SigningKey:
    """Take a leaked key out of what we publish: its badges do not verify any more. Raises BadInput."""
    found = session.get(SigningKey, key_id, with_for_update=True)
    if found is None:
        raise BadInput(f"There is no key {key_id}; `jembatan credentials keys` shows them")
    found.withdrawn_at = found.withdrawn_at or clock.now()
    return found
