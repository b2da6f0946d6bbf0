"""The ministry's register: what travels, and what each form of its answers means."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from counterpart import BROKEN, LOST, OAUTH, Counterpart
from pydantic import SecretStr

from common import clock
from common.errors import Ambiguous, AuthFailed, BadInput, RateLimited, Rejected, Transient
from common.services import Siplatih as Section
from providers import http
from providers.siplatih.client import Siplatih
from providers.siplatih.refusals import Conflict, Invalid, NotOffered, TooLarge, UnknownProgram
from providers.tokens import MemoryTokens

SECRET = "the-client-secret"
NUMBER = "SIPLATIH-2024-001234"
PROGRAM: dict[str, Any] = {
    "program_code": "LPK-2024-001",
    "program_name": "Advanced Software Development",
    "lpk_registration_number": "LPK-12345-2023",
    "instructor_qualifications": [
        {"name": "Dr. Ratna Dewi", "qualification": "Ph.D. Computer Science", "certification": "CERT-001"}
    ],
}
DATA = {
    "siplatih_program_id": NUMBER,
    "program_code": "LPK-2024-001",
    "status": "REGISTERED",
    "registration_date": "2024-01-10T10:00:00Z",
}
YES = {"success": True, "data": DATA}
MANY = {"success": False, "error": {"code": "VALIDATION_FAILED", "message": "Data tidak valid"}}


def section(url: str, **changed: Any) -> Section:
    values: dict[str, Any] = {
        "base_url": f"{url}/api/v1/",
        "client_id": "SENDER-7",
        "client_secret": SecretStr(SECRET),
        "rate": 1000,
        "read_timeout": 5,
    }
    made = Section(**(values | changed))
    made.complete(None)
    return made


@pytest.fixture
def register(there: Counterpart) -> Iterator[Siplatih]:
    opened = Siplatih(section(there.url))
    yield opened
    opened.close()


def person(number: int = 1, **changed: Any) -> dict[str, Any]:
    return {
        "nik": f"32010101010100{number:02d}",
        "full_name": f"Budi {number}",
        "completion_status": "COMPLETED",
        "final_score": Decimal("92.50"),
        "certificate_number": f"CERT-{number:04d}",
        **changed,
    }


def report(register: Siplatih, *people: dict[str, Any], number: str = NUMBER) -> Any:
    return register.report_completion(
        number,
        date(2024, 7, 15),
        people,
        completion_rate=Decimal("95.0"),
        certification_rate=Decimal("90.5"),
    )


def states(reported: Any) -> list[str]:
    return [one.state for one in reported.participants]


# The token


def test_the_token_is_asked_for_by_a_form_and_serves_many_calls(
    there: Counterpart, register: Siplatih
) -> None:
    for _ in range(3):
        there.says(200, YES)
        register.register_program(PROGRAM)
    (asked,) = [call for call in there.calls if call.path.endswith(OAUTH)]
    assert asked.path == "/api/v1/oauth/token"
    assert asked.headers["content-type"].startswith("application/x-www-form-urlencoded")
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["SENDER-7"],
        "client_secret": [SECRET],
        "scope": ["training:read training:write credential:read credential:write"],
    }
    assert {call.headers["authorization"] for call in there.business} == {"Bearer token-1"}
    assert {call.path for call in there.business} == {"/api/v1/training-programs"}


@pytest.mark.parametrize(
    ("given", "seconds"),
    [({"expires_in": 3600}, 3540), ({"expires_in": "900"}, 840), ({}, 240), ({"expires_in": "soon"}, 240)],
)
def test_a_token_is_kept_until_a_minute_before_its_end_however_that_is_written(
    there: Counterpart, given: dict[str, Any], seconds: int
) -> None:
    there.tokens = [(200, {"access_token": "abc", "token_type": "bearer", **given})]
    store = MemoryTokens()
    register = Siplatih(section(there.url), store)
    there.says(200, YES)
    register.register_program(PROGRAM)
    register.close()
    (kept,) = store._tokens.values()
    left = (kept.renew_at - clock.now()).total_seconds()
    assert seconds - 30 < left <= seconds


def test_threads_wait_for_one_token(there: Counterpart, register: Siplatih) -> None:
    for _ in range(8):
        there.says(200, YES)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: register.register_program(PROGRAM), range(8)))
    assert sum(call.path.endswith(OAUTH) for call in there.calls) == 1


def test_a_refused_token_is_renewed_once_and_the_call_repeated_once(
    there: Counterpart, register: Siplatih
) -> None:
    there.says(401, {"message": "Unauthenticated."})
    there.says(200, YES)
    assert register.register_program(PROGRAM).siplatih_program_id == NUMBER
    assert [call.headers["authorization"] for call in there.business] == ["Bearer token-1", "Bearer token-2"]
    there.says(401, {"message": "Unauthenticated."})
    there.says(401, {"message": "Unauthenticated."})
    with pytest.raises(AuthFailed):
        register.register_program(PROGRAM)
    assert len(there.business) == 4


def test_a_missing_scope_is_noticed_before_the_call(there: Counterpart, register: Siplatih) -> None:
    there.tokens = [(200, {"access_token": "abc", "expires_in": 900, "scope": "training:read"})]
    there.says(200, {"success": True, "data": []})
    assert register.look_up("LPK-2024-001") == []
    with pytest.raises(AuthFailed, match="scope training:write"):
        register.register_program(PROGRAM)
    assert len(there.business) == 1


@pytest.mark.parametrize("status", [400, 401])
def test_a_wrong_secret_is_final(there: Counterpart, register: Siplatih, status: int) -> None:
    there.tokens = [(status, {"error": "invalid_client", "error_description": f"{SECRET} is wrong"})]
    with pytest.raises(AuthFailed) as told:
        register.register_program(PROGRAM)
    assert told.value.code == "invalid_client"
    assert SECRET not in str(told.value)
    assert len(there.calls) == 1


@pytest.mark.parametrize(
    ("status", "body"), [(503, b"<html>Sedang pemeliharaan</html>"), (200, b"<html>"), (302, b"")]
)
def test_no_token_for_now_means_that_nothing_was_sent(
    there: Counterpart, register: Siplatih, status: int, body: bytes
) -> None:
    there.tokens = [(status, body)]
    with pytest.raises(Transient):
        register.register_program(PROGRAM)
    assert there.business == []


# Registering


def test_a_registered_program_has_its_number_and_date(there: Counterpart, register: Siplatih) -> None:
    there.says(201, YES | {"unknown": "member"})
    made = register.register_program(PROGRAM)
    assert (made.siplatih_program_id, made.is_registered) == (NUMBER, True)
    assert made.registered_at is not None
    assert made.registered_at.isoformat() == "2024-01-10T10:00:00+00:00"
    assert there.last.members == PROGRAM
    assert json.loads(made.evidence)["unknown"] == "member"
    assert NUMBER not in repr(made.evidence) or "evidence" not in repr(made)


@pytest.mark.parametrize("date", ["2024-01-10T10:00:00-17:39", "0024-01-10T10:00:00Z", "yesterday"])
def test_a_date_that_no_database_takes_is_no_date(there: Counterpart, register: Siplatih, date: str) -> None:
    there.says(201, YES | {"data": DATA | {"registration_date": date}})
    made = register.register_program(PROGRAM)
    assert (made.siplatih_program_id, made.registered_at) == (NUMBER, None)


def test_the_same_program_has_the_same_idempotency_key_and_another_has_another(
    there: Counterpart, register: Siplatih
) -> None:
    for program in (PROGRAM, PROGRAM, PROGRAM | {"program_name": "Another"}):
        there.says(200, YES)
        register.register_program(program)
    keys = [call.headers["idempotency-key"] for call in there.business]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "data": {name: value for name, value in DATA.items() if name != "status"}},
        {"success": True, **DATA},
    ],
)
def test_its_number_and_our_code_are_a_yes_without_more_words(
    there: Counterpart, register: Siplatih, body: Any
) -> None:
    there.says(200, body)
    made = register.register_program(PROGRAM)
    assert (made.siplatih_program_id, made.is_registered) == (DATA["siplatih_program_id"], True)


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "data": DATA | {"program_code": "LPK-2024-002"}},
        {"success": True, "data": DATA | {"siplatih_program_id": ""}},
        {"success": True, "data": DATA | {"status": "RECEIVED"}},
        {"success": True, "data": DATA | {"status": None}},
        {"success": True},
        {"success": "true", "data": DATA},
        {"data": DATA},
        b"<html><title>Login WiFi</title></html>",
        b"[1, 2]",
        LOST,
        BROKEN,
    ],
)
def test_an_answer_that_is_not_understood_leaves_it_unknown(
    there: Counterpart, register: Siplatih, body: Any
) -> None:
    there.says(200, body)
    with pytest.raises(Ambiguous):
        register.register_program(PROGRAM)
    assert len(there.business) == 1  # it is not sent again blindly


@pytest.mark.parametrize("status", [500, 502, 503, 504, 302, 307, 408])
def test_an_error_of_its_own_leaves_it_unknown(there: Counterpart, register: Siplatih, status: int) -> None:
    there.says(status, b"<html>Bad gateway</html>", Location="https://elsewhere.example/steal")
    with pytest.raises(Ambiguous):
        register.register_program(PROGRAM)
    assert len(there.business) == 1


OWN = {
    "success": False,
    "error": {
        "code": "VALIDATION_FAILED",
        "message": "Data tidak valid",
        "details": [
            {"field": "location.province", "message": "Provinsi tidak dikenal"},
            {"field": "instructor_qualifications.0.name", "message": "Nama 'Dr. Ratna Dewi' terlalu pendek"},
        ],
    },
}
OWN_MAP = {"success": False, "error": {"code": "X", "message": "m", "fields": {"location.province": "no"}}}
LARAVEL = {
    "message": "The given data was invalid.",
    "errors": {
        "location.province": ["Provinsi tidak dikenal"],
        "curriculum.0.duration_hours": ["min 1", "int"],
    },
}
PROBLEM = {"type": "https://siplatih.example/errors/invalid", "title": "Invalid", "detail": "Provinsi?"}


@pytest.mark.parametrize(
    ("status", "body", "paths", "words"),
    [
        (422, OWN, ["location.province", "instructor_qualifications[0].name"], "Data tidak valid"),
        (200, OWN, ["location.province", "instructor_qualifications[0].name"], "Data tidak valid"),
        (422, OWN_MAP, ["location.province"], "m"),
        (422, LARAVEL, ["location.province", *["curriculum[0].duration_hours"] * 2], "The given data"),
        (400, PROBLEM, [], "Invalid: Provinsi?"),
        (400, b"Bad request: province", [], "Bad request: province"),
    ],
)
def test_every_form_of_a_no_is_read(
    there: Counterpart, register: Siplatih, status: int, body: Any, paths: list[str], words: str
) -> None:
    there.says(status, body, x_request_id="req-1")
    with pytest.raises(Invalid) as told:
        register.register_program(PROGRAM)
    assert [one.path for one in told.value.faults] == paths
    assert words in str(told.value)
    assert told.value.request_id == "req-1"
    assert "Ratna" not in repr(told.value.faults) + str(told.value)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, {"success": False, "error": {"code": "LPK_NOT_ALLOWED", "message": "LPK"}}, Rejected),
        (403, {"error": "insufficient_scope"}, AuthFailed),
        (409, {"success": False, "error": {"code": "DUPLICATE", "message": "ada"}}, Conflict),
        (413, b"<html>Request Entity Too Large</html>", TooLarge),
        (200, {"success": False, "error": {"code": "SERVICE_UNAVAILABLE"}}, Ambiguous),
        (400, b"<html>nginx</html>", Ambiguous),
    ],
)
def test_each_no_is_told_by_what_the_caller_does(
    there: Counterpart, register: Siplatih, status: int, body: Any, kind: type[Exception]
) -> None:
    there.says(status, body)
    with pytest.raises(kind):
        register.register_program(PROGRAM)


def test_too_many_calls_wait_as_long_as_it_asks_in_seconds_or_until_a_date(
    there: Counterpart, register: Siplatih
) -> None:
    there.says(429, MANY, Retry_After="1")
    there.says(200, YES)
    assert register.register_program(PROGRAM).siplatih_program_id == NUMBER
    for until in ("120", format_datetime(clock.now() + timedelta(seconds=120), usegmt=True)):
        there.says(429, MANY, Retry_After=until)
        with pytest.raises(RateLimited) as told:
            register.register_program(PROGRAM)
        assert 100 < told.value.retry_after <= 120
    assert len(there.business) == 4


def test_what_cannot_be_reached_was_not_sent(there: Counterpart) -> None:
    register = Siplatih(section("http://127.0.0.1:9"))
    with pytest.raises(Transient, match="cannot be reached"):
        register.register_program(PROGRAM)
    register.close()


# Looking up


def test_the_look_up_tells_what_it_has_under_a_code(there: Counterpart, register: Siplatih) -> None:
    there.says(200, {"success": True, "data": [DATA, DATA | {"program_code": "LPK-2024-0011"}]})
    (found,) = register.look_up("LPK-2024-001")
    assert found.siplatih_program_id == NUMBER
    assert there.last.path == "/api/v1/training-programs?program_code=LPK-2024-001"
    there.says(200, {"success": True, "data": []})
    assert register.look_up("A&B ü") == []
    assert there.last.path.endswith("?program_code=A%26B+%C3%BC")


@pytest.mark.parametrize("status", [404, 405])
def test_a_look_up_that_is_not_there_is_told(there: Counterpart, register: Siplatih, status: int) -> None:
    there.says(status, {"message": "Not found"})
    with pytest.raises(NotOffered):
        register.look_up("LPK-2024-001")


@pytest.mark.parametrize(
    "body", [{"success": True, "data": {}}, {"data": []}, {"success": True, "data": [{}]}]
)
def test_a_look_up_in_another_form_is_no_empty_one(there: Counterpart, register: Siplatih, body: Any) -> None:
    there.says(200, body)
    with pytest.raises(Rejected, match=r"do not know|without"):
        register.look_up("LPK-2024-001")


def test_a_look_up_is_repeated_where_it_fails(there: Counterpart, register: Siplatih) -> None:
    there.says(503, b"<html>")
    there.says(200, {"success": True, "data": [DATA]})
    assert len(register.look_up("LPK-2024-001")) == 1


# Reporting


def test_a_report_carries_the_numbers_as_they_are_written(there: Counterpart, register: Siplatih) -> None:
    there.says(200, {"success": True, "data": {"accepted": 1, "rejected": []}})
    assert states(report(register, person(), number="SIP/1 2")) == ["accepted"]
    assert there.last.path == "/api/v1/training-programs/SIP%2F1%202/completions"
    assert b'"final_score":92.5,' in there.last.body
    assert b'"completion_rate":95,"certification_rate":90.5' in there.last.body
    assert there.last.members["participants"][0]["nik"] == "3201010101010001"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, ["accepted", "accepted"]),
        ({"accepted": 2}, ["accepted", "accepted"]),
        ({"accepted": 1}, ["unknown", "unknown"]),
        ({"accepted": 1, "rejected": [{"index": 1, "code": "NIK"}]}, ["accepted", "rejected"]),
        ({"accepted": 1, "rejected": [{"certificate_number": "CERT-0001"}]}, ["rejected", "accepted"]),
        ({"accepted": 1, "rejected": [{"nik": "3201010101010002"}]}, ["accepted", "rejected"]),
        ({"accepted": 1, "rejected": [{"index": 1, "nik": "3201010101010001"}]}, ["unknown", "unknown"]),
        ({"accepted": 0, "rejected": [{"index": 1}]}, ["unknown", "rejected"]),
        ({"accepted": 1, "rejected": [{"index": 7}]}, ["unknown", "unknown"]),
        ({"accepted": 1, "rejected": [{"index": 0, "certificate_number": "X"}]}, ["unknown", "unknown"]),
        ({"rejected": "one"}, ["unknown", "unknown"]),
        ({"accepted": ["CERT-0002", "CERT-0001"]}, ["accepted", "accepted"]),
        ({"accepted": ["3201010101010001"]}, ["accepted", "unknown"]),
        ({"accepted": ["CERT-0001", "CERT-0001"]}, ["unknown", "unknown"]),
        ({"accepted": [{"nik": "3201010101010001"}, {"nik": "3201010101019999"}]}, ["unknown", "unknown"]),
        ({"accepted": ["CERT-0001"], "rejected": [{"index": 0}]}, ["unknown", "unknown"]),
        ({"accepted": ["receipt 1", "receipt 2"]}, ["accepted", "accepted"]),
        ({"participants": [{"index": 0, "status": "REJECTED"}]}, ["unknown", "unknown"]),
        ({"processed": 2, "failed": 1}, ["unknown", "unknown"]),
        ({"processed": 2, "failed": 0, "links": [{"rel": "self"}]}, ["accepted", "accepted"]),
        *(
            (
                {"accepted": 1, "rejected": [{"index": 0, "code": code, "certificate_number": "CERT-0001"}]},
                [state, "accepted"],
            )
            for code, state in {
                "ALREADY_REPORTED": "accepted",
                "ParticipantAlreadyReported": "accepted",
                "REPORTED_OTHERWISE": "rejected",
                "CERTIFICATE_ALREADY_USED": "rejected",
                "CannotBeReported": "rejected",
            }.items()
        ),
    ],
)
def test_each_participant_has_an_answer_of_its_own(
    there: Counterpart, register: Siplatih, data: dict[str, Any], expected: list[str]
) -> None:
    there.says(202, {"success": True, "data": data})
    assert states(report(register, person(1), person(2))) == expected


def test_a_refused_report_names_who_it_minds_and_the_others_go_without(
    there: Counterpart, register: Siplatih
) -> None:
    message = "NIK 3201010101010002 atas nama BUDI 2 tidak ditemukan"
    there.says(422, {"message": "Invalid", "errors": {"participants.1.nik": [message]}})
    reported = report(register, person(1), person(2))
    assert states(reported) == ["untouched", "rejected"]
    reason = reported.participants[1].reason
    assert reason == "nik: NIK 3201********0002 atas nama *** tidak ditemukan"


def test_reported_already_is_done_where_the_certificate_agrees(
    there: Counterpart, register: Siplatih
) -> None:
    details = [
        {"index": 0, "certificate_number": "CERT-0001", "code": "ALREADY_REPORTED"},
        {"index": 1, "certificate_number": "CERT-9999", "code": "ALREADY_REPORTED", "message": "sudah"},
    ]
    there.says(409, {"success": False, "error": {"code": "ALREADY_REPORTED", "details": details}})
    assert states(report(register, *(person(n) for n in (1, 2, 3)))) == ["accepted", "rejected", "untouched"]
    details = [
        {"index": 0, "certificate_number": "CERT-0001", "code": "REPORTED_OTHERWISE"},
        {"field": "participants.1.certificate_number", "certificate_number": "CERT-0002"},
    ]
    there.says(409, {"success": False, "error": {"code": "CONFLICT", "details": details}})
    assert states(report(register, person(1), person(2))) == ["rejected", "rejected"]


def test_a_yes_that_names_errors_is_none(there: Counterpart, register: Siplatih) -> None:
    there.says(200, {"success": True, "errors": [{"index": 0, "message": "gagal"}], "data": {}})
    with pytest.raises(Ambiguous, match="says yes and names an error"):
        report(register, person(1), person(2))


def test_a_report_that_is_too_large_goes_in_parts(there: Counterpart, register: Siplatih) -> None:
    there.says(413, b"<html>too large</html>")
    there.says(200, {"success": True})
    there.says(500, b"<html>")
    assert states(report(register, *(person(n) for n in range(1, 6)))) == ["accepted"] * 2 + ["unknown"] * 3
    assert [len(call.members["participants"]) for call in there.business] == [5, 2, 3]
    for status, state in ((400, "rejected"), (500, "unknown")):  # of the first half, and not of the second
        there.says(413, b"")
        there.says(status, {"message": "no"})
        there.says(200, {"success": True})
        assert states(report(register, person(1), person(2))) == [state, "accepted"]


def test_an_unknown_program_is_never_made_anew(there: Counterpart, register: Siplatih) -> None:
    there.says(404, {"success": False, "error": {"code": "PROGRAM_NOT_FOUND"}})
    with pytest.raises(UnknownProgram):
        report(register, person())


def test_a_report_without_an_answer_is_unknown(there: Counterpart, register: Siplatih) -> None:
    there.says(200, LOST)
    with pytest.raises(Ambiguous):
        report(register, person())


# Credentials

CREDENTIAL = {
    "credential_id": "550e8400-e29b-41d4-a716-446655440000",
    "participant_nik": "3201010101010001",
    "skkni_code": "SKKNI-IT-2023-001",
}


@pytest.mark.parametrize(
    ("status", "body", "is_verified"),
    [
        (200, {"success": True, "data": {"verified": True}}, True),
        (200, {"success": True, "data": {"verified": "true"}}, False),
        (200, {"success": True, "data": {"verified": 1}}, False),
        (200, {"success": True, "data": {"valid": True}}, False),
        (200, {"success": True, "data": {}}, False),
        (200, {"success": True, "verified": True}, False),  # of what, it does not say
        (200, {"success": True, "credential_id": CREDENTIAL["credential_id"], "verified": True}, True),
        (
            200,
            {"success": True, "data": {"credential_id": CREDENTIAL["credential_id"], "verified": True}},
            True,
        ),
        (200, {"success": True, "data": {"credential_id": "another", "verified": True}}, False),
        (200, {"success": True, "data": {"verified": True, "nik": "3201010101019999"}}, False),
        (200, {"success": True, "data": {"verified": True, "participant_nik": "3201********0001"}}, True),
        (200, {"success": True, "data": {"verified": True, "status": "Revoked"}}, False),
        (404, {"success": False, "error": {"code": "NOT_FOUND"}}, False),
        (422, {"success": False, "data": {"verified": True}}, False),
    ],
)
def test_only_an_explicit_yes_is_one(
    there: Counterpart, register: Siplatih, status: int, body: Any, is_verified: bool
) -> None:
    there.says(status, body)
    told = register.verify_credential(CREDENTIAL)
    assert told.is_verified is is_verified
    assert json.loads(told.evidence) == body
    assert there.last.members == CREDENTIAL


def test_a_no_has_the_registers_reason_and_a_gateways_404_is_none(
    there: Counterpart, register: Siplatih
) -> None:
    reason = "NIK 3201/0101/0101/0001 tidak terdaftar"
    there.says(200, {"success": True, "data": {"verified": False, "reason": reason}})
    told = register.verify_credential(CREDENTIAL).reason
    assert told == "The register says that it is not: NIK 3201********0001 tidak terdaftar"
    there.says(404, {"message": "no Route matched with those values"})
    with pytest.raises(NotOffered):
        register.verify_credential(CREDENTIAL)


def test_a_check_is_repeated_where_its_answer_is_lost(there: Counterpart, register: Siplatih) -> None:
    there.says(200, LOST)
    there.says(200, {"success": True, "data": {"verified": True}})
    assert register.verify_credential(CREDENTIAL).is_verified


def test_a_bundle_of_authorities_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="CA bundle"):
        http.client(section("https://x"), ca_bundle=tmp_path / "none.pem")


def test_a_code_that_is_taken_is_a_conflict_in_every_form(there: Counterpart, register: Siplatih) -> None:
    there.says(422, {"message": "Invalid", "errors": {"program_code": ["has already been taken."]}})
    there.says(200, {"success": False, "error": {"code": "PROGRAM_EXISTS"}})
    for _ in range(2):
        with pytest.raises(Conflict):
            register.register_program(PROGRAM)
    there.says(422, {"message": "Invalid", "errors": {"lpk_name": ["has already been taken."]}})
    with pytest.raises(Invalid) as refused:
        register.register_program(PROGRAM)
    assert not isinstance(refused.value, Conflict)
