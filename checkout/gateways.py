"""The gateways, kept open as long as this process lives."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from checkout.shared_tokens import SharedTokens
from common.errors import BadInput
from common.settings import Gateway as Section
from common.settings import settings
from providers.base import Gateway
from providers.payments import open_gateway

AT_ONCE = 48  # requests waiting for one gateway in this process: a slow one must not stop the others
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
