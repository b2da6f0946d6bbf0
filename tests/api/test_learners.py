"""A learner's timeline and the findings, over the API and in the console: in words, and nobody's secrets."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import sqlalchemy as sa
from console_browser import Person
from learner_world import LPK, NAME, NIK, given_back, paid, registered, reported, told

from common import clock
from common.settings import settings
from records import client as clients
from records import entitlement_look, process, subject
from records.client import Client
from records.db import connection, unit_of_work
from records.entitlement import PROCESS, Finding
from records.entitlement_look import Rules

FINDINGS = "/api/v1/entitlements/findings"


def me() -> UUID:
    with unit_of_work() as session:
        return session.scalars(sa.select(Client.id).filter_by(name="tests")).one()


def a_learner(learner: str = "learner-7", code: str = "TL-1") -> None:
    """Registered, paid in two, enrolled, completed, reported, certified; a part went back."""
    registered(code, f"SIPLATIH-2024-{code}")
    paid(f"INV-{code}", learner, code, client=me())
    part = paid(f"INV-{code}-2", learner, code, client=me(), status="partially_refunded")
    given_back(part, 50_000)
    told(learner, code, "enrolled", 29)
    told(learner, code, "completed", 2)
    reported(learner, code, f"CERT-{code}")


def look() -> UUID:
    with unit_of_work() as session:
        run, _ = process.request(session, PROCESS, uuid4().hex, {})
    with connection() as db:
        assert entitlement_look.take(db, run.id, Rules.of(settings().entitlements), clock.now())
    return run.id


def timeline(client: httpx.Client, learner: str = "learner-7", **more: Any) -> dict[str, Any]:
    answer = client.get(f"/api/v1/learners/{learner}/timeline", **more)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_whole_way_is_told_in_order_and_in_words(client: httpx.Client) -> None:
    a_learner()
    found = timeline(client)
    (program,) = found["programs"]
    stages = {one["stage"]: one for one in program["stages"]}
    assert list(stages) == [
        "registered", "paid", "enrolled", "completed", "reported", "credential", "refunds",
    ]  # fmt: skip
    assert {one["state"] for one in program["stages"]} == {"done"}
    assert stages["registered"]["text"] == "Registered with the ministry as SIPLATIH-2024-TL-1."
    assert LPK in stages["registered"]["entries"][0]["text"]
    assert [one["reference"] for one in stages["paid"]["entries"]] == ["INV-TL-1", "INV-TL-1-2"]
    assert "Rp 150,000 through GoPay: paid on " in stages["paid"]["entries"][0]["text"]
    assert [one["state"] for one in stages["enrolled"]["entries"]] == ["enrolled", "completed"]
    assert "as platform told us on" in stages["enrolled"]["entries"][0]["text"]
    (report,) = stages["reported"]["entries"]
    assert report["state"] == "accepted"
    assert f"Receipt {report['reference']}." in report["text"]
    assert [one["state"] for one in stages["credential"]["entries"]] == ["valid", "queued"]
    assert "Rp 50,000 of INV-TL-1-2: given back on" in stages["refunds"]["entries"][0]["text"]
    assert found["niks"] == ["3201********0001"]
    whole = str(found)
    assert NIK not in whole
    assert NAME not in whole


def test_what_is_not_there_yet_is_said_so(client: httpx.Client) -> None:
    told("learner-8", "TL-2", "withdrawn", 3)
    paid("INV-TL-2", "learner-8", None, client=me(), status="pending", paid_at=None)
    first, second = timeline(client, "learner-8")["programs"]
    assert (first["program_code"], second["program_code"]) == ("TL-2", None)
    assert {one["stage"]: one["state"] for one in first["stages"]} == {
        "registered": "not_yet", "paid": "not_yet", "enrolled": "attention", "completed": "not_yet",
        "reported": "not_yet", "credential": "not_yet", "refunds": "not_yet",
    }  # fmt: skip
    assert second["stages"][1]["state"] == "under_way"


def test_another_clients_payment_is_not_there(client: httpx.Client) -> None:
    with unit_of_work() as session:
        key = clients.create(session, "other", ["learners:read"])[1]
    paid("INV-TL-3", "learner-9", "TL-3", client=me())
    asked = {"Authorization": f"Bearer {key.text}"}
    assert client.get("/api/v1/learners/learner-9/timeline", headers=asked).status_code == 404
    told("learner-9", "TL-3", "enrolled", 3)
    (program,) = timeline(client, "learner-9", headers=asked)["programs"]
    assert (program["stages"][1]["state"], program["stages"][1]["entries"]) == ("not_yet", [])
    assert "INV-TL-3" not in str(program)
    (mine,) = timeline(client, "learner-9")["programs"]
    assert mine["stages"][1]["state"] == "done"
    with unit_of_work() as session:
        key = clients.create(session, "payments-only", ["payments"])[1]
    refused = client.get("/api/v1/learners/x/timeline", headers={"Authorization": f"Bearer {key.text}"})
    assert refused.status_code == 403


def test_an_id_of_any_characters_has_its_timeline(client: httpx.Client, person: Person) -> None:
    learner = "a/b c?é%"
    told(learner, "TL-4", "enrolled", 3)
    from urllib.parse import quote

    assert timeline(client, quote(learner, safe=""))["learner_id"] == learner
    browser = person("sari", "exceptions:read", "learners:read")
    assert browser.get("/console/learners", params={"find": learner}).headers["location"] == (
        f"/console/learners/{quote(learner, safe='')}"
    )
    assert "TL-4" in browser.see(f"/console/learners/{quote(learner, safe='')}")


def test_findings_are_listed_page_by_page_read_and_explained(client: httpx.Client) -> None:
    for number in range(3):
        paid(f"INV-F-{number}", f"f-{number}", "TL-5", client=me())
    told("f-9", "TL-5", "enrolled", 30)
    assert client.get("/api/v1/entitlements/newest").status_code == 404
    run_id = look()
    newest = client.get("/api/v1/entitlements/newest").json()
    assert (newest["process_id"], newest["balanced"], newest["differing"]) == (str(run_id), True, 4)
    first = client.get(FINDINGS, params={"limit": 3}).json()
    second = client.get(FINDINGS, params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert (len(first["items"]), len(second["items"]), second["next_cursor"], first["count"]) == (
        3,
        1,
        None,
        4,
    )
    of_class = client.get(FINDINGS, params={"class": "enrolled_not_paid"}).json()["items"]
    assert [one["learner_id"] for one in of_class] == ["f-9"]
    (mine,) = client.get(FINDINGS, params={"learner_id": "f-1", "program_code": "TL-5"}).json()["items"]
    address = f"{FINDINGS}/{mine['finding_id']}"
    nothing = client.post(f"{address}/explain", json={"reason": "17"})
    assert (nothing.status_code, nothing.json()["errors"][0]["where"]) == (422, "body.reason")
    key = {"Idempotency-Key": "explain-1"}
    for _ in range(2):
        done = client.post(f"{address}/explain", json={"reason": "Pays by invoice; FIN-118"}, headers=key)
        assert (done.status_code, done.json()["state"]) == (200, "explained"), done.text
    assert [one["actor"] for one in done.json()["events"]] == ["reconcile-entitlements", "client:tests"]
    again = client.post(f"{address}/explain", json={"reason": "Once more"})
    assert (again.status_code, again.json()["type"]) == (409, "urn:jembatan:problem:finding-closed")
    look()
    assert client.get(address).json()["state"] == "explained"
    (program,) = timeline(client, "f-1")["programs"]
    assert [(one["class"], one["state"]) for one in program["differences"]] == [
        ("paid_not_enrolled", "explained")
    ]


def test_differences_are_told_only_to_who_may_see_exceptions(client: httpx.Client) -> None:
    told("d-1", "TL-6", "enrolled", 30)
    look()
    with unit_of_work() as session:
        key = clients.create(session, "platform", ["learners"])[1]
    asked = {"Authorization": f"Bearer {key.text}"}
    assert timeline(client, "d-1", headers=asked)["programs"][0]["differences"] == []
    assert len(timeline(client, "d-1")["programs"][0]["differences"]) == 1
    assert client.get(FINDINGS, headers=asked).status_code == 403


def test_the_console_finds_a_learner_and_takes_an_explanation(client: httpx.Client, person: Person) -> None:
    a_learner("learner-10", "TL-7")
    paid("INV-LOST", "learner-11", "TL-7")
    look()
    browser = person("rina", "exceptions:write", "learners:read", "refunds:read")
    for asked in ("learner-10", "INV-TL-7", "CERT-TL-7"):
        there = browser.get("/console/learners", params={"find": asked})
        assert (there.status_code, there.headers["location"]) == (303, "/console/learners/learner-10")
    assert "We know no learner by that" in browser.see("/console/learners?find=nobody", 404)
    page = browser.see("/console/learners/learner-10")
    assert "3201********0001" in page
    assert NIK not in page
    assert NAME not in page
    assert "Registered with the ministry as SIPLATIH-2024-TL-7." in page
    browser.see("/console/learners/nobody", 404)
    listed = browser.see("/console/learners?class=paid_not_enrolled")
    with unit_of_work() as session:
        finding = session.scalars(sa.select(Finding).filter_by(learner_id="learner-11")).one()
    address = f"/console/learners/findings/{finding.id}"
    assert f'href="{address}"' in listed
    assert "Say why" in browser.submit(f"{address}/explain", reason="").text
    done = browser.submit(f"{address}/explain", reason="Pays by invoice; FIN-118")
    assert done.headers["location"] == f"{address}?done=explained"
    assert "Pays by invoice; FIN-118" in browser.see(address)
    assert "This finding is explained already" in browser.submit(f"{address}/explain", reason="Again").text
    assert "Nothing is open" in browser.see("/console/learners")
    narrow = person("budi", "exceptions:write")
    assert narrow.get("/console/learners").status_code == 403


def test_an_erased_learner_leaves_no_id_behind(client: httpx.Client) -> None:
    told("gone-1", "TL-8", "enrolled", 30)
    look()
    with unit_of_work() as session:
        who = subject.find(session, learner_id="gone-1")
        exported = subject.export(session, who, by="operator:dpo", reason="Asked for by them", origin="test")
        assert [one["state"] for one in exported["enrolments"]] == ["enrolled"]
        assert [one["class"] for one in exported["differences"]] == ["enrolled_not_paid"]
        subject.erase(session, who, by="operator:dpo", reason="Asked for by them", origin="test")
    assert client.get("/api/v1/learners/gone-1/timeline").status_code == 404
    (left,) = client.get(FINDINGS, params={"state": "all"}).json()["items"]
    assert (left["learner_id"], left["state"]) == (None, "resolved")
    with unit_of_work() as session:
        for table in ("enrolments", "enrolment_statements", "entitlement_findings", "entitlement_events"):
            rows = session.execute(sa.text(f"SELECT to_jsonb(t)::text FROM {table} t")).scalars()
            assert "gone-1" not in "".join(rows)
    look()
