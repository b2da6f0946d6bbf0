"""The demo's live payments: taken through our API as a platform does, paid in the sandbox."""

import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from typing import Any
from uuid import uuid4

import httpx
import typer
from rich.table import Table

from common import clock, money
from common.errors import BadInput
from common.settings import GATEWAYS
from jembatan.commands.output import complain, console
from jembatan.stack import Stack
from records import client as clients
from records.db import unit_of_work

PRICES = (150_000, 475_000, 1_250_000)  # rupiah, one payment each
PATIENCE_SECONDS = 30
CLIENT = "demo"


@dataclass(frozen=True)
class _Taken:
    """One live payment, and how we came to know that it was paid."""

    payment: dict[str, Any]
    learner_does: str
    told_by: str


def take(running: Stack, day: date) -> None:
    """Take three payments through each gateway, all paid on the evening of `day`.

    The last one's notification is lost where the gateway may be asked at once: verify finds it. Exit 1 where
    one is not paid in the end.
    """
    headers = {"Authorization": f"Bearer {_key()}"}
    evening = datetime.combine(day, time_of_day(20, 15), clock.JAKARTA)
    with (
        httpx.Client(base_url=f"{running.api_url}/api/v1/payments", headers=headers, timeout=60) as api,
        httpx.Client(base_url=f"{running.sandbox_url}/_sandbox", timeout=30) as sandbox,
    ):
        taken = [
            _take(api, sandbox, gateway, price, evening + timedelta(minutes=number), is_lost=number == 2)
            for gateway in GATEWAYS
            for number, price in enumerate(PRICES)
        ]
    table = Table("wallet", "amount", "the learner gets", "status", "how we know")
    for one in taken:
        amount = money.rupiah(one.payment["amount"] * money.MINOR_PER_UNIT)
        table.add_row(one.payment["gateway"], amount, one.learner_does, one.payment["status"], one.told_by)
    console.print(table)
    if not all(one.payment["status"] == "paid" for one in taken):
        complain("A live payment is not paid; `jembatan payments show REFERENCE` tells its story.")
        raise typer.Exit(1)
    console.print(f"✓ {len(taken)} live payments taken through our API, paid on the evening of {day}")


def _key() -> str:
    """An API key for an hour, of a client of the demo's own."""
    ends = clock.now() + timedelta(hours=1)
    with unit_of_work() as session:
        try:
            return clients.new_key(session, clients.named(session, CLIENT), ends).text
        except BadInput:
            return clients.create(session, CLIENT, ["payments"], expires_at=ends)[1].text


def _take(
    api: httpx.Client, sandbox: httpx.Client, gateway: str, price: int, paid_at: datetime, *, is_lost: bool
) -> _Taken:
    order = {
        "reference": f"DEMO-{uuid4().hex[:16].upper()}",
        "gateway": gateway,
        "amount": price,
        "currency": "IDR",
        "learner": {"id": "learner-4711", "name": "Siti Rahma", "phone": "081234567890"},
        "description": "Welding, level II",
        "return_url": "https://platform.example/orders/4711",
    }
    made = api.post("/create", json=order).raise_for_status().json()
    does = ", ".join(action["type"] for action in made["actions"])
    may_ask = api.post("/verify", json={"payment_id": made["payment_id"]}).raise_for_status().json()
    is_lost = is_lost and may_ask["status_source"]["by"] == "gateway"
    sandbox.post(
        f"/payments/{gateway}/{order['reference']}/pay",
        json={"at": paid_at.isoformat(), "notify": not is_lost},
    ).raise_for_status()
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        if is_lost:
            time.sleep(1)  # a payment is asked about once a second
            now = api.post("/verify", json={"payment_id": made["payment_id"]}).raise_for_status().json()
        else:
            now = api.get(f"/{made['payment_id']}").raise_for_status().json()
        if now["status"] == "paid" or time.monotonic() > until:
            return _Taken(now, does, "message lost, verify asked" if is_lost else "its message")
        time.sleep(0.05)
