"""The inbox: every rightly signed message of a gateway, kept once before it is answered, then worked."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import clock
from records.db import Base
from records.sealed import seal, unseal

_TIME = TIMESTAMP(timezone=True)
UNKNOWN_ORDER = "unknown order"
_AGAIN_AFTER = (5, 15, 30, 60, 120, 300)  # seconds; a gateway that is away is asked by the sweep as well
# Bytes travel as they are (%b): as text they would be twice as long, and read letter by letter.
# That a charge is pending is what the answer to the charge says too, which is under way: that goes first.
_KEEP = b"""
    INSERT INTO notifications (gateway, event, reference, gateway_reference, claimed, word, amount_minor,
        currency, at, confirm, merchant_differs, message, state, due_at)
    SELECT *, now() + CASE claimed WHEN 'pending' THEN interval '2 s' ELSE interval '0' END
    FROM unnest(%s::text[], %b::bytea[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[],
        %s::text[], %s::timestamptz[], %s::boolean[], %s::boolean[], %b::bytea[], %s::text[])
        AS message (gateway, event, reference, gateway_reference, claimed, word, amount_minor, currency, at,
            confirm, merchant_differs, message, state)
    ON CONFLICT (gateway, event) DO NOTHING"""
# By the rules of checkout.inbox: a claim of the state that the payment has, or of one that it has left.
_PUT_AWAY_KNOWN = """
    WITH known AS (
        SELECT n.id, p.id AS payment_id, p.status FROM notifications n
        JOIN payments p ON p.gateway = n.gateway AND p.reference = n.reference
        WHERE n.state = 'received' AND n.gateway = :gateway AND n.due_at <= :now AND NOT n.merchant_differs
            AND n.amount_minor = p.amount_minor AND n.currency = p.currency
            AND n.claimed <> 'partially_refunded' -- each may be about another refund
            AND (n.claimed = p.status OR n.claimed = 'pending' AND p.status NOT IN ('created', 'unknown'))
        FOR UPDATE OF n SKIP LOCKED)
    UPDATE notifications n SET state = 'worked', payment_id = known.payment_id, worked_at = now(),
        reason = 'changed nothing: the payment was ' || known.status || ' already'
    FROM known WHERE n.id = known.id"""
_PUT_ASIDE_UNKNOWN = """
    UPDATE notifications SET state = 'quarantined', reason = :unknown_order, worked_at = now()
    WHERE id IN (
        SELECT n.id FROM notifications n
        WHERE n.state = 'received' AND n.gateway = :gateway AND n.due_at <= :now AND NOT EXISTS (
            SELECT FROM payments p WHERE p.gateway = n.gateway AND p.reference = n.reference)
        FOR UPDATE OF n SKIP LOCKED)"""


@dataclass(frozen=True)
class Received:
    """One message as it is kept. event: SHA-256 of its body, by which a repeated one is known.

    claimed: the state that it claims, in our word; message: path, headers and body, sealed.
    """

    gateway: str
    event: bytes
    reference: str
    gateway_reference: str | None
    claimed: str
    word: str
    amount_minor: int | None
    currency: str | None
    at: datetime | None
    confirm: bool
    merchant_differs: bool
    message: bytes = field(repr=False)
    state: str = "received"


class Notification(Base):
    """A message of a gateway. worked: its claim was applied or found to change nothing; quarantined: put
    aside with a reason for a person; dropped: a test message."""

    __tablename__ = "notifications"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    gateway: Mapped[str] = mapped_column(sa.Text)
    event: Mapped[bytes] = mapped_column(sa.LargeBinary)
    received_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    reference: Mapped[str | None] = mapped_column(sa.Text(collation="C"))
    gateway_reference: Mapped[str | None] = mapped_column(sa.Text)
    claimed: Mapped[str] = mapped_column(sa.Text)
    word: Mapped[str] = mapped_column(sa.Text)
    amount_minor: Mapped[int | None] = mapped_column(sa.BigInteger)
    currency: Mapped[str | None] = mapped_column(sa.Text)
    at: Mapped[datetime | None] = mapped_column(_TIME)
    confirm: Mapped[bool]
    merchant_differs: Mapped[bool]
    message: Mapped[bytes] = mapped_column(sa.LargeBinary, deferred=True)
    state: Mapped[str] = mapped_column(sa.Text, server_default="received")
    reason: Mapped[str | None] = mapped_column(sa.Text)
    payment_id: Mapped[UUID | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    due_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    worked_at: Mapped[datetime | None] = mapped_column(_TIME)


_as_json = json.JSONEncoder(ensure_ascii=False).encode  # made once, not for each message


def event_of(body: bytes) -> bytes:
    """What makes two messages the same event: every byte of their bodies."""
    return hashlib.sha256(body).digest()


def sealed_message(path: str, headers: Sequence[tuple[str, str]], body: bytes) -> bytes:
    """The message as evidence, sealed."""
    head = _as_json({"path": path, "headers": list(headers)}).encode()
    return seal(head + b"\n\n" + body)


def opened_message(found: Notification) -> tuple[bytes, bytes]:
    """Head (JSON with path and headers) and body of a kept message."""
    head, _, body = unseal(found.message).partition(b"\n\n")
    return head, body


def keep(db: psycopg.Connection, messages: Sequence[Received]) -> None:
    """Store messages in one statement; one that is there already stays as it is. db: in autocommit."""
    # In one order, so that two writers that bring the same events wait for each other and never in a ring.
    rows = sorted({(one.gateway, one.event): one for one in messages}.values(), key=lambda one: one.event)
    db.execute(_KEEP, [[getattr(one, column.name) for one in rows] for column in fields(Received)])


def put_away_known(session: Session, gateway: str, now: datetime) -> None:
    """Deal at once with all that says what we know already: many messages do, and they move nothing.

    now: only what is due by then, here and below. Who does all three steps takes one time for them: else what
    becomes due in between is worked one by one, and in a steady stream that is always something.
    """
    session.execute(sa.text(_PUT_AWAY_KNOWN), {"gateway": gateway, "now": now})


def put_aside_unknown(session: Session, gateway: str, now: datetime) -> None:
    """Quarantine at once all that is about no payment of ours; a later payment brings its messages back."""
    values = {"gateway": gateway, "now": now, "unknown_order": UNKNOWN_ORDER}
    session.execute(sa.text(_PUT_ASIDE_UNKNOWN), values)


def due_references(session: Session, gateway: str, now: datetime, limit: int) -> list[str]:
    """References of what a gateway told us and that waits to be worked, the longest waiting first."""
    due = (
        Notification.state == "received",
        Notification.gateway == gateway,
        Notification.due_at <= now,
    )
    first = sa.func.min(Notification.id)
    found = sa.select(Notification.reference).where(*due).group_by(Notification.reference).order_by(first)
    return [reference or "" for reference in session.scalars(found.limit(limit))]


def of_reference(session: Session, gateway: str, reference: str, limit: int = 2_000) -> list[Notification]:
    """What waits to be worked for one reference, in the order in which it came."""
    return list(
        session.scalars(
            sa.select(Notification)
            .where(
                Notification.state == "received",
                Notification.gateway == gateway,
                Notification.reference == reference,
                Notification.due_at <= clock.now(),
            )
            .order_by(Notification.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )


def worked(found: Notification, payment_id: UUID, reason: str) -> None:
    """Its claim is dealt with; the reason says how."""
    found.state, found.payment_id, found.reason, found.worked_at = "worked", payment_id, reason, clock.now()


def quarantine(found: Notification, payment_id: UUID | None, reason: str) -> None:
    """Put it aside for a person; nothing was moved by it."""
    found.state, found.payment_id, found.reason = "quarantined", payment_id, reason
    found.worked_at = clock.now()


def again_later(found: Notification, reason: str, at: datetime | None = None) -> None:
    """The gateway did not confirm it yet: another try at that time, or after a growing pause."""
    found.reason = reason
    if at is not None:
        found.due_at = at
        return
    pause = _AGAIN_AFTER[min(found.attempts, len(_AGAIN_AFTER) - 1)]
    found.attempts += 1
    found.due_at = clock.now() + timedelta(seconds=pause)


def join_known(session: Session) -> int:
    """Work again what was put aside because we had no such payment, and now have, by whatever door."""
    done = session.execute(
        sa.text(
            "UPDATE notifications n SET state = 'received', due_at = now(), reason = NULL FROM payments p"
            " WHERE n.state = 'quarantined' AND n.reason = :reason"
            " AND p.gateway = n.gateway AND p.reference = n.reference"
        ),
        {"reason": UNKNOWN_ORDER},
    )
    return done.rowcount  # type: ignore[attr-defined, no-any-return]


def replay(session: Session, notification_id: int) -> bool:
    """Let one kept message be worked again; False where there is none, or it was only a test."""
    found = session.get(Notification, notification_id, with_for_update=True)
    if found is None or found.state == "dropped":
        return False
    found.state, found.due_at, found.reason, found.attempts = "received", clock.now(), None, 0
    return True


def listed(
    session: Session, *, state: str | None = None, reference: str | None = None, limit: int = 50
) -> list[Notification]:
    """Kept messages, newest first."""
    query = sa.select(Notification).order_by(Notification.id.desc()).limit(limit)
    if state is not None:
        query = query.where(Notification.state == state)
    if reference is not None:
        query = query.where(Notification.reference == reference)
    return list(session.scalars(query))


def counts(session: Session) -> list[tuple[str, str, int]]:
    """How many wait and how many are put aside, by gateway and state."""
    found = session.execute(
        sa.select(Notification.gateway, Notification.state, sa.func.count())
        .where(Notification.state.in_(("received", "quarantined")))
        .group_by(Notification.gateway, Notification.state)
    )
    return [(gateway, state, count) for gateway, state, count in found]
