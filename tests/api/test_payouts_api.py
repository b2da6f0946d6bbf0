"""Payouts as programs see them."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from bank_world import THU, TUE, WED, Credit, book, covering, net, paid, proof, settle
from console_browser import Person

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


# As exceptions


def exception_of(client: httpx.Client, class_: str) -> dict[str, Any]:
    asked = {"type": "payout", "class": class_, "state": "all"}
    (found,) = client.get("/api/v1/exceptions", params=asked).json()["items"]
    return dict(found)


@pytest.fixture
def elsewhere(database: str, tmp_path: Path) -> None:
    """A payout that came under a name of its own, and one in which a payment is missing."""
    named = [
        paid("A1", 150_000, payout="PO-1"),
        paid("A2", 275_000, payout="PO-2"),
        paid("A3", 60_000, payout="PO-2"),
    ]
    settle(tmp_path, TUE, named)
    book(tmp_path, Credit(WED, net(named[0]), "PO-7"), Credit(WED, net(named[1]), "PO-2"))
    proof(WED)


def test_a_payout_exception_has_both_sides_and_is_ended_over_the_api(
    client: httpx.Client, elsewhere: None
) -> None:
    found = exception_of(client, "amount_mismatch")
    assert (found["type"], found["reference"], found["at_risk"]) == ("payout", "PO-2", "58800.00")
    assert (found["payment_id"], found["refund_id"]) == (None, None)
    here = f"/api/v1/exceptions/{found['exception_id']}"
    one = client.get(here).json()
    assert one["payout"]["explanation"]["references"] == ["A3"]
    assert (one["expected"]["amount"], one["found"]["amount"]) == ("328300.00", "269500.00")
    assert client.get("/api/v1/exceptions?type=payment").json()["items"] == []
    said = client.post(f"{here}/resolve", json={"action": "explain", "reason": "Asked GoPay; FIN-118"})
    assert (said.status_code, said.json()["state"]) == (200, "explained")
    missing = exception_of(client, "missing_at_gateway")
    assert missing["expected_by"] == str(WED)
    entry = client.get(
        f"/api/v1/exceptions/{exception_of(client, 'missing_in_ledger')['exception_id']}"
    ).json()
    assert entry["proposals"][0]["target"]["payout"] == "PO-1"
    asked = {"action": "match", "reason": "FIN-119", "payout": "PO-1"}
    said = client.post(f"/api/v1/exceptions/{entry['exception_id']}/resolve", json=asked)
    assert (said.status_code, said.json()["awaiting"]["to_state"]) == (202, "matched")
    for wrong in (
        asked | {"payment_id": str(uuid4())},
        asked | {"action": "explain"},
        asked | {"payout": ""},
    ):
        assert client.post(f"{here}/resolve", json=wrong).status_code == 422, wrong


def test_finance_works_payouts_in_the_console_like_every_other_exception(
    client: httpx.Client, person: Person, elsewhere: None
) -> None:
    rina, budi = person("rina"), person("budi")
    listed = rina.see("/console/exceptions?type=payout")
    assert "3 exceptions" in listed.replace("<strong>", "").replace("</strong>", "")
    assert "Payout of another amount" in listed
    short = rina.see(f"/console/exceptions/{exception_of(client, 'amount_mismatch')['exception_id']}")
    for words in (
        "the bank booked less than is due",
        "the payment A3 is missing in it",
        "Due on 25 Nov 2026",
    ):
        assert words in short
    entry = exception_of(client, "missing_in_ledger")
    here = f"/console/exceptions/{entry['exception_id']}"
    assert f"{here}?action=match&payout=PO-1#end" in rina.see(here)
    nameless = rina.submit(f"{here}/end", action="match", payout="", reason="FIN-118")
    assert 'href="#field-payout"' in nameless.text
    assert "has no payout 'PO-9'" in rina.submit(
        f"{here}/end", action="match", payout="PO-9", reason="FIN-118"
    ).text.replace("&#39;", "'")
    asked = rina.submit(f"{here}/end", action="match", payout="PO-1", reason="FIN-118")
    assert asked.headers["location"] == f"{here}?done=asked"
    question = client.get(f"/api/v1/exceptions/{entry['exception_id']}").json()["awaiting"]["approval_id"]
    assert "the entry of the bank of 2026-11-25 is the payout PO-1" in budi.see(
        f"/console/approvals/{question}"
    )
    done = budi.submit(f"/console/approvals/{question}/decide", word="approve", reason="")
    assert done.status_code == 303
    assert "matched by hand" in rina.see(here)
    assert exception_of(client, "missing_at_gateway")["state"] == "matched"
