"""The courier over real HTTP: each event arrives, in order for its payment, whoever is slow or killed."""

import logging
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from events_world import (
    Platform,
    Received,
    a_client,
    a_payment,
    a_while_later,
    emit,
    eventually,
    execute,
    in_order_of_payment,
    kept,
    set_endpoint,
    states,
)
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st
from nursery import Child, Nursery

from api import courier as courier_room
from api.courier import Courier
from records import platform_events
from records.db import TRUSTED_SECONDS, unit_of_work

PROCESS = Path(__file__).parent / "courier_process.py"
LIFE = ("payment.pending", "payment.paid", "payment.partially_refunded", "payment.refunded")


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again at the next look."""
    monkeypatch.setattr(platform_events, "PAUSES", ())
    monkeypatch.setattr(platform_events, "HOURLY", 0)
    monkeypatch.setattr(courier_room, "POLL", 0.05)


def delivered_all(ids: list[str]) -> bool:
    return set(states(ids)) == {"delivered"}


def all_of(by_payment: dict[str, list[str]]) -> list[str]:
    return [one for ids in by_payment.values() for one in ids]


def said_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "jembatan.courier"]


def test_an_event_arrives_signed_as_soon_as_it_is_written(
    client: UUID, platform: Platform, courier: Courier
) -> None:
    payment = a_payment()
    (event_id,) = emit(client, payment, "payment.paid")
    eventually(lambda: delivered_all([event_id]))
    (received,) = platform.received
    assert (received.id, received.type) == (event_id, "payment.paid")
    assert received.data == {"payment_id": str(payment)}
    assert received.path == "/events?token=not-for-logs"
    event = kept(event_id)
    assert event.delivered_at is not None
    assert (event.attempts, event.problem) == (1, None)


def test_a_notification_wakes_the_courier_at_once(
    client: UUID, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_room, "POLL", 600.0)
    working = Courier()
    working.start()
    try:
        eventually(lambda: "LISTEN platform_events" in sessions())
        time.sleep(0.5)  # its first look is over
        ids = emit(client, a_payment(), *LIFE)
        eventually(lambda: delivered_all(ids))
    finally:
        working.stop()


def test_a_pending_charge_wakes_nobody_and_its_event_arrives_all_the_same(
    client: UUID, platform: Platform, database: str, courier: Courier
) -> None:
    """Transactions that notify commit one after the other: charges would wait for each other's disk."""
    with psycopg.connect(database, autocommit=True) as listening:
        listening.execute("LISTEN platform_events")
        (pending,) = emit(client, a_payment(), "payment.pending")
        eventually(lambda: delivered_all([pending]))
        assert list(listening.notifies(timeout=0.2)) == []
        emit(client, a_payment(), "payment.paid")
        assert list(listening.notifies(timeout=5, stop_after=1)) != []


def sessions() -> list[str]:
    """The last statement of every session on this test's database."""
    with unit_of_work() as session:
        query = "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
        return list(session.scalars(sa.text(query)))


def test_the_events_of_a_payment_arrive_in_order_though_some_fail(
    client: UUID, platform: Platform, without_pauses: None, courier: Courier
) -> None:
    platform.reply = lambda one: 500 if one.attempt <= (2 if one.type == "payment.paid" else 1) else 200
    payments = [a_payment() for _ in range(5)]
    ids = {str(payment): emit(client, payment, *LIFE) for payment in payments}
    eventually(lambda: delivered_all(all_of(ids)))
    assert in_order_of_payment(platform.received) == ids
    assert in_order_of_payment(platform.taken) == ids


def test_a_payment_whose_event_is_refused_holds_up_no_other_payment(
    client: UUID, platform: Platform, courier: Courier
) -> None:
    stuck, other = a_payment(), a_payment()
    platform.reply = lambda one: 500 if one.data["payment_id"] == str(stuck) else 200
    held = emit(client, stuck, *LIFE)
    passed = emit(client, other, *LIFE)
    eventually(lambda: delivered_all(passed))
    assert states(held) == ["waiting"] * 4
    assert {one.id for one in platform.received} - set(passed) == {held[0]}
    assert (kept(held[0]).problem, kept(held[1]).attempts) == ("answered 500", 0)


def test_a_client_whose_endpoint_hangs_holds_up_nobody_else(
    client: UUID, platform: Platform, courier: Courier
) -> None:
    let_go = threading.Event()
    platform.reply = lambda _one: 200 if let_go.wait(60) else 500
    slow = [emit(client, a_payment(), "payment.paid")[0] for _ in range(8)]
    eventually(lambda: platform.at_work == courier_room.LANES)
    with Platform() as quick:
        other = a_client("other", quick)
        ids = [emit(other, a_payment(), "payment.paid")[0] for _ in range(20)]
        eventually(lambda: delivered_all(ids))
    assert not set(states(slow)) - {"waiting"}
    assert platform.most_at_work == courier_room.LANES
    let_go.set()
    eventually(lambda: delivered_all(slow))


def test_all_lanes_together_are_bounded(
    database: str, platform: Platform, monkeypatch: pytest.MonkeyPatch, courier: Courier
) -> None:
    monkeypatch.setattr(courier_room, "MOST_LANES", 6)
    let_go = threading.Event()
    platform.reply = lambda _one: 200 if let_go.wait(60) else 500
    clients = [a_client(name, platform) for name in ("a", "b", "c")]
    platform.secrets = []  # one receiver for three clients: here it does not verify
    ids = [emit(client, a_payment(), "payment.paid")[0] for client in clients for _ in range(4)]
    eventually(lambda: platform.at_work == 6)
    let_go.set()
    eventually(lambda: delivered_all(ids))
    assert platform.most_at_work == 6


def test_a_client_that_always_has_more_gives_way_to_others(
    client: UUID, platform: Platform, monkeypatch: pytest.MonkeyPatch, courier: Courier
) -> None:
    monkeypatch.setattr(courier_room, "MOST_LANES", 1)
    monkeypatch.setattr(courier_room, "TURN", 2)
    has_enough = threading.Event()

    def one_more(_one: Received) -> int:
        if not has_enough.is_set():
            emit(client, a_payment(), "payment.paid")
        return 200

    platform.reply = one_more
    emit(client, a_payment(), "payment.paid")
    eventually(lambda: len(platform.taken) > 4)
    with Platform() as other:
        ids = emit(a_client("other", other), a_payment(), "payment.paid")
        eventually(lambda: delivered_all(ids))
    has_enough.set()


def test_clients_whose_endpoints_are_slow_hold_up_nobody_else_with_all_lanes_theirs(
    database: str, platform: Platform, monkeypatch: pytest.MonkeyPatch, courier: Courier
) -> None:
    """Slow is not down: who takes its time, and then takes or refuses the event, gets the next one."""
    monkeypatch.setattr(courier_room, "MOST_LANES", 2)
    monkeypatch.setattr(courier_room, "TURN_SECONDS", 0.1)
    is_over = threading.Event()
    payments: dict[str, list[UUID]] = {name: [a_payment() for _ in range(50)] for name in ("slow", "slower")}
    taken = set(map(str, payments["slow"]))

    def slow(one: Received) -> int:
        is_over.wait(0.2)
        return 200 if one.data["payment_id"] in taken else 500

    platform.reply = slow
    ids = {name: a_client(name, platform) for name in payments}
    platform.secrets = []  # one receiver for two clients: here it does not verify
    for name, some in payments.items():
        for payment in some:
            emit(ids[name], payment, "payment.paid")
    eventually(lambda: platform.at_work == 2)
    with Platform() as quick:
        quickly = emit(a_client("quick", quick), a_payment(), "payment.paid")
        before = len(platform.received)
        eventually(lambda: delivered_all(quickly))
    assert len(platform.received) - before < 20, "they had all their events first"
    is_over.set()


def test_two_couriers_share_the_work_and_send_nothing_twice(
    client: UUID, platform: Platform, courier: Courier
) -> None:
    second = Courier()
    second.start()
    try:
        ids = {str(one): emit(client, one, *LIFE) for one in [a_payment() for _ in range(15)]}
        eventually(lambda: delivered_all(all_of(ids)))
    finally:
        second.stop()
    assert Counter(one.id for one in platform.received) == Counter(all_of(ids))
    assert in_order_of_payment(platform.received) == ids


def test_an_endpoint_that_is_down_gets_single_tries_and_everything_once_it_is_back(
    client: UUID, platform: Platform, without_pauses: None, caplog: pytest.LogCaptureFixture, courier: Courier
) -> None:
    caplog.set_level(logging.INFO)
    is_down = threading.Event()
    is_down.set()

    def down(_one: Received) -> int:
        time.sleep(0.05)  # else two at a time might be missed
        return 503 if is_down.is_set() else 200

    platform.reply = down
    ids = [emit(client, a_payment(), "payment.paid")[0] for _ in range(10)]
    eventually(lambda: len(platform.received) >= 8)
    busiest = platform.most_at_work
    platform.most_at_work = 0
    eventually(lambda: len(platform.received) >= 12)
    assert (busiest <= courier_room.LANES, platform.most_at_work) == (True, 1)
    is_down.clear()
    eventually(lambda: delivered_all(ids))
    assert said_of(caplog) == [
        "the endpoint of platform answered 503; its events wait and are tried again",
        "the endpoint of platform answers again",
    ]


def test_an_endpoint_that_asks_for_rest_gets_it(
    client: UUID, platform: Platform, without_pauses: None, courier: Courier
) -> None:
    platform.reply = lambda _one: (429, {"Retry-After": "3000"})
    (first,) = emit(client, a_payment(), "payment.paid")
    eventually(lambda: kept(first).problem == "answered 429")
    assert (kept(first).due_at - kept(first).created_at).total_seconds() >= 3000
    (second,) = emit(client, a_payment(), "payment.paid")
    time.sleep(0.5)  # ten looks
    assert kept(second).attempts == 0
    assert courier._room(platform_events.DueClient(client, "platform", 4)) == 0


def test_what_is_refused_is_said_once_and_once_more_when_it_is_taken(
    client: UUID, platform: Platform, without_pauses: None, caplog: pytest.LogCaptureFixture, courier: Courier
) -> None:
    caplog.set_level(logging.INFO)
    platform.reply = lambda one: 400 if one.attempt < 4 else 200
    ids = emit(client, a_payment(), "payment.paid")
    eventually(lambda: len(said_of(caplog)) > 1)  # said once the delivery is written down
    assert delivered_all(ids)
    assert said_of(caplog) == [
        f"the endpoint of platform answered 400 to payment.paid {ids[0]}; what it refuses is tried again",
        "the endpoint of platform takes what it had refused",
    ]


def test_what_is_given_up_is_said_each_time(
    client: UUID, platform: Platform, caplog: pytest.LogCaptureFixture, courier: Courier
) -> None:
    platform.reply = lambda one: 410 if one.type == "payment.pending" else 200
    first, second = emit(client, a_payment(), "payment.pending", "payment.paid")
    eventually(lambda: states([first, second]) == ["given_up", "delivered"])
    assert kept(first).problem == "gone"
    assert said_of(caplog) == [
        f"payment.pending {first} for platform is given up after 1 attempts: the endpoint wants no more"
    ]


def test_neither_address_nor_secret_is_logged(
    client: UUID, platform: Platform, caplog: pytest.LogCaptureFixture, courier: Courier
) -> None:
    caplog.set_level(logging.DEBUG)
    platform.reply = lambda _one: 503
    emit(client, a_payment(), "payment.paid")
    eventually(lambda: said_of(caplog))
    for private in ("not-for-logs", platform.secrets[0], platform.secrets[0].removeprefix("whsec_")):
        assert private not in caplog.text


def test_events_go_once_an_endpoint_is_set(
    database: str, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_room, "POLL", 0.05)
    client = a_client("later")
    ids = emit(client, a_payment(), *LIFE)
    working = Courier()
    working.start()
    try:
        time.sleep(0.3)
        assert states(ids) == ["waiting"] * 4
        set_endpoint("later", platform)
        eventually(lambda: delivered_all(ids))
    finally:
        working.stop()
    assert [one.type for one in platform.received] == list(LIFE)


def test_events_of_a_client_without_an_endpoint_are_given_up_in_time(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    ids = emit(a_client("never"), a_payment(), "payment.pending", "payment.paid")
    a_while_later("73 hours")
    Courier().look()
    assert states(ids) == ["given_up"] * 2
    assert said_of(caplog) == ["2 events of clients without an endpoint are given up"]


def test_secrets_that_no_key_opens_are_trouble_of_that_client_alone(
    client: UUID, platform: Platform, caplog: pytest.LogCaptureFixture, courier: Courier
) -> None:
    broken = a_client("broken", platform)
    set_endpoint("platform", platform)
    execute("UPDATE clients SET endpoint_secrets = 'x' WHERE id = %s", broken)
    (held,) = emit(broken, a_payment(), "payment.paid")
    eventually(lambda: kept(held).problem)
    ids = emit(client, a_payment(), "payment.paid")
    eventually(lambda: delivered_all(ids))
    assert states([held]) == ["waiting"]
    assert kept(held).problem == "has signing secrets that no key of JEMBATAN_ENCRYPTION_KEYS opens"


def test_a_redelivered_event_arrives_again_at_once_with_its_id_and_body(
    client: UUID, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_room, "POLL", 600.0)
    (event_id,) = emit(client, a_payment(), "payment.paid")
    working = Courier()
    working.start()
    try:
        eventually(lambda: delivered_all([event_id]) and not working.is_delivering())
        time.sleep(0.5)  # the look after the last lane is over
        with unit_of_work() as session:
            assert platform_events.redeliver(session, platform_events.row_id(event_id)) == 1
        eventually(lambda: len(platform.taken) == 2 and delivered_all([event_id]))
    finally:
        working.stop()
    first, again = platform.taken
    assert (again.id, again.body) == (first.id, first.body)


def test_a_courier_stops_within_a_moment_though_an_endpoint_hangs(
    client: UUID, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_room, "STOPS_WITHIN", 0.3)
    let_go = threading.Event()
    platform.reply = lambda _one: 200 if let_go.wait(60) else 500
    working = Courier()
    working.start()
    ids = emit(client, a_payment(), "payment.paid")
    eventually(lambda: platform.at_work)
    working.stop()
    assert working.is_delivering(), "the attempt goes on, and does not keep the process"
    assert not any(one.name == "courier" for one in threading.enumerate())
    assert all(one.daemon for one in threading.enumerate() if one.name == "courier lane")
    let_go.set()
    eventually(lambda: not working.is_delivering())
    assert delivered_all(ids)


def test_the_courier_outlives_the_database(
    client: UUID, platform: Platform, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(courier_room, "POLL", 0.1)
    working = Courier()
    working.start()
    try:
        eventually(lambda: "LISTEN platform_events" in sessions())
        execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()"
        )
        eventually(lambda: "the database does not answer" in caplog.text)
        time.sleep(TRUSTED_SECONDS)  # else our own connection is not asked whether it lives
        ids = emit(client, a_payment(), *LIFE)
        eventually(lambda: delivered_all(ids))
    finally:
        working.stop()


def test_the_courier_works_as_long_as_the_api_does(client: UUID, platform: Platform) -> None:
    import uvicorn

    from api.app import app

    running = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    try:
        ids = emit(client, a_payment(), *LIFE)
        eventually(lambda: delivered_all(ids))
    finally:
        running.should_exit = True
        thread.join(60)
    assert not [one for one in threading.enumerate() if one.name.startswith("courier")]


ACourierProcess = Callable[..., Child]


@pytest.fixture
def a_courier_process(database: str, nursery: Callable[[Path], Nursery]) -> ACourierProcess:
    """Begins a process of a courier that dies at its N-th call (0: never)."""
    return lambda deadly=0: nursery(PROCESS).begin(deadly, PGAPPNAME="courier process")


def the_lease_of_the_dead_ends() -> None:
    """What they sent last may still be at work in the database; after that, a minute passes."""
    alive = sa.text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'courier process'")

    def are_gone() -> bool:
        with unit_of_work() as session:
            return not session.scalar(alive)

    eventually(are_gone)
    a_while_later("61 seconds")


def test_a_courier_killed_between_the_request_and_its_commit_repeats_the_same_event(
    client: UUID, platform: Platform, a_courier_process: ACourierProcess
) -> None:
    killed = threading.Event()

    def kill(one: Received) -> int:
        if one.attempt == 1 and one.type == "payment.pending":
            doomed.kill()
            doomed.wait()
            killed.set()
        return 200

    platform.reply = kill
    ids = emit(client, a_payment(), "payment.pending", "payment.paid")
    doomed = a_courier_process()
    assert killed.wait(60)
    assert states(ids) == ["waiting"] * 2, "it has arrived, and nobody noted it"
    the_lease_of_the_dead_ends()
    survivor = a_courier_process()
    assert survivor.wait() == 0
    assert [one.id for one in platform.received] == [ids[0], ids[0], ids[1]]
    first, again, _ = platform.received
    assert first.body == again.body
    assert delivered_all(ids)


def kill_and_deliver(
    client: UUID, platform: Platform, a_courier_process: ACourierProcess, points: list[float]
) -> None:
    """A courier killed at each of these points of its work, and another one that ends it: nothing is lost."""

    def some_events() -> dict[str, list[str]]:
        return {str(one): emit(client, one, *LIFE[:2]) for one in (a_payment(), a_payment())}

    some_events()
    whole = a_courier_process()
    assert whole.wait() == 0, whole.complained
    calls = int(whole.said)
    for point in points:
        platform.received.clear()
        platform.taken.clear()
        ids = some_events()
        deadly = max(1, int(calls * point))
        doomed = a_courier_process(deadly)
        assert doomed.wait() in (-signal.SIGKILL, 0)
        the_lease_of_the_dead_ends()
        assert a_courier_process().wait() == 0
        assert delivered_all(all_of(ids)), f"killed at call {deadly} of {calls}"
        assert in_order_of_payment(platform.taken) == ids
        bodies = {(one.id, one.body) for one in platform.received}
        assert len(bodies) == 4, "a repeat has the same body"


def test_a_courier_killed_in_the_middle_loses_nothing(
    client: UUID, platform: Platform, a_courier_process: ACourierProcess
) -> None:
    kill_and_deliver(client, platform, a_courier_process, [0.35, 0.6])


@pytest.mark.slow
def test_a_courier_killed_anywhere_loses_nothing(
    client: UUID, platform: Platform, a_courier_process: ACourierProcess
) -> None:
    kill_and_deliver(client, platform, a_courier_process, [number / 40 for number in range(1, 40)])


@tries(
    max_examples=6,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_however_attempts_fail_each_payment_s_order_holds(
    client: UUID, platform: Platform, without_pauses: None, data: Any
) -> None:
    """Many payments' events in any mixture, two couriers, and an endpoint of any mood."""
    payments = [a_payment() for _ in range(data.draw(st.integers(1, 6), "payments"))]
    mixture = data.draw(st.lists(st.sampled_from(payments), min_size=1, max_size=20), "mixture")
    moods = data.draw(st.lists(st.sampled_from([200, 200, 400, 500, 503, 410]), min_size=1), "moods")
    platform.received.clear()
    platform.taken.clear()
    turns = iter(range(10**6))

    def moody(one: Received) -> int:
        return 200 if one.attempt > 3 else moods[next(turns) % len(moods)]

    platform.reply = moody
    expected: dict[str, list[str]] = {}
    for payment in mixture:
        expected.setdefault(str(payment), []).extend(emit(client, payment, "payment.paid"))
    couriers = [Courier(), Courier()]
    for one in couriers:
        one.start()
    try:
        ids = all_of(expected)
        eventually(lambda: "waiting" not in states(ids))
    finally:
        for one in couriers:
            one.stop()
    assert in_order_of_payment(platform.received) == expected
    for received in expected.values():
        attempts = [one.id for one in platform.received if one.id in received]
        assert attempts == sorted(attempts, key=received.index), "none is tried before the one ahead is done"
