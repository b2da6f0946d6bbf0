"""How a task is tried again: minutes at most; longer waits belong to the process run."""

from typing import Any

from prefect.cache_policies import NO_CACHE

from common.errors import Transient
from common.settings import settings


def is_transient(_task: Any, _run: Any, state: Any) -> bool:
    """Try again only what surely did not happen."""
    return isinstance(state.result(raise_on_failure=False), Transient)


TRIED_AGAIN: dict[str, Any] = {
    "retries": len(settings().retry_seconds),
    "retry_delay_seconds": list(settings().retry_seconds),
    "retry_condition_fn": is_transient,
    "cache_policy": NO_CACHE,
    "persist_result": False,
}
ONCE: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}
