"""Tokens that gateways gave us, sealed, so that all processes share one and renew it one at a time."""

from datetime import datetime

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from records.db import Base
from records.sealed import seal, unseal


class GatewayToken(Base):
    """One gateway's token; renew_at: from when on another one is taken, a little before it ends."""

    __tablename__ = "gateway_tokens"
    name: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    token: Mapped[bytes] = mapped_column(sa.LargeBinary)
    renew_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))


def lock(db: psycopg.Connection, name: str) -> None:
    """Wait until nobody else renews this token; held by the session, not by a transaction."""
    db.execute("SELECT pg_advisory_lock(hashtextextended(%s, 73))", [name])


def kept(db: psycopg.Connection, name: str) -> tuple[str, datetime] | None:
    """The token and when it is renewed, if there is one."""
    row = db.execute("SELECT token, renew_at FROM gateway_tokens WHERE name = %s", [name]).fetchone()
    return (unseal(bytes(row[0])).decode(), row[1]) if row else None


def keep(db: psycopg.Connection, name: str, token: str, renew_at: datetime) -> None:
    """Store a new token in place of the one before."""
    db.execute(
        "INSERT INTO gateway_tokens (name, token, renew_at) VALUES (%s, %s, %s)"
        " ON CONFLICT (name) DO UPDATE SET token = excluded.token, renew_at = excluded.renew_at",
        [name, seal(token.encode()), renew_at],
    )
