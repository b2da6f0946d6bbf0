"""A desk for each test: the whole API at work on a fresh database, the register of the sandbox behind it."""

from collections.abc import Iterator

import pytest
from at_work import at_work
from register_desk import Desk

from jembatan.stack import Stack


@pytest.fixture
def desk(parts: Stack, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk on a database of its own, with empty books at the register."""
    monkeypatch.setenv("JEMBATAN_SIPLATIH__READ_TIMEOUT", "1")
    monkeypatch.setenv("JEMBATAN_SIPLATIH__RATE", "500")
    with at_work(parts, monkeypatch) as till:
        till.sandbox.delete("/_sandbox/siplatih").raise_for_status()
        till.sandbox.delete("/_sandbox/failures").raise_for_status()
        yield Desk(till)
        till.sandbox.delete("/_sandbox/siplatih").raise_for_status()
