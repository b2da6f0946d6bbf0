"""SIPLatih's sandbox on a bad day: every form of refusal, outages, limits, and answers that never come."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from sandbox_siplatih import BASE, SiplatihCaller, participant, program

FORMS = {
    "own": "application/json",
    "laravel": "application/json",
    "problem": "application/problem+json",
    "text": "text/plain",
    "html": "text/html",
}


@pytest.fixture
def siplatih(http: httpx.Client) -> Iterator[SiplatihCaller]:
    """A caller; afterwards the service behaves as usual."""
    yield SiplatihCaller(http)
    http.delete("/_sandbox/siplatih/manners").raise_for_status()


def arm(siplatih: SiplatihCaller, operation: str, kind: str, **more: Any) -> None:
    failure = {"gateway": "siplatih", "operation": operation, "kind": kind, **more}
    siplatih.http.post("/_sandbox/failures", json=failure).raise_for_status()


def kind_of(answer: httpx.Response) -> str:
    return answer.headers["Content-Type"].partition(";")[0]


@pytest.mark.parametrize("form", FORMS)
def test_a_refusal_comes_in_every_form(siplatih: SiplatihCaller, form: str) -> None:
    siplatih.behave(error_form=form)
    number = siplatih.registered()
    answer = siplatih.complete(number, participant(1), participant(2, final_score=101))
    assert (answer.status_code, kind_of(answer)) == (422, FORMS[form])
    if form == "own":
        assert "participants[1].final_score" in answer.json()["error"]["fields"]
    elif form == "laravel":
        assert list(answer.json()["errors"]) == ["participants.1.final_score"]
    elif form == "problem":
        assert answer.json()["errors"][0]["pointer"] == "#/participants/1/final_score"


@pytest.mark.parametrize("form", FORMS)
def test_a_failure_on_demand_comes_in_every_form(siplatih: SiplatihCaller, form: str) -> None:
    arm(siplatih, "register", "code", code="422", form=form)
    answer = siplatih.register()
    assert (answer.status_code, kind_of(answer)) == (422, FORMS[form])
    assert siplatih.register().status_code == 201


def test_status_200_may_be_a_refusal_or_a_page(siplatih: SiplatihCaller) -> None:
    wanted = program()
    arm(siplatih, "register", "code", code="200")
    arm(siplatih, "register", "html")
    answer = siplatih.post("/training-programs", wanted)
    assert (answer.status_code, answer.json()["success"]) == (200, False)
    answer = siplatih.post("/training-programs", wanted)
    assert (answer.status_code, kind_of(answer)) == (200, "text/html")
    assert siplatih.look_up(wanted["program_code"]).json()["data"] == []


def test_a_redirect_names_another_host(siplatih: SiplatihCaller) -> None:
    arm(siplatih, "look_up", "code", code="307", location="https://captive.invalid/login")
    answer = siplatih.look_up("x")
    assert (answer.status_code, answer.headers["Location"]) == (307, "https://captive.invalid/login")


def test_too_many_requests_say_when_to_come_again(siplatih: SiplatihCaller) -> None:
    arm(siplatih, "look_up", "429", retry_after=7)
    arm(siplatih, "look_up", "429", retry_after=60, retry_form="date")
    arm(siplatih, "look_up", "429", retry_form="none")
    first, second, third = (siplatih.look_up("x") for _ in range(3))
    assert first.headers["Retry-After"] == "7"
    ahead = parsedate_to_datetime(second.headers["Retry-After"]) - datetime.now(UTC)
    assert timedelta(seconds=0) < ahead <= timedelta(seconds=61)
    assert "Retry-After" not in third.headers


def test_a_look_up_fails_and_a_registration_does_not(siplatih: SiplatihCaller) -> None:
    arm(siplatih, "look_up", "code", code="503")
    assert siplatih.register().status_code == 201
    assert siplatih.look_up("x").status_code == 503


def test_an_outage_lasts_until_told_and_takes_turns(siplatih: SiplatihCaller) -> None:
    siplatih.headers()
    for failure in ({"code": "503", "form": "html"}, {"code": "502", "form": "text"}):
        arm(siplatih, "any", "code", times=None, **failure)
    assert [siplatih.register().status_code for _ in range(4)] == [503, 502, 503, 502]
    arm(siplatih, "look_up", "code", code="418")  # a numbered one goes before those without an end
    assert [siplatih.look_up("x").status_code for _ in range(2)] == [418, 503]
    assert siplatih.ask_token().status_code == 502
    siplatih.http.delete("/_sandbox/failures", params={"gateway": "gopay"})
    assert siplatih.register().status_code == 503
    siplatih.http.delete("/_sandbox/failures", params={"gateway": "siplatih"})
    assert siplatih.register().status_code == 201


def test_a_lost_answer_was_a_registration(siplatih: SiplatihCaller) -> None:
    wanted = program()
    arm(siplatih, "register", "lost")
    with pytest.raises(httpx.ReadTimeout):
        siplatih.post("/training-programs", wanted, timeout=0.3)
    assert len(siplatih.look_up(wanted["program_code"]).json()["data"]) == 1
    assert siplatih.post("/training-programs", wanted).status_code == 409


def test_a_registration_may_come_late_after_its_caller_has_left(siplatih: SiplatihCaller) -> None:
    wanted = program()
    siplatih.headers()
    arm(siplatih, "register", "late", seconds=0.6)
    with pytest.raises(httpx.ReadTimeout):
        siplatih.post("/training-programs", wanted, timeout=0.2)
    assert siplatih.look_up(wanted["program_code"]).json()["data"] == []
    until = time.monotonic() + 10
    while not siplatih.look_up(wanted["program_code"]).json()["data"]:
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize(("kind", "code"), [("500_after", ""), ("code_after", "504"), ("502_html", "")])
def test_an_error_may_hide_a_report_that_was_taken(siplatih: SiplatihCaller, kind: str, code: str) -> None:
    number = siplatih.registered()
    arm(siplatih, "complete", kind, code=code)
    assert siplatih.complete(number).status_code >= 500
    assert siplatih.books(number)["participant_count"] == 1


@pytest.mark.parametrize("kind", ["reset", "reset_after", "half"])
def test_a_connection_breaks(siplatih: SiplatihCaller, kind: str) -> None:
    number = siplatih.registered()
    arm(siplatih, "complete", kind)
    with pytest.raises(httpx.TransportError):
        siplatih.complete(number)
    assert siplatih.books(number)["participant_count"] == (0 if kind == "reset" else 1)


def test_an_answer_drips(siplatih: SiplatihCaller) -> None:
    arm(siplatih, "look_up", "drip", seconds=0.01)
    assert siplatih.look_up("x").json() == {"success": True, "data": []}


def test_the_look_up_can_be_missing(siplatih: SiplatihCaller) -> None:
    for status in ("404", "405"):
        siplatih.behave(lookup=status)
        assert siplatih.look_up("x").status_code == int(status)
    assert siplatih.http.get("/siplatih/api/v1/programs").status_code == 404
    assert siplatih.http.put("/siplatih/api/v1/training-programs").status_code == 405


def test_what_is_too_large_is_refused(siplatih: SiplatihCaller) -> None:
    number = siplatih.registered()
    siplatih.behave(max_participants=2)
    answer = siplatih.complete(number, *(participant(place) for place in range(1, 4)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "TOO_MANY_PARTICIPANTS")
    siplatih.behave(max_body_bytes=100)
    assert siplatih.complete(number).status_code == 413
    assert siplatih.books(number)["reports"] == 0


def test_the_rate_limit_lets_through_so_many_and_counts_no_tokens(siplatih: SiplatihCaller) -> None:
    siplatih.headers()
    siplatih.behave(rate=0.01, burst=2)
    answers = [siplatih.look_up("x") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 100
    assert siplatih.ask_token().status_code == 200


def test_a_program_can_be_lost(siplatih: SiplatihCaller) -> None:
    wanted = program()
    siplatih.post("/training-programs", wanted)
    siplatih.http.delete(f"/_sandbox/siplatih/programs/{wanted['program_code']}").raise_for_status()
    assert siplatih.look_up(wanted["program_code"]).json()["data"] == []
    assert siplatih.post("/training-programs", wanted).status_code == 201


def test_every_call_is_in_the_log(siplatih: SiplatihCaller) -> None:
    wanted = program()
    headers = {**siplatih.headers(), "Idempotency-Key": "key-1"}
    for _ in range(2):
        siplatih.http.post(f"{BASE}/training-programs", json=wanted, headers=headers)
    calls = siplatih.http.get("/_sandbox/siplatih/calls").json()
    mine = [one for one in calls if one["subject"] == wanted["program_code"]]
    assert [(one["operation"], one["idempotency_key"], one["status"], one["code"]) for one in mine] == [
        ("register", "key-1", 201, ""),
        ("register", "key-1", 409, "PROGRAM_EXISTS"),
    ]


def test_a_choice_that_does_not_exist_is_refused(http: httpx.Client) -> None:
    for body in ({"lookup": "off"}, {"colour": "blue"}):
        assert http.post("/_sandbox/siplatih/manners", json=body).status_code == 422
    for operation, kind in (("refund", "500"), ("look_up", "wrong_trailer"), ("look_up", "code")):
        body = {"gateway": "siplatih", "operation": operation, "kind": kind}
        assert http.post("/_sandbox/failures", json=body).status_code == 422
