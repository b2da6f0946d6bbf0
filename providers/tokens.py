"""Access tokens that gateways give us, kept until a little before their end and shared by all threads.

A store is a Protocol, so that several processes can share one token through a database: a gateway may count
how often it is asked, and some let only the newest token live.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, Self

from common import clock

RENEW_BEFORE_SECONDS = 60.0


@dataclass(frozen=True)
class Token:
    """A token and the moment (aware) from which another is taken. Its text is a secret, never printed."""

    value: str = field(repr=False)
    renew_at: datetime

    @classmethod
    def lasting(cls, value: str, seconds: float) -> Self:
        """A token that was just given for so long; renewed a minute, or a quarter of a short life, before."""
        early = min(RENEW_BEFORE_SECONDS, seconds / 4)
        return cls(value, clock.now() + timedelta(seconds=seconds - early))

    def is_good(self, *, refused: str | None) -> bool:
        """Whether another call can be made with it: it is not about to end, and not the refused one."""
        return self.value != refused and clock.now() < self.renew_at


class TokenStore(Protocol):
    """Where tokens are kept between calls, by name."""

    def current(self, name: str, renew: Callable[[], Token], *, refused: str | None = None) -> str:
        """A token that lives: the kept one, or a new one from `renew` where there is none, where it is about
        to end, or where it is the one that was `refused`. Renews one at a time; raises what `renew` raises.
        """
        ...


class MemoryTokens:
    """The tokens of this process."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._renewing: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def current(self, name: str, renew: Callable[[], Token], *, refused: str | None = None) -> str:
        """See TokenStore; who waits for another's renewal gets its token."""
        with self._lock:
            one_at_a_time = self._renewing.setdefault(name, threading.Lock())
        with one_at_a_time:
            kept = self._tokens.get(name)
            if kept is None or not kept.is_good(refused=refused):
                kept = self._tokens[name] = renew()
            return kept.value
