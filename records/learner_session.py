"""Learners' browsers: one-use tickets that begin something, and the session of a browser.

A learner has no password here: the platform vouches for the learner by asking for a ticket. The browser, or
LinkedIn on its way back, holds a random text, we keep its hash: who reads our database can use none of them.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import clock
from records.db import Base
from records.sealed import seal, unseal

TICKET_LIVES = timedelta(minutes=10)
IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=2)
_REMEMBERED = timedelta(days=1)  # so long a used or expired ticket is told from one that never was
_LONGEST_TEXT = 256
_TIME = TIMESTAMP(timezone=True)

Kind = Literal["page", "consent"]
Refusal = Literal["missing", "unknown", "used", "expired", "other_browser"]


class LearnerTicket(Base):
    """Something that may be begun once within ten minutes. kind: `page` opens the learner's page, `consent`
    is the `state` of one sign-in at LinkedIn. browser_hash: of the session it belongs to, where a browser
    began it. verifier: of PKCE, sealed. shares_new: the learner agreed that new credentials are shared."""

    __tablename__ = "learner_tickets"
    hash: Mapped[bytes] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(sa.Text)
    learner_id: Mapped[str] = mapped_column(sa.Text)
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    browser_hash: Mapped[bytes | None]
    verifier: Mapped[bytes | None]
    shares_new: Mapped[bool] = mapped_column(server_default=sa.false())
    expires_at: Mapped[datetime] = mapped_column(_TIME)
    used_at: Mapped[datetime | None] = mapped_column(_TIME)


class LearnerSession(Base):
    """One browser of one learner. hash: of the text that its cookie holds; seen_at: its last request."""

    __tablename__ = "learner_sessions"
    hash: Mapped[bytes] = mapped_column(primary_key=True)
    learner_id: Mapped[str] = mapped_column(sa.Text)
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    opened_at: Mapped[datetime] = mapped_column(_TIME)
    seen_at: Mapped[datetime] = mapped_column(_TIME)


@dataclass(frozen=True)
class Learner:
    """Who is at the page. client_id: the platform that vouches for the learner."""

    learner_id: str
    client_id: UUID


@dataclass(frozen=True)
class Ticket:
    """A ticket that was just used."""

    learner: Learner
    shares_new: bool
    verifier: str | None = field(repr=False)


def ticket(
    session: Session,
    kind: Kind,
    learner: Learner,
    *,
    browser: str | None = None,
    verifier: str | None = None,
    shares_new: bool = False,
) -> tuple[str, datetime]:
    """A new ticket's text, shown once, and its end. browser: the text of the session that it is bound to.

    Tickets of anybody that nobody asks for any more are forgotten on this occasion.
    """
    now = clock.now()
    session.execute(sa.delete(LearnerTicket).where(LearnerTicket.expires_at < now - _REMEMBERED))
    text = secrets.token_urlsafe(32)  # 256 bits
    session.add(
        LearnerTicket(
            hash=_hash(text),
            kind=kind,
            learner_id=learner.learner_id,
            client_id=learner.client_id,
            browser_hash=_hash(browser) if browser else None,
            verifier=seal(verifier.encode()) if verifier else None,
            shares_new=shares_new,
            expires_at=now + TICKET_LIVES,
        )
    )
    session.flush()
    return text, now + TICKET_LIVES


def use(session: Session, kind: Kind, text: str, *, browser: str = "") -> Ticket | Refusal:
    """Use a ticket up, or why it opens nothing. browser: the text of the session that it came back to.

    Who comes second waits for the first, and finds it used. One that came back to another browser is not used
    up: it opens nothing there.
    """
    if not text:
        return "missing"
    if len(text) > _LONGEST_TEXT:
        return "unknown"
    wanted = sa.select(LearnerTicket).where(LearnerTicket.hash == _hash(text), LearnerTicket.kind == kind)
    found = session.scalars(wanted.with_for_update()).one_or_none()
    if found is None:
        return "unknown"
    if found.used_at is not None:
        return "used"
    if found.expires_at <= clock.now():
        return "expired"
    if found.browser_hash is not None and not hmac.compare_digest(found.browser_hash, _hash(browser)):
        return "other_browser"
    verifier = unseal(found.verifier).decode() if found.verifier else None
    found.used_at, found.verifier = clock.now(), None
    return Ticket(Learner(found.learner_id, found.client_id), found.shares_new, verifier)


def open_for(session: Session, learner: Learner) -> str:
    """Begin a browser's session; the text for its cookie. Sessions that are over are forgotten."""
    now = clock.now()
    over = sa.or_(LearnerSession.seen_at <= now - IDLE, LearnerSession.opened_at <= now - LONGEST)
    session.execute(sa.delete(LearnerSession).where(over))
    text = secrets.token_urlsafe(32)
    session.add(
        LearnerSession(
            hash=_hash(text),
            learner_id=learner.learner_id,
            client_id=learner.client_id,
            opened_at=now,
            seen_at=now,
        )
    )
    session.flush()
    return text


def find(session: Session, text: str) -> Learner | None:
    """Whose browser it is that has this cookie's text; each request begins the idle time anew."""
    if not text or len(text) > _LONGEST_TEXT:
        return None
    now = clock.now()
    row = session.execute(
        sa.update(LearnerSession)
        .where(
            LearnerSession.hash == _hash(text),
            LearnerSession.seen_at > now - IDLE,
            LearnerSession.opened_at > now - LONGEST,
        )
        .values(seen_at=sa.func.greatest(LearnerSession.seen_at, now))
        .returning(LearnerSession.learner_id, LearnerSession.client_id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    return Learner(row.learner_id, row.client_id) if row else None


def close(session: Session, text: str) -> None:
    """End a browser's session. One that is over already stays over."""
    session.execute(sa.delete(LearnerSession).where(LearnerSession.hash == _hash(text)))


def forget(session: Session, learner_id: str) -> None:
    """Delete every session and ticket of a learner."""
    for model in (LearnerSession, LearnerTicket):
        session.execute(sa.delete(model).where(model.learner_id == learner_id))


def _hash(text: str) -> bytes:
    """SHA-256 and no slow hash: nobody guesses 256 random bits."""
    return hashlib.sha256(text.encode()).digest()
