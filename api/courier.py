"""The courier: delivers events to the clients' endpoints, and sees that none is lost on the way.

Each client has lanes of its own (threads that deliver one event after the other), so a slow endpoint holds up
nobody else's events; one that is down gets a single try now and then until it answers. Several couriers may
live: an event is taken by lease, with SKIP LOCKED. `NOTIFY platform_events` wakes it at once, but for
`payment.pending`; it also looks by itself every two seconds.
"""

import logging
import random
import threading
import time
from collections import Counter
from uuid import UUID

import psycopg
import sqlalchemy as sa

from common.errors import BadInput, NotReachable
from providers.webhooks import Answer, Sender
from records import platform_events
from records.db import database_url, glance, unit_of_work
from records.platform_events import Claimed, DueClient
from records.sealed import unseal_json

POLL = 2.0  # seconds between two looks when nobody wakes it
GATHER = 0.2  # looks at most so often: what comes meanwhile is found together
GATHER_IN_VAIN = 1.0  # the same after a look that found nothing: the news is of clients without an endpoint
GIVE_UP = 60.0
LANES = 4  # at a time for one client
MOST_LANES = 16  # at a time for all
TURN = 200  # events of one lane, before other clients get theirs
TURN_SECONDS = 2.0  # or so long: the lanes of a few slow endpoints would be all there are
_LONGEST_REST = 60.0
_SLICE = 0.25  # how soon it notices that it is to stop
STOPS_WITHIN = 3.0

log = logging.getLogger("jembatan.courier")


class Courier:
    """A thread that opens lanes until it is stopped; trouble is logged when it begins and when it is over."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._again = threading.Event()  # a lane has ended: there may be more for it
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self._lock = threading.Lock()
        self._lanes: Counter[UUID] = Counter()
        self._had_a_turn: dict[UUID, float] = {}  # when each client last got a lane
        self._resting: dict[UUID, float] = {}  # clients whose endpoint is down, and until when nobody tries
        self._troubles: set[object] = set()
        self._give_up_at = self._looked_at = 0.0
        self._gather = GATHER

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """End within a moment. An attempt that takes longer is left, and repeated when its lease is over."""
        self._stopping.set()
        self._thread.join(STOPS_WITHIN)
        until = time.monotonic() + STOPS_WITHIN
        while self.is_delivering() and time.monotonic() < until:
            time.sleep(0.01)

    def is_delivering(self) -> bool:
        """Whether any lane is open."""
        with self._lock:
            return self._lanes.total() > 0

    def look(self) -> None:
        """Open lanes for all that is due now: first for who has fewest, and has waited longest for one."""
        self._looked_at = time.monotonic()
        self._again.clear()
        if time.monotonic() >= self._give_up_at:
            self._give_up_unserved()
        with glance() as session:
            due = platform_events.clients_due(session, LANES)
        self._gather = GATHER if due else GATHER_IN_VAIN
        with self._lock:
            for client in sorted(due, key=lambda one: (self._lanes[one.id], self._had_a_turn.get(one.id, 0))):
                for _ in range(self._room(client)):
                    self._had_a_turn[client.id] = time.monotonic()
                    threading.Thread(
                        target=self._lane, args=[client], name="courier lane", daemon=True
                    ).start()
                    self._lanes[client.id] += 1

    def _room(self, client: DueClient) -> int:
        """How many more lanes the client gets: no more than it has events, one where its endpoint is down."""
        resting_until = self._resting.get(client.id)
        if resting_until is not None and time.monotonic() < resting_until:
            return 0
        most = LANES if resting_until is None else 1
        free = min(most - self._lanes[client.id], MOST_LANES - self._lanes.total())
        return min(client.events, free)

    def _give_up_unserved(self) -> None:
        with unit_of_work() as session:
            count = platform_events.give_up_unserved(session)
        if count:
            log.warning("%d events of clients without an endpoint are given up", count)
        self._give_up_at = time.monotonic() + GIVE_UP

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with psycopg.connect(database_url(), autocommit=True, connect_timeout=10) as connection:
                    connection.execute(f"LISTEN {platform_events.CHANNEL}".encode())
                    self._out_of_trouble("database", "the database answers again")
                    while not self._stopping.is_set():
                        self.look()
                        self._wait(connection)
            except (NotReachable, psycopg.OperationalError, sa.exc.OperationalError) as error:
                self._database_trouble(error)
            except Exception:  # the thread must outlive whatever one look meets
                log.exception("a look at the platform's events failed; looking again")
            self._stopping.wait(POLL)

    def _wait(self, connection: psycopg.Connection) -> None:
        """Until a notification, an ended lane, the poll's time, or the stop, whichever is first."""
        until = time.monotonic() + POLL
        while not (self._stopping.is_set() or self._again.is_set()) and time.monotonic() < until:
            if list(connection.notifies(timeout=_SLICE, stop_after=1)):
                self._stopping.wait(max(0.0, self._looked_at + self._gather - time.monotonic()))
                list(connection.notifies(timeout=0))  # one look serves all that came with it
                return

    def _lane(self, client: DueClient) -> None:
        until = time.monotonic() + TURN_SECONDS
        try:
            with Sender() as sender:
                for _ in range(TURN):
                    if self._stopping.is_set() or not self._deliver_next(client, sender):
                        break
                    if time.monotonic() > until:
                        break
        except (NotReachable, psycopg.OperationalError, sa.exc.OperationalError) as error:
            self._database_trouble(error)
        except Exception:  # the others go on; what this one had is tried again when its lease ends
            log.exception("a lane of %s broke", client.name)
        finally:
            with self._lock:
                self._lanes[client.id] -= 1
            self._again.set()

    def _deliver_next(self, client: DueClient, sender: Sender) -> bool:
        """Whether there was an event, and the endpoint is fit for the next one."""
        with unit_of_work() as session:
            event = platform_events.claim(session, client.id)
        if event is None:
            return False
        answer = _attempt(event, sender)
        with unit_of_work() as session:
            match answer.outcome:
                case "delivered":
                    state = platform_events.delivered(session, event)
                case "gone":
                    state = platform_events.refused_for_good(session, event, answer.problem)
                case _:
                    dice = random.random()  # noqa: S311 - spreads the load, hides nothing
                    state = platform_events.failed(
                        session, event, answer.problem, dice=dice, retry_after=answer.retry_after
                    )
        self._note(client, event, answer, state)
        return answer.outcome != "down"

    def _note(self, client: DueClient, event: Claimed, answer: Answer, state: str | None) -> None:
        """Say what is new about this endpoint, and let one that is down rest."""
        if answer.outcome == "down":
            rest = min(max(answer.retry_after, POLL), _LONGEST_REST)
            self._resting[client.id] = time.monotonic() + rest
            self._in_trouble(
                (client.id, "down"),
                f"the endpoint of {client.name} {answer.problem}; its events wait and are tried again",
            )
        else:
            self._resting.pop(client.id, None)
            self._out_of_trouble((client.id, "down"), f"the endpoint of {client.name} answers again")
        if answer.outcome == "refused":
            self._in_trouble(
                (client.id, "refused"),
                f"the endpoint of {client.name} {answer.problem} to {event.type} {event.event_id}; "
                "what it refuses is tried again",
            )
        elif answer.outcome == "delivered" and event.attempts > 1:
            self._out_of_trouble(
                (client.id, "refused"), f"the endpoint of {client.name} takes what it had refused"
            )
        if state == "given_up":
            log.warning(
                "%s %s for %s is given up after %d attempts: the endpoint %s",
                event.type,
                event.event_id,
                client.name,
                event.attempts,
                "wants no more" if answer.outcome == "gone" else answer.problem,
            )

    def _database_trouble(self, error: Exception) -> None:
        self._in_trouble("database", f"the database does not answer ({type(error).__name__}); events wait")

    def _in_trouble(self, what: object, sentence: str) -> None:
        with self._lock:
            is_news = what not in self._troubles
            self._troubles.add(what)
        if is_news:
            log.warning(sentence)

    def _out_of_trouble(self, what: object, sentence: str) -> None:
        with self._lock:
            was_in_trouble = what in self._troubles
            self._troubles.discard(what)
        if was_in_trouble:
            log.info(sentence)


def _attempt(event: Claimed, sender: Sender) -> Answer:
    try:
        secrets = unseal_json(event.sealed_secrets)
    except BadInput:
        return Answer("down", "has signing secrets that no key of JEMBATAN_ENCRYPTION_KEYS opens")
    return sender.send(event.url, secrets, event.event_id, event.content)
