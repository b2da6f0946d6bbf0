"""The states of a payment as a machine: whatever comes in whatever order, it never goes backwards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.payment import ENDS_UNPAID, MOVES, PAID, PAYMENT_STATUSES, route

STATES = sorted(PAYMENT_STATUSES)
# How far a payment has come; the written chart, not read off the code under test.
RANK = {
    "created": 0,
    "unknown": 0,
    "pending": 1,
    "expired": 2,
    "cancelled": 2,
    "denied": 2,
    "paid": 3,
    "partially_refunded": 4,
    "refunded": 5,
    "reversed": 5,
}


@given(st.sampled_from(STATES), st.lists(st.tuples(st.sampled_from(STATES), st.booleans())))
def test_no_sequence_of_claims_moves_a_payment_backwards(start: str, claims: list[tuple[str, bool]]) -> None:
    state = start
    for claimed, is_confirmed in claims:
        for step in route(state, claimed, is_confirmed=is_confirmed):
            assert RANK[step] >= RANK[state]
            assert step != state
            state = step


@given(st.permutations(["pending", "paid", "partially_refunded", "refunded"]))
def test_a_payment_that_went_back_ends_refunded_whatever_came_first(claims: list[str]) -> None:
    state, seen = "pending", []
    for claimed in claims:
        for step in route(state, claimed):
            seen.append(step)
            state = step
    assert state == "refunded"
    assert seen[0] == "paid"


@pytest.mark.parametrize("end", sorted(ENDS_UNPAID))
def test_what_ended_unpaid_is_paid_only_by_the_gateways_own_answer(end: str) -> None:
    assert route(end, "paid") == ()
    assert route(end, "paid", is_confirmed=True) == ("paid",)
    assert route(end, "pending", is_confirmed=True) == ()


@pytest.mark.parametrize("state", sorted(PAID | {"reversed"}))
def test_a_late_message_changes_nothing_of_what_was_paid(state: str) -> None:
    for late in ("created", "pending", "expired", "cancelled", "denied", "unknown"):
        assert route(state, late) == route(state, late, is_confirmed=True) == ()


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == PAYMENT_STATUSES
