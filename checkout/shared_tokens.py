"""Access tokens in the database, shared by all processes. Apart from the gateways: who calls another service
with them needs to load none of those."""

import threading
import time
from collections.abc import Callable

from common.errors import ProviderError
from providers.tokens import Token
from records import gateway_token
from records.db import connection

_SHARE_FAILURE_SECONDS = 2.0


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
