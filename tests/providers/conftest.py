"""A counterpart for each test that wants one."""

from collections.abc import Iterator

import pytest
from counterpart import Counterpart, counterpart


@pytest.fixture
def there() -> Iterator[Counterpart]:
    """A real HTTP server that keeps what it is sent."""
    with counterpart() as it:
        yield it
