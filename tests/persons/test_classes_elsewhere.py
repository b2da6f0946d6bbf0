"""Classes at a register that we did not write: by its own books nobody twice, whatever it answers."""

import random

import pytest
from class_room import ClassRoom, later, nik, people, program_registered, rows, run_of, worked
from counterpart import counterpart
from other_register import OtherRegister

from common.settings import settings

CLASS, ROUNDS = 20, 40


@pytest.mark.parametrize("knows", [False, True])
def test_everybody_is_on_its_books_once_and_accepted_only_who_is(
    room: ClassRoom, monkeypatch: pytest.MonkeyPatch, knows: bool
) -> None:
    it = OtherRegister(dice=random.Random(str(knows)), knows_people=knows)
    with counterpart(it):
        monkeypatch.setenv("JEMBATAN_SIPLATIH__BASE_URL", f"{it.url}/v2")
        monkeypatch.setenv("JEMBATAN_SIPLATIH__KNOWS_REPEATS", str(knows).lower())
        monkeypatch.setenv("JEMBATAN_SIPLATIH__CHUNK_SIZE", "4")
        settings.cache_clear()
        taken = room.asked(program_registered(), people(CLASS))
        it.trouble = 0.6
        for _ in range(ROUNDS):
            worked()
            later(1)
        it.trouble = 0.0
        for _ in range(3):
            worked()
            later(1)
    times = it.times_by_nik()
    assert set(times.values()) == {1}
    states = {nik(number): one.state for number, one in enumerate(rows(taken["report_id"]))}
    assert {number for number, state in states.items() if state == "accepted"} <= times.keys()
    assert not {number for number, state in states.items() if state == "rejected"} & times.keys()
    if knows:
        assert run_of(taken).state == "succeeded"
        assert times.keys() == states.keys()
    else:
        assert set(states.values()) == {"accepted", "unknown"}
        error = run_of(taken).error
        assert error is not None
        assert "Ask the ministry" in error["message"]
