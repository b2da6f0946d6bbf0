"""Two processes of the API at once: what comes to both is done once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from nursery import Nursery
from till import API, Till, free_port, is_up, order, served, wait_until

from common.settings import GATEWAYS
from jembatan.stack import Stack
from records import client as clients
from records.db import unit_of_work
from records.notification import Notification


@pytest.fixture
def tills(
    parts: Stack, database: str, monkeypatch: pytest.MonkeyPatch, nursery: Callable[[Path], Nursery]
) -> Iterator[list[Till]]:
    """The same house with two doors; gateways know the first one."""
    ports = [free_port(), free_port()]
    monkeypatch.setenv("JEMBATAN_PUBLIC_URL", f"http://127.0.0.1:{ports[0]}")
    with unit_of_work() as session:
        _, key = clients.create(session, "platform", ["*"], rate_per_minute=1_000_000)
    headers = {"Authorization": f"Bearer {key.text}"}
    with (
        served(nursery(API), 0, ports[0]),
        served(nursery(API), 0, ports[1]),
        httpx.Client(base_url=f"http://127.0.0.1:{ports[0]}", headers=headers, timeout=60) as first,
        httpx.Client(base_url=f"http://127.0.0.1:{ports[1]}", headers=headers, timeout=60) as second,
        httpx.Client(base_url=str(parts.sandbox_url), timeout=60) as sandbox,
    ):
        wait_until(lambda: all(map(is_up, ports)), "both processes")
        yield [Till(first, sandbox), Till(second, sandbox)]
        for gateway in GATEWAYS:
            sandbox.post("/_sandbox/notifications", json={"gateway": gateway, "mode": "at_once"})


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_one_notification_a_hundred_times_on_two_workers_is_one_change(
    tills: list[Till], gateway: str
) -> None:
    till = tills[0]
    till.quiet(gateway)
    made = till.create(gateway)
    till.act(made, "pay", notify=False)
    message = till.signed(made)
    path = httpx.URL(message["url"]).path
    urls = [str(one.http.base_url.join(path)) for one in tills]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda n: till.deliver(message, url=urls[n % 2]), range(100)))
    assert {answer.status_code for answer in answers} == {200}
    now = till.becomes(made, "paid")
    assert [event["to_status"] for event in now["events"]] == ["created", "pending", "paid"]
    with unit_of_work() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Notification)) == 1


def test_fifty_orders_on_two_workers_are_one_charge(tills: list[Till]) -> None:
    body = order("gopay")
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda n: tills[n % 2].post(body), range(50)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    made = [answer.json()["payment_id"] for answer in answers if answer.status_code == 201]
    assert len(set(made)) == 1
    book = tills[0].book("gopay", body["reference"])
    assert book is not None
    assert book["charges"] == 1
