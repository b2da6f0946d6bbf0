"""Approvals: a second person's word before money moves or a difference is written off.

An approval is a row that waits; nothing sleeps meanwhile. Who decides is named, and is somebody else than who
asked. What a decision sets in motion is done by its caller, in the same transaction.
"""

import re
import unicodedata
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import clock
from records.db import Base

Subject = Literal["refund", "exception"]
STATES = ("open", "approved", "refused", "expired")
WAITS_FOR = timedelta(hours=72)
MOST_WORDS = 500  # characters of a reason

_TIME = TIMESTAMP(timezone=True)
# Letters and digits of one alphabet only: two names that look the same are the same.
_ACTOR = re.compile(r"(client|operator):([A-Za-z0-9._@'-][A-Za-z0-9 ._@'-]{0,63})")


class Approval(Base):
    """One question to a second person. summary: what is asked, in words, nothing personal. subject_id: the
    refund's id, or that of the request about exceptions. requested_by, decided_by: `client:<name>` or
    `operator:<name>`."""

    __tablename__ = "approvals"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    subject: Mapped[str] = mapped_column(sa.Text)
    subject_id: Mapped[str] = mapped_column(sa.Text)
    summary: Mapped[str] = mapped_column(sa.Text)
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.Text)
    requested_by: Mapped[str] = mapped_column(sa.Text)
    requested_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    expires_at: Mapped[datetime] = mapped_column(_TIME)
    state: Mapped[str] = mapped_column(sa.Text, server_default="open")
    decided_by: Mapped[str | None] = mapped_column(sa.Text)
    decided_at: Mapped[datetime | None] = mapped_column(_TIME)
    reason: Mapped[str | None] = mapped_column(sa.Text)

    def is_over(self, at: datetime) -> bool:
        """Whether its time has passed without a word."""
        return self.state == "expired" or (self.state == "open" and at >= self.expires_at)


class NotDecided(Exception):
    """A decision that is not taken; says why and what to do. Nothing was changed."""


class Unknown(NotDecided):
    """There is no such approval."""


class AlreadyDecided(NotDecided):
    """Somebody was faster."""


class Expired(NotDecided):
    """Its time has passed."""


class OwnRequest(NotDecided):
    """Who asked may not approve."""


class NobodyNamed(NotDecided):
    """Who decides has to have a name."""


def actor(kind: Literal["client", "operator"], name: str) -> str:
    """How a person or a system is named in our records; raises NobodyNamed for what is no name."""
    named = f"{kind}:{' '.join(unicodedata.normalize('NFKC', name).split())}"
    if not _ACTOR.fullmatch(named):
        raise NobodyNamed(
            "Nobody is named: give the name of who decides, 1 to 64 characters of a-z, A-Z, 0-9, "
            "space and . _ @ ' -"
        )
    return named


def actor_of(who: str) -> str:
    """An actor as it is kept, from `client:<name>` or `operator:<name>`; raises NobodyNamed."""
    kind, _, name = who.partition(":")
    if kind not in ("client", "operator"):
        raise NobodyNamed("Nobody is named: an approval needs `client:<name>` or `operator:<name>`")
    return actor("client" if kind == "client" else "operator", name)


def is_same(one: str, other: str) -> bool:
    """Whether two actors are one person: the same name is, by whichever door and however it is written."""
    return _person(one) == _person(other)


def request(
    session: Session,
    subject: Subject,
    subject_id: str,
    *,
    requested_by: str,
    summary: str,
    amount_minor: int,
    currency: str,
) -> Approval:
    """Ask for a second person's word; where the subject has an open question already, that one.

    The caller holds the subject's own row, so that two requests for it take turns. One that was refused or
    has expired can be asked for again. Raises NobodyNamed.
    """
    by = actor_of(requested_by)
    found = open_one(session, subject, subject_id)
    if found is not None:
        if not found.is_over(clock.now()):
            return found
        expire(session, found)
    now = clock.now()
    made = Approval(
        subject=subject,
        subject_id=subject_id,
        summary=summary,
        amount_minor=amount_minor,
        currency=currency,
        requested_by=by,
        requested_at=now,
        expires_at=now + WAITS_FOR,
        state="open",
    )
    session.add(made)
    session.flush()
    return made


def decide(session: Session, approval_id: UUID, *, by: str, approve: bool, reason: str) -> Approval:
    """Approve or refuse, under the row's lock: of two at once one decides and the other is told so.

    Who asked may take the request back (refuse it), and may not approve it. Raises NotDecided.
    """
    decider = actor_of(by)
    found = session.get(Approval, approval_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise Unknown("There is no such approval; the list shows those that wait")
    now = clock.now()
    if found.state in ("approved", "refused"):
        at = f"{(found.decided_at or now).astimezone(clock.JAKARTA):%d %b %H:%M} WIB"
        raise AlreadyDecided(f"It was {found.state} already, by {found.decided_by} on {at}")
    if found.is_over(now):
        raise Expired(
            f"It expired on {found.expires_at.astimezone(clock.JAKARTA):%d %b %H:%M} WIB; ask for it again"
        )
    if approve and is_same(decider, found.requested_by):
        raise OwnRequest(f"{found.requested_by} asked for it: somebody else has to approve")
    found.state = "approved" if approve else "refused"
    found.decided_by, found.decided_at, found.reason = decider, now, reason.strip()[:MOST_WORDS]
    session.flush()
    return found


def expire(session: Session, found: Approval) -> None:
    """Note that the time of an open approval has passed. The caller holds the subject's row."""
    session.refresh(found, with_for_update=True)
    if found.state == "open":
        found.state, found.decided_at = "expired", clock.now()
        session.flush()


def open_one(session: Session, subject: Subject, subject_id: str) -> Approval | None:
    """The open approval of a subject, if there is one."""
    return session.scalars(
        sa.select(Approval).filter_by(subject=subject, subject_id=subject_id, state="open")
    ).one_or_none()


def of_subject(session: Session, subject: Subject, subject_id: str) -> list[Approval]:
    """Every approval that was asked for a subject, oldest first."""
    found = sa.select(Approval).filter_by(subject=subject, subject_id=subject_id).order_by(Approval.id)
    return list(session.scalars(found))


def search(
    session: Session,
    *,
    state: str | None = "open",
    subject: Subject | None = None,
    before: UUID | None = None,
    limit: int = 100,
) -> list[Approval]:
    """Approvals, newest first, a page before the id `before`. One whose time has passed is not open."""
    query = sa.select(Approval).order_by(Approval.id.desc()).limit(limit)
    is_late = sa.and_(Approval.state == "open", Approval.expires_at <= clock.now())
    if state == "open":
        query = query.where(Approval.state == "open", ~is_late)
    elif state == "expired":
        query = query.where(sa.or_(Approval.state == "expired", is_late))
    elif state is not None:
        query = query.where(Approval.state == state)
    if subject is not None:
        query = query.where(Approval.subject == subject)
    if before is not None:
        query = query.where(Approval.id < before)
    return list(session.scalars(query))


def _person(who: str) -> str:
    name = unicodedata.normalize("NFKC", who).partition(":")[2]
    return "".join(name.split()).casefold()
