"""As test_openapi_tried.py, with a thousand cases for each operation. A file of its own: to draw them takes
seconds, even of those who will not send them.
"""

import pytest
from schemathesis import Case
from tried import MANY, World, described, follow

pytestmark = pytest.mark.slow


@described(MANY).parametrize()
def test_the_api_does_what_it_says(case: Case, world: World) -> None:
    world.try_out(case)


def test_what_was_made_is_there(world: World) -> None:
    follow(world, MANY)
