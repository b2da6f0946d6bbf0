"""Every way to a wallet, through the whole house: create, notify, verify, and the end of what nobody pays."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from till import Till, order

from checkout import gateways, sweep
from common import clock
from common.settings import settings
from records.db import unit_of_work
from records.payment import Payment

WAYS = [
    ("gopay", None),
    ("ovo", "doku"),
    ("ovo", "nicepay"),
    ("ovo", "faspay"),
    ("ovo", "dana"),
    ("linkaja", "nicepay"),
    ("linkaja", "faspay"),
    ("linkaja", "dana"),
]


@pytest.fixture
def choose(till: Till, monkeypatch: pytest.MonkeyPatch):
    """Sets the profile of a gateway, as its operator would."""

    def chosen(gateway: str, profile: str | None) -> None:
        if profile is not None:
            monkeypatch.setenv(f"JEMBATAN_{gateway.upper()}__PROFILE", profile)
            settings.cache_clear()
            gateways.close_all()

    yield chosen
    gateways.close_all()


@pytest.mark.parametrize(("gateway", "profile"), WAYS)
def test_a_payment_is_taken_and_told_of(till: Till, choose, gateway: str, profile: str | None) -> None:
    choose(gateway, profile)
    made = till.create(gateway)
    till.act(made, "pay")
    paid = till.becomes(made, "paid")
    assert [event["to_status"] for event in paid["events"]] == ["created", "pending", "paid"]
    assert gateway == "gopay" or "00 (paid)" in paid["events"][-1]["note"]  # a bare number is no plain word
    assert till.verify(made)["status"] == "paid"


@pytest.mark.parametrize(("gateway", "profile"), WAYS)
def test_what_nobody_pays_ends(till: Till, choose, gateway: str, profile: str | None) -> None:
    choose(gateway, profile)
    till.quiet(gateway)
    made = till.create(gateway)
    if gateways.gateway(gateway).capabilities.cancel:
        cancelled = till.http.post(f"/api/v1/payments/{made['payment_id']}/cancel")
        assert cancelled.json()["status"] == "cancelled", cancelled.text
        made = till.create(gateway)
    till.act(made, "expire", notify=False)
    with unit_of_work() as session:
        found = session.scalars(sa.select(Payment).filter_by(reference=made["reference"])).one()
        found.created_at -= timedelta(minutes=2)
        found.next_status_at = found.expires_at = clock.now()
    assert sweep.sweep(gateway, 10).expired == 1
    assert till.read(made)["status"] == "expired"


def test_ovo_by_push_says_how_long_it_lives(till: Till, choose) -> None:
    choose("ovo", "dana")
    made = till.create("ovo")
    (action,) = made["actions"]
    assert action == {"type": "push", "url": None, "expires_in": 55}
    lives = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert timedelta(seconds=55) <= lives <= timedelta(seconds=65)


def test_a_push_needs_the_learners_phone(till: Till, choose) -> None:
    choose("ovo", "dana")
    refused = till.post(order("ovo", learner={"id": "learner-1"}))
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:jembatan:problem:phone-required")
    assert refused.json()["errors"][0]["where"] == "body.learner.phone"


def test_ovo_direct_says_that_linking_is_required(till: Till, choose) -> None:
    choose("ovo", "ovo-direct")
    refused = till.post(order("ovo"))
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:jembatan:problem:linking-required")
    assert till.http.get("/api/v1/payments").json()["items"] == []
