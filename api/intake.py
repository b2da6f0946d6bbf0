"""The inbox's door: messages that arrive together are stored in one transaction, and only then answered.

Requests run on the event loop and hand their message to one writer thread. While it stores one batch the
next gathers, so a storm costs a few large transactions instead of thousands of small ones.
"""

import asyncio
import logging
import queue
import threading
import time
from contextlib import suppress

import psycopg

from common.errors import NotReachable
from common.settings import GATEWAYS
from records import notification
from records.db import database_url
from records.notification import Received

LARGEST_BATCH = 500
PATIENCE = 4.0  # seconds until the gateway is told to come again: OVO waits five for an answer
STORM = 200  # messages a second from which on answering them goes before working them
_WINDOW = 0.25
# A database that hangs must not hold the writer longer than anybody waits for it.
_ANSWERS_WITHIN = 5_000  # milliseconds
_TIME_OUT = f"-c statement_timeout={_ANSWERS_WITHIN}"

log = logging.getLogger("jembatan.intake")
_Waiting = tuple[Received, "asyncio.Future[None]"]


class Intake:
    """Stores messages durably; `stored` tells when one is."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._window_ends, self._in_window, self._storm_ends = 0.0, 0, 0.0
        self.turn = threading.Lock()  # to work on what came while it still storms
        self.news = {gateway: threading.Event() for gateway in GATEWAYS}  # set when something new may wait

    def start(self) -> None:
        """Begin to take messages."""
        self._thread.start()

    def stop(self) -> None:
        """Store what has come so far, then end."""
        self._queue.put(None)
        self._thread.join(10)

    async def stored(self, message: Received) -> None:
        """Returns once the message is on disk; raises NotReachable where it could not be stored in time."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        too_late = loop.call_later(PATIENCE, _give_up, done)
        self._queue.put((message, done))
        try:
            await done
        finally:
            too_late.cancel()

    def is_in_storm(self) -> bool:
        """Whether messages come so fast that all else in this process had better wait a little."""
        return time.monotonic() < self._storm_ends

    def _run(self) -> None:
        db: psycopg.Connection | None = None
        while (batch := self._gathered()) is not None:
            self._measure(len(batch))
            problem: NotReachable | None = None
            try:
                if db is None or db.closed or db.broken:
                    db = psycopg.connect(
                        database_url(),
                        autocommit=True,
                        connect_timeout=3,
                        tcp_user_timeout=_ANSWERS_WITHIN,
                        options=_TIME_OUT,
                    )
                notification.keep(db, [message for message, _ in batch])
            except Exception:  # the writer must outlive whatever one batch meets
                log.exception("messages of gateways cannot be stored; they come again")
                if db is not None:
                    with suppress(psycopg.Error):
                        db.close()
                    db = None
                problem = NotReachable("the message could not be stored")
            with suppress(RuntimeError):  # the event loop is closed: nobody waits for the answers any more
                batch[0][1].get_loop().call_soon_threadsafe(_tell, batch, problem)
            if problem is None:
                for gateway in {message.gateway for message, _ in batch}:
                    self.news[gateway].set()

    def _gathered(self) -> list[_Waiting] | None:
        """All that waits and is waited for, at least one; None at the end."""
        batch: list[_Waiting] = []
        while len(batch) < LARGEST_BATCH:
            try:
                following = self._queue.get(block=not batch)
            except queue.Empty:
                break
            if following is None:
                if not batch:
                    return None
                self._queue.put(None)
                break
            if not following[1].done():  # else its gateway was told already to come again
                batch.append(following)
        return batch

    def _measure(self, count: int) -> None:
        now = time.monotonic()
        if now > self._window_ends:
            self._window_ends, self._in_window = now + _WINDOW, 0
        self._in_window += count
        if self._in_window > STORM * _WINDOW:
            self._storm_ends = now + 2 * _WINDOW


def _give_up(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_exception(NotReachable("the message could not be stored in time"))


def _tell(batch: list[_Waiting], problem: NotReachable | None) -> None:
    """On the event loop: let every request of a batch go on, but for those that have given up."""
    for _, done in batch:
        if done.done():
            continue
        if problem is None:
            done.set_result(None)
        else:
            done.set_exception(problem)
