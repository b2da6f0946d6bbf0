"""The desks in a storm of messages: one payment after the other, and nobody held up by a slow gateway."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from api import desk
from api.desk import Desk
from api.intake import Intake
from checkout import inbox

REFERENCES = [f"JBT-{number}" for number in range(6)]


@pytest.fixture
def intake() -> Intake:
    """In the middle of a storm."""
    made = Intake()
    made._storm_ends = time.monotonic() + 3600
    return made


@contextmanager
def at_work(intake: Intake, patch: pytest.MonkeyPatch, work: Callable[[str, str], bool]) -> Iterator[None]:
    """Two desks with the same six payments each, every one once."""
    left = {"gopay": [REFERENCES], "ovo": [REFERENCES]}
    patch.setattr(inbox, "waiting", lambda gateway: left[gateway].pop() if left[gateway] else [])
    patch.setattr(inbox, "work", work)
    desks = [Desk(gateway, intake) for gateway in left]
    for one in desks:
        one.start()
    yield
    for one in desks:
        one.stop()


def test_in_a_storm_payments_are_worked_one_after_the_other(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "REST", 0)
    monkeypatch.setattr(desk, "PATIENCE", 3600)
    beside: list[int] = []
    counting, all_done = threading.Semaphore(0), threading.Semaphore(0)
    under_way: set[tuple[str, str]] = set()

    def work(gateway: str, reference: str) -> bool:
        under_way.add((gateway, reference))
        beside.append(len(under_way))
        counting.acquire(timeout=0.01)  # lets the others have the interpreter
        under_way.discard((gateway, reference))
        all_done.release()
        return True

    with at_work(intake, monkeypatch, work):
        assert all(all_done.acquire(timeout=60) for _ in range(2 * len(REFERENCES)))
    assert beside == [1] * 2 * len(REFERENCES)


def test_in_a_storm_no_payment_waits_for_a_gateway_that_is_slow_to_tell(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "REST", 0)
    monkeypatch.setattr(desk, "PATIENCE", 0.01)
    others = threading.Semaphore(0)
    slow = threading.Event()

    def work(gateway: str, reference: str) -> bool:
        if gateway == "gopay":
            slow.wait(60)
        else:
            others.release()
        return True

    with at_work(intake, monkeypatch, work):
        assert all(others.acquire(timeout=60) for _ in REFERENCES)
        slow.set()


@pytest.mark.parametrize(("needed", "rests"), [(0.01, 0.1), (0.2, desk.LONGEST_REST)])
def test_in_a_storm_a_desk_rests_ten_times_as_long_as_it_needed_the_interpreter(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, needed: float, rests: float
) -> None:
    class Resting(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            rested.append(timeout or 0.0)
            return super().wait(0)

    def work(_gateway: str, _reference: str) -> bool:
        until = time.thread_time() + needed
        while time.thread_time() < until:
            pass
        return True

    rested: list[float] = []
    working = Desk("gopay", intake)
    working._stopping = Resting()
    monkeypatch.setattr(inbox, "work", work)
    assert working._work("JBT-1")
    (rest,) = rested
    assert rests <= rest <= desk.LONGEST_REST
