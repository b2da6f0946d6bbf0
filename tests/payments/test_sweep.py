"""The sweep: what no message told us is found, what is over is expired, and the run proves that it ran."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from till import Till, due_now, order, row

from common import clock
from common.settings import GATEWAYS
from records.db import unit_of_work
from records.payment import Payment
from records.process import ProcessRun


def sweep(**parameters: Any) -> dict[str, Any]:
    """Run the flow as Prefect does; the outcome of its process run."""
    from flows.sweep_payments import sweep_payments

    state = sweep_payments(**parameters, return_state=True)
    assert state.type.value == "COMPLETED", state.message
    with unit_of_work() as session:
        newest = sa.select(ProcessRun).filter_by(process="sweep-payments").order_by(ProcessRun.id.desc())
        run = session.scalars(newest.limit(1)).one()
        assert run.state == "succeeded"
        assert run.outcome is not None
        return run.outcome | {"message": state.message}


def is_looked_at_in_ten_minutes(made: dict[str, Any]) -> bool:
    """Whether its gateway is asked again when a reversal can have followed."""
    at = row(made["reference"]).next_status_at
    return at is not None and timedelta(minutes=9) < at - clock.now() <= timedelta(minutes=10)


@pytest.mark.parametrize("gateway", ["gopay", "ovo", "linkaja"])
def test_a_lost_notification_is_healed(till: Till, gateway: str) -> None:
    till.quiet(gateway)
    made = till.create(gateway)
    till.act(made, "pay", notify=False)
    due_now(made)
    outcome = sweep()
    assert (outcome["swept"], outcome["healed"], outcome["still_open"]) == (1, 1, 0)
    now = till.read(made)
    assert now["status"] == "paid"
    assert (now["events"][-1]["cause"], now["events"][-1]["source"]) == ("sweep", "sweep")
    assert outcome["message"].startswith("swept 1 · 1 healed")


def test_what_is_not_due_is_left_alone_and_still_open(till: Till) -> None:
    made = till.create("ovo")
    outcome = sweep()
    assert (outcome["swept"], outcome["still_open"]) == (0, 1)
    assert outcome["oldest"][:16] == made["created_at"][:16]


@pytest.mark.parametrize("kind", ["lost", "500"])
def test_a_lost_answer_is_healed_where_the_charge_arrived_and_waits_where_it_did_not(
    till: Till, kind: str
) -> None:
    till.quiet("gopay")
    till.fail("gopay", "charge", kind)
    made = till.post(order()).json()
    assert made["status"] == "unknown"
    due_now(made)
    sweep()
    assert till.read(made)["status"] == ("pending" if kind == "lost" else "unknown")


@pytest.mark.parametrize("gateway", ["gopay", "linkaja"])
def test_what_never_arrived_expires_once_its_time_is_over(till: Till, gateway: str) -> None:
    till.fail(gateway, "charge", "500")
    made = till.post(order(gateway)).json()
    due_now(made, over_since=timedelta(minutes=1))
    sweep()
    assert till.read(made)["status"] == "unknown"  # it may still be on its way
    due_now(made, over_since=timedelta(minutes=3))
    assert sweep()["expired"] == 1
    assert "never arrived" in till.read(made)["events"][-1]["note"]


def test_a_charge_whose_time_is_over_is_ended_at_the_gateway(till: Till) -> None:
    till.quiet("gopay")
    made = till.create("gopay")
    due_now(made, over_since=timedelta(seconds=1))
    assert sweep()["expired"] == 1
    assert till.read(made)["status"] == "expired"
    book = till.book("gopay", made["reference"])
    assert book is not None
    assert book["state"] == "expired"


def test_a_wallet_without_a_word_for_expired_says_cancelled_and_means_it(till: Till) -> None:
    till.quiet("linkaja")
    made = till.create("linkaja")
    till.act(made, "expire", notify=False)
    due_now(made, over_since=timedelta(seconds=1))
    sweep()
    assert till.read(made)["status"] == "expired"


def test_what_was_paid_at_the_last_moment_is_paid_and_not_expired(till: Till) -> None:
    till.quiet("gopay")
    made = till.create("gopay")
    till.act(made, "pay", notify=False)
    due_now(made, over_since=timedelta(seconds=30))
    sweep()
    assert till.read(made)["status"] == "paid"


def test_a_reversal_that_nobody_told_us_of_is_found_minutes_later(till: Till) -> None:
    made = till.create("gopay")
    till.act(made, "pay")
    till.becomes(made, "paid")
    till.quiet("gopay")
    till.act(made, "reverse", notify=False)
    due_now(made)
    sweep()
    assert till.read(made)["status"] == "reversed"


def test_a_gateway_that_is_away_leaves_all_as_it_is_and_the_others_are_asked(till: Till) -> None:
    made = {name: till.create(name) for name in ("gopay", "linkaja")}
    for one in made.values():
        till.quiet(one["gateway"])
        till.act(one, "pay", notify=False)
        due_now(one)
    till.fail("gopay", "status", "500", times=3)
    outcome = sweep()
    assert (outcome["unanswered"], outcome["healed"]) == (1, 1)
    assert till.read(made["gopay"])["status"] == "pending"
    assert till.read(made["linkaja"])["status"] == "paid"
    due_now(made["gopay"])
    assert sweep(gateway="gopay")["healed"] == 1


def test_a_second_sweep_at_the_same_time_does_nothing(till: Till) -> None:
    from records.process import worked_alone

    till.quiet("gopay")
    made = till.create("gopay")
    due_now(made)
    before = till.sandbox.get("/_sandbox/calls").json()["gopay"]["status"]
    with worked_alone("sweep-payments"):
        outcome = sweep()
    assert "another run already" in outcome["skipped"]
    assert till.sandbox.get("/_sandbox/calls").json()["gopay"]["status"] == before


def test_a_gateway_that_is_not_set_up_does_not_keep_the_others_from_being_asked(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    from checkout import gateways
    from common.settings import settings

    made = till.create("linkaja")
    till.quiet("linkaja")
    till.act(made, "pay", notify=False)
    due_now(made)
    monkeypatch.setenv("JEMBATAN_OVO__PROFILE", "nobody")
    settings.cache_clear()
    gateways.close_all()
    outcome = sweep()
    assert outcome["healed"] == 1
    assert "JEMBATAN_OVO__PROFILE is 'nobody'" in outcome["message"]


def test_a_gateway_that_wants_to_be_left_alone_is_not_swept_earlier(till: Till) -> None:
    made = till.create("ovo")
    with unit_of_work() as session:
        found = session.scalars(sa.select(Payment).filter_by(reference=made["reference"])).one()
        found.created_at -= timedelta(seconds=51)  # nine seconds short of the minute that DOKU asks for
        found.next_status_at = found.created_at + timedelta(seconds=60)
    assert sweep()["swept"] == 0


def test_a_payment_that_the_sweep_found_paid_is_looked_at_once_more(till: Till) -> None:
    till.quiet("gopay")
    made = till.create("gopay")
    till.act(made, "pay", notify=False)
    due_now(made)
    assert sweep()["healed"] == 1
    assert is_looked_at_in_ten_minutes(made)
    due_now(made)
    assert sweep()["swept"] == 1
    assert row(made["reference"]).next_status_at is None


def test_a_payment_that_we_were_told_is_paid_is_looked_at_once_more(till: Till) -> None:
    for gateway in GATEWAYS:
        made = till.create(gateway)
        till.act(made, "pay")
        till.becomes(made, "paid")
        assert is_looked_at_in_ten_minutes(made)


def test_one_answer_that_cannot_be_recorded_keeps_no_other_payment_from_healing(
    till: Till, database: str
) -> None:
    till.quiet("gopay")
    made = [till.create("gopay") for _ in range(3)]
    for one in made:
        till.act(one, "pay", notify=False)
        due_now(one)
    stuck = made[1]
    with psycopg.connect(database, autocommit=True) as db:
        no = f"CHECK (status <> 'paid' OR reference <> '{stuck['reference']}')"
        db.execute(f"ALTER TABLE payments ADD CONSTRAINT nobody_knows_why {no}")
        assert sweep()["healed"] == 2
        assert [till.read(one)["status"] for one in made] == ["paid", "pending", "paid"]
        db.execute("ALTER TABLE payments DROP CONSTRAINT nobody_knows_why")
    due_now(stuck)
    assert sweep()["healed"] == 1
