"""SNAP payments through every aggregator: the right request works, one wrong thing at a time is refused."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from sandbox_caller import stamp
from sandbox_profiles import PATHS, ROUTES, SERVICE_CODES, ProfileCaller, changed, payment, wib

Through = Callable[[str, str], ProfileCaller]
ALL = [(gateway, profile) for gateway in ("ovo", "linkaja") for profile in PATHS]
OTHER_KEY = generate_private_key(65537, 2048)
ANY = [
    ("partnerReferenceNo", None, "02"),
    ("partnerReferenceNo", "", "02"),
    ("partnerReferenceNo", 7, "01"),
    ("partnerReferenceNo", "a b", "01"),
    ("partnerReferenceNo", "x" * 65, "01"),
    ("amount", None, "02"),
    ("amount", "150000.00", "01"),
    ("amount.value", None, "02"),
    ("amount.value", "150000", "01"),
    ("amount.value", "150000.0", "01"),
    ("amount.value", "150000.000", "01"),
    ("amount.value", "1.5e5", "01"),
    ("amount.value", "-150000.00", "01"),
    ("amount.value", "0.00", "01"),
    ("amount.value", 150000, "01"),
    ("amount.currency", None, "02"),
    ("amount.currency", "USD", "01"),
    ("additionalInfo", None, "02"),
    ("additionalInfo", "x", "01"),
    ("pointOfInitiation", "desk", "01"),
    ("validUpTo", "2026-11-26 10:00:00", "01"),
    ("validUpTo", "2027-01-01T10:00:00", "01"),
    ("validUpTo", "2027-01-01T10:00:00.000+07:00", "01"),
    ("validUpTo", timedelta(minutes=-1), "01"),
    ("merchantId", "somebody-else", "08"),
]
URLS = [
    ("{urls}.0.url", None, "02"),
    ("{urls}.0.url", "merchant", "01"),
    ("{urls}.0.type", "PAY_ELSEWHERE", "01"),
    ("{urls}.0.isDeeplink", None, "02"),
    ("{urls}.0.isDeeplink", "no", "01"),
    ("{urls}", {"url": "https://merchant.example"}, "01"),
]
OWN = {
    "doku": [
        *URLS,
        ("partnerReferenceNo", "x" * 33, "01"),
        ("additionalInfo.channel", None, "02"),
        ("additionalInfo.channel", "EMONEY_DANA_SNAP", "01"),
        ("additionalInfo.successPaymentUrl", None, "02"),
        ("additionalInfo.failedPaymentUrl", None, "02"),
        ("additionalInfo.failedPaymentUrl", "merchant", "01"),
        ("additionalInfo.paymentType", "GIFT", "01"),
        ("feeType", "MINE", "01"),
        ("payOptionDetails", [{"payMethod": "CARD", "transAmount": {}}], "01"),
        (
            "payOptionDetails",
            [{"payMethod": "CASH", "transAmount": {"value": "1.00", "currency": "IDR"}}],
            "01",
        ),
    ],
    "nicepay": [
        *URLS,
        ("merchantId", None, "02"),
        ("urlParam", None, "02"),
        ("urlParam", [], "02"),
        ("additionalInfo.mitraCd", None, "02"),
        ("additionalInfo.mitraCd", "DANA", "01"),
    ],
    "faspay": [
        *URLS,
        ("partnerReferenceNo", "x" * 33, "01"),
        ("merchantId", None, "02"),
        ("validUpTo", None, "02"),
        ("additionalInfo.channelCode", None, "02"),
        ("additionalInfo.channelCode", "819", "01"),
        ("additionalInfo.billDate", None, "02"),
        ("additionalInfo.billDate", "2026-11-25", "01"),
        ("additionalInfo.billDescription", None, "02"),
        ("additionalInfo.billDescription", "x" * 129, "01"),
    ],
    "dana": [
        *URLS,
        ("merchantId", None, "02"),
        ("urlParams", None, "02"),
        ("urlParams.1.type", "PAY_NOTIFY", "01"),
        ("validUpTo", timedelta(days=7, hours=2), "01"),
        ("validUpTo", "2026-11-26T10:00:00+08:00", "01"),
        ("payOptionDetails", None, "02"),
        ("payOptionDetails.0.payMethod", "BALANCE", "01"),
        ("payOptionDetails.0.payOption", "NETWORK_PAY_PG_SHOPEEPAY", "01"),
        ("payOptionDetails.0.transAmount.value", "150001.00", "01"),
        ("additionalInfo.mcc", None, "02"),
        ("additionalInfo.mcc", "school", "01"),
        ("additionalInfo.envInfo", None, "02"),
        ("additionalInfo.envInfo.sourcePlatform", None, "02"),
        ("additionalInfo.envInfo.terminalType", None, "02"),
        ("additionalInfo.order", None, "02"),
    ],
}
WRONG = [
    (gateway, profile, path.format(urls="urlParams" if profile == "dana" else "urlParam"), value, case)
    for gateway, profile in ROUTES
    for path, value, case in [*ANY, *OWN[profile]]
]


@pytest.fixture(scope="module")
def callers(address: str, merchant_key: RSAPrivateKey) -> Through:
    """Callers that keep their tokens over the tests of this module."""
    client = httpx.Client(base_url=address, timeout=60)
    known = {route: ProfileCaller(client, *route, merchant_key) for route in ALL}
    return lambda gateway, profile: known[gateway, profile]


def test_a_charge_is_made(route: ProfileCaller) -> None:
    body = payment(route.gateway, route.profile)
    answer = route.call("charge", body)
    made = answer.json()
    assert (answer.status_code, made["responseCode"]) == (200, "2005400")
    assert made["partnerReferenceNo"] == body["partnerReferenceNo"]
    assert made["referenceNo"]
    assert answer.headers["X-TIMESTAMP"]
    book = route.book(made)
    assert (book["state"], book["profile"], book["charges"]) == ("pending", route.profile, 1)
    is_push = (route.gateway, route.profile) == ("ovo", "dana")
    assert ("webRedirectUrl" in made) is not is_push
    page = httpx.get(made.get("webRedirectUrl", book["pay_url"]))
    assert (page.status_code, "Rp150.000" in page.text) == (200, True)


@pytest.mark.parametrize(("gateway", "profile", "path", "value", "case"), WRONG)
def test_a_charge_with_one_wrong_member_is_refused(
    callers: Through, gateway: str, profile: str, path: str, value: Any, case: str
) -> None:
    caller = callers(gateway, profile)
    if isinstance(value, timedelta):
        value = wib(value)
    if path == "validUpTo" and value is None:
        body = {k: v for k, v in payment(gateway, profile).items() if k != "validUpTo"}
    elif value is None or "." in path or path in payment(gateway, profile):
        body = changed(payment(gateway, profile), path, value)
    else:
        body = payment(gateway, profile) | {path: value}
    answer = caller.call("charge", body)
    status = 404 if case == "08" else 400
    assert (answer.status_code, answer.json()["responseCode"]) == (status, f"{status}54{case}")
    name = path.split(".")[-1]
    assert case == "08" or name in answer.json()["responseMessage"] or path.startswith("payOption")
    reference = body.get("partnerReferenceNo") or "none"
    assert caller.http.get(f"/_sandbox/payments/{gateway}/{reference}").status_code == 404


def test_dana_wants_the_phone_number_of_an_ovo_user(callers: Through) -> None:
    caller = callers("ovo", "dana")
    path = "payOptionDetails.0.additionalInfo"
    for value, case in ((None, "02"), ({}, "02"), ({"phoneNumber": "siti"}, "01")):
        body = changed(payment("ovo", "dana"), path, value)
        assert caller.call("charge", body).json()["responseCode"] == f"40054{case}"


def test_dana_does_not_read_url_param(callers: Through) -> None:
    body = payment("linkaja", "dana")
    body["urlParam"] = body.pop("urlParams")
    assert callers("linkaja", "dana").call("charge", body).json()["responseCode"] == "4005402"


def test_faspays_linked_ovo_wants_the_phone_number(callers: Through) -> None:
    body = changed(payment("ovo", "faspay"), "additionalInfo.channelCode", "720")
    assert callers("ovo", "faspay").call("charge", body).json()["responseCode"] == "4005402"
    body["additionalInfo"]["phoneNo"] = "081234567890"
    assert callers("ovo", "faspay").call("charge", body).json()["responseCode"] == "2005400"


def test_doku_has_no_snap_channel_of_linkaja(callers: Through) -> None:
    answer = callers("linkaja", "doku").call("charge", payment("linkaja", "doku"))
    assert (answer.status_code, answer.json()["responseCode"]) == (403, "4035415")


@pytest.mark.parametrize("operation", ["charge", "status", "refund"])
@pytest.mark.parametrize("gateway", ["ovo", "linkaja"])
def test_ovo_itself_wants_a_linked_account(callers: Through, gateway: str, operation: str) -> None:
    caller = callers(gateway, "ovo-direct")
    service = {"charge": "54", "status": "55", "refund": "58"}[operation]
    answer = caller.call(operation, {})
    assert (answer.status_code, answer.json()["responseCode"]) == (404, f"404{service}04")
    customer = caller.call(operation, {}, Authorization_Customer="Bearer made-up")
    assert (customer.status_code, customer.json()["responseCode"]) == (401, f"401{service}02")


def test_ovo_itself_wants_a_device_and_milliseconds(callers: Through) -> None:
    caller = callers("ovo", "ovo-direct")
    assert caller.call("charge", {}, X_DEVICE_ID="").json()["responseCode"] == "4005402"
    assert caller.call("charge", {}, X_DEVICE_ID="x" * 401).json()["responseCode"] == "4005401"
    assert caller.call("charge", {}, X_TIMESTAMP=stamp()).json()["responseCode"] == "4005401"
    assert caller.ask_token(X_TIMESTAMP=stamp()).json()["responseCode"] == "4007301"
    for version in ("v1.0", "v3.0"):
        path = f"/OVOSNAP/{version}/debit/payment-host-to-host"
        assert caller.post(path, {}).json()["responseCode"] == "4045404"


def test_doku_wants_utc_where_money_moves(callers: Through) -> None:
    caller = callers("ovo", "doku")
    answer = caller.call("charge", payment("ovo", "doku"), X_TIMESTAMP=wib(timedelta(0)))
    assert answer.json()["responseCode"] == "4005401"
    assert caller.call("charge", payment("ovo", "doku"), X_TIMESTAMP=stamp()).status_code == 200


@pytest.mark.parametrize(("gateway", "profile"), ALL)
@pytest.mark.parametrize(
    ("changes", "status", "case"),
    [
        ({"X_SIGNATURE": ""}, 400, "02"),
        ({"X_SIGNATURE": "bm90IGEgc2lnbmF0dXJl"}, 401, "00"),
        ({"X_SIGNATURE": "not base64!"}, 401, "00"),
        ({"X_PARTNER_ID": ""}, 400, "02"),
        ({"X_PARTNER_ID": "sandbox-other"}, 401, "00"),
        ({"CHANNEL_ID": ""}, 400, "02"),
        ({"CHANNEL_ID": "95222"}, 401, "00"),
        ({"X_EXTERNAL_ID": ""}, 400, "02"),
        ({"X_EXTERNAL_ID": "0b7e2c6e-uuid"}, 400, "01"),
        ({"X_EXTERNAL_ID": "1" * 37}, 400, "01"),
        ({"X_TIMESTAMP": "2025-01-15 10:00:00"}, 400, "01"),
        ({"X_TIMESTAMP": "2025-01-15T10:00:00.000Z"}, 401, "00"),
        ({"Content_Type": "text/plain"}, 400, "00"),
    ],
)
def test_every_gate_refuses_a_wrong_header(
    callers: Through, gateway: str, profile: str, changes: dict[str, str], status: int, case: str
) -> None:
    answer = callers(gateway, profile).call("charge", payment(gateway, profile), **changes)
    assert (answer.status_code, answer.json()["responseCode"]) == (status, f"{status}54{case}")


@pytest.mark.parametrize(("gateway", "profile"), ALL)
def test_every_gate_hashes_the_raw_bytes(callers: Through, gateway: str, profile: str) -> None:
    caller = callers(gateway, profile)
    body = payment(gateway, profile)
    compact = json.dumps(body, separators=(",", ":")).encode()
    for tamper in (json.dumps(body).encode(), compact + b"\n", b" " + compact):
        answer = caller.call("charge", body, tamper=tamper)
        assert (answer.status_code, answer.json()["responseCode"]) == (401, "4015400")


@pytest.mark.parametrize(("gateway", "profile"), [one for one in ALL if "token" in PATHS[one[1]]])
def test_a_token_is_wanted_and_must_be_this_aggregators(callers: Through, gateway: str, profile: str) -> None:
    caller = callers(gateway, profile)
    other = callers(gateway, "nicepay" if profile != "nicepay" else "doku")
    strange = other.ask_token().json()["accessToken"]
    for wrong in ("", "Bearer made-up", f"Bearer {strange}", f"Basic {caller.token}"):
        answer = caller.call("charge", payment(gateway, profile), Authorization=wrong)
        assert (answer.status_code, answer.json()["responseCode"]) == (401, "4015401")
    assert int(caller.ask_token().json()["expiresIn"]) == 900


def test_dokus_token_life_is_a_number_the_others_is_text(callers: Through) -> None:
    kinds = {name: type(callers("ovo", name).ask_token().json()["expiresIn"]) for name in ("doku", "nicepay")}
    assert kinds == {"doku": int, "nicepay": str}


@pytest.mark.parametrize("profile", ["faspay", "dana"])
def test_where_no_token_is_used_none_may_be_sent(callers: Through, profile: str) -> None:
    caller = callers("linkaja", profile)
    body = payment("linkaja", profile)
    answer = caller.call("charge", body, Authorization="Bearer x")
    assert (answer.status_code, answer.json()["responseCode"]) == (401, "4015400")
    strange = ProfileCaller(caller.http, "linkaja", profile, OTHER_KEY)
    assert strange.call("charge", body).json()["responseCode"] == "4015400"
    assert caller.call("charge", body).status_code == 200


def test_a_signature_covers_the_path(route: ProfileCaller) -> None:
    members = {"originalPartnerReferenceNo": "x", "serviceCode": SERVICE_CODES[route.profile]}
    right = PATHS[route.profile]["status"]
    response = route.post(f"{right}?a=1", members)
    assert response.json()["responseCode"] != "4015500"
    kept = httpx.Request("POST", "http://x")
    kept.headers.update(response.request.headers)
    elsewhere = route.http.post(
        f"/{route.gateway}{right}?a=2", content=response.request.content, headers=dict(kept.headers)
    )
    assert elsewhere.json()["responseCode"] == "4015500"


def test_an_external_id_serves_once_a_day_and_a_reference_once(route: ProfileCaller) -> None:
    body = payment(route.gateway, route.profile)
    external_id = body["partnerReferenceNo"].translate(str.maketrans("abcdef", "123456"))
    assert route.call("charge", body, X_EXTERNAL_ID=external_id).json()["responseCode"] == "2005400"
    again = route.call("charge", body, X_EXTERNAL_ID=external_id)
    assert (again.status_code, again.json()["responseCode"]) == (409, "4095400")
    other = route.call("charge", body)
    assert (other.status_code, other.json()["responseCode"]) == (409, "4095401")
    assert route.book(body)["charges"] == 1


def test_an_unreadable_body_is_refused(route: ProfileCaller) -> None:
    for body in (b"", b"{", b"[]", b"null", b'{"a":"\xff"}', b"[" * 100_000):
        answer = route.call("charge", body)
        assert (answer.status_code, answer.json()["responseCode"]) == (400, "4005400")


def test_a_charge_expires_when_it_said(through: Through) -> None:
    from sandbox_listener import wait_until

    caller = through("linkaja", "nicepay")
    body = payment("linkaja", "nicepay") | {"validUpTo": wib(timedelta(seconds=2))}
    made = caller.call("charge", body).json()
    assert made["responseCode"] == "2005400"
    wait_until(lambda: caller.book(made)["state"] == "expired", "the expiry")
    assert caller.status(made)["latestTransactionStatus"] == "05"
