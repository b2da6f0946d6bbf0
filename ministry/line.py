"""The line to the register: every call of every worker goes over it, under one rate and through one gate.

    line = Line()
    told = line.call(lambda register: register.look_up(code))

While the gate is shut, `call` raises Shut at once (`until`: when the next call may go), and nothing was sent.
`put_off` then lets everything that waits for the register wait until that time, in one statement.
"""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from checkout.shared_tokens import SharedTokens
from common.errors import Ambiguous, AuthFailed, BadInput, RateLimited, Rejected, Transient
from common.services import Siplatih as Section
from common.settings import settings
from providers.siplatih.client import Siplatih
from records import process, service_gate
from records.db import unit_of_work
from records.service_gate import MENDED_BY_TIME, SHUT, Shut, Turns

SERVICE = "siplatih"
PROCESSES = ("register-program", "report-completion", "verify-credential")
# A wrong key is no matter of minutes, and asking on with it may lock it.
PAUSE_AFTER_WRONG_KEY = timedelta(hours=1)
Told = TypeVar("Told")
_open: tuple[Section, Siplatih] | None = None
_opening = threading.Lock()


def register() -> Siplatih:
    """The register, kept open as long as this process lives, with the token that all processes share."""
    global _open
    config = settings().siplatih
    if not config.base_url:
        raise BadInput("JEMBATAN_SIPLATIH__BASE_URL is not set")
    with _opening:
        if _open is None or _open[0] is not config:
            if _open is not None:
                _open[1].close()
            _open = (config, Siplatih(config, SharedTokens()))
        return _open[1]


class Line:
    """The register as one worker calls it, one call after the other."""

    def __init__(self) -> None:
        self._turns = Turns(0)

    def call(self, operation: Callable[[Siplatih], Told]) -> Told:
        """One call in its turn. Raises Shut before it, and what the operation raises."""
        opened = register()
        if self._turns.left < 1:
            self._turns = service_gate.take_turns(SERVICE, settings().siplatih.rate)
        self._turns.left -= 1
        try:
            told = operation(opened)
        except RateLimited as error:
            self._shut(error.reason, timedelta(seconds=error.retry_after))
            raise
        except AuthFailed as error:
            self._shut(error.reason, PAUSE_AFTER_WRONG_KEY)
            raise
        except (Ambiguous, Transient) as error:
            if service_gate.failed(SERVICE, self._turns, error.reason) is not None:
                self._turns = Turns(0)
            raise
        except Rejected:
            service_gate.answered(SERVICE, self._turns)
            raise
        service_gate.answered(SERVICE, self._turns)
        return told

    def _shut(self, reason: str, pause: timedelta) -> None:
        self._turns = Turns(0)
        service_gate.shut(SERVICE, reason, pause)


def put_off(shut: Shut) -> None:
    """Let every process that waits for the register wait until the gate may open; no worker takes it up."""
    error = {"type": SHUT, "message": str(shut)}
    with unit_of_work() as session:
        process.put_off(session, PROCESSES, shut.until, error, MENDED_BY_TIME)


def shut_now() -> Shut | None:
    """Why the register is not called now, and until when; None where it is."""
    with unit_of_work() as session:
        return service_gate.is_shut(session, SERVICE)
