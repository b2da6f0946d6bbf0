"""Midtrans' Idempotency-Key: the same key gets the same answer, whatever the second call says.

Source: Midtrans "Idempotent requests": at most 46 characters, a longer key is ignored; kept for 5 minutes;
only a success is kept; while the first call is still running the second gets HTTP 202.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from sandbox.gopay_messages import Refusal

LONGEST_KEY, KEPT_SECONDS = 46, 300.0
_SUCCESS = ("200", "201", "407")  # 407: an expiry that was asked for


class StillRunning(Refusal):
    """The first call with this key has not ended."""

    def __init__(self) -> None:
        super().__init__("202", "The request with this Idempotency-Key is still in process")


class Idempotency:
    """The keys of the last five minutes. Used on the event loop only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, dict[str, Any]]] = OrderedDict()  # by the end of their time
        self._running: set[str] = set()

    async def once(self, key: str, work: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """The answer that is kept for the key, else that of the work. Raises StillRunning."""
        if not key or len(key) > LONGEST_KEY:
            return await work()
        self._forget()
        if key in self._kept:
            return self._kept[key][1]
        if key in self._running:
            raise StillRunning
        self._running.add(key)
        try:
            answer = await work()
        finally:
            self._running.discard(key)
        if answer["status_code"] in _SUCCESS:
            self._kept[key] = self._clock() + KEPT_SECONDS, answer
        return answer

    def _forget(self) -> None:
        moment = self._clock()
        while self._kept and next(iter(self._kept.values()))[0] <= moment:
            self._kept.popitem(last=False)
