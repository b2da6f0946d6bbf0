"""A desk for each test: the whole API at work on a fresh database, the sandbox behind it, and a worker's
hands."""

from collections.abc import Iterator

import pytest
from at_work import at_work
from refund_desk import Desk

from jembatan.stack import Stack


@pytest.fixture
def desk(parts: Stack, database: str, one_day: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk on a database of its own. What is paid now is not too late for today's report, even at 23:45."""
    monkeypatch.setenv("JEMBATAN_CUTOFF_GRACE", "0")
    with at_work(parts, monkeypatch) as till:
        yield Desk(till)
