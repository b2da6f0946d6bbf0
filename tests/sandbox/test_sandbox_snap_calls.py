"""What follows a SNAP payment: status, cancel, refund, through every aggregator."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sandbox_profiles import PATHS, SERVICE_CODES, ProfileCaller, payment

Through = Callable[[str, str], ProfileCaller]
WORDS = {
    "pending": "03",
    "pay": "00",
    "deny": "06",
    "cancel": "05",
    "expire": "05",
    "reverse": "06",
    "refund": "04",
}
DANA_WORDS = WORDS | {"pending": "01", "deny": "05", "reverse": "05", "refund": "00"}


@pytest.mark.parametrize(
    "acts", [[], ["pay"], ["deny"], ["cancel"], ["expire"], ["pay", "reverse"], ["pay", "refund"]]
)
def test_the_status_says_what_became_of_a_charge(route: ProfileCaller, acts: list[str]) -> None:
    made = route.charge()
    for act in acts:
        route.act(made, act).raise_for_status()
    seen = route.status(made)
    words = DANA_WORDS if route.profile == "dana" else WORDS
    assert seen["responseCode"] == "2005500"
    assert seen["latestTransactionStatus"] == words[acts[-1] if acts else "pending"]
    assert seen["originalReferenceNo"] == made["referenceNo"]
    assert seen["serviceCode"] == SERVICE_CODES[route.profile]
    assert ("paidTime" in seen) == ("pay" in acts and "reverse" not in acts)
    amount = seen["amount"] if route.profile in ("dana", "faspay") else seen["transAmount"]
    assert amount == {"value": "150000.00", "currency": "IDR"}


def test_a_charge_is_known_by_each_of_its_names(route: ProfileCaller) -> None:
    body = payment(route.gateway, route.profile)
    made = route.call("charge", body, X_EXTERNAL_ID=str(int(body["partnerReferenceNo"][:14], 16))).json()
    code = {"serviceCode": SERVICE_CODES[route.profile], "merchantId": "sandbox-merchant"}
    names = {
        "originalPartnerReferenceNo": made["partnerReferenceNo"],
        "originalReferenceNo": made["referenceNo"],
        "originalExternalId": str(int(body["partnerReferenceNo"][:14], 16)),
    }
    for name, value in names.items():
        seen = route.call("status", code | {name: value}).json()
        assert seen["originalPartnerReferenceNo"] == made["partnerReferenceNo"], name
    other = route.charge()
    mixed = route.call("status", code | names | {"originalReferenceNo": other["referenceNo"]}).json()
    assert mixed["responseCode"] == "4045501" or mixed["latestTransactionStatus"] == "07"


@pytest.mark.parametrize(
    ("change", "status", "case"),
    [
        ({"originalPartnerReferenceNo": None, "originalReferenceNo": None}, 400, "02"),
        ({"originalPartnerReferenceNo": 7}, 400, "01"),
        ({"serviceCode": None}, 400, "02"),
        ({"serviceCode": "99"}, 400, "01"),
        ({"merchantId": "somebody-else"}, 404, "08"),
    ],
)
def test_a_status_request_that_is_wrong_is_refused(
    route: ProfileCaller, change: dict[str, Any], status: int, case: str
) -> None:
    made = route.charge()
    right = route.original(made, serviceCode=SERVICE_CODES[route.profile]) | change
    members = {name: value for name, value in right.items() if value is not None}
    answer = route.call("status", members)
    assert (answer.status_code, answer.json()["responseCode"]) == (status, f"{status}55{case}")


@pytest.mark.parametrize("profile", ["faspay", "dana"])
def test_some_want_the_merchant_in_every_call(through: Through, profile: str) -> None:
    caller = through("linkaja", profile)
    made = caller.charge()
    members = {"originalPartnerReferenceNo": made["partnerReferenceNo"], "serviceCode": "54"}
    members["serviceCode"] = SERVICE_CODES[profile]
    for operation, service in (("status", "55"), ("cancel", "57"), ("refund", "58")):
        assert caller.call(operation, members).json()["responseCode"] == f"400{service}02"


def test_what_nobody_charged_is_unknown(route: ProfileCaller) -> None:
    ghost = {"partnerReferenceNo": "nobody", "referenceNo": "nothing"}
    seen = route.status(ghost)
    if route.profile == "dana":
        assert (seen["responseCode"], seen["latestTransactionStatus"]) == ("2005500", "07")
    else:
        assert seen["responseCode"] == "4045501"
    assert route.refund(ghost).json()["responseCode"] == "4045801"


def test_a_charge_of_one_aggregator_is_unknown_to_the_others(through: Through) -> None:
    made = through("ovo", "nicepay").charge()
    assert through("ovo", "faspay").status(made)["responseCode"] == "4045501"
    assert through("linkaja", "nicepay").status(made)["responseCode"] == "4045501"


def test_dokus_early_questions_are_answered_and_counted(through: Through) -> None:
    caller = through("ovo", "doku")
    made = caller.charge()
    assert [caller.status(made)["latestTransactionStatus"] for _ in range(2)] == ["03", "03"]
    assert caller.book(made)["early_questions"] == 2
    patient = through("linkaja", "nicepay")
    other = patient.charge()
    patient.status(other)
    assert patient.book(other)["early_questions"] == 0


@pytest.mark.parametrize("profile", ["nicepay", "faspay", "dana"])
def test_only_a_pending_charge_can_be_cancelled(through: Through, profile: str) -> None:
    caller = through("linkaja", profile)
    made = caller.charge()
    answer = caller.cancel(made).json()
    assert (answer["responseCode"], answer["originalReferenceNo"]) == ("2005700", made["referenceNo"])
    assert answer["cancelTime"].endswith("+07:00")
    assert caller.book(made)["state"] == "cancelled"
    assert caller.cancel(made).json()["responseCode"] == "4035715"
    paid = caller.charge()
    caller.act(paid, "pay")
    assert caller.cancel(paid).json()["responseCode"] == "4035715"
    ghost = {"partnerReferenceNo": "nobody", "referenceNo": "nothing"}
    assert caller.cancel(ghost).json()["responseCode"] == "4045701"
    other = caller.charge()
    wrong = caller.cancel(other, amount={"value": "1.00", "currency": "IDR"})
    assert wrong.json()["responseCode"] == "4005701"


@pytest.mark.parametrize("profile", ["doku", "ovo-direct"])
def test_some_have_no_cancel(http: httpx.Client, profile: str) -> None:
    path = PATHS[profile]["refund"].replace("refund", "cancel")
    assert http.post(f"/ovo{path}", json={}).status_code == 404


def test_a_full_refund_is_done_at_once(route: ProfileCaller) -> None:
    made = route.charge()
    route.act(made, "pay")
    answer = route.refund(made, partnerRefundNo=f"R-{made['partnerReferenceNo'][:20]}").json()
    assert answer["responseCode"] == "2005800"
    assert answer["partnerRefundNo"] == f"R-{made['partnerReferenceNo'][:20]}"
    assert answer["refundAmount"] == {"value": "150000.00", "currency": "IDR"}
    assert answer["refundNo"]
    assert answer["refundTime"]
    (history,) = route.status(made)["refundHistory"]
    key = history["partnerReferenceNo" if route.profile == "doku" else "partnerRefundNo"]
    assert (key, history["refundStatus"]) == (answer["partnerRefundNo"], "00")
    assert route.refund(made).json()["responseCode"] == "4035815"


def test_a_refund_in_part_is_for_ovo_only(route: ProfileCaller) -> None:
    made = route.charge()
    route.act(made, "pay")
    first = route.refund(made, "50000.00").json()["responseCode"]
    if route.gateway == "linkaja":
        assert first == "4035815"
        return
    assert first == "2005800"
    assert route.status(made)["latestTransactionStatus"] == "00"
    assert route.refund(made, "100000.01").json()["responseCode"] == "4035802"
    assert route.refund(made, "100000.00").json()["responseCode"] == "2005800"
    assert len(route.book(made)["refunds"]) == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"partnerRefundNo": ""}, "4005802"),
        ({"partnerRefundNo": "a b"}, "4005801"),
        ({"partnerRefundNo": "x" * 65}, "4005801"),
        ({"refundAmount": None}, "4005802"),
        ({"refundAmount": {"value": "150000", "currency": "IDR"}}, "4005801"),
        ({"refundAmount": {"value": "150000.00", "currency": "USD"}}, "4005801"),
        ({"refundAmount": {"value": "150000.01", "currency": "IDR"}}, "4035802"),
        ({"reason": "x" * 257}, "4005801"),
    ],
)
def test_a_refund_that_is_wrong_is_refused(route: ProfileCaller, change: dict[str, Any], code: str) -> None:
    made = route.charge()
    route.act(made, "pay")
    assert route.refund(made, **change).json()["responseCode"] == code
    assert route.book(made)["refunds"] == []


def test_what_is_not_paid_cannot_be_refunded_and_a_refund_key_serves_once(route: ProfileCaller) -> None:
    made, other = route.charge(), route.charge()
    assert route.refund(made).json()["responseCode"] == "4035815"
    for one in (made, other):
        route.act(one, "pay")
    key = f"R-{made['partnerReferenceNo'][:20]}"
    codes = [route.refund(one, partnerRefundNo=key).json()["responseCode"] for one in (made, made, other)]
    assert codes == ["2005800", "4095801", "4095801"]
    assert route.book(other)["refunds"] == []


def test_a_payment_of_the_generated_books_is_known_to_every_aggregator(through: Through) -> None:
    caller = through("ovo", "faspay")
    lines = caller.http.get("/_sandbox/days/2025-02-03/ledger.csv").text.splitlines()
    paid = [line.split(",")[0] for line in lines if ",ovo," in line and ",paid," in line]
    made = {"partnerReferenceNo": paid[20], "referenceNo": ""}
    members = {
        "originalPartnerReferenceNo": paid[20],
        "serviceCode": "55",
        "merchantId": "sandbox-merchant",
    }
    seen = caller.call("status", members).json()
    assert seen["latestTransactionStatus"] == "00"
    made["referenceNo"] = seen["originalReferenceNo"]
    amount = seen["amount"]["value"]
    assert caller.refund(made, amount).json()["responseCode"] == "2005800"
    assert caller.refund(made, amount).json()["responseCode"] == "4035815"
    assert caller.status(made)["latestTransactionStatus"] == "04"


def test_the_history_takes_the_token_of_any_of_the_wallets_aggregators(through: Through) -> None:
    window = {"fromDateTime": "2025-02-03T00:00:00+07:00", "toDateTime": "2025-02-04T00:00:00+07:00"}
    for profile in ("doku", "nicepay", "ovo-direct"):
        caller = through("ovo", profile)
        assert caller.post("/v1.0/transaction-history-list", window).json()["responseCode"] == "2001200"
    strange = through("linkaja", "nicepay").ask_token().json()["accessToken"]
    refused = through("ovo", "doku")
    refused.token = strange
    assert refused.post("/v1.0/transaction-history-list", window).json()["responseCode"] == "4011201"
