"""What the register's no can mean, where the caller does something else for each."""

from collections.abc import Sequence
from typing import Any

from common.errors import Rejected
from providers.siplatih.wire import Fault


class Invalid(Rejected):
    """It does not take what was sent; `faults` has all that it named."""

    def __init__(self, *args: Any, faults: Sequence[Fault] = (), **named: Any) -> None:
        super().__init__(*args, **named)
        self.faults = tuple(faults)


class Conflict(Invalid):
    """It has this already, or says that it has."""


class UnknownProgram(Rejected):
    """It knows no program of that number."""


class NotOffered(Rejected):
    """It has no such call: what we wanted to know cannot be asked."""


class TooLarge(Rejected):
    """Too much for one call: send it in parts."""
