"""What gateways tell us: only the rightly signed is taken, once, and nothing but the truth is paid."""

import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from till import Till, due_now, order, wait_until

from api.app import app
from checkout.sweep import sweep
from common.settings import GATEWAYS
from records.db import unit_of_work
from records.notification import Notification
from records.payment import Payment


def notifications(reference: str | None = None) -> list[Notification]:
    with unit_of_work() as session:
        query = sa.select(Notification).order_by(Notification.id)
        return list(session.scalars(query if reference is None else query.filter_by(reference=reference)))


def paid_quietly(till: Till, gateway: str) -> dict[str, Any]:
    """A payment that is paid at the gateway, which has told nobody."""
    till.quiet(gateway)
    made = till.create(gateway)
    till.act(made, "pay", notify=False)
    return made


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_one_notification_a_hundred_times_at_once_is_one_change(till: Till, gateway: str) -> None:
    made = paid_quietly(till, gateway)
    message = till.signed(made)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: till.deliver(message), range(100)))
    assert {answer.status_code for answer in answers} == {200}
    now = till.becomes(made, "paid")
    assert [event["to_status"] for event in now["events"]] == ["created", "pending", "paid"]
    assert len(notifications(made["reference"])) == 1


def test_a_status_that_the_signature_leaves_out_is_asked_for(till: Till) -> None:
    """GoPay's and NICEPAY's signatures do not cover the state: a forger could change it."""
    for gateway in ("gopay", "linkaja"):
        till.quiet(gateway)
        made = till.create(gateway)
        assert till.deliver(till.signed(made, state="paid")).status_code == 200
        wait_until(lambda made=made: notifications(made["reference"])[0].attempts, "the desk")
        (kept,) = notifications(made["reference"])
        assert (kept.state, "not confirmed yet" in (kept.reason or "")) == ("received", True)
        assert till.read(made)["status"] == "pending"
        assert "Nothing moved" in till.read(made)["events"][-1]["note"]


def test_a_stale_time_stamp_is_confirmed_by_asking(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    till.quiet("ovo")
    made = till.create("ovo")
    message = till.signed(made, state="paid", timestamp="2026-11-01T10:00:00+07:00")
    assert till.deliver(message).status_code == 200
    kept = wait_until(lambda: notifications(made["reference"]), "the inbox")[0]
    assert kept.confirm
    assert till.read(made)["status"] == "pending"


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_notification_of_an_order_that_we_do_not_have_is_kept_and_joined_later(
    till: Till, gateway: str
) -> None:
    till.quiet(gateway)
    template = till.create(gateway)
    unknown = order(gateway)
    message = till.signed(template, state="paid", reference=unknown["reference"])
    assert till.deliver(message).status_code == 200
    kept = wait_until(lambda: notifications(unknown["reference"]), "the inbox")
    wait_until(lambda: notifications(unknown["reference"])[0].state == "quarantined", "the quarantine")
    made = till.post(unknown).json()
    wait_until(lambda: notifications(unknown["reference"])[0].payment_id is not None, "the join")
    (joined,) = notifications(unknown["reference"])
    assert joined.id == kept[0].id
    assert str(joined.payment_id) == made["payment_id"]


def test_the_dashboards_test_notification_gets_a_yes_and_changes_nothing(till: Till) -> None:
    message = till.sandbox.post("/_sandbox/notifications/test", params={"send": "false"}).json()
    url = str(till.http.base_url.join("/api/v1/payments/callback/gopay"))
    assert till.deliver(message, url=url).status_code == 200
    wait_until(lambda: notifications(), "the inbox")
    assert [one.state for one in notifications()] == ["dropped"]


@pytest.mark.parametrize(
    "gateway", ["gopay", *(pytest.param(one, marks=pytest.mark.slow) for one in ("ovo", "linkaja"))]
)
def test_a_thousand_notifications_in_any_order_end_where_the_legal_order_ends(
    till: Till, gateway: str
) -> None:
    till.quiet(gateway)
    made = till.create(gateway)
    due_now(made)  # DOKU may not be asked what went back within a minute after the charge
    messages = [till.signed(made, state="pending")]
    till.act(made, "pay", notify=False)
    messages.append(till.signed(made))
    till.banks_after(0)
    till.act(made, "refund", notify=False)
    messages.append(till.signed(made))
    many = [one for _, one in zip(range(1000), itertools.cycle(messages), strict=False)]
    random.Random(7).shuffle(many)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(till.deliver, many))
    assert {answer.status_code for answer in answers} == {200}
    now = till.becomes(made, "refunded")
    steps = [event["to_status"] for event in now["events"] if event["from_status"] != event["to_status"]]
    assert steps == ["created", "pending", "paid", "refunded"]


def test_a_settlement_that_is_denied_later_is_reversed(till: Till) -> None:
    made = till.create("gopay")
    till.act(made, "pay")
    till.becomes(made, "paid")
    till.act(made, "reverse")
    now = till.becomes(made, "reversed")
    assert "deny" in now["events"][-1]["note"]


def test_qris_turned_up_later_is_known_by_its_order(till: Till) -> None:
    made = till.create("gopay")
    till.act(made, "pay", payment_type="qris")
    till.becomes(made, "paid")


def test_a_kept_notification_can_be_worked_again(till: Till, database: str) -> None:
    from records import notification

    till.quiet("gopay")
    made = till.create()
    till.deliver(till.signed(made, state="paid"))
    wait_until(lambda: notifications(made["reference"])[0].attempts, "the desk")
    assert till.read(made)["status"] == "pending"
    till.act(made, "pay", notify=False)
    with unit_of_work() as session:
        assert notification.replay(session, notifications(made["reference"])[0].id)
    till.becomes(made, "paid")


def test_an_unknown_gateway_is_not_there(till: Till) -> None:
    answer = till.http.post("/api/v1/payments/callback/dana", content=b"{}")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:jembatan:problem:not-found")


def test_a_message_that_cannot_be_stored_is_not_acknowledged(till: Till, database: str) -> None:
    message = till.signed(paid_quietly(till, "gopay"))
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("ALTER TABLE notifications RENAME TO away")
        assert till.deliver(message).status_code == 503
        db.execute("ALTER TABLE away RENAME TO notifications")
    assert till.deliver(message).status_code == 200


def test_doku_takes_a_token_from_us_first(till: Till) -> None:
    made = till.create("ovo")
    till.act(made, "pay")
    till.becomes(made, "paid")
    log = till.sandbox.get("/_sandbox/notifications").json()
    assert any(one["status"] == 200 for one in log)
    refused = till.http.post(
        "/api/v1/payments/callback/ovo/access-token/b2b",
        json={"grantType": "client_credentials"},
        headers={"X-CLIENT-KEY": "sandbox-ovo", "X-TIMESTAMP": "2026-11-25T10:00:00Z", "X-SIGNATURE": "eA=="},
    )
    assert refused.status_code == 401
    none = till.http.post("/api/v1/payments/callback/gopay/access-token/b2b", content=b"{}")
    assert none.status_code == 404


@pytest.mark.parametrize("claim", ["denied", "cancelled"])
def test_what_is_paid_is_taken_back_only_when_the_gateway_says_so(till: Till, claim: str) -> None:
    """Order of arrival never matters: a late failure of an earlier try says nothing of the money."""
    made = till.create("ovo")
    till.act(made, "pay")
    till.becomes(made, "paid")
    till.quiet("ovo")
    assert till.deliver(till.signed(made, state=claim)).status_code == 200
    wait_until(
        lambda: [one for one in notifications(made["reference"]) if one.reason and one.claimed == claim],
        "the desk",
    )
    assert till.read(made)["status"] == "paid"


def test_a_status_that_lags_behind_its_message_is_asked_again(till: Till) -> None:
    till.quiet("gopay")
    made = till.create("gopay")
    till.deliver(till.signed(made, state="paid"))
    wait_until(lambda: notifications(made["reference"])[0].attempts, "the first question")
    till.act(made, "pay", notify=False)  # now the status has caught up
    till.becomes(made, "paid")
    wait_until(lambda: notifications(made["reference"])[0].state == "worked", "the message's end")
    assert "confirmed" in (notifications(made["reference"])[0].reason or "")


@pytest.mark.parametrize("claim", ["denied", "cancelled"])
def test_a_late_failure_is_asked_about_and_the_gateways_paid_stands(till: Till, claim: str) -> None:
    made = till.create("ovo")
    till.act(made, "pay")
    till.becomes(made, "paid")
    till.quiet("ovo")
    due_now(made)  # DOKU wants no question in the first minute
    before = till.calls("ovo")["status"]
    assert till.deliver(till.signed(made, state=claim)).status_code == 200
    (late,) = wait_until(
        lambda: [
            one for one in notifications(made["reference"]) if (one.claimed, one.state) == (claim, "worked")
        ],
        "the desk",
    )
    assert "not confirmed: the gateway's status is 00" in (late.reason or "")
    assert till.calls("ovo")["status"] == before + 1
    assert till.read(made)["status"] == "paid"


def work_now(gateway: str) -> None:
    """As if what waits were due, and nobody had asked just now."""
    with unit_of_work() as session:
        session.execute(sa.update(Notification).values(due_at=sa.func.now()))
        session.execute(sa.update(Payment).values(asked_at=None))
    app.state.intake.news[gateway].set()


@pytest.mark.parametrize("gateway", ["ovo", "linkaja"])
def test_what_has_ended_here_is_asked_about_until_the_status_is_that_of_the_message(
    till: Till, gateway: str
) -> None:
    till.quiet(gateway)
    made = till.create(gateway)
    due_now(made, over_since=timedelta(days=1))
    sweep(gateway, 1)
    assert till.read(made)["status"] == "expired"
    work_now(gateway)
    assert till.deliver(till.signed(made, state="paid")).status_code == 200
    wait_until(lambda: notifications(made["reference"])[0].attempts, "the first question")
    assert till.read(made)["status"] == "expired"
    till.act(made, "pay", notify=False)  # now the status has caught up
    work_now(gateway)
    till.becomes(made, "paid")


def test_a_message_without_its_currency_is_worked_by_the_gateways_answer(till: Till) -> None:
    """GoPay's signature leaves the currency out; its status has it."""
    made = paid_quietly(till, "gopay")
    assert till.deliver(till.signed(made, fields={"currency": None})).status_code == 200
    till.becomes(made, "paid")
