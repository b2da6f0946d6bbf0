"""A platform that receives, and a courier that delivers to it."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from events_world import Platform, a_client

from api.courier import Courier


@pytest.fixture
def platform() -> Iterator[Platform]:
    """A receiving server, up."""
    with Platform() as receiving:
        yield receiving
        assert receiving.forged == 0


@pytest.fixture
def client(database: str, platform: Platform) -> UUID:
    """A client whose events go to that platform."""
    return a_client("platform", platform)


@pytest.fixture
def courier(database: str) -> Iterator[Courier]:
    """A courier at work."""
    working = Courier()
    working.start()
    yield working
    working.stop()
    assert not working.is_delivering()
