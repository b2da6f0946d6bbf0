"""A till for each test: the whole API at work on a fresh database, and the sandbox behind it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from at_work import at_work
from till import Till
from turnstile import Turnstile

from common.settings import GATEWAYS, settings
from jembatan.stack import Stack
from records import db


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
