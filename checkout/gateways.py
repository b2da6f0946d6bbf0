"""The gateways, kept open as long as this process lives, with the tokens that all processes share."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from common.errors import BadInput, ProviderError
from common.settings import Gateway as Section
from common.settings import settings
from providers.base import Gateway
from providers.payments import open_gateway
from providers.tokens import Token
from records import gateway_token
from records.db import connection

AT_ONCE = 48  # requests waiting for one gateway in this process: a slow one must not stop the others
_SHARE_FAILURE_SECONDS = 2.0
_open: dict[str, tuple[Section, Gateway]] = {}
_opening = threading.Lock()
_shares: dict[str, threading.BoundedSemaphore] = {}


def gateway(name: str) -> Gateway:
    """The gateway of that name, opened on first use; raises KeyError for no gateway."""
    config = settings().gateway(name)
    if not config.base_url:
        raise BadInput(f"JEMBATAN_{name.upper()}__BASE_URL is not set")
    with _opening:
        kept = _open.get(name)
        if kept is None or kept[0] is not config:
            if kept is not None:
                kept[1].close()
            kept = _open[name] = (config, open_gateway(name, SharedTokens()))
        return kept[1]


@contextmanager
def share(name: str, wait: float = 0.0) -> Iterator[bool]:
    """One of the calls that a gateway may have under way for people who wait; False where all are taken.

    wait: seconds until then.
    """
    with _opening:
        mine = _shares.setdefault(name, threading.BoundedSemaphore(AT_ONCE))
    is_free = mine.acquire(timeout=wait)
    try:
        yield is_free
    finally:
        if is_free:
            mine.release()


def close_all() -> None:
    """Give all connections back."""
    with _opening:
        for _, opened in _open.values():
            opened.close()
        _open.clear()


def notify_url(name: str) -> str:
    """Where a gateway sends its notifications."""
    return settings().page_url(f"/api/v1/payments/callback/{name}")


class SharedTokens:
    """Gateways' tokens in the database, sealed: one renewal at a time, whatever the threads and processes.

    Each process remembers what it read, so that a call costs no query while the token is good.
    """

    def __init__(self) -> None:
        self._read: dict[str, Token] = {}
        self._failed: dict[str, tuple[float, ProviderError]] = {}
        self._lock = threading.Lock()

    def current(self, name: str, renew: Callable[[], Token], *, refused: str | None = None) -> str:
        """The token of that name; renewed where it is missing, about to end, or the one that was refused."""
        known = self._read.get(name)
        if known is not None and known.is_good(refused=refused):
            return known.value
        with self._lock:
            known = self._read.get(name)
            if known is None or not known.is_good(refused=refused):
                known = self._read[name] = self._renewed(name, renew, refused)
            return known.value

    def _renewed(self, name: str, renew: Callable[[], Token], refused: str | None) -> Token:
        """Those who waited while somebody failed share that failure: they do not all try one by one."""
        failed_at, error = self._failed.get(name, (0.0, None))
        if error is not None and time.monotonic() - failed_at < _SHARE_FAILURE_SECONDS:
            raise error
        try:
            return self._shared(name, renew, refused)
        except ProviderError as failure:
            self._failed[name] = time.monotonic(), failure
            raise

    def _shared(self, name: str, renew: Callable[[], Token], refused: str | None) -> Token:
        """Read, or renew while others wait: an advisory lock of the session, no transaction stays open."""
        with connection() as db:
            db.commit()
            db.autocommit = True
            gateway_token.lock(db, name)
            kept = gateway_token.kept(db, name)
            if kept is not None and Token(*kept).is_good(refused=refused):
                return Token(*kept)
            made = renew()
            gateway_token.keep(db, name, made.value, made.renew_at)
            return made
