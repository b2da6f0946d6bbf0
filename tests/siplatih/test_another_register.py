"""Programs and checks at a register that we did not write: by its books each once, whatever it answers."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from counterpart import Counterpart, counterpart
from other_register import OtherRegister
from register_desk import Desk, checked, later, worked
from test_credential_checks import asked as check_asked
from test_credential_checks import question, shown

from common.settings import settings

ROUNDS, PROGRAMS = 40, 10


@contextmanager
def register(monkeypatch: pytest.MonkeyPatch, it: OtherRegister) -> Iterator[Counterpart]:
    """That register in the place of the sandbox's; the second one is where its redirects lead."""
    with counterpart() as elsewhere, counterpart(it):
        it.elsewhere = f"{elsewhere.url}/login"
        monkeypatch.setenv("JEMBATAN_SIPLATIH__BASE_URL", f"{it.url}/v2/")
        monkeypatch.setenv("JEMBATAN_SIPLATIH__KNOWS_REPEATS", str(it.knows_people).lower())
        settings.cache_clear()
        yield elsewhere
        assert elsewhere.calls == []  # no token goes to another host


def live_through(it: OtherRegister) -> None:
    """Everything goes wrong for a while, then nothing does."""
    for _ in range(ROUNDS):
        worked()
        later(hours=1)
    it.trouble = 0.0
    for _ in range(3):
        worked()
        later(hours=1)


@pytest.mark.parametrize(
    "look_up", ["list", *(pytest.param(one, marks=pytest.mark.slow) for one in ("page", "single"))]
)
def test_each_program_is_registered_once_by_its_books(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, look_up: str
) -> None:
    it = OtherRegister(dice=random.Random(look_up), trouble=0.6, look_up=look_up)
    with register(monkeypatch, it):
        asked = [desk.asked() for _ in range(PROGRAMS)]
        live_through(it)
        for one in asked:
            state = desk.process(one)
            if state["state"] == "needs_attention":  # sent five times, and never there
                assert state["error"]["type"] == "never-answered", state
                desk.decide(one, decision="send_again").raise_for_status()
        worked()
        found = [desk.shown(one) for one in asked]
    assert {one["status"] for one in found} == {"registered"}
    assert {one["program_code"]: one["siplatih_program_id"] for one in found} == it.numbers()
    assert set(it.times_by_code().values()) == {1}


@pytest.mark.parametrize("look_up", ["404", pytest.param("405", marks=pytest.mark.slow)])
def test_without_a_look_up_nothing_is_sent_twice_and_nothing_is_called_registered_that_is_not(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, look_up: str
) -> None:
    it = OtherRegister(dice=random.Random(look_up), trouble=0.6, look_up=look_up)
    with register(monkeypatch, it):
        asked = [desk.asked() for _ in range(PROGRAMS)]
        live_through(it)
        found = [(desk.shown(one), desk.process(one)["state"]) for one in asked]
    assert set(it.times_by_code().values()) <= {1}
    for one, state in found:
        if one["status"] == "registered":
            assert one["siplatih_program_id"] == it.numbers()[one["program_code"]]
        else:
            assert (one["status"], state) == ("unknown", "needs_attention")


def test_a_check_is_answered_in_the_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    it = OtherRegister(dice=random.Random(5), trouble=0.6)
    with register(monkeypatch, it):
        made = [check_asked(desk, question()) for _ in range(4)]
        for _ in range(ROUNDS):
            checked()
            later(hours=1)
        it.trouble = 0.0
        checked()
        assert [shown(desk, one)["verified"] for one in made] == [True] * 4
