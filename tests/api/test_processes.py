"""Process runs as programs see them."""

from datetime import timedelta
from uuid import UUID, uuid4

import httpx

from common import clock
from records import process
from records.db import unit_of_work

MEMBERS = {
    "process_id",
    "process",
    "state",
    "attempts",
    "next_attempt_at",
    "outcome",
    "error",
    "flow_run_id",
    "flow_run_url",
    "created_at",
    "submitted_at",
    "started_at",
    "ended_at",
}


def asked(key: str, name: str = "reconcile-payments") -> UUID:
    with unit_of_work() as session:
        return process.request(session, name, key, {"gateway": "gopay"})[0].id


def test_a_process_says_how_far_it_is_and_where_it_runs(client: httpx.Client, no_prefect: None) -> None:
    run_id, flow_run_id = asked("k"), uuid4()
    with unit_of_work() as session:
        process.start(session, run_id, flow_run_id)
        until = clock.now() + timedelta(minutes=5)
        process.wait(session, run_id, until, {"type": "not-reachable", "message": "gopay does not answer"})
    seen = client.get(f"/api/v1/processes/{run_id}").json()
    assert seen.keys() == MEMBERS
    assert seen["process_id"] == str(run_id)
    assert (seen["state"], seen["attempts"]) == ("waiting", 1)
    assert seen["next_attempt_at"]
    assert seen["error"] == {"type": "not-reachable", "message": "gopay does not answer"}
    assert seen["flow_run_id"] == str(flow_run_id)
    assert seen["flow_run_url"] == f"http://127.0.0.1:9/runs/flow-run/{flow_run_id}"


def test_a_process_that_ended_has_its_outcome(client: httpx.Client) -> None:
    run_id = asked("k")
    with unit_of_work() as session:
        process.start(session, run_id, None)
        process.finish(session, run_id, "succeeded", outcome={"balanced": True})
    seen = client.get(f"/api/v1/processes/{run_id}").json()
    assert (seen["state"], seen["outcome"], seen["error"]) == ("succeeded", {"balanced": True}, None)
    assert seen["ended_at"]


def test_an_unknown_process_is_a_problem(client: httpx.Client) -> None:
    answer = client.get(f"/api/v1/processes/{uuid4()}", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:jembatan:problem:not-found",
        "title": "Not found",
        "status": 404,
        "detail": "There is no process with this id.",
    }


def test_an_invalid_request_names_the_parameter(client: httpx.Client) -> None:
    for path, name in (("/x", "process_id"), ("?state=x", "state"), ("?limit=0", "limit")):
        answer = client.get(f"/api/v1/processes{path}")
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:jembatan:problem:invalid-request"
        assert answer.json()["errors"][0]["where"].endswith(name)


def test_pages_are_newest_first_and_steady_while_new_ones_arrive(client: httpx.Client) -> None:
    ids = [str(asked(str(number))) for number in range(5)]
    first = client.get("/api/v1/processes", params={"limit": 2}).json()
    asked("newer")
    second = client.get("/api/v1/processes", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    third = client.get("/api/v1/processes", params={"limit": 2, "cursor": second["next_cursor"]}).json()
    seen = [one["process_id"] for page in (first, second, third) for one in page["items"]]
    assert seen == ids[::-1]
    assert third["next_cursor"] is None


def test_processes_are_found_by_name_and_state(client: httpx.Client) -> None:
    refund, queued = asked("r", "refund-payment"), asked("q")
    with unit_of_work() as session:
        process.finish(session, refund, "failed", error={"type": "t", "message": "m"})

    def found(**query: str) -> list[str]:
        return [one["process_id"] for one in client.get("/api/v1/processes", params=query).json()["items"]]

    assert found(process="refund-payment") == [str(refund)]
    assert found(state="queued") == [str(queued)]
    assert found(process="refund-payment", state="queued") == []


def test_a_made_up_cursor_is_a_problem(client: httpx.Client) -> None:
    for cursor in ("x", "////", "aGVsbG8", "é"):
        answer = client.get("/api/v1/processes", params={"cursor": cursor})
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:jembatan:problem:invalid-cursor"
