"""Work in threads, begun in the order in which it came: two at once while it ends fast, else more.

All threads share one interpreter. Many that are at work together each wait for all the others after every
step on the network, so that in a burst everybody is as late as the last one; two at a time let the first go
first, and one works while the other waits for its answer. What waits longer, for a slow wallet, leaves the
interpreter alone and holds up nobody: its turn is over.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

FEW = 2
LONGEST_TURN = 0.012  # seconds; a charge at a wallet that answers at once ends within
PATIENCE = 0.025  # seconds until one begins although as many as that are at work

Result = TypeVar("Result")


class Turns:
    """Gives work to an executor; to be used on one event loop."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._at_work: set[asyncio.Future[None]] = set()

    async def work(self, what: Callable[[], Result]) -> Result:
        """What it returns or raises, once it has had its turn."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        self._give()
        patience = None if turn.done() else loop.call_later(PATIENCE, self._begin, turn)
        try:
            await turn
            longest = loop.call_later(LONGEST_TURN, self._end, turn)
            try:
                return await loop.run_in_executor(self._threads, what)
            finally:
                longest.cancel()
        finally:
            if patience is not None:
                patience.cancel()
            self._end(turn)

    def _give(self) -> None:
        while self._waiting and len(self._at_work) < FEW:
            self._begin(self._waiting.popleft())

    def _begin(self, turn: "asyncio.Future[None]") -> None:
        if not turn.done():  # else it began already, or nobody waits for it any more
            self._at_work.add(turn)
            turn.set_result(None)

    def _end(self, turn: "asyncio.Future[None]") -> None:
        self._at_work.discard(turn)
        self._give()
