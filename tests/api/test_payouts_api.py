"""Payouts as programs see them."""

from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from bank_world import THU, TUE, WED, Credit, book, covering, net, paid, proof, settle

from records import client as clients
from records.db import unit_of_work

DAY = [paid("A1", 150_000), paid("A2", 275_000)]
NOBODYS = net(paid("X", 5_000_000))


@pytest.fixture
def known(database: str, tmp_path: Path) -> None:
    """One payout in which a payment is missing, one that has not come, one credit of nobody."""
    settle(tmp_path, TUE, DAY)
    settle(tmp_path, WED, [paid("B1", 99_000)])
    book(tmp_path, Credit(WED, net(DAY[0])), Credit(WED, NOBODYS), covering(THU))
    proof(WED, THU)


def test_a_payout_says_what_was_due_what_came_and_what_is_missing(client: httpx.Client, known: None) -> None:
    (found,) = client.get("/api/v1/payouts?class=amount_mismatch").json()["items"]
    one = client.get(f"/api/v1/payouts/{found['payout_id']}").json()
    assert one == found
    assert (one["payout"], one["class"], one["reason"]) == (f"due:{WED}", "amount_mismatch", "under")
    assert (one["payments"], one["fees"], one["expected"]) == ("425000.00", "8500.00", "416500.00")
    assert (one["bank"]["amount"], one["difference"]) == ("147000.00", "-269500.00")
    assert one["explanation"]["references"] == ["A2"]


def test_the_list_can_be_narrowed_and_comes_in_pages(client: httpx.Client, known: None) -> None:
    def ask(query: str) -> list[str]:
        return [one["class"] for one in client.get(f"/api/v1/payouts?{query}").json()["items"]]

    assert sorted(ask("gateway=gopay")) == ["amount_mismatch", "missing_at_gateway", "missing_in_ledger"]
    assert ask("gateway=ovo") == []
    assert ask(f"from={THU}") == ["missing_at_gateway"]
    assert sorted(ask(f"to={WED}")) == ["amount_mismatch", "missing_in_ledger"]
    seen, cursor = [], None
    while True:
        page = client.get(
            "/api/v1/payouts", params={"limit": 2} | ({"cursor": cursor} if cursor else {})
        ).json()
        seen += [one["payout_id"] for one in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert len(seen) == len(set(seen)) == 3


def test_an_unknown_payout_and_a_key_without_the_scope_are_refused(
    client: httpx.Client, address: str, known: None
) -> None:
    assert client.get(f"/api/v1/payouts/{uuid4()}").status_code == 404
    for wrong in ("class=nonsense", "to=0", "from=2026-11-31", "gateway=dana", "cursor=x"):
        assert client.get(f"/api/v1/payouts?{wrong}").status_code == 422, wrong
    with unit_of_work() as session:
        _, key = clients.create(session, "payer", ["payments"])
    refused = httpx.get(f"{address}/api/v1/payouts", headers={"Authorization": f"Bearer {key.text}"})
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:jembatan:problem:missing-scope")
