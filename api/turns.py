"""Work in threads, begun in the order in which it came: few at once while it ends fast, else more.

All threads share one interpreter. Many that are at work together each wait for all the others after every
step on the network, so that in a burst everybody is as late as the last one; a few at a time let the first go
first. What waits for a slow wallet leaves the interpreter alone and must hold up nobody: so nothing waits
longer than a moment for its turn.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

FEW = 6
PATIENCE = 0.025  # seconds until one begins although as many as that are at work

Result = TypeVar("Result")


class Turns:
    """Gives work to an executor; to be used on one event loop."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._at_work = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def work(self, what: Callable[[], Result]) -> Result:
        """What it returns or raises, once it has had its turn."""
        loop = asyncio.get_running_loop()
        if self._at_work >= FEW:
            turn = loop.create_future()
            self._waiting.append(turn)
            patience = loop.call_later(PATIENCE, _give, turn)
            try:
                await turn
            finally:
                patience.cancel()
        self._at_work += 1
        try:
            return await loop.run_in_executor(self._threads, what)
        finally:
            self._at_work -= 1
            while self._waiting and not _give(self._waiting.popleft()):
                pass  # it began already, or nobody waits for it any more


def _give(turn: "asyncio.Future[None]") -> bool:
    if turn.done():
        return False
    turn.set_result(None)
    return True
