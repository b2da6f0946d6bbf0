"""Sessions of the console: a person is signed in with a client's API key, for a while and in one browser.

The browser keeps a random text, we keep its hash: who reads our database cannot sign in with it. A key that
is revoked or expires ends its sessions at their next request.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import clock
from records import client as clients
from records.client import ApiKey, Caller, Client, Refusal
from records.db import Base, driver

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=8)
_TIME = TIMESTAMP(timezone=True)


class ConsoleSession(Base):
    """One signed-in browser. hash: of the text that its cookie holds; seen_at: its last request."""

    __tablename__ = "console_sessions"
    hash: Mapped[bytes] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(sa.ForeignKey("api_keys.id", ondelete="CASCADE"))
    opened_at: Mapped[datetime] = mapped_column(_TIME)
    seen_at: Mapped[datetime] = mapped_column(_TIME)


def open_with(session: Session, key: str) -> tuple[Caller, str] | Refusal:
    """Sign in with an API key: whose it is and the text for the cookie; or why it opens nothing.

    Sessions of anybody that are over are forgotten on this occasion.
    """
    caller = clients.find(driver(session), key)
    if isinstance(caller, str):
        return caller
    now = clock.now()
    over = sa.or_(ConsoleSession.seen_at <= now - IDLE, ConsoleSession.opened_at <= now - LONGEST)
    session.execute(sa.delete(ConsoleSession).where(over))
    text = secrets.token_urlsafe(32)
    session.add(ConsoleSession(hash=_hash(text), key_id=clients.key_id(key), opened_at=now, seen_at=now))
    session.flush()
    return caller, text


def find(session: Session, text: str) -> Caller | None:
    """Who is signed in with this cookie's text, and may go on: each request begins the idle time anew."""
    now = clock.now()
    row = session.execute(
        sa.update(ConsoleSession)
        .where(
            ConsoleSession.hash == _hash(text),
            ConsoleSession.seen_at > now - IDLE,
            ConsoleSession.opened_at > now - LONGEST,
            ApiKey.id == ConsoleSession.key_id,
            ApiKey.revoked_at.is_(None),
            sa.or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
            Client.id == ApiKey.client_id,
            Client.revoked_at.is_(None),
        )
        .values(seen_at=sa.func.greatest(ConsoleSession.seen_at, now))
        .returning(Client.id, Client.name, Client.scopes, Client.rate_per_minute)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    return Caller(row.id, row.name, tuple(row.scopes), row.rate_per_minute) if row else None


def close(session: Session, text: str) -> None:
    """Sign out. One that is over already stays over."""
    session.execute(sa.delete(ConsoleSession).where(ConsoleSession.hash == _hash(text)))


def _hash(text: str) -> bytes:
    """SHA-256 and no slow hash: nobody guesses 256 random bits."""
    return hashlib.sha256(text.encode()).digest()
