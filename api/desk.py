"""The desk: works what gateways told us, as long as the API lives. Several may: each reference is locked."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import sqlalchemy as sa

from api.intake import Intake
from checkout import inbox
from common.errors import NotReachable

POLL = 2.0  # seconds between two looks when nothing new has come: what another process left lying
GATHER = 0.05  # what comes within this time is looked for together
AT_ONCE = 4
# In a storm each of the four rests so long after each payment. Gateways want their answers within seconds; what
# they say may be worked a little later, and is never left alone for long.
REST = 0.25

log = logging.getLogger("jembatan.desk")


class Desk:
    """A thread that works the inbox until it is stopped; told by the intake that something has come."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is being worked is waited for."""
        self._stopping.set()
        self._intake.news.set()
        self._thread.join(30)

    def _run(self) -> None:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="desk") as pool:
            while not self._stopping.is_set():
                try:
                    self._intake.news.clear()
                    waiting = inbox.waiting()
                    list(pool.map(lambda one: self._work(*one), waiting))
                except (NotReachable, psycopg.OperationalError, sa.exc.OperationalError) as error:
                    log.warning("the inbox cannot be read now (%s)", type(error).__name__)
                    waiting = []
                if not waiting and self._intake.news.wait(POLL):
                    self._stopping.wait(GATHER)

    def _work(self, gateway: str, reference: str) -> None:
        if self._stopping.is_set():
            return
        try:
            inbox.work(gateway, reference)
        except Exception:  # one message that cannot be worked must not keep the others from it
            log.exception("working what %s told us of a payment failed; it is tried again", gateway)
            inbox.set_back(gateway, reference)
        if self._intake.is_in_storm():
            self._stopping.wait(REST)
