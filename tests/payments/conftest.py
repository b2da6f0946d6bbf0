"""A till for each test: the whole API at work on a fresh database, and the sandbox behind it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import httpx
import pytest
from till import Served, Till, free_port
from turnstile import Turnstile

from common.settings import GATEWAYS, settings
from jembatan.stack import Stack
from records import client as clients
from records import db
from records.db import unit_of_work


@contextmanager
def at_work(parts: Stack, patch: pytest.MonkeyPatch) -> Iterator[Till]:
    """The API at work on the database that the environment names, called by a client that may do all."""
    from api.app import app

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    patch.setenv("JEMBATAN_PUBLIC_URL", url)
    patch.setenv("JEMBATAN_API_PORT", str(port))
    for gateway in GATEWAYS:  # a lost answer is waited for in many tests
        patch.setenv(f"JEMBATAN_{gateway.upper()}__READ_TIMEOUT", "2")
    settings.cache_clear()
    with unit_of_work() as session:
        _, key = clients.create(session, "platform", ["*"], rate_per_minute=1_000_000)
    with (
        Served(app, port),
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key.text}"}, timeout=60) as http,
        httpx.Client(base_url=str(parts.sandbox_url), timeout=30) as sandbox,
    ):
        yield Till(http, sandbox)
        sandbox.delete("/_sandbox/failures")
        for gateway in GATEWAYS:
            sandbox.post("/_sandbox/notifications", json={"gateway": gateway, "mode": "at_once"})
    settings.cache_clear()


@pytest.fixture
def till(parts: Stack, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Till]:
    """A till on a database of its own."""
    with at_work(parts, monkeypatch) as made:
        yield made


@pytest.fixture
def turnstile(till: Till, parts: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Turnstile]:
    """All gateways are reached through it, and no answer is too late."""
    with Turnstile(str(parts.sandbox_url)) as made:
        for gateway in GATEWAYS:
            monkeypatch.setenv(f"JEMBATAN_{gateway.upper()}__BASE_URL", f"{made.url}/{gateway}")
            monkeypatch.setenv(f"JEMBATAN_{gateway.upper()}__READ_TIMEOUT", "60")
        settings.cache_clear()
        yield made


@pytest.fixture(scope="module")
def shared_till(
    parts: Stack,
    fresh_database: Callable[[], AbstractContextManager[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Till]:
    """A till for all tests of a module that look at nothing but their own payments."""
    with (
        fresh_database() as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("JEMBATAN_DATABASE_URL", url)
        patch.setenv("JEMBATAN_HOME", str(tmp_path_factory.mktemp("home")))
        settings.cache_clear()
        with at_work(parts, patch) as made:
            yield made
        db.engine(url).dispose()
    settings.cache_clear()
