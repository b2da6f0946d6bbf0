"""The desk: works what gateways told us, as long as the API lives. Several may: each reference is locked."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import sqlalchemy as sa

from checkout import inbox
from common.errors import NotReachable

POLL = 2.0  # seconds between two looks when nothing new has come: what another process left lying
AT_ONCE = 4
_SLICE = 0.25

log = logging.getLogger("jembatan.desk")


class Desk:
    """A thread that works the inbox until it is stopped. news: set by who has stored something."""

    def __init__(self, news: threading.Event) -> None:
        self._news = news
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is being worked is waited for."""
        self._stopping.set()
        self._news.set()
        self._thread.join(30)

    def _run(self) -> None:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="desk") as pool:
            while not self._stopping.is_set():
                try:
                    self._news.clear()
                    waiting = inbox.waiting()
                    list(pool.map(lambda one: self._work(*one), waiting))
                except (NotReachable, psycopg.OperationalError, sa.exc.OperationalError) as error:
                    log.warning("the inbox cannot be read now (%s)", type(error).__name__)
                    waiting = []
                if not waiting:
                    self._news.wait(POLL)

    def _work(self, gateway: str, reference: str) -> None:
        if self._stopping.is_set():
            return
        try:
            inbox.work(gateway, reference)
        except Exception:  # one message that cannot be worked must not keep the others from it
            log.exception("working what %s told us of a payment failed; it is tried again", gateway)
            inbox.set_back(gateway, reference)
