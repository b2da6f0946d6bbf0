"""Events as they are kept: with the change they tell of, in order, by lease, for 72 hours."""

import threading
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from events_world import (
    Platform,
    a_client,
    a_payment,
    a_while_later,
    claim,
    emit,
    eventually,
    execute,
    kept,
    set_endpoint,
    settle,
    states,
)
from sqlalchemy.exc import NoResultFound

from common import clock
from common.errors import BadInput
from records import client as clients
from records import platform_events
from records.db import unit_of_work
from records.platform_events import Claimed, PlatformEvent


def claimed(client: UUID) -> Claimed:
    found = claim(client)
    assert found is not None
    return found


def fail(event: Claimed, retry_after: float = 0.0) -> str | None:
    return settle(platform_events.failed, event, "answered 500", dice=0.0, retry_after=retry_after)


def waits_after(event: Claimed, retry_after: float = 0.0) -> timedelta:
    """Fail the event; the pause to its next attempt, exactly: a transaction has one time."""
    with unit_of_work() as session:
        platform_events.failed(session, event, "answered 500", dice=0.0, retry_after=retry_after)
        due_in = sa.select(PlatformEvent.due_at - sa.func.now()).where(PlatformEvent.id == event.id)
        found: timedelta = session.scalars(due_in).one()
    return found


def somebody_waits_for_a_lock() -> bool:
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with unit_of_work() as session:
        return bool(session.scalar(sa.text(query)))


def test_an_event_is_kept_with_the_change_it_tells_of_or_not_at_all(client: UUID) -> None:
    payment = a_payment()
    with unit_of_work() as session:
        platform_events.emit(session, client, payment, "payment.paid", {})
        session.rollback()
    assert claim(client) is None
    (event_id,) = emit(client, payment, "payment.paid")
    assert claimed(client).event_id == event_id


def test_an_event_of_no_payment_is_an_error(client: UUID) -> None:
    with pytest.raises(NoResultFound), unit_of_work() as session:
        platform_events.emit(session, client, uuid4(), "payment.paid", {})


def test_the_body_is_the_same_text_at_every_attempt(client: UUID) -> None:
    payment = a_payment()
    with unit_of_work() as session:
        platform_events.emit(
            session, client, payment, "payment.paid", {"b": "é", "a": [1, None], "amount": 150000}
        )
    first = claimed(client)
    assert first.content.startswith('{"type":"payment.paid","timestamp":"2')
    assert '"é"' in first.content
    a_while_later("2 minutes")
    again = claimed(client)
    assert (again.event_id, again.content, again.attempts) == (first.event_id, first.content, 2)


def test_of_two_transactions_on_one_payment_the_later_event_waits_for_the_earlier_one(client: UUID) -> None:
    """Else it could be committed, and delivered, first."""
    payment = a_payment()
    with unit_of_work() as session:
        platform_events.emit(session, client, payment, "payment.pending", {})
        other = threading.Thread(target=emit, args=(client, payment, "payment.paid"))
        other.start()
        eventually(somebody_waits_for_a_lock)
        assert claim(client) is None
    other.join()
    assert claimed(client).type == "payment.pending"
    assert claim(client) is None


def test_an_event_goes_only_when_no_earlier_one_of_its_payment_waits(client: UUID) -> None:
    first, second = emit(client, a_payment(), "payment.pending", "payment.paid")
    (other,) = emit(client, a_payment(), "payment.pending")
    held = claimed(client)
    assert held.event_id == first
    assert claimed(client).event_id == other
    assert claim(client) is None
    settle(platform_events.delivered, held)
    assert claimed(client).event_id == second


def test_what_waits_behind_a_failed_event_follows_it_at_once(client: UUID) -> None:
    first, second = emit(client, a_payment(), "payment.pending", "payment.paid")
    for _ in range(3):
        assert fail(claimed(client)) == "waiting"
        assert claim(client) is None
        a_while_later("1 hour")
    settle(platform_events.delivered, claimed(client))
    assert claimed(client).event_id == second
    assert states([first, second]) == ["delivered", "waiting"]


def test_a_lease_keeps_others_away_until_it_ends(client: UUID) -> None:
    (event_id,) = emit(client, a_payment(), "payment.paid")
    lost = claimed(client)
    assert claim(client) is None
    a_while_later("61 seconds")
    held = claimed(client)
    assert held.event_id == lost.event_id == event_id
    assert settle(platform_events.delivered, lost) is None
    assert fail(lost) is None
    assert states([event_id]) == ["waiting"]
    assert settle(platform_events.delivered, held) == "delivered"


def test_many_claim_at_once_and_each_gets_another_event(client: UUID) -> None:
    expected = {emit(client, a_payment(), "payment.paid")[0] for _ in range(12)}
    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.append(claimed(client).event_id)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(got) == expected
    assert len(got) == 12


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(1, 5), (2, 30), (3, 120), (4, 600), (5, 1800), (6, 3600), (7, 3600), (80, 3600)],
)
def test_the_pause_grows_to_an_hour(attempts: int, seconds: int) -> None:
    assert platform_events.pause(attempts, 0.0) == timedelta(seconds=seconds)
    assert platform_events.pause(attempts, 1.0) == timedelta(seconds=seconds * 1.2)
    assert platform_events.pause(attempts, 0.5) == timedelta(seconds=seconds * 1.1)


def test_the_pause_of_each_attempt_is_kept(client: UUID) -> None:
    emit(client, a_payment(), "payment.paid")
    for expected in (5, 30, 120, 600, 1800, 3600, 3600):
        assert waits_after(claimed(client)) == timedelta(seconds=expected)
        a_while_later("1 hour")


@pytest.mark.parametrize(("asked", "waits"), [(90.0, 90), (1.0, 5), (10.0**9, 86_400)])
def test_an_endpoint_may_ask_for_a_longer_pause_of_up_to_a_day(
    client: UUID, asked: float, waits: int
) -> None:
    emit(client, a_payment(), "payment.paid")
    assert waits_after(claimed(client), retry_after=asked) == timedelta(seconds=waits)


def test_the_last_attempt_is_made_after_72_hours_and_then_the_event_is_given_up(client: UUID) -> None:
    first, second = emit(client, a_payment(), "payment.pending", "payment.paid")
    lifetime = kept(first).give_up_at - kept(first).created_at
    assert lifetime == platform_events.TRIED_FOR == timedelta(hours=72)
    execute("UPDATE platform_events SET attempts = 70 WHERE type = 'payment.pending'")
    a_while_later("71 hours 50 minutes")
    assert fail(claimed(client), retry_after=86_400) == "waiting"
    assert kept(first).due_at == kept(first).give_up_at
    a_while_later("10 minutes")
    assert fail(claimed(client)) == "given_up"
    assert (kept(first).state, kept(first).problem) == ("given_up", "answered 500")
    follower = claimed(client)
    assert follower.event_id == second, "later events of the payment go on, each with a try at least"
    assert fail(follower) == "given_up"


def test_events_of_a_client_without_an_endpoint_wait_untried_and_go_when_it_has_one(
    database: str, platform: Platform
) -> None:
    client = a_client("later")
    (event_id,) = emit(client, a_payment(), "payment.paid")
    a_while_later("71 hours")
    assert claim(client) is None
    with unit_of_work() as session:
        assert platform_events.give_up_unserved(session) == 0
    set_endpoint("later", platform)
    assert claimed(client).event_id == event_id
    assert kept(event_id).attempts == 1


def test_events_of_a_client_without_an_endpoint_are_given_up_after_72_hours(database: str) -> None:
    client = a_client("never")
    (event_id,) = emit(client, a_payment(), "payment.paid")
    a_while_later("72 hours 1 second")
    with unit_of_work() as session:
        assert platform_events.give_up_unserved(session) == 1
    event = kept(event_id)
    assert (event.state, event.problem, event.attempts) == ("given_up", "no endpoint", 0)


def test_a_revoked_client_is_sent_nothing(client: UUID) -> None:
    emit(client, a_payment(), "payment.paid")
    with unit_of_work() as session:
        clients.revoke(session, clients.named(session, "platform"))
    assert claim(client) is None
    with unit_of_work() as session:
        assert platform_events.clients_due(session, 4) == []


def test_an_endpoint_that_is_gone_gets_no_more_of_that_event(client: UUID) -> None:
    first, second = emit(client, a_payment(), "payment.pending", "payment.paid")
    assert settle(platform_events.refused_for_good, claimed(client), "gone") == "given_up"
    assert (kept(first).state, kept(first).problem) == ("given_up", "gone")
    assert claimed(client).event_id == second


def test_clients_due_counts_what_can_be_delivered_now(client: UUID, platform: Platform) -> None:
    other = a_client("other", platform)
    emit(client, a_payment(), "payment.pending", "payment.paid")
    for _ in range(6):
        emit(other, a_payment(), "payment.pending")
    with unit_of_work() as session:
        found = {one.name: one.events for one in platform_events.clients_due(session, 4)}
    assert found == {"platform": 1, "other": 4}


def test_a_redelivered_event_goes_again_with_the_same_id_and_72_more_hours(client: UUID) -> None:
    (event_id,) = emit(client, a_payment(), "payment.paid")
    first = claimed(client)
    settle(platform_events.delivered, first)
    a_while_later("100 hours")
    with unit_of_work() as session:
        assert platform_events.redeliver(session, first.id) == 1
    again = claimed(client)
    assert (again.event_id, again.content, again.attempts) == (event_id, first.content, 1)
    assert fail(again) == "waiting"
    assert kept(event_id).give_up_at - clock.now() > timedelta(hours=71)


def test_all_events_of_a_client_since_a_time_go_again_in_their_order(
    client: UUID, platform: Platform
) -> None:
    other = a_client("other", platform)
    payment = a_payment()
    (old,) = emit(client, payment, "payment.pending")
    settle(platform_events.delivered, claimed(client))
    a_while_later("2 hours")
    paid, refunded = emit(client, payment, "payment.paid", "payment.refunded")
    (others,) = emit(other, a_payment(), "payment.paid")
    for of in (client, client, other):
        settle(platform_events.delivered, claimed(of))
    with unit_of_work() as session:
        assert platform_events.redeliver_since(session, client, clock.now() - timedelta(hours=1)) == 2
    assert states([old, paid, refunded, others]) == ["delivered", "waiting", "waiting", "delivered"]
    assert claimed(client).event_id == paid
    assert claim(client) is None


@pytest.mark.parametrize("text", ["evt_", "evt_zz", "", "nonsense", "evt_01a2"])
def test_an_id_that_is_none_is_told(text: str) -> None:
    with pytest.raises(BadInput, match="is no event id"):
        platform_events.row_id(text)


def test_what_has_not_arrived_is_counted_by_client_and_state(client: UUID, platform: Platform) -> None:
    other = a_client("other", platform)
    emit(client, a_payment(), "payment.pending", "payment.paid", "payment.refunded")
    emit(other, a_payment(), "payment.pending")
    settle(platform_events.delivered, claimed(client))
    settle(platform_events.refused_for_good, claimed(client), "gone")
    with unit_of_work() as session:
        assert platform_events.undelivered(session) == [
            ("other", "waiting", 1),
            ("platform", "given_up", 1),
            ("platform", "waiting", 1),
        ]
