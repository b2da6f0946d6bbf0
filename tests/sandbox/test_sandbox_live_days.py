"""Live charges in the reports, the history and the truth of the day on which they were settled."""

import csv
import gzip
import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from sandbox_caller import GOPAY, LINKAJA_FILES, SnapCaller
from sandbox_listener import wait_until
from sandbox_midtrans import MidtransCaller
from sandbox_profiles import ProfileCaller

pytestmark = pytest.mark.usefixtures("one_day")
Through = Callable[[str, str], ProfileCaller]


def ago(days: int) -> date:
    """The day in Jakarta so many days before today."""
    return (datetime.now(UTC) + timedelta(hours=7)).date() - timedelta(days=days)


def at(day: date, clock: str = "12:00:00") -> str:
    return f"{day}T{clock}+07:00"


def truth(http: httpx.Client, day: date) -> dict[str, Any]:
    found: dict[str, Any] = http.get(f"/_sandbox/days/{day}/truth.json").raise_for_status().json()
    return found


def added(http: httpx.Client, day: date, gateway: str, before: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """What the truth of a gateway's day has more than before, by class."""
    after = truth(http, day)
    totals = ("ledger_rows", "report_rows")
    for whole in (after, after[gateway]):
        rows = {name: whole[name] for name in totals}
        assert all(rows.values())
    found = {}
    for name, one in after[gateway].items():
        if isinstance(one, dict) and one != before[gateway][name]:
            old = before[gateway][name]
            found[name] = (
                one["count"] - old["count"],
                float(one["ledger_amount"]) - float(old["ledger_amount"]),
                float(one["report_amount"]) - float(old["report_amount"]),
            )
    return found


def gopay_rows(http: httpx.Client, day: date, *references: str) -> list[list[str]]:
    text = http.get(f"/gopay/reports/transactions-{day}.csv", auth=GOPAY).raise_for_status().text
    return [row for row in csv.reader(io.StringIO(text)) if row[0] in references]


def test_a_gopay_payment_and_its_refund_are_reported_on_their_days(
    gopay: MidtransCaller, http: httpx.Client
) -> None:
    one, two = ago(1), ago(2)
    before_one, before_two = truth(http, one), truth(http, two)
    made, unpaid = gopay.charge(), gopay.charge()
    gopay.act(made, "pay", at=at(two)).raise_for_status()
    key = f"R-{made['order_id']}"
    http.post("/_sandbox/refunds", json={"gateway": "gopay", "confirm_after": None}).raise_for_status()
    gopay.refund(made, refund_key=key, amount=50_000)
    http.post("/_sandbox/refunds", json={"gateway": "gopay", "confirm_after": 0.5}).raise_for_status()
    assert gopay_rows(http, one, key) == []
    gopay.act(made, "confirm", at=at(one, "09:30:00")).raise_for_status()

    (line,) = gopay_rows(http, two, made["order_id"], unpaid["order_id"])
    assert line == [
        made["order_id"],
        made["transaction_id"],
        "Payment",
        "GoPay",
        "settlement",
        "150000.00",
        "3000.00",
        "IDR",
        f"{two} 12:00:00",
    ]
    (back,) = gopay_rows(http, one, key, made["order_id"])
    assert back[2:7] == ["Refund", "GoPay", "partial_refund", "50000.00", ""]
    assert added(http, two, "gopay", before_two) == {"matched": (1, 150_000, 150_000)}
    assert added(http, one, "gopay", before_one) == {"matched": (1, 50_000, 50_000)}
    ledger = http.get(f"/_sandbox/days/{two}/ledger.csv").text
    assert made["order_id"] not in ledger


@pytest.mark.parametrize(("profile", "clock"), [("doku", "12:00:00"), ("dana", "23:59:59")])
def test_an_ovo_payment_is_in_the_history(
    through: Through, http: httpx.Client, merchant_key: RSAPrivateKey, profile: str, clock: str
) -> None:
    day = ago(3)
    before = truth(http, day)
    made = through("ovo", profile).charge()
    through("ovo", profile).act(made, "pay", at=at(day, clock)).raise_for_status()
    items = SnapCaller(http, "ovo", merchant_key).whole_history(str(day))
    (line,) = [
        one for one in items if one["additionalInfo"]["partnerReferenceNo"] == made["partnerReferenceNo"]
    ]
    assert line["dateTime"] == at(day, clock)
    assert line["amount"] == {"value": "150000.00", "currency": "IDR"}
    assert (line["status"], line["type"]) == ("SETTLEMENT", "PAYMENT")
    assert line["additionalInfo"]["fee"] == {"value": "2250.00", "currency": "IDR"}
    times = [one["dateTime"] for one in items if one["dateTime"].startswith(str(day))]
    assert times == sorted(times)
    assert added(http, day, "ovo", before) == {"matched": (1, 150_000, 150_000)}


def linkaja_table(http: httpx.Client, day: date) -> list[list[str]]:
    answer = http.get(f"/linkaja/reports/settlement-{day}.csv.gz", auth=LINKAJA_FILES).raise_for_status()
    return list(csv.reader(io.StringIO(gzip.decompress(answer.content).decode())))


def test_linkajas_file_and_its_total_have_live_payments(through: Through, http: httpx.Client) -> None:
    day = ago(2)
    before, rows_before = truth(http, day), linkaja_table(http, day)
    caller = through("linkaja", "faspay")
    made = caller.charge()
    caller.act(made, "pay", at=at(day)).raise_for_status()
    rows = linkaja_table(http, day)
    (line,) = [row for row in rows if row[0] == made["partnerReferenceNo"]]
    *told, payout = line[1:]
    assert told == [
        made["referenceNo"],
        "payment",
        "paid",
        "150000.00",
        "2250.00",
        "IDR",
        at(day),
    ]
    assert re.fullmatch(r"PO-\d{8}-linkaja", payout)
    assert len(rows) == len(rows_before) + 1
    assert float(rows[-1][4]) - float(rows_before[-1][4]) == 150_000
    assert added(http, day, "linkaja", before) == {"matched": (1, 150_000, 150_000)}


def test_a_refund_of_the_dashboard_names_its_payment(through: Through, http: httpx.Client) -> None:
    day = ago(1)
    before = truth(http, day)
    caller = through("linkaja", "nicepay")
    made = caller.charge()
    caller.act(made, "pay", at=at(ago(2)))
    caller.act(made, "refund", at=at(day)).raise_for_status()
    assert added(http, day, "linkaja", before) == {"matched": (1, 150_000, 150_000)}


def test_a_second_charge_is_a_duplicate_and_has_refunds_of_its_own(
    gopay: MidtransCaller, http: httpx.Client
) -> None:
    day = ago(1)
    before = truth(http, day)
    made = gopay.charge()
    gopay.act(made, "pay", at=at(day))
    gopay.act(made, "charge_again", at=at(day, "13:00:00"), notify=False).raise_for_status()
    assert added(http, day, "gopay", before) == {
        "matched": (1, 150_000, 150_000), "duplicate_at_gateway": (1, 0, 150_000),
    }  # fmt: skip
    second = http.get("/_sandbox/payments", params={"gateway": "gopay"}).json()[-1]["gateway_reference"]
    assert second != made["transaction_id"]
    assert gopay.status(made)["transaction_id"] == made["transaction_id"]
    gopay.refund({"order_id": second}, refund_key=f"R-{uuid4().hex[:12]}", amount=150_000)
    assert gopay.status({"order_id": second})["transaction_status"] == "refund"
    assert gopay.status(made)["transaction_status"] == "settlement"


def test_what_is_reversed_on_the_same_day_is_reported_so(gopay: MidtransCaller, http: httpx.Client) -> None:
    day = ago(2)
    same, later = gopay.charge(), gopay.charge()
    for made in (same, later):
        gopay.act(made, "pay", at=at(day))
    gopay.act(same, "reverse", at=at(day, "13:00:00"))
    gopay.act(later, "reverse", at=at(ago(1)))
    ((_, _, _, _, status, _, fee, *_),) = gopay_rows(http, day, same["order_id"])
    assert (status, fee) == ("chargeback", "")
    ((_, _, _, _, status, _, fee, *_),) = gopay_rows(http, day, later["order_id"])
    assert (status, fee) == ("settlement", "3000.00")


def test_another_amount_than_asked_for_is_a_mismatch(gopay: MidtransCaller, http: httpx.Client) -> None:
    day = ago(1)
    before = truth(http, day)
    made = gopay.charge()
    gopay.act(made, "pay", at=at(day), amount="150001.00").raise_for_status()
    assert gopay.status(made)["gross_amount"] == "150001.00"
    assert added(http, day, "gopay", before) == {"amount_mismatch": (1, 150_000, 150_001)}


def test_a_refund_of_a_generated_payment_adds_only_itself(gopay: MidtransCaller, http: httpx.Client) -> None:
    day, paid_on = ago(1), ago(3)
    lines = http.get(f"/_sandbox/days/{paid_on}/ledger.csv").text.splitlines()
    row = next(line.split(",") for line in lines[200:] if ",gopay," in line and ",paid," in line)
    before, before_paid = truth(http, day), truth(http, paid_on)
    http.post("/_sandbox/refunds", json={"gateway": "gopay", "confirm_after": None}).raise_for_status()
    key = f"R-{uuid4().hex[:12]}"
    assert gopay.refund({"order_id": row[0]}, refund_key=key)["status_code"] == "200"
    http.post("/_sandbox/refunds", json={"gateway": "gopay", "confirm_after": 0.5}).raise_for_status()
    gopay.act({"order_id": row[0]}, "confirm", at=at(day)).raise_for_status()
    amount = float(row[3])
    assert added(http, day, "gopay", before) == {"matched": (1, amount, amount)}
    assert truth(http, paid_on) == before_paid


def test_the_rest_of_a_generated_refund_leaves_its_day_as_it_was(
    gopay: MidtransCaller, http: httpx.Client
) -> None:
    day = ago(3)
    lines = http.get(f"/_sandbox/days/{day}/ledger.csv").text.splitlines()
    reference = next(line for line in lines if ",gopay," in line and ",partially_refunded," in line)
    before = truth(http, day)
    answer = gopay.refund({"order_id": reference.split(",")[0]}, refund_key=f"R-{uuid4().hex[:12]}")
    assert answer["transaction_status"] == "refund"
    wait_until(lambda: gopay.status(answer)["refunds"][-1].get("bank_confirmed_at"), "the bank")
    assert len(gopay.status(answer)["refunds"]) == 2
    assert truth(http, day) == before


def test_what_is_settled_today_is_in_no_report_yet(gopay: MidtransCaller, http: httpx.Client) -> None:
    made = gopay.paid()
    answer = http.get(f"/gopay/reports/transactions-{ago(0)}.csv", auth=GOPAY)
    assert answer.status_code == 404
    assert gopay_rows(http, ago(1), made["order_id"]) == []


@pytest.mark.parametrize(
    ("act", "details", "status"),
    [
        ("pay", {"at": "2099-01-01T10:00:00+07:00"}, 422),
        ("pay", {"at": "2026-11-20T10:00:00"}, 422),
        ("pay", {"amount": 0}, 422),
        ("pay", {"when": "now"}, 422),
        ("cancel", {"payment_type": "qris"}, 422),
        ("deny", {"amount": 5}, 422),
        ("refund", {}, 409),
        ("reverse", {}, 409),
        ("fly", {}, 422),
    ],
)
def test_an_act_that_cannot_be_is_refused(
    gopay: MidtransCaller, act: str, details: dict[str, Any], status: int
) -> None:
    made = gopay.charge()
    assert gopay.act(made, act, **details).status_code == status
    assert gopay.book(made)["state"] == "pending"
    assert gopay.act({"order_id": "nobody"}, "pay").status_code == 404


def test_the_books_of_a_charge_tell_everything(gopay: MidtransCaller, http: httpx.Client) -> None:
    made = gopay.charge()
    gopay.act(made, "pay", at="2026-11-20T10:00:00+07:00")
    gopay.act(made, "refund", amount=50_000)
    book = gopay.book(made)
    assert (book["state"], book["amount"], book["taken"]) == ("partially_refunded", "150000.00", "150000.00")
    assert (book["settled_at"], book["charges"]) == ("2026-11-20T10:00:00+07:00", 1)
    assert book["gateway_reference"] == made["transaction_id"]
    (refund,) = book["refunds"]
    assert (refund["amount"], refund["by_merchant"]) == ("50000.00", False)
    listed = http.get("/_sandbox/payments", params={"gateway": "gopay"}).json()
    assert book in listed
    assert all(one["gateway"] == "gopay" for one in listed)
