"""Turns: a few at a time in their order, and nobody held up by what is slow."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from api import turns
from api.turns import Turns


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing takes too long, and nobody is impatient."""
    monkeypatch.setattr(turns, "LONGEST_TURN", 3600)
    monkeypatch.setattr(turns, "PATIENCE", 3600)


@pytest.mark.usefixtures("unhurried")
def test_what_waits_begins_in_the_order_in_which_it_came() -> None:
    begun: list[int] = []

    async def all_of_them() -> list[int]:
        mine = Turns(pool)
        return await asyncio.gather(
            *(mine.work(lambda one=one: begun.append(one) or one) for one in range(50))
        )

    with ThreadPoolExecutor(1) as pool:
        assert asyncio.run(all_of_them()) == list(range(50))
    assert begun == list(range(50))


@pytest.mark.usefixtures("unhurried")
def test_no_more_than_a_few_are_at_work_while_they_end() -> None:
    at_work, most = 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        threading.Event().wait(0.001)
        with lock:
            at_work -= 1

    async def all_of_them() -> None:
        mine = Turns(pool)
        await asyncio.gather(*(mine.work(work) for _ in range(100)))

    with ThreadPoolExecutor(100) as pool:
        asyncio.run(all_of_them())
    assert 1 < most <= turns.FEW


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("limit", ["LONGEST_TURN", "PATIENCE"])
def test_what_does_not_end_holds_up_nobody(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, limit, 0.001)
    ends = threading.Event()

    async def all_of_them() -> int:
        mine = Turns(pool)
        slow = [asyncio.create_task(mine.work(ends.wait)) for _ in range(9 * turns.FEW)]
        try:
            return await asyncio.wait_for(mine.work(lambda: 4711), 30)  # it would wait for ever
        finally:
            ends.set()
            await asyncio.gather(*slow)

    with ThreadPoolExecutor(100) as pool:
        assert asyncio.run(all_of_them()) == 4711


@pytest.mark.usefixtures("unhurried")
def test_what_fails_or_is_given_up_gives_its_turn_on() -> None:
    ends = threading.Event()

    def fail() -> None:
        ends.wait()
        raise ValueError

    async def all_of_them() -> int:
        mine = Turns(pool)
        failing = [asyncio.create_task(mine.work(fail)) for _ in range(turns.FEW)]
        await asyncio.sleep(0)
        given_up = asyncio.create_task(mine.work(lambda: 1))
        waiting = asyncio.create_task(mine.work(lambda: 2))
        await asyncio.sleep(0)
        given_up.cancel()
        ends.set()
        answer = await waiting
        assert {type(one) for one in await asyncio.gather(*failing, return_exceptions=True)} == {ValueError}
        return answer

    with ThreadPoolExecutor(100) as pool:
        assert asyncio.run(all_of_them()) == 2
