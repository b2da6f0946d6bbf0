"""The desk: works what gateways told us, as long as the API lives. Several may: each reference is locked."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

from api.intake import Intake
from checkout import inbox

POLL = 2.0  # seconds between two looks when nothing new has come: what another process left lying
GATHER = 0.05  # what comes within this time is looked for together
AT_ONCE = 4
# In a storm each of the four rests so long after each payment: gateways want their answers within seconds,
# while what they say may be worked a little later. It goes on, so nobody waits for the storm's end.
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
                    did_something = any(list(pool.map(lambda one: self._work(*one), inbox.waiting())))
                except Exception:  # the thread must outlive whatever one look meets
                    log.exception("the inbox cannot be worked now; looking again")
                    did_something = False
                if not did_something and self._intake.news.wait(POLL):
                    self._stopping.wait(GATHER)

    def _work(self, gateway: str, reference: str) -> bool:
        """Whether anything was done: another process may be at it."""
        if self._stopping.is_set():
            return False
        did_something = True
        try:
            did_something = inbox.work(gateway, reference)
        except Exception:  # one message that cannot be worked must not keep the others from it
            log.exception("working what %s told us of a payment failed; it is tried again", gateway)
            inbox.set_back(gateway, reference)
        if self._intake.is_in_storm():
            self._stopping.wait(REST)
        return did_something
