"""A gateway that answers slowly or not at all: the others go on as if nothing were."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from till import Till, order, wait_until
from turnstile import Turnstile

from checkout import gateways
from checkout.sweep import AT_ONCE, sweep
from common import clock
from common.settings import settings
from records.db import unit_of_work
from records.payment import Payment

_COPIES = sa.text(
    """INSERT INTO payments (reference, gateway, amount_minor, currency, status, created_at, client_id,
        external_id, expires_at, next_status_at)
    SELECT reference || '-' || number, gateway, amount_minor, currency, status, created_at, client_id,
        external_id, expires_at, now()
    FROM payments, generate_series(1, :count) AS number WHERE reference = :reference RETURNING id"""
)


def copied(made: dict[str, Any], count: int) -> list[UUID]:
    """Ids of so many payments of ours like this one, all due; their gateway was not told of them."""
    with unit_of_work() as session:
        return list(session.scalars(_COPIES, {"count": count, "reference": made["reference"]}))


def test_a_gateway_that_hangs_keeps_no_other_gateways_message_waiting(
    till: Till, turnstile: Turnstile
) -> None:
    for gateway in ("gopay", "linkaja"):
        till.quiet(gateway)
    made = [till.create("gopay") for _ in range(6)]  # more than its desk works at once
    other = till.create("linkaja")
    for one in (*made, other):
        till.act(one, "pay", notify=False)
    with turnstile.holding("/gopay/"):
        for one in made:
            assert till.deliver(till.signed(one)).status_code == 200
        wait_until(lambda: turnstile.waiting, "the questions")
        assert till.deliver(till.signed(other)).status_code == 200
        till.becomes(other, "paid")
        assert {till.read(one)["status"] for one in made} == {"pending"}
    for one in made:
        till.becomes(one, "paid")


def test_a_gateway_that_hangs_is_asked_twenty_times_and_left_until_the_next_sweep(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = copied(till.create("gopay"), 100)
    monkeypatch.setenv("JEMBATAN_GOPAY__READ_TIMEOUT", "0.1")
    settings.cache_clear()
    till.fail("gopay", "status", "timeout", times=10_000)
    counts = sweep("gopay", 1_000)
    assert counts.swept == counts.unanswered
    assert 20 <= counts.swept < 20 + AT_ONCE
    with unit_of_work() as session:
        left = sa.select(sa.func.count()).where(
            Payment.id.in_(ids), Payment.asked_at.is_(None), Payment.next_status_at <= clock.now()
        )
        assert session.scalar(left) == len(ids) - counts.swept


def test_many_who_verify_at_a_gateway_that_hangs_keep_nobody_from_creating_at_another(
    till: Till, turnstile: Turnstile
) -> None:
    ids = copied(till.create("gopay"), 170)
    url = str(till.http.base_url.join("/api/v1/payments/verify"))
    anybody = httpx.Limits(max_connections=None)
    with (
        httpx.Client(headers=till.http.headers, limits=anybody, timeout=60) as many,
        ThreadPoolExecutor(len(ids)) as pool,
        turnstile.holding("/gopay/"),
    ):
        for one in ids:
            pool.submit(many.post, url, json={"payment_id": str(one)})
        wait_until(lambda: len(turnstile.waiting) >= 16, "the questions")
        for _ in range(10):
            made = till.http.post("/api/v1/payments/create", json=order("linkaja"), timeout=30)
            assert made.json()["status"] == "pending"


def test_more_orders_than_a_gateway_that_hangs_may_hold_keep_nobody_from_another(
    till: Till, turnstile: Turnstile
) -> None:
    """More than its share of the calls and its connections (64): the rest is told to come again."""
    url = str(till.http.base_url.join("/api/v1/payments/create"))
    anybody = httpx.Limits(max_connections=None)
    with (
        httpx.Client(headers=till.http.headers, limits=anybody, timeout=60) as many,
        ThreadPoolExecutor(100) as pool,
    ):
        with turnstile.holding("/gopay/"):
            asked = [pool.submit(many.post, url, json=order("gopay")) for _ in range(100)]
            wait_until(lambda: len(turnstile.waiting) == gateways.AT_ONCE, "the charges")
            for _ in range(10):
                made = till.http.post("/api/v1/payments/create", json=order("linkaja"), timeout=30)
                assert made.json()["status"] == "pending"
            assert len(turnstile.waiting) == gateways.AT_ONCE
            assert not any(one.done() and one.result().status_code != 503 for one in asked)
        told = Counter(one.result().status_code for one in asked)
    assert told[201] >= gateways.AT_ONCE
    assert told[201] + told[503] == 100
