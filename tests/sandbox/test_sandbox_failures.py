"""Failures on demand happen as often as armed, in order, and as described."""

import csv
import gzip
import io
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sandbox_caller import GOPAY, LINKAJA_FILES, SnapCaller

DAY = "2025-01-15"
GOPAY_FILE = f"/gopay/reports/transactions-{DAY}.csv"
LINKAJA_FILE = f"/linkaja/reports/settlement-{DAY}.csv.gz"


def arm(http: httpx.Client, **failure: Any) -> None:
    http.post("/_sandbox/failures", json=failure).raise_for_status()


def report(http: httpx.Client, **more: Any) -> httpx.Response:
    return http.get(GOPAY_FILE, auth=GOPAY, **more)


def test_500_happens_as_often_as_armed(http: httpx.Client) -> None:
    arm(http, gateway="gopay", operation="report", kind="500", times=2)
    assert [report(http).status_code for _ in range(3)] == [500, 500, 200]


def test_failures_of_one_service_come_in_the_order_armed(http: httpx.Client) -> None:
    arm(http, gateway="gopay", operation="report", kind="500")
    arm(http, gateway="gopay", operation="report", kind="429", retry_after=7)
    arm(http, gateway="gopay", operation="status", kind="500")
    answers = [report(http) for _ in range(3)]
    assert [one.status_code for one in answers] == [500, 429, 200]
    assert answers[1].headers["Retry-After"] == "7"
    assert http.get("/gopay/v2/x/status", auth=GOPAY).json()["status_code"] == "500"


@pytest.mark.parametrize(("operation", "code"), [("token", "4297300"), ("history", "4291200")])
def test_snap_services_fail_in_their_own_words(ovo: SnapCaller, operation: str, code: str) -> None:
    ovo.token = ovo.ask_token().json()["accessToken"]
    arm(ovo.http, gateway="ovo", operation=operation, kind="429")
    answer = ovo.ask_token() if operation == "token" else ovo.page(DAY, 0)
    assert (answer.status_code, answer.json()["responseCode"], answer.headers["Retry-After"]) == (
        429,
        code,
        "1",
    )


def test_any_operation_of_a_gateway_can_fail_in_its_own_words(ovo: SnapCaller) -> None:
    arm(ovo.http, gateway="ovo", operation="any", kind="500", times=None)
    assert [ovo.ask_token().json()["responseCode"] for _ in range(2)] == ["5007300", "5007300"]
    ovo.http.delete("/_sandbox/failures", params={"gateway": "ovo"})
    assert ovo.ask_token().status_code == 200


def test_an_html_page_comes_with_status_200(http: httpx.Client) -> None:
    arm(http, gateway="gopay", operation="report", kind="html")
    answer = report(http)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("gateway", "path", "auth"), [("gopay", GOPAY_FILE, GOPAY), ("linkaja", LINKAJA_FILE, LINKAJA_FILES)]
)
def test_half_a_file_announces_the_whole_length(
    http: httpx.Client, gateway: str, path: str, auth: tuple[str, str]
) -> None:
    whole = http.get(path, auth=auth).content
    arm(http, gateway=gateway, operation="report", kind="half")
    got = bytearray()

    def read() -> None:
        with http.stream("GET", path, auth=auth) as answer:
            assert int(answer.headers["Content-Length"]) == len(whole)
            for part in answer.iter_raw():
                got.extend(part)

    with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
        read()
    assert bytes(got) == whole[: len(whole) // 2]


def test_half_a_history_page_is_no_page(ovo: SnapCaller) -> None:
    arm(ovo.http, gateway="ovo", operation="history", kind="half")
    with pytest.raises(httpx.RemoteProtocolError):
        ovo.page(DAY, 0)
    assert ovo.page(DAY, 0).status_code == 200


def test_a_reset_connection_gives_no_answer(http: httpx.Client, ovo: SnapCaller) -> None:
    arm(http, gateway="gopay", operation="report", kind="reset")
    with pytest.raises(httpx.ReadError):
        report(http)
    arm(http, gateway="ovo", operation="token", kind="reset")
    with pytest.raises(httpx.TransportError):  # the body may still be on its way: then it breaks there
        ovo.ask_token()
    assert report(http).status_code == 200


def test_a_time_out_holds_the_answer_until_the_caller_leaves(http: httpx.Client, linkaja: SnapCaller) -> None:
    arm(http, gateway="gopay", operation="report", kind="timeout")
    arm(http, gateway="linkaja", operation="token", kind="timeout")
    with pytest.raises(httpx.ReadTimeout):
        report(http, timeout=0.3)
    linkaja.http.timeout = httpx.Timeout(0.3)
    with pytest.raises(httpx.ReadTimeout):
        linkaja.ask_token()
    assert report(http, timeout=60).status_code == 200


def test_a_wrong_trailer_differs_from_the_lines(http: httpx.Client) -> None:
    arm(http, gateway="linkaja", operation="report", kind="wrong_trailer")
    tables = [
        list(
            csv.reader(
                io.StringIO(gzip.decompress(http.get(LINKAJA_FILE, auth=LINKAJA_FILES).content).decode())
            )
        )
        for _ in range(2)
    ]
    wrong, right = tables
    assert wrong[:-1] == right[:-1]
    assert Decimal(wrong[-1][4]) - Decimal(right[-1][4]) == 1000


def test_gopays_export_gets_a_total_only_to_be_wrong(http: httpx.Client) -> None:
    arm(http, gateway="gopay", operation="report", kind="wrong_trailer")
    wrong, right = (report(http).text.splitlines() for _ in range(2))
    assert wrong[:-1] == right
    total = wrong[-1].split(",")
    assert (total[:2], len(total)) == (["TOTAL", str(len(right) - 1)], 9)
    amounts = [row[5] for row in csv.reader(right[1:])]
    read = sum(Decimal(one) for one in amounts if one[-3:-2] == "." and one[:-3].isdecimal())
    assert Decimal(total[5]) == read + 1000


@pytest.mark.parametrize(
    "failure",
    [
        {"gateway": "ovo", "operation": "report", "kind": "500"},
        {"gateway": "gopay", "operation": "token", "kind": "500"},
        {"gateway": "ovo", "operation": "history", "kind": "wrong_trailer"},
        {"gateway": "dana", "operation": "report", "kind": "500"},
        {"gateway": "gopay", "operation": "report", "kind": "500", "times": 0},
        {"gateway": "gopay", "operation": "report", "kind": "slow"},
    ],
)
def test_a_failure_that_cannot_happen_is_not_armed(http: httpx.Client, failure: dict[str, Any]) -> None:
    assert http.post("/_sandbox/failures", json=failure).status_code == 422
    assert http.get("/_sandbox/failures").json() == []


def test_failures_can_be_disarmed(http: httpx.Client) -> None:
    arm(http, gateway="gopay", operation="report", kind="500", times=9)
    assert http.get("/_sandbox/failures").json()[0]["times"] == 9
    http.delete("/_sandbox/failures").raise_for_status()
    assert report(http).status_code == 200


def test_calls_are_counted_also_when_they_fail(http: httpx.Client, ovo: SnapCaller) -> None:
    before = http.get("/_sandbox/calls").json()
    arm(http, gateway="ovo", operation="history", kind="500")
    ovo.page(DAY, 0)
    ovo.page(DAY, 0)
    after = http.get("/_sandbox/calls").json()
    assert after["ovo"]["history"] - before["ovo"]["history"] == 2
    assert after["ovo"]["token"] - before["ovo"]["token"] == 1
    assert after["gopay"] == before["gopay"]
