"""The whole API at work in this process, on whatever database the environment names."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from till import Served, Till, free_port

from common.settings import GATEWAYS, settings
from jembatan.stack import Stack
from records import client as clients
from records.db import unit_of_work

SOON = 0.2  # seconds until a desk looks again, where life can wait for two
AT_ONCE = 0.05  # seconds until the relay and the courier notice that they are to stop
NOBODY = "http://127.0.0.1:9/api"


@contextmanager
def at_work(parts: Stack, patch: pytest.MonkeyPatch) -> Iterator[Till]:
    """The API at work on the database that the environment names, called by a client that may do all."""
    from api import courier, desk, relay
    from api.app import app

    patch.setattr(desk, "POLL", SOON)
    for room in (courier, relay):
        patch.setattr(room, "_SLICE", AT_ONCE)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    patch.setenv("JEMBATAN_PUBLIC_URL", url)
    patch.setenv("JEMBATAN_API_PORT", str(port))
    # Nothing is deployed at the tests' Prefect server, and to be told so each time takes longer than silence.
    patch.setenv("JEMBATAN_PREFECT_API_URL", NOBODY)
    for gateway in GATEWAYS:  # a lost answer is waited for in many tests
        patch.setenv(f"JEMBATAN_{gateway.upper()}__READ_TIMEOUT", "2")
    settings.cache_clear()
    with unit_of_work() as session:
        _, key = clients.create(session, "platform", ["*"], rate_per_minute=1_000_000)
    with (
        Served(app, port),
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key.text}"}, timeout=60) as http,
        httpx.Client(base_url=str(parts.sandbox_url), timeout=60) as sandbox,
    ):
        yield Till(http, sandbox)
        sandbox.delete("/_sandbox/failures")
        sandbox.post("/_sandbox/refunds", json={"gateway": "gopay", "confirm_after": 0.5})
        for gateway in GATEWAYS:
            sandbox.post("/_sandbox/notifications", json={"gateway": gateway, "mode": "at_once"})
    settings.cache_clear()
