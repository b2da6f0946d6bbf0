"""Events for the platform: what happened to its payments, kept until its endpoint has taken them.

An event is written in the transaction of the change that it tells of. It is delivered at least once, and the
events of one payment in their order. No transaction is open during HTTP: a courier takes an event for the
time of a lease. If it dies, the lease runs out and the same event goes again, with the same id and body.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import clock
from common.errors import BadInput
from records.client import Client
from records.db import Base

STATES = ("waiting", "delivered", "given_up")
CHANNEL = "platform_events"
PAUSES = (5, 30, 120, 600, 1800)  # seconds after the first attempts; from then on an hour each
HOURLY = 3600
LEASE = timedelta(seconds=60)  # longer than the longest attempt
TRIED_FOR = timedelta(hours=72)  # as the table's default for `give_up_at` has it
LONGEST_RETRY_AFTER = 86_400.0
_PREFIX = "evt_"
_TIME = TIMESTAMP(timezone=True)


class PlatformEvent(Base):
    """One event for one client. body: `type`, `timestamp`, `data`, as they are sent; nothing personal.

    payment_id: what it is about, of which events go in their order: a payment, or where `emit_about` wrote it
    something else of ours.
    due_at: when it may be tried next; while it is being tried, the end of the lease. give_up_at: when it
    is tried for the last time. problem: what the last attempt met, in a few words.
    """

    __tablename__ = "platform_events"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    payment_id: Mapped[UUID]
    type: Mapped[str] = mapped_column(sa.Text)
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    state: Mapped[str] = mapped_column(sa.Text, server_default="waiting")
    attempts: Mapped[int] = mapped_column(server_default="0")
    due_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    give_up_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now() + interval '72 hours'"))
    delivered_at: Mapped[datetime | None] = mapped_column(_TIME)
    problem: Mapped[str | None] = mapped_column(sa.Text)

    @property
    def event_id(self) -> str:
        """How others know it: the `webhook-id`, the same for every attempt."""
        return _PREFIX + self.id.hex


def row_id(event_id: str) -> UUID:
    """The row of an event id such as `evt_01a2…`; raises BadInput for what is none."""
    try:
        return UUID(event_id.removeprefix(_PREFIX))
    except ValueError:
        raise BadInput(f"{event_id!r} is no event id; one begins with {_PREFIX}") from None


# The payment's row is locked first, here and in records.payment.apply, so of two events of one payment
# the earlier one is committed when the later one gets its id. Ids (uuidv7) grow with the database's clock.
_EMIT = sa.text(
    """INSERT INTO platform_events (client_id, payment_id, type, body)
    SELECT :client, payment.id, :type, CAST(:body AS jsonb)
    FROM (SELECT id FROM payments WHERE id = :payment FOR UPDATE) payment
    RETURNING id"""
)


def emit(session: Session, client_id: UUID, payment_id: UUID, type: str, data: dict[str, Any]) -> None:
    """Tell the client what has just happened to its payment, if and when this transaction commits.

    type: `payment.paid` and the like; data: JSON values only, the payment as the API shows it. Raises
    NoResultFound where there is no such payment.
    """
    body = body_of(type, data)
    session.execute(_EMIT, {"client": client_id, "payment": payment_id, "type": type, "body": body}).one()


def emit_about(session: Session, client_id: UUID, about_id: UUID, type: str, data: dict[str, Any]) -> None:
    """Tell the client what has just happened to something that is no payment, if this transaction commits.

    about_id: its row, which the caller has locked, so that its events go in their order.
    """
    happened = json.loads(body_of(type, data))
    session.add(PlatformEvent(client_id=client_id, payment_id=about_id, type=type, body=happened))


def body_of(type: str, data: dict[str, Any]) -> str:
    """The content of an event that happens now, as JSON."""
    happened_at = clock.now().isoformat().replace("+00:00", "Z")
    return json.dumps({"type": type, "timestamp": happened_at, "data": data}, allow_nan=False)


@dataclass(frozen=True)
class DueClient:
    """A client with an endpoint and events that may be delivered now (counted up to the limit asked for)."""

    id: UUID
    name: str
    events: int


# Deliverable is what is due and has no earlier event of its payment still waiting.
_DELIVERABLE = """e.state = 'waiting' AND e.due_at <= now() AND NOT EXISTS (
        SELECT FROM platform_events earlier
        WHERE earlier.payment_id = e.payment_id AND earlier.state = 'waiting' AND earlier.id < e.id)"""
_IS_SERVED = "c.endpoint_url IS NOT NULL AND c.revoked_at IS NULL"

_CLIENTS_DUE = sa.text(
    f"""SELECT c.id, c.name, found.events FROM clients c CROSS JOIN LATERAL (
        SELECT count(*) AS events FROM (
            SELECT FROM platform_events e WHERE e.client_id = c.id AND {_DELIVERABLE} LIMIT :most) few) found
    WHERE {_IS_SERVED} AND found.events > 0"""  # noqa: S608 - made of constants
)

_CLAIM = sa.text(
    f"""UPDATE platform_events SET attempts = attempts + 1, due_at = now() + :lease
    FROM clients c
    WHERE c.id = :client AND {_IS_SERVED} AND platform_events.id = (
        SELECT e.id FROM platform_events e WHERE e.client_id = :client AND {_DELIVERABLE}
        ORDER BY e.due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING platform_events.id, platform_events.payment_id, platform_events.type, platform_events.body,
        platform_events.attempts, platform_events.due_at, c.endpoint_url, c.endpoint_secrets"""  # noqa: S608
)


@dataclass(frozen=True)
class Claimed:
    """An event that one courier is to deliver before its lease ends. sealed_secrets: those of its client."""

    id: UUID
    payment_id: UUID
    type: str
    body: dict[str, Any] = field(repr=False)
    attempts: int
    leased_until: datetime
    url: str = field(repr=False)
    sealed_secrets: bytes = field(repr=False)

    @property
    def event_id(self) -> str:
        """The `webhook-id`."""
        return _PREFIX + self.id.hex

    @property
    def content(self) -> str:
        """The body as it is signed and sent: the same text at every attempt."""
        ordered = {name: self.body[name] for name in ("type", "timestamp", "data")}
        return json.dumps(ordered, separators=(",", ":"), ensure_ascii=False)


def clients_due(session: Session, most: int) -> list[DueClient]:
    """Clients whom something may be delivered to now."""
    return [DueClient(*row) for row in session.execute(_CLIENTS_DUE, {"most": most})]


def claim(session: Session, client_id: UUID) -> Claimed | None:
    """The client's longest due event, for the caller alone until its lease ends; others skip it."""
    row = session.execute(_CLAIM, {"client": client_id, "lease": LEASE}).first()
    return Claimed(*row) if row is not None else None


def pause(attempts: int, dice: float) -> timedelta:
    """How long to wait after that many attempts in vain.

    dice: 0 to 1, adds up to a fifth: what failed together does not come back together.
    """
    seconds = PAUSES[attempts - 1] if attempts <= len(PAUSES) else HOURLY
    return timedelta(seconds=seconds * (1 + dice / 5))


def delivered(session: Session, event: Claimed) -> str | None:
    """The endpoint has taken it. Gives back the event's state, None where the lease was another's by then."""
    return _settle(session, event, state="delivered", delivered_at=sa.func.now(), problem=None)


def refused_for_good(session: Session, event: Claimed, problem: str) -> str | None:
    """The endpoint will never take the event: it is given up, and the payment's later ones go on."""
    return _settle(session, event, state="given_up", problem=problem)


def failed(
    session: Session, event: Claimed, problem: str, *, dice: float, retry_after: float = 0.0
) -> str | None:
    """The attempt was in vain: the event waits for its next one, or is given up where that was the last.

    retry_after: seconds that the endpoint asked for. The last attempt is made when its time is over.
    """
    wait = max(pause(event.attempts, dice), timedelta(seconds=min(retry_after, LONGEST_RETRY_AFTER)))
    return _settle(
        session,
        event,
        state=sa.case((PlatformEvent.give_up_at <= sa.func.now(), "given_up"), else_="waiting"),
        due_at=sa.func.least(sa.func.now() + wait, PlatformEvent.give_up_at),
        problem=problem,
    )


def _settle(session: Session, event: Claimed, **values: Any) -> str | None:
    """Note how the attempt went, unless the lease is another's by now; gives back the event's state.

    The payment's untried events wait along or follow at once: what is blocked is then not due, and a courier
    does not meet it again and again while an endpoint is down.
    """
    kept = session.execute(
        sa.update(PlatformEvent)
        .where(
            PlatformEvent.id == event.id,
            PlatformEvent.state == "waiting",
            PlatformEvent.due_at == event.leased_until,
        )
        .values(**values)
        .returning(PlatformEvent.state, PlatformEvent.due_at)
        .execution_options(synchronize_session=False)
    ).first()
    if kept is None:
        return None
    session.execute(
        sa.update(PlatformEvent)
        .where(
            PlatformEvent.payment_id == event.payment_id,
            PlatformEvent.state == "waiting",
            PlatformEvent.attempts == 0,
            PlatformEvent.id > event.id,
        )
        .values(due_at=kept.due_at if kept.state == "waiting" else sa.func.now())
        .execution_options(synchronize_session=False)
    )
    return str(kept.state)


_GIVE_UP_UNSERVED = sa.text(
    f"""UPDATE platform_events e SET state = 'given_up', problem = 'no endpoint' FROM clients c
    WHERE c.id = e.client_id AND NOT ({_IS_SERVED}) AND e.state = 'waiting' AND e.give_up_at <= now()
    RETURNING e.id"""  # noqa: S608 - made of constants
)


def give_up_unserved(session: Session) -> int:
    """Give up what has waited its time for a client that has no endpoint (or is revoked); counts it."""
    return len(session.execute(_GIVE_UP_UNSERVED).all())


_REDELIVERY: dict[str, Any] = {
    "state": "waiting",
    "attempts": 0,
    "due_at": sa.func.now(),
    "give_up_at": sa.func.now() + TRIED_FOR,
    "delivered_at": None,
    "problem": None,
}


def redeliver(session: Session, event: UUID) -> int:
    """Send one event again, whatever became of it, with the same id and body; 0 where there is none."""
    return _redeliver(session, PlatformEvent.id == event)


def redeliver_since(session: Session, client_id: UUID, since: datetime) -> int:
    """Send all events of a client again that were written since then; counts them."""
    return _redeliver(session, PlatformEvent.client_id == client_id, PlatformEvent.created_at >= since)


def _redeliver(session: Session, *which: sa.ColumnElement[bool]) -> int:
    again = sa.update(PlatformEvent).where(*which).values(_REDELIVERY).returning(PlatformEvent.id)
    count = len(session.execute(again.execution_options(synchronize_session=False)).all())
    session.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))
    return count


_WITH_CLIENT = sa.select(PlatformEvent, Client.name).join(Client, Client.id == PlatformEvent.client_id)


def get(session: Session, event: UUID) -> tuple[PlatformEvent, str]:
    """One event and its client's name; raises BadInput where there is none."""
    found = session.execute(_WITH_CLIENT.where(PlatformEvent.id == event)).one_or_none()
    if found is None:
        raise BadInput(f"There is no event {_PREFIX}{event.hex}; `jembatan events list` shows them")
    return found[0], found[1]


def search(
    session: Session, *, client_id: UUID | None = None, state: str | None = None, limit: int = 100
) -> list[tuple[PlatformEvent, str]]:
    """Events with the names of their clients, newest first."""
    query = _WITH_CLIENT
    if client_id is not None:
        query = query.where(PlatformEvent.client_id == client_id)
    if state is not None:
        query = query.where(PlatformEvent.state == state)
    found = session.execute(query.order_by(PlatformEvent.id.desc()).limit(limit))
    return [(event, name) for event, name in found]


def undelivered(session: Session) -> list[tuple[str, str, int]]:
    """What has not arrived: client's name, state (`waiting` or `given_up`), and how many events."""
    query = (
        sa.select(Client.name, PlatformEvent.state, sa.func.count())
        .join(Client, Client.id == PlatformEvent.client_id)
        .where(PlatformEvent.state != "delivered")
        .group_by(Client.name, PlatformEvent.state)
        .order_by(Client.name, PlatformEvent.state)
    )
    return [(name, state, count) for name, state, count in session.execute(query)]
