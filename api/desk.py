"""The desks: each works what one gateway told us, as long as the API lives, so that a gateway which answers
slowly keeps nobody else's messages waiting. Several processes may: each reference is locked."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from api.intake import Intake
from checkout import inbox

POLL = 2.0  # seconds between two looks when nothing new has come: what another process left lying
GATHER = 0.2  # looks at most so often: what comes meanwhile is found together
AT_ONCE = 4
# In a storm payments are worked one after the other, with a rest after each that is so many times as long as
# the interpreter was needed for it: gateways want their answers within seconds, while what they say may be
# worked a little later. Threads beside each other would take the interpreter from the event loop by turns,
# and what comes meanwhile would wait for them all. It goes on, so nobody waits for the storm's end; and no
# longer than PATIENCE for a gateway that is slow to tell.
REST = 10
PATIENCE = 1.0
LONGEST_REST = PATIENCE / AT_ONCE  # else who comes last runs out of patience while the others only rest

log = logging.getLogger("jembatan.desk")


class Desk:
    """A thread that works a gateway's part of the inbox until it is stopped; told by the intake of news."""

    def __init__(self, gateway: str, intake: Intake) -> None:
        self._gateway = gateway
        self._intake = intake
        self._news = intake.news[gateway]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"desk-{gateway}", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is being worked is waited for."""
        self._stopping.set()
        self._news.set()
        self._thread.join(30)

    def _run(self) -> None:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix=self._thread.name) as pool:
            while not self._stopping.is_set():
                looked_at = time.monotonic()
                try:
                    self._news.clear()
                    did_something = any(list(pool.map(self._work, inbox.waiting(self._gateway))))
                except Exception:  # the thread must outlive whatever one look meets
                    log.exception("the inbox cannot be worked now; looking again")
                    did_something = False
                if not did_something and self._news.wait(POLL):
                    self._stopping.wait(max(0.0, looked_at + GATHER - time.monotonic()))

    def _work(self, reference: str) -> bool:
        """Whether anything was done: another process may be at it."""
        if self._stopping.is_set():
            return False
        did_something = True
        in_turn = self._intake.is_in_storm() and self._intake.turn.acquire(timeout=PATIENCE)
        begun = time.thread_time()
        try:
            did_something = inbox.work(self._gateway, reference)
        except Exception:  # one message that cannot be worked must not keep the others from it
            log.exception("working what %s told us of a payment failed; it is tried again", self._gateway)
            inbox.set_back(self._gateway, reference)
        finally:
            if in_turn:
                self._stopping.wait(min(LONGEST_REST, REST * (time.thread_time() - begun)))
                self._intake.turn.release()
        return did_something
