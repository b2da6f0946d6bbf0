"""Reports and status over real HTTP: right layouts, complete pages, as strict as the real services."""

import csv
import gzip
import hashlib
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from sandbox_caller import GOPAY, LINKAJA_FILES, SnapCaller
from sandbox_oracle import Ours, Seen, classify

DAY = "2025-01-15"
GOPAY_FILE = f"/gopay/reports/transactions-{DAY}.csv"
LINKAJA_FILE = f"/linkaja/reports/settlement-{DAY}.csv.gz"
CANONICAL = {
    "paid": ("settlement", "capture", "refund", "partial_refund", "SETTLEMENT", "SUCCESS", "REFUND"),
    "failed": ("deny", "cancel", "failure", "expire", "DENIED", "CANCELLED", "FAILED", "EXPIRED"),
    "reversed": ("chargeback", "REVERSAL"),
}
WORDS = {theirs: ours for ours, several in CANONICAL.items() for theirs in several}


@pytest.fixture(scope="module")
def truth(address: str) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.get(f"{address}/_sandbox/days/{DAY}/truth.json").raise_for_status().json()
    return answer


def rows(http: httpx.Client, path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(http.get(path).raise_for_status().text)))


def ledger(http: httpx.Client, gateway: str) -> list[Ours]:
    """Both ledger files, as an importer sees them."""
    payments = rows(http, f"/_sandbox/days/{DAY}/ledger.csv")
    refunds = rows(http, f"/_sandbox/days/{DAY}/refunds.csv")
    return [
        Ours(
            one["reference"],
            one["gateway_reference"],
            Decimal(one["amount"]),
            one["status"],
            datetime.fromisoformat(at) if (at := one.get("paid_at", one.get("confirmed_at"))) else None,
        )
        for one in (*payments, *refunds)
        if one["gateway"] == gateway
    ]


def gopay_lines(http: httpx.Client) -> list[Seen]:
    table = csv.reader(io.StringIO(http.get(GOPAY_FILE, auth=GOPAY).raise_for_status().text))
    assert ",".join(next(table)) == (
        "Order ID,Transaction ID,Transaction type,Channel,Status,Amount,Fee,Currency,Transaction time"
    )
    return [
        Seen(*row[:2], row[2].lower(), WORDS.get(row[4], "?"), *row[5:9], cells_too_many=len(row) > 9)
        for row in table
    ]


def history_lines(caller: SnapCaller) -> list[Seen]:
    return [
        Seen(
            one["additionalInfo"]["partnerReferenceNo"],
            one["additionalInfo"]["referenceNo"],
            one["type"].lower(),
            WORDS.get(one["status"], "?"),
            one["amount"]["value"],
            one["additionalInfo"].get("fee", {"value": ""})["value"],
            one["amount"]["currency"],
            one["dateTime"],
        )
        for one in caller.whole_history(DAY)
    ]


def linkaja_table(http: httpx.Client) -> list[list[str]]:
    packed = http.get(LINKAJA_FILE, auth=LINKAJA_FILES).raise_for_status().content
    return list(csv.reader(io.StringIO(gzip.decompress(packed).decode())))


def is_truth(truth: dict[str, Any], gateway: str, http: httpx.Client, lines: list[Seen]) -> bool:
    """Whether comparing what was served gives the truth that was served."""
    assert len(lines) == truth[gateway]["report_rows"]
    found = classify(gateway, datetime.fromisoformat(DAY).date(), ledger(http, gateway), lines)
    return all(
        [one["count"], Decimal(one["ledger_amount"]), Decimal(one["report_amount"])] == found[name]
        for name, one in truth[gateway].items()
        if isinstance(one, dict)
    )


def test_gopays_export_is_the_truth(http: httpx.Client, truth: dict[str, Any]) -> None:
    assert is_truth(truth, "gopay", http, gopay_lines(http))


def test_gopays_balance_statement_has_the_same_lines(http: httpx.Client, truth: dict[str, Any]) -> None:
    text = http.get(f"/gopay/reports/balance-{DAY}.csv", auth=GOPAY).raise_for_status().text
    header, *lines = csv.reader(io.StringIO(text))
    assert ",".join(header) == "Date & Time,Order ID,Transaction Type,Channel,Status,Amount,Fee"
    assert [(row[1], row[5]) for row in lines] == [(one.reference, one.amount) for one in gopay_lines(http)]


def test_ovos_history_is_the_truth(http: httpx.Client, ovo: SnapCaller, truth: dict[str, Any]) -> None:
    assert is_truth(truth, "ovo", http, history_lines(ovo))


def test_linkajas_file_is_the_truth_and_its_total_is_right(http: httpx.Client, truth: dict[str, Any]) -> None:
    header, *lines, total = linkaja_table(http)
    assert ",".join(header) == (
        "reference,gateway_reference,type,status,amount,fee,currency,occurred_at,payout_reference"
    )
    seen = [Seen(*row[:8], cells_too_many=len(row) > 9) for row in lines]
    assert is_truth(truth, "linkaja", http, seen)
    amounts = sum(Decimal(row[4]) for row in lines if row[4][-3:-2] == "." and row[4][:-3].isdecimal())
    fees = sum(Decimal(row[5]) for row in lines if row[5])
    assert total == ["TOTAL", str(len(lines)), "", "", str(amounts), str(fees), "", "", ""]


def test_linkajas_history_has_the_lines_of_its_file(http: httpx.Client, linkaja: SnapCaller) -> None:
    _, *lines, _ = linkaja_table(http)
    assert [one.reference for one in history_lines(linkaja)] == [row[0] for row in lines]


def test_pages_are_in_order_of_time_and_end_with_an_empty_one(snap: SnapCaller) -> None:
    first, second = (snap.page(DAY, number, 7).json()["detailData"] for number in (0, 1))
    both = snap.page(DAY, 0, 14).json()["detailData"]
    assert first + second == both
    times = [one["dateTime"] for one in both]
    assert times == sorted(times)
    beyond = snap.page(DAY, 9_999)
    assert (beyond.json()["responseCode"], beyond.json()["detailData"]) == ("2001200", [])


def test_a_day_that_is_not_over_has_no_report(http: httpx.Client, ovo: SnapCaller) -> None:
    today = (datetime.now(UTC) + timedelta(hours=7)).date().isoformat()
    assert http.get(f"/gopay/reports/transactions-{today}.csv", auth=GOPAY).status_code == 404
    assert http.get(f"/gopay/reports/balance-{today}.csv", auth=GOPAY).status_code == 404
    assert http.get(f"/linkaja/reports/settlement-{today}.csv.gz", auth=LINKAJA_FILES).status_code == 404
    assert ovo.page(today, 0).json()["responseCode"] == "4041201"


def odd_ones(http: httpx.Client, gateway: str, lines: list[Seen]) -> list[tuple[str, str]]:
    """Reference and our status of the status mismatches."""
    ours = {one.reference: one for one in ledger(http, gateway)}
    day = datetime.fromisoformat(DAY).date()
    return [
        (line.reference, ours[line.reference].status)
        for line in lines
        if line.reference in ours
        and "status_mismatch" in classify(gateway, day, [ours[line.reference]], [line])
    ]


def test_gopays_status_agrees_with_its_report_where_the_ledger_does_not(http: httpx.Client) -> None:
    said = {"pending": [], "paid": []}  # type: dict[str, list[str]]
    for reference, status in odd_ones(http, "gopay", gopay_lines(http)):
        body = http.get(f"/gopay/v2/{reference}/status", auth=GOPAY).raise_for_status().json()
        said[status].append(f"{body['status_code']} {body.get('transaction_status', '')}".strip())
    assert sorted(said["pending"]) == [*["200 settlement"] * 4, "404"]
    assert sorted(said["paid"]) == ["202 cancel", "202 deny", "202 failure"]


def test_snap_status_agrees_with_the_history_where_the_ledger_does_not(
    http: httpx.Client, snap: SnapCaller
) -> None:
    said = {"pending": [], "paid": []}  # type: dict[str, list[str]]
    for reference, status in odd_ones(http, snap.gateway, history_lines(snap)):
        answer = snap.status(reference)
        body = answer.json()
        said[status].append(body.get("latestTransactionStatus", body["responseCode"]))
        assert answer.status_code == int(body["responseCode"][:3])
        assert ("paidTime" in body) == (body.get("latestTransactionStatus") == "00")
    assert set(said["pending"]) == {"00", "4045501"}
    assert said["pending"].count("4045501") == 1
    assert sorted(said["paid"]) == ["05", "06", "06"]


def test_gopays_status_is_signed_and_answers_to_both_ids(http: httpx.Client) -> None:
    line = next(one for one in gopay_lines(http) if one.kind == "payment" and one.status == "paid")
    by_order, by_id = (
        http.get(f"/gopay/v2/{name}/status", auth=GOPAY).json()
        for name in (line.reference, line.gateway_reference)
    )
    assert by_order == by_id
    signed = f"{line.reference}200{by_order['gross_amount']}{GOPAY[0]}"
    assert by_order["signature_key"] == hashlib.sha512(signed.encode()).hexdigest()
    unknown = http.get("/gopay/v2/JB-20250115-G-999999/status", auth=GOPAY)
    assert (unknown.status_code, unknown.json()["status_code"]) == (200, "404")
    picky = http.get(f"/gopay/v2/{line.reference}/status", auth=GOPAY, headers={"Accept": "text/html"})
    assert picky.json()["status_code"] == "403"


def test_refunded_payments_say_so_in_their_status(http: httpx.Client, ovo: SnapCaller) -> None:
    for one in rows(http, f"/_sandbox/days/{DAY}/refunds.csv"):
        if one["gateway"] == "gopay":
            body = http.get(f"/gopay/v2/{one['payment_reference']}/status", auth=GOPAY).json()
            assert body["transaction_status"] in ("refund", "partial_refund")
            assert body["refunds"][0]["refund_amount"] == f"{one['amount']}.00"
        elif one["gateway"] == "ovo":
            history = ovo.status(one["payment_reference"]).json()["refundHistory"]
            assert history[0]["partnerReferenceNo"] == one["reference"]


def test_the_books_begin_on_the_day_of_since(start: Callable[..., str], merchant_key: RSAPrivateKey) -> None:
    with httpx.Client(base_url=start("--since", DAY, "--size", "600", "--seed", "5"), timeout=60) as http:
        assert http.get("/healthz").json() == {"status": "ok"}
        assert http.get(GOPAY_FILE, auth=GOPAY).status_code == 200
        assert http.get("/gopay/reports/transactions-2025-01-14.csv", auth=GOPAY).status_code == 404
        assert http.get("/_sandbox/days/2025-01-14/truth.json").status_code == 404
        assert SnapCaller(http, "ovo", merchant_key).page("2025-01-14", 0).json()["responseCode"] == "4041201"
