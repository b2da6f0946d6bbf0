"""Above the limit a second person's word: over the API and on the command line, once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from refund_desk import Desk, due, later, rows, worked
from typer.testing import CliRunner

from jembatan.cli import app
from records import client as clients
from records.db import unit_of_work

LARGE = 1_500_000
cli = CliRunner()


def as_client(desk: Desk, name: str, *scopes: str) -> httpx.Client:
    with unit_of_work() as session:
        _, key = clients.create(session, name, scopes or ["approvals:write"])
    headers = {"Authorization": f"Bearer {key.text}"}
    return httpx.Client(base_url=desk.till.http.base_url, headers=headers, timeout=60)


def waiting(desk: Desk) -> tuple[dict[str, Any], dict[str, Any]]:
    """A payment, and the refund of it that waits for approval."""
    made = desk.paid(amount=LARGE)
    asked = desk.asked(made)
    assert asked["refund"]["status"] == "awaiting_approval"
    assert asked["state"] == "waiting"
    return made, asked


def path(asked: dict[str, Any], verb: str) -> str:
    return f"/api/v1/approvals/{asked['approval_id']}/{verb}"


def test_a_refund_at_the_limit_needs_no_second_person_and_one_above_does(desk: Desk) -> None:
    made = desk.paid(amount=2_000_001)
    assert desk.asked(made, "at", amount=1_000_000)["refund"]["status"] == "approved"
    above = desk.asked(made, "above", amount=1_000_001)
    assert above["refund"]["status"] == "awaiting_approval"
    process = desk.process(above)
    assert (process["state"], process["error"]["type"]) == ("waiting", "awaiting-approval")
    assert above["approval_id"] in process["error"]["message"]


def test_another_client_approves_and_the_refund_is_made(desk: Desk) -> None:
    made, asked = waiting(desk)
    assert due() == []
    with as_client(desk, "finance") as finance:
        (listed,) = finance.get("/api/v1/approvals", params={"state": "open"}).json()["items"]
        assert listed["summary"] == f"Give back Rp 1,500,000 of {made['reference']} (gopay)"
        assert listed["requested_by"] == "client:platform"
        answer = finance.post(path(asked, "approve"), json={"reason": "seen"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["decided_by"] == "client:finance"
        assert finance.get(f"/api/v1/approvals/{asked['approval_id']}").json() == answer.json()
    assert desk.process(asked)["state"] == "queued"  # the next run has begun; nothing slept meanwhile
    desk.ends(made, "confirmed")
    causes = [one["source"] for one in desk.listed(made)["items"][0]["events"] if one["cause"] == "approval"]
    assert causes == [f"approval {asked['approval_id']} by client:finance"]


def test_who_asked_cannot_approve_anywhere(desk: Desk) -> None:
    made, asked = waiting(desk)
    refused = desk.till.http.post(path(asked, "approve"), json={})
    assert refused.status_code == 403
    assert refused.json()["type"].endswith(":own-request")
    assert "somebody else" in refused.json()["detail"]
    with as_client(desk, "Platform") as twin:  # another client, the same name to a person's eye
        assert twin.post(path(asked, "approve"), json={}).status_code == 403
    for by in ("platform", " PLATFORM "):
        ended = cli.invoke(app, ["approvals", "approve", asked["approval_id"], "--by", by])
        assert ended.exit_code == 1, ended.output
    assert [one.status for one in rows(made["payment_id"])] == ["awaiting_approval"]


def test_nobody_cannot_approve(desk: Desk) -> None:
    _, asked = waiting(desk)
    ended = cli.invoke(app, ["approvals", "approve", asked["approval_id"], "--by", "  "])
    assert ended.exit_code == 2
    without = httpx.post(f"{desk.till.http.base_url}{path(asked, 'approve')}", json={})
    assert without.status_code == 401
    with as_client(desk, "reader", "approvals:read") as reader:
        assert reader.post(path(asked, "approve"), json={}).status_code == 403


def test_of_two_approvers_at_once_one_has_an_effect(desk: Desk) -> None:
    made, asked = waiting(desk)
    with as_client(desk, "sri") as sri, as_client(desk, "budi") as budi, ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda who: who.post(path(asked, "approve"), json={}), [sri, budi]))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    late = next(answer for answer in answers if answer.status_code == 409).json()
    assert late["type"].endswith(":already-decided")
    assert "approved already, by client:" in late["detail"]
    desk.ends(made, "confirmed")
    assert desk.given_back(made) == ["1500000.00"]


def test_the_same_decision_by_the_same_key_is_answered_again(desk: Desk) -> None:
    _, asked = waiting(desk)
    headers = {"Idempotency-Key": "word-1"}
    with as_client(desk, "finance") as finance:
        answers = [finance.post(path(asked, "approve"), json={}, headers=headers) for _ in range(2)]
        other = finance.post(path(asked, "refuse"), json={"reason": "no"}, headers=headers)
    assert answers[0].json() == answers[1].json()
    assert other.status_code == 422


def test_a_refused_one_frees_the_money_and_can_be_entered_again(desk: Desk) -> None:
    made, asked = waiting(desk)
    with as_client(desk, "finance") as finance:
        assert finance.post(path(asked, "refuse"), json={}).status_code == 422  # a reason is needed
        answer = finance.post(path(asked, "refuse"), json={"reason": "wrong amount"})
        assert answer.json()["state"] == "refused"
        assert finance.post(path(asked, "approve"), json={}).status_code == 409
    process = desk.process(asked)
    assert process["state"] == "failed"
    assert "not approved" in process["error"]["message"]
    assert desk.listed(made)["left"] == LARGE
    assert desk.asked(made, "entered-again", amount=1_000_000)["refund"]["status"] == "approved"
    desk.ends(made, "confirmed", "refused")


def test_after_72_hours_nobody_can_approve_and_the_money_is_free(desk: Desk) -> None:
    made, asked = waiting(desk)
    later(71)
    assert due() == []
    later(1)
    with as_client(desk, "finance") as finance:
        late = finance.post(path(asked, "approve"), json={})
        assert (late.status_code, late.json()["type"].rpartition(":")[2]) == (409, "approval-expired")
        assert finance.get(f"/api/v1/approvals/{asked['approval_id']}").json()["state"] == "expired"
    (step,) = worked()
    assert (step.status, step.next) == ("refused", "ended")
    assert "Nobody approved it in time" in desk.process(asked)["error"]["message"]
    assert desk.listed(made)["left"] == LARGE
    assert desk.asked(made, "again")["refund"]["status"] == "awaiting_approval"


def test_an_unknown_approval_is_not_there(desk: Desk) -> None:
    unknown = {"approval_id": "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c"}
    assert desk.till.http.post(path(unknown, "approve"), json={}).status_code == 404
    assert desk.till.http.get(f"/api/v1/approvals/{unknown['approval_id']}").status_code == 404


@pytest.mark.parametrize("verb", ["approve", "refuse"])
def test_the_command_line_decides_too(desk: Desk, verb: str) -> None:
    made, asked = waiting(desk)
    shown = cli.invoke(app, ["approvals", "list", "--json"])
    assert asked["approval_id"] in shown.output
    words = ["approvals", verb, asked["approval_id"], "--by", "Sri Wahyuni", "--reason", "checked"]
    ended = cli.invoke(app, words)
    assert ended.exit_code == 0, ended.output
    told = cli.invoke(app, ["approvals", "show", asked["approval_id"]])
    assert "operator:Sri Wahyuni" in told.output
    desk.ends(made, "confirmed" if verb == "approve" else "refused")
    again = cli.invoke(app, words)
    assert again.exit_code == 1


def test_several_refunds_of_one_payment_count_together(desk: Desk) -> None:
    """Two just below the limit are as much as one above it: no way around the second person."""
    made = desk.paid(amount=2_500_000)
    first = desk.asked(made, "first", amount=900_000)
    second = desk.asked(made, "second", amount=900_000)
    assert (first["refund"]["status"], second["refund"]["status"]) == ("approved", "awaiting_approval")
    notes = [one["note"] or "" for one in desk.listed(made)["items"][1]["events"]]
    assert any("With what went back before it is Rp 1,800,000" in note for note in notes)
    # What somebody else was asked about is not counted again; the rest still is.
    assert desk.asked(made, "third", amount=100_000)["refund"]["status"] == "approved"
    assert desk.asked(made, "fourth", amount=1)["refund"]["status"] == "awaiting_approval"
    with as_client(desk, "finance") as finance:
        assert finance.post(path(second, "approve"), json={}).status_code == 200
    desk.till.fail("gopay", "refund", "refused", times=3)  # all: which of them goes first is not certain
    worked()
    # What was refused is money that did not go back.
    assert desk.asked(made, "fifth", amount=1)["refund"]["status"] == "approved"
