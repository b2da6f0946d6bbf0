"""Tokens that gateways gave us, sealed, so that all processes share one and renew it one at a time."""

from datetime import datetime

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from records.db import Base
from records.sealed import seal, unseal


class GatewayToken(Base):
    """One gateway's token; `expires_at` as the gateway said when it gave it."""

    __tablename__ = "gateway_tokens"
    name: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    token: Mapped[bytes] = mapped_column(sa.LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))


def lock(db: psycopg.Connection, name: str) -> None:
    """Wait until nobody else renews this token; held by the session, not by a transaction."""
    db.execute("SELECT pg_advisory_lock(hashtextextended(%s, 73))", [name])


def kept(db: psycopg.Connection, name: str) -> tuple[str, datetime] | None:
    """The token and its end, if there is one."""
    row = db.execute("SELECT token, expires_at FROM gateway_tokens WHERE name = %s", [name]).fetchone()
    return (unseal(bytes(row[0])).decode(), row[1]) if row else None


def keep(db: psycopg.Connection, name: str, token: str, expires_at: datetime) -> None:
    """Store a new token in place of the one before."""
    db.execute(
        "INSERT INTO gateway_tokens (name, token, expires_at) VALUES (%s, %s, %s)"
        " ON CONFLICT (name) DO UPDATE SET token = excluded.token, expires_at = excluded.expires_at",
        [name, seal(token.encode()), expires_at],
    )
