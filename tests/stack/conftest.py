"""A home for each test."""

from collections.abc import Iterator

import pytest
from stack_at_work import Up, a_home, configured, environment_for

from jembatan.stack import database
from jembatan.stack.home import Home


@pytest.fixture
def home() -> Iterator[Home]:
    """An empty home; this process is configured for it."""
    with a_home() as made, configured(environment_for(made)):
        yield made


@pytest.fixture(scope="module")
def home_with_data() -> Iterator[Home]:
    """A home whose database was made before, for tests that leave it as good as they found it."""
    with a_home() as made, configured(environment_for(made)):
        with database(made.path):
            pass
        yield made


@pytest.fixture
def up(home: Home) -> Iterator[Up]:
    """`jembatan up` on that home, not started yet."""
    with Up(home, environment_for(home)) as one:
        yield one
