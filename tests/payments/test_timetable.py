"""When a gateway is asked: held against the promise that a lost notification is healed in two minutes."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.timetable import ARRIVAL_GRACE, next_question

BORN = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
SWEEP_EACH = timedelta(minutes=1)


def asked_at(lives: timedelta, first_after: timedelta, until: timedelta) -> list[timedelta]:
    """Ages at which a payment that stays open is asked about, by a sweep that comes once a minute."""
    due, asked = next_question(BORN, BORN, BORN + lives, first_after), []
    age = timedelta(seconds=7)
    while age < until:
        now = BORN + age
        if now + timedelta(seconds=10) >= due:
            asked.append(age)
            due = next_question(now, BORN, BORN + lives, first_after)
        age += SWEEP_EACH
    return asked


@pytest.mark.parametrize("lives", [65, 900, 3600, 7200])
def test_while_a_payer_may_pay_every_sweep_asks(lives: int) -> None:
    asked = asked_at(timedelta(seconds=lives), timedelta(0), timedelta(seconds=lives))
    gaps = [later - sooner for sooner, later in itertools.pairwise(asked)]
    assert all(gap <= SWEEP_EACH for gap in gaps)
    assert asked[0] <= 2 * SWEEP_EACH


def test_a_gateway_that_wants_to_be_left_alone_is() -> None:
    assert next_question(BORN, BORN, BORN + timedelta(hours=1), timedelta(seconds=60)) == BORN + timedelta(
        seconds=60
    )


def test_beyond_its_end_a_payment_is_asked_about_ever_more_seldom() -> None:
    asked = [
        age
        for age in asked_at(timedelta(minutes=15), timedelta(0), timedelta(days=1))
        if age > timedelta(minutes=20)
    ]
    gaps = [later - sooner for sooner, later in itertools.pairwise(asked)]
    assert len(asked) < 60
    assert gaps == sorted(gaps)
    assert gaps[-1] == timedelta(hours=1)


@given(
    st.integers(0, 10**6).map(lambda s: timedelta(seconds=s)),
    st.integers(20, 604_800).map(lambda s: timedelta(seconds=s)),
    st.integers(0, 120).map(lambda s: timedelta(seconds=s)),
)
def test_the_next_question_is_always_ahead(age: timedelta, lives: timedelta, first: timedelta) -> None:
    now = BORN + age
    at = next_question(now, BORN, BORN + lives, first)
    assert at > now or at == BORN + first
    assert at - now <= max(timedelta(hours=1), ARRIVAL_GRACE, first)
