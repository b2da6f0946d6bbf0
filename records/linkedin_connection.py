"""LinkedIn accounts that learners have connected: whose, how long, and whether new credentials are shared.

A learner has one, and an account belongs to one learner. Tokens and LinkedIn's name of the member are sealed;
by a keyed hash of the latter an account is known again. That one has ended is told to the platform.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import clock
from records import platform_events
from records.db import Base
from records.learner_session import Learner
from records.sealed import keyed_hash, seal_json, unseal_json

EVENT = "linkedin.needs_reconnect"
State = Literal["connected", "needs_reconnect"]
_ACCOUNTS = 0x6C696E6B  # any number that nobody else uses: accounts are connected one after the other
_TIME = TIMESTAMP(timezone=True)


@dataclass(frozen=True)
class Tokens:
    """What is sealed of a connection. member: LinkedIn's name of the account, for our app alone."""

    member: str
    access: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)


class LinkedInConnection(Base):
    """One learner's account. client_id: the platform that connected it, which hears of its end.
    shares_new_since: the learner agreed then that credentials made from then on are shared unasked."""

    __tablename__ = "linkedin_connections"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    learner_id: Mapped[str] = mapped_column(sa.Text, unique=True)
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    member_hash: Mapped[bytes] = mapped_column(unique=True)
    tokens: Mapped[bytes]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    expires_at: Mapped[datetime] = mapped_column(_TIME)
    state: Mapped[str] = mapped_column(sa.Text, server_default="connected")
    state_since: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    shares_new_since: Mapped[datetime | None] = mapped_column(_TIME)
    connected_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))

    def opened(self) -> Tokens:
        """The tokens; in no log, no error and no answer."""
        kept = unseal_json(self.tokens)
        return Tokens(kept["member"], kept["access"], kept.get("refresh"))

    def share_new(self) -> None:
        """The learner agrees, once, that credentials made from now on are shared unasked."""
        self.shares_new_since = self.shares_new_since or clock.now()

    def shares(self, made_at: datetime) -> bool:
        """Whether the learner agreed, without being asked again, to share what was made at that time."""
        return self.shares_new_since is not None and made_at >= self.shares_new_since

    def state_now(self) -> State:
        """Whether calls can be made: a token that has ended needs the learner, unless it can be renewed."""
        has_ended = self.expires_at <= clock.now() and self.opened().refresh is None
        return "needs_reconnect" if has_ended or self.state == "needs_reconnect" else "connected"


class TakenByAnother(Exception):
    """The LinkedIn account is connected by another learner already; it is not moved."""


def connect(
    session: Session,
    learner: Learner,
    tokens: Tokens,
    *,
    scopes: tuple[str, ...],
    expires_at: datetime,
    shares_new: bool,
) -> Tokens | None:
    """Keep what a learner has allowed; gives the tokens that it replaces, where those are another account's.

    Agreeing to have new credentials shared is kept when the same account is connected again. Raises
    TakenByAnother; nothing is changed then.
    """
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(_ACCOUNTS)))
    hashed = keyed_hash("linkedin member", tokens.member.encode(), key="persons")
    owner = session.scalar(
        sa.select(LinkedInConnection.learner_id).where(LinkedInConnection.member_hash == hashed)
    )
    if owner is not None and owner != learner.learner_id:
        raise TakenByAnother
    found = of_learner(session, learner.learner_id, lock=True)
    if found is None:
        found = LinkedInConnection(learner_id=learner.learner_id)
        session.add(found)
        replaced = None
    else:
        before = found.opened()
        replaced = before if before.member != tokens.member else None
    if replaced is not None:
        found.shares_new_since = None  # it was said for the other account
    if shares_new:
        found.share_new()
    found.client_id, found.member_hash = learner.client_id, hashed
    found.connected_at = clock.now()
    _keep(found, tokens, scopes, expires_at)
    session.flush()
    return replaced


def renew(
    session: Session, connection_id: UUID, tokens: Tokens, *, scopes: tuple[str, ...], expires_at: datetime
) -> None:
    """Keep a renewed access token of the same account, unless it was disconnected meanwhile."""
    found = session.get(LinkedInConnection, connection_id, with_for_update=True)
    if found is not None and found.opened().member == tokens.member:
        _keep(found, tokens, scopes, expires_at)


def _keep(found: LinkedInConnection, tokens: Tokens, scopes: tuple[str, ...], expires_at: datetime) -> None:
    kept = {"member": tokens.member, "access": tokens.access, "refresh": tokens.refresh}
    found.tokens, found.scopes, found.expires_at = seal_json(kept), list(scopes), expires_at
    found.state, found.state_since = "connected", clock.now()


def of_learner(session: Session, learner_id: str, *, lock: bool = False) -> LinkedInConnection | None:
    """A learner's connection, if there is one."""
    wanted = sa.select(LinkedInConnection).filter_by(learner_id=learner_id)
    return session.scalars(wanted.with_for_update() if lock else wanted).one_or_none()


def needs_reconnect(session: Session, connection_id: UUID, access: str) -> None:
    """Note that LinkedIn takes the access token no more, and tell the platform, once.

    access: the token that was refused. Where the learner has connected again meanwhile nothing is noted.
    """
    found = session.get(LinkedInConnection, connection_id, with_for_update=True)
    if found is None or found.state == "needs_reconnect" or found.opened().access != access:
        return
    found.state, found.state_since = "needs_reconnect", clock.now()
    session.flush()
    since = found.state_since.astimezone(UTC).isoformat().replace("+00:00", "Z")
    data = {"learner_id": found.learner_id, "state": found.state, "since": since}
    platform_events.emit_about(session, found.client_id, found.id, EVENT, data)


def disconnect(session: Session, learner_id: str) -> Tokens | None:
    """Forget a learner's account, for good; gives its tokens, to be revoked. None: there was none."""
    found = of_learner(session, learner_id, lock=True)
    if found is None:
        return None
    tokens = found.opened()
    session.delete(found)
    session.flush()
    return tokens
