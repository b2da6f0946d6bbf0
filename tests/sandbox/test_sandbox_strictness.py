"""The gates: what is unsigned, wrongly signed, stale, repeated or malformed is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from sandbox_caller import HISTORY_PATH, STATUS_PATHS, SnapCaller, stamp

from sandbox.snap import Tokens

DAY = "2025-01-15"
GOPAY_FILE = f"/gopay/reports/transactions-{DAY}.csv"
LINKAJA_FILE = f"/linkaja/reports/settlement-{DAY}.csv.gz"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"pageSize": 51}, "4001201"),
        ({"pageSize": 0}, "4001201"),
        ({"pageNumber": -1}, "4001201"),
        ({"fromDateTime": None}, "4001202"),
        ({"fromDateTime": "2025-01-15T00:00:00"}, "4001201"),
        ({"toDateTime": "2025-01-15T00:00:00+07:00"}, "4001201"),
        ({"additionalInfo": {"statuses": ["REFUND"]}}, "4001201"),
    ],
)
def test_a_history_request_that_is_wrong_is_refused(
    ovo: SnapCaller, change: dict[str, Any], code: str
) -> None:
    right = {
        "fromDateTime": f"{DAY}T00:00:00+07:00",
        "toDateTime": "2025-01-16T00:00:00+07:00",
        "pageSize": 10,
    }
    answer = ovo.call(HISTORY_PATH, right | change)
    assert (answer.status_code, answer.json()["responseCode"]) == (400, code)


@pytest.mark.parametrize("path", [GOPAY_FILE, LINKAJA_FILE, "/gopay/v2/JB-20250115-G-000001/status"])
@pytest.mark.parametrize("auth", [None, ("sandbox-other", ""), ("sandbox-linkaja", "wrong")])
def test_files_and_core_api_want_the_right_key(
    http: httpx.Client, path: str, auth: tuple[str, str] | None
) -> None:
    assert http.get(path, auth=auth).status_code == 401


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"X_CLIENT_KEY": "sandbox-other"}, 401, "4017300"),
        ({"X_SIGNATURE": "bm90IGEgc2lnbmF0dXJl"}, 401, "4017300"),
        ({"X_SIGNATURE": "not base64!"}, 401, "4017300"),
        ({"X_TIMESTAMP": stamp(timedelta(hours=1))}, 401, "4017300"),
        ({"X_TIMESTAMP": stamp(timedelta(hours=-1))}, 401, "4017300"),
        ({"X_TIMESTAMP": "2025-01-15 10:00:00"}, 400, "4007301"),
        ({"X_SIGNATURE": ""}, 400, "4007302"),
        ({"Content_Type": "text/plain"}, 400, "4007300"),
        ({"body": b"{}"}, 400, "4007302"),
        ({"body": b'{"grantType":"password"}'}, 400, "4007301"),
        ({"body": b"[1]"}, 400, "4007300"),
    ],
)
def test_a_token_request_that_is_wrong_is_refused(
    snap: SnapCaller, changes: dict[str, Any], status: int, code: str
) -> None:
    answer = snap.ask_token(**changes)
    assert (answer.status_code, answer.json()["responseCode"]) == (status, code)


def test_a_token_signed_with_another_key_is_refused(http: httpx.Client) -> None:
    answer = SnapCaller(http, "ovo", generate_private_key(65537, 2048)).ask_token()
    assert answer.json()["responseCode"] == "4017300"


def test_a_token_lives_900_seconds(snap: SnapCaller) -> None:
    answer = snap.ask_token().json()
    assert (answer["responseCode"], answer["tokenType"], int(answer["expiresIn"])) == (
        "2007300",
        "Bearer",
        900,
    )
    moment = datetime(2026, 11, 24, tzinfo=UTC)
    tokens = Tokens(clock=lambda: moment)
    token = tokens.issue()
    moment += timedelta(seconds=899)
    assert tokens.is_live(token)
    moment += timedelta(seconds=1)
    assert not tokens.is_live(token)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"Authorization": "Bearer made-up"}, 401, "4015501"),
        ({"Authorization": ""}, 401, "4015501"),
        ({"X_SIGNATURE": "bm90IGEgc2lnbmF0dXJl"}, 401, "4015500"),
        ({"X_PARTNER_ID": "sandbox-other"}, 401, "4015500"),
        ({"CHANNEL_ID": "95222"}, 401, "4015500"),
        ({"CHANNEL_ID": ""}, 400, "4005502"),
        ({"X_TIMESTAMP": stamp(timedelta(hours=1))}, 401, "4015500"),
        ({"X_TIMESTAMP": "2025-01-15T10:00:00"}, 400, "4005501"),
        ({"X_EXTERNAL_ID": "0b7e2c6e-uuid"}, 400, "4005501"),
        ({"X_EXTERNAL_ID": "1" * 37}, 400, "4005501"),
        ({"Content_Type": "text/plain"}, 400, "4005500"),
    ],
)
def test_a_signed_call_that_is_wrong_is_refused(
    snap: SnapCaller, changes: dict[str, str], status: int, code: str
) -> None:
    answer = snap.status("JB-20250115-O-000001", **changes)
    assert (answer.status_code, answer.json()["responseCode"]) == (status, code)


def test_one_changed_byte_spoils_the_signature(snap: SnapCaller) -> None:
    members = {"originalPartnerReferenceNo": "JB-20250115-O-000001", "serviceCode": "55"}
    spaced = b'{"originalPartnerReferenceNo": "JB-20250115-O-000001","serviceCode":"55"}'
    answer = snap.call(STATUS_PATHS[snap.gateway], members, tamper=spaced)
    assert (answer.status_code, answer.json()["responseCode"]) == (401, "4015500")


def test_an_external_id_serves_once_a_day(snap: SnapCaller) -> None:
    codes = [snap.page(DAY, 0, X_EXTERNAL_ID="4711").json()["responseCode"] for _ in range(2)]
    assert codes == ["2001200", "4091200"]


def test_a_token_of_another_gateway_is_unknown(ovo: SnapCaller, linkaja: SnapCaller) -> None:
    linkaja.token = ovo.ask_token().json()["accessToken"]
    assert linkaja.page(DAY, 0).json()["responseCode"] == "4011201"


def test_tokens_can_be_ended_on_demand(http: httpx.Client, snap: SnapCaller) -> None:
    assert snap.page(DAY, 0).status_code == 200
    http.delete("/_sandbox/tokens").raise_for_status()
    assert snap.page(DAY, 0).json()["responseCode"] == "4011201"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"serviceCode": "55"}, "4005502"),
        ({"originalPartnerReferenceNo": "JB-20250115-O-000001"}, "4005502"),
        ({"originalPartnerReferenceNo": "JB-20250115-O-000001", "serviceCode": "99"}, "4005501"),
        ({"originalPartnerReferenceNo": "x", "serviceCode": "55", "merchantId": "other"}, "4045508"),
        ({"originalPartnerReferenceNo": "JB-20251399-O-000001", "serviceCode": "55"}, "4045501"),
        ({"originalPartnerReferenceNo": "x", "serviceCode": "55"}, "4045501"),
    ],
)
def test_a_status_request_that_is_wrong_is_refused(
    ovo: SnapCaller, members: dict[str, str], code: str
) -> None:
    assert ovo.call(STATUS_PATHS["ovo"], members).json()["responseCode"] == code
