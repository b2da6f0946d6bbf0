"""The inbox and its desks outlive whatever their database does to them, and leave it in peace."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from till import Till, wait_until

from api import desk, intake
from checkout import inbox
from common.settings import GATEWAYS
from records.db import engine, unit_of_work
from records.notification import Notification


def paid_quietly(till: Till) -> dict[str, Any]:
    """A payment that is paid at GoPay, which has told nobody."""
    till.quiet("gopay")
    made = till.create("gopay")
    till.act(made, "pay", notify=False)
    return made


@contextmanager
def no_connection_left(database: str) -> Iterator[None]:
    """All connections of the pool are in use, and nobody waits long for one."""
    engine(database).pool._timeout = 1  # type: ignore[attr-defined]
    held = [engine(database).connect() for _ in range(engine(database).pool.size())]  # type: ignore[attr-defined]
    yield
    for one in held:
        one.close()


@contextmanager
def table_away(database: str) -> Iterator[None]:
    """No look at the inbox succeeds."""
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("ALTER TABLE notifications RENAME TO away")
        yield
        db.execute("ALTER TABLE away RENAME TO notifications")


@pytest.mark.parametrize("trouble", [no_connection_left, table_away])
def test_a_desk_whose_look_failed_looks_again(
    till: Till,
    database: str,
    caplog: pytest.LogCaptureFixture,
    trouble: Callable[[str], AbstractContextManager[None]],
) -> None:
    made = paid_quietly(till)
    message = till.signed(made)
    with trouble(database):
        wait_until(
            lambda: (
                {one.threadName for one in caplog.records if "the inbox cannot" in one.message}
                == {f"desk-{gateway}" for gateway in GATEWAYS}
            ),
            "all desks to fail",
        )
    assert till.deliver(message).status_code == 200
    till.becomes(made, "paid")


def test_a_desk_does_not_ask_in_a_loop_for_what_another_process_works(
    till: Till, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "POLL", 2.0)  # as in life; the tests' own would be five looks a second
    made = paid_quietly(till)
    message = till.signed(made)
    tries = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "pg_try_advisory_lock" in statement:
            tries.append(statement)

    with inbox._alone("gopay", made["reference"]) as is_ours:  # as another process has it
        assert is_ours
        sa.event.listen(engine(database), "before_cursor_execute", note)
        assert till.deliver(message).status_code == 200
        wait_until(lambda: tries, "the desk")
        threading.Event().wait(1)
        assert len(tries) <= 3
    till.becomes(made, "paid")


def test_a_steady_stream_of_what_is_known_is_never_worked_one_by_one(database: str) -> None:
    """Each second of a busy day brings messages that their charges are pending, which the answers said."""
    with psycopg.connect(database, autocommit=True) as db:
        db.execute(
            """INSERT INTO payments (reference, gateway, amount_minor, currency, status, created_at)
            VALUES ('T-1', 'gopay', 15000000, 'IDR', 'pending', now())"""
        )
        db.execute(
            """INSERT INTO notifications (gateway, event, reference, claimed, word, amount_minor, currency,
                confirm, merchant_differs, message, due_at)
            SELECT 'gopay', convert_to(number::text, 'utf8'), 'T-1', 'pending', 'pending', 15000000, 'IDR',
                false, false, '', now() + number * interval '1 ms' FROM generate_series(1, 500) number"""
        )
        one_by_one: list[str] = []
        while db.execute("SELECT FROM notifications WHERE state = 'received'").fetchone() is not None:
            one_by_one += inbox.waiting("gopay")
    assert one_by_one == []


def test_a_database_that_stalls_costs_no_message_and_keeps_none_that_was_given_up(
    till: Till, database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who was told to come again comes again: nothing of theirs is stored behind their back meanwhile."""
    made = [paid_quietly(till) for _ in range(3)]
    messages = [till.signed(one) for one in made]
    with psycopg.connect(database) as db, monkeypatch.context() as shorter:
        shorter.setattr(intake, "PATIENCE", 0.1)
        shorter.setattr(intake, "_TIME_OUT", "-c statement_timeout=2000")
        db.execute("LOCK TABLE notifications IN EXCLUSIVE MODE")
        for message in messages:  # the first is in the writer's hands, the others wait for it
            assert till.deliver(message).status_code == 503
        gave_up = "messages of gateways cannot be stored"
        assert gave_up not in caplog.text  # nobody waits as long as the writer
        wait_until(lambda: gave_up in caplog.text, "the writer to give up")
    assert till.deliver(messages[0]).status_code == 200
    till.becomes(made[0], "paid")
    with unit_of_work() as session:
        assert list(session.scalars(sa.select(Notification.reference))) == [made[0]["reference"]]
    for message in messages[1:]:
        assert till.deliver(message).status_code == 200
    for one in made[1:]:
        till.becomes(one, "paid")
