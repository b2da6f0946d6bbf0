"""SIPLatih's sandbox takes each program and each participant once, and what is right only."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sandbox_siplatih import (
    BASE,
    CLIENT,
    GRANT,
    NIK,
    SCOPES,
    SiplatihCaller,
    credential,
    participant,
    program,
)


@pytest.fixture
def siplatih(http: httpx.Client) -> Iterator[SiplatihCaller]:
    """A caller; afterwards the service behaves as usual."""
    yield SiplatihCaller(http)
    http.delete("/_sandbox/siplatih/manners").raise_for_status()


def codes(answer: httpx.Response) -> list[tuple[int, str]]:
    """Place and code of each rejection."""
    return [(one["index"], one["code"]) for one in answer.json()["data"]["rejected"]]


# Token


def test_a_token_comes_for_a_form_with_everything_in_it(siplatih: SiplatihCaller) -> None:
    answer = siplatih.ask_token().json()
    assert (answer["token_type"], answer["expires_in"], answer["scope"]) == ("Bearer", 3600, SCOPES)
    assert siplatih.ask_token(scope="training:read").json()["scope"] == "training:read"


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": None}, 401, "invalid_client"),
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "training:all"}, 400, "invalid_scope"),
    ],
)
def test_no_token_for_a_form_that_is_not_right(
    siplatih: SiplatihCaller, changes: dict[str, Any], status: int, error: str
) -> None:
    answer = siplatih.ask_token(**changes)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


def test_no_token_for_json_for_basic_authentication_nor_for_a_secret_in_the_address(
    http: httpx.Client,
) -> None:
    path = f"{BASE}/oauth/token"
    assert http.post(path, json=GRANT).json() == {"error": "invalid_request"}
    assert http.post(path, params=CLIENT, data=GRANT).json() == {"error": "invalid_request"}
    basic = (CLIENT["client_id"], CLIENT["client_secret"])
    assert http.post(path, auth=basic, data={"grant_type": "client_credentials"}).status_code == 401


def test_each_call_needs_its_scope(siplatih: SiplatihCaller) -> None:
    siplatih.token = siplatih.ask_token(scope="training:read").json()["access_token"]
    assert siplatih.look_up("x").status_code == 200
    for answer in (siplatih.register(), siplatih.complete("x"), siplatih.verify()):
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "INSUFFICIENT_SCOPE")


def test_fewer_scopes_are_granted_than_asked_for(siplatih: SiplatihCaller) -> None:
    siplatih.behave(scopes=["training:read", "credential:read"])
    assert siplatih.ask_token().json()["scope"] == "training:read credential:read"
    siplatih.behave(scope_member=False, expires_in="text")
    answer = siplatih.ask_token().json()
    assert "scope" not in answer
    assert answer["expires_in"] == "3600"
    assert siplatih.register().status_code == 403


def test_a_token_ends(siplatih: SiplatihCaller) -> None:
    assert siplatih.look_up("x").status_code == 200
    siplatih.http.delete("/_sandbox/tokens")
    answer = siplatih.look_up("x")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
    assert "invalid_token" in answer.headers["WWW-Authenticate"]


# Programs


def test_a_program_is_registered_and_found_by_its_code(siplatih: SiplatihCaller) -> None:
    wanted = program()
    answer = siplatih.post("/training-programs", wanted)
    assert answer.status_code == 201
    data = answer.json()["data"]
    assert data["siplatih_program_id"].startswith("SIPLATIH-")
    assert (data["program_code"], data["status"]) == (wanted["program_code"], "REGISTERED")
    [found] = siplatih.look_up(wanted["program_code"]).json()["data"]
    assert found["siplatih_program_id"] == data["siplatih_program_id"]
    assert (found["lpk_registration_number"], found["program_name"]) == (
        wanted["lpk_registration_number"],
        wanted["program_name"],
    )
    assert siplatih.look_up("LPK-UNKNOWN").json() == {"success": True, "data": []}


def test_the_same_code_is_a_conflict(siplatih: SiplatihCaller) -> None:
    wanted = program()
    assert siplatih.post("/training-programs", wanted).status_code == 201
    for changes, code in (
        ({}, "PROGRAM_EXISTS"),
        ({"lpk_registration_number": "LPK-OTHER"}, "PROGRAM_CODE_TAKEN"),
        ({"program_name": "Another"}, "PROGRAM_CODE_TAKEN"),
    ):
        answer = siplatih.post("/training-programs", {**wanted, **changes})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, code)
    assert siplatih.books(wanted["program_code"])["versions"] == 1


def test_another_content_is_taken_only_where_that_is_switched_on(siplatih: SiplatihCaller) -> None:
    wanted = program()
    siplatih.post("/training-programs", wanted)
    assert siplatih.post("/training-programs", {**wanted, "duration_hours": 1400}).status_code == 409
    siplatih.behave(updates=True)
    answer = siplatih.post("/training-programs", {**wanted, "duration_hours": 1400})
    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "UPDATED")
    assert siplatih.post("/training-programs", {**wanted, "duration_hours": 1400}).status_code == 409
    assert siplatih.books(wanted["program_code"])["versions"] == 2


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"program_code": None}, "program_code"),
        ({"program_code": " LPK-1"}, "program_code"),
        ({"program_name": ""}, "program_name"),
        ({"program_name": "a\u0007b"}, "program_name"),
        ({"program_name": "Me\u0301canique"}, "program_name"),
        ({"lpk_registration_number": 12345}, "lpk_registration_number"),
        ({"lpk_name": None}, "lpk_name"),
        ({"program_type": "OTHER"}, "program_type"),
        ({"sector": "Information technology"}, "sector"),
        ({"duration_days": 184}, "duration_days"),
        ({"duration_days": 0}, "duration_days"),
        ({"duration_days": "180"}, "duration_days"),
        ({"duration_days": True}, "duration_days"),
        ({"duration_days": 180.0}, "duration_days"),
        ({"duration_hours": 4321}, "duration_hours"),
        ({"start_date": "2024-02-30"}, "start_date"),
        ({"start_date": "15-01-2024"}, "start_date"),
        ({"end_date": "2024-01-14"}, "end_date"),
        ({"location": None}, "location"),
        ({"location": "Jakarta"}, "location"),
        ({"location__province": "Jakarta Raya"}, "location.province"),
        ({"location__postal_code": "01220"}, "location.postal_code"),
        ({"location__postal_code": 10220}, "location.postal_code"),
        ({"location__country": "ID"}, "location.country"),
        ({"participant_capacity": 0}, "participant_capacity"),
        ({"instructor_qualifications": [{"name": "Siti"}]}, "instructor_qualifications[0].qualification"),
        ({"curriculum": []}, "curriculum"),
        ({"curriculum": [{"module_name": "A"}]}, "curriculum[0].duration_hours"),
        ({"color": "blue"}, "color"),
    ],
)
def test_a_program_with_a_fault_is_refused_with_its_path(
    siplatih: SiplatihCaller, changes: dict[str, Any], path: str
) -> None:
    answer = siplatih.register(**changes)
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (422, [path])


def test_every_fault_is_told_at_once(siplatih: SiplatihCaller) -> None:
    answer = siplatih.register(program_name=None, duration_days=0, location__province="X")
    assert set(answer.json()["error"]["fields"]) == {"program_name", "duration_days", "location.province"}


def test_every_calendar_day_counts_both_ends(siplatih: SiplatihCaller) -> None:
    assert siplatih.register(duration_days=183).status_code == 201


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"a": NaN}', b'{"program_code": "a", "program_code": "b"}', b"\xff"]
)
def test_a_body_that_is_no_object_is_refused(siplatih: SiplatihCaller, body: bytes) -> None:
    headers = {**siplatih.headers(), "Content-Type": "application/json"}
    answer = siplatih.http.post(f"{BASE}/training-programs", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "MALFORMED_JSON")


def test_a_body_that_does_not_say_that_it_is_json_is_refused(siplatih: SiplatihCaller) -> None:
    answer = siplatih.http.post(f"{BASE}/training-programs", data={"a": "b"}, headers=siplatih.headers())
    assert answer.status_code == 415


# Completions


def test_participants_are_taken_once(siplatih: SiplatihCaller) -> None:
    number = siplatih.registered()
    first, second = participant(1), participant(2)
    answer = siplatih.complete(number, first)
    assert (answer.status_code, answer.json()["data"]["accepted"]) == (200, 1)
    again = siplatih.complete(number, first, second)
    assert (again.json()["data"]["accepted"], codes(again)) == (1, [(0, "ALREADY_REPORTED")])
    assert again.json()["data"]["rejected"][0]["certificate_number"] == first["certificate_number"]
    books = siplatih.books(number)
    assert [(one["times_told"], one["versions"]) for one in books["participants"]] == [(2, 1), (1, 1)]
    assert books["reports"] == 2


def test_other_values_of_a_participant_are_a_correction(siplatih: SiplatihCaller) -> None:
    number, first = siplatih.registered(), participant()
    siplatih.complete(number, first)
    better = {**first, "final_score": 95, "certificate_number": "CERT-NEW-" + number}
    answer = siplatih.complete(number, better)
    assert codes(answer) == [(0, "REPORTED_OTHERWISE")]
    assert answer.json()["data"]["rejected"][0]["certificate_number"] == first["certificate_number"]
    siplatih.behave(corrections=True)
    assert siplatih.complete(number, better).json()["data"]["accepted"] == 1
    [one] = siplatih.books(number)["participants"]
    assert (one["versions"], one["certificate_number"]) == (2, better["certificate_number"])


def test_duplicates_may_cost_the_whole_report(siplatih: SiplatihCaller) -> None:
    siplatih.behave(duplicates="conflict")
    number, first = siplatih.registered(), participant(1)
    siplatih.complete(number, first)
    answer = siplatih.complete(number, participant(2), first)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (409, "PARTICIPANTS_REPORTED")
    assert [(one["index"], one["code"], one["certificate_number"]) for one in error["details"]] == [
        (1, "ALREADY_REPORTED", first["certificate_number"])
    ]
    assert siplatih.books(number)["participant_count"] == 1


def test_one_bad_participant_does_not_cost_the_others(siplatih: SiplatihCaller) -> None:
    number, shared, refused = siplatih.registered(), participant(1), participant(6)
    siplatih.http.post(
        "/_sandbox/siplatih/refusals", json={"certificate_number": refused["certificate_number"]}
    )
    answer = siplatih.complete(
        number,
        shared,
        participant(2, nik="3201010101010000"),
        participant(1),
        participant(4, certificate_number=shared["certificate_number"]),
        participant(5, certificate_number=None, final_score=None, completion_status="FAILED"),
        refused,
    )
    assert answer.json()["data"]["accepted"] == 2
    assert codes(answer) == [
        (1, "NIK_NOT_PLAUSIBLE"),
        (2, "REPEATED_IN_REPORT"),
        (3, "CERTIFICATE_NUMBER_USED"),
        (5, "NIK_NOT_FOUND"),
    ]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"completion_date": "2024-01-14"}, "completion_date"),
        ({"completion_date": "2999-01-01"}, "completion_date"),
        ({"completion_rate": "95.0"}, "completion_rate"),
        ({"completion_rate": 95.05}, "completion_rate"),
        ({"completion_rate": 100.1}, "completion_rate"),
        ({"certification_rate": 95.1}, "certification_rate"),
        ({"participants": []}, "participants"),
        ({"participants": [participant(nik=3201010101010001)]}, "participants[0].nik"),
        ({"participants": [participant(), participant(2, full_name=" ")]}, "participants[1].full_name"),
        ({"participants": [participant(completion_status="DONE")]}, "participants[0].completion_status"),
        ({"participants": [participant(final_score=92.505)]}, "participants[0].final_score"),
        ({"participants": [participant(final_score=100.5)]}, "participants[0].final_score"),
        ({"participants": [participant() | {"final_score": None}]}, "participants[0].final_score"),
        ({"participants": [participant() | {"email": "a@b.c"}]}, "participants[0].email"),
        ({"correction": True}, "correction"),
    ],
)
def test_a_report_with_a_fault_is_refused_with_its_path(
    siplatih: SiplatihCaller, changes: dict[str, Any], path: str
) -> None:
    number = siplatih.registered()
    answer = siplatih.complete(number, **changes)
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (422, [path])
    assert siplatih.books(number)["participant_count"] == 0


@pytest.mark.parametrize(
    ("nik", "taken"),
    [
        ("3201014101010001", True),  # a woman: 40 is added to the day
        ("9501010101010001", True),
        ("9601010101010001", True),
        ("9701010101010001", False),
        ("2001010101010001", False),
        ("3200010101010001", False),
        ("3201000101010001", False),
        ("3201013201010001", False),
        ("3201017201010001", False),
        ("3201014001010001", False),
        ("3201010001010001", False),
        ("3201010113010001", False),
        ("3201013102010001", False),
        ("3201012902000001", True),  # 2000 was a leap year, 1900 was not
        ("3201012902010001", False),
        ("320101010101001", False),
        ("32010101010100011", False),
        ("320101O101010001", False),
        ("3.20101E+15", False),
        ("٣٢٠١٠١٠١٠١٠١٠٠٠١", False),
    ],
)
def test_a_nik_is_plausible_or_it_is_not(siplatih: SiplatihCaller, nik: str, taken: bool) -> None:
    answer = siplatih.complete(siplatih.registered(), participant(nik=nik))
    assert answer.json()["data"]["accepted"] == int(taken)


def test_a_program_that_is_not_there_has_no_participants(siplatih: SiplatihCaller) -> None:
    answer = siplatih.complete("SIPLATIH-2024-999999")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "PROGRAM_NOT_FOUND")


# Verification


def test_a_credential_is_verified_by_the_books(siplatih: SiplatihCaller) -> None:
    nik = "3201010101019001"
    assert siplatih.verify(participant_nik=nik).json()["data"]["reason"] == "NO_COMPLETION"
    siplatih.complete(siplatih.registered(skkni_code="SKKNI-A"), participant(nik=nik))
    data = siplatih.verify(participant_nik=nik).json()["data"]
    assert (data["verified"], data["reason"]) == (False, "OTHER_SKKNI_CODE")
    assert siplatih.verify(participant_nik=nik, skkni_code="SKKNI-A").json()["data"]["verified"] is True


def test_an_answer_may_have_no_yes_in_it(siplatih: SiplatihCaller) -> None:
    siplatih.behave(verdict="silent")
    assert "verified" not in siplatih.verify().json()["data"]
    siplatih.behave(verdict="text")
    assert siplatih.verify().json()["data"]["verified"] == "true"


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"credential_id": "1234"}, "credential_id"),
        ({"credential_url": "http://issuer.example/1"}, "credential_url"),
        ({"credential_url": "issuer"}, "credential_url"),
        ({"participant_nik": NIK[:15]}, "participant_nik"),
        ({"participant_nik": int(NIK)}, "participant_nik"),
        ({"issuance_date": "2024-07-15T10:30:00"}, "issuance_date"),
        ({"issuance_date": "2024-07-15"}, "issuance_date"),
        ({"issuance_date": "2999-07-15T10:30:00Z"}, "issuance_date"),
        ({"skkni_code": None}, "skkni_code"),
    ],
)
def test_a_credential_with_a_fault_is_refused_with_its_path(
    siplatih: SiplatihCaller, changes: dict[str, Any], path: str
) -> None:
    answer = siplatih.post("/credentials/verify", credential(**changes))
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (422, [path])
