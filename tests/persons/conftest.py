"""A class room for each test: the API on a fresh database, the sandbox's register with empty books."""

from collections.abc import Iterator

import pytest
from at_work import at_work
from class_room import ClassRoom

from common.settings import settings
from jembatan.stack import Stack


@pytest.fixture
def room(parts: Stack, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClassRoom]:
    """A class room on a database of its own."""
    monkeypatch.setenv("JEMBATAN_SIPLATIH__READ_TIMEOUT", "2")
    monkeypatch.setenv("JEMBATAN_SIPLATIH__RATE", "1000")
    settings.cache_clear()
    with at_work(parts, monkeypatch) as till:
        till.sandbox.delete("/_sandbox/siplatih").raise_for_status()
        yield ClassRoom(till)
        till.sandbox.delete("/_sandbox/siplatih")
