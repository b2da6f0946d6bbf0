"""Exceptions over the API: found, read, ended, and ended by a sheet."""

import csv
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import fastexcel
import httpx
import pytest
from api_world import DAY, Paid, every_class, execute, reconcile, save

from common import clock
from records import approval, exception_work
from records import client as clients
from records.db import unit_of_work

EXCEPTIONS, RUNS = "/api/v1/exceptions", "/api/v1/reconciliations"


def listed(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(
        EXCEPTIONS, params={"class" if name == "class_" else name: v for name, v in query.items()}
    )
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def of_class(client: httpx.Client, name: str) -> dict[str, Any]:
    (found,) = listed(client, class_=name, state="all")
    return found


def resolved(client: httpx.Client, number: int, status: int = 200, **body: Any) -> dict[str, Any]:
    body = {"action": "explain", "reason": "FIN-118"} | body
    answer = client.post(f"{EXCEPTIONS}/{number}/resolve", json=body)
    assert answer.status_code == status, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_the_list_has_what_is_open_with_the_most_money_first(client: httpx.Client, tmp_path: Path) -> None:
    every_class(tmp_path)
    found = listed(client)
    assert [one["at_risk"] for one in found] == [
        "150000.00", "80000.00", "75000.00", "50000.00", "45000.00", "5000.00", "100.50", "0.00",
    ]  # fmt: skip
    assert "timing" not in {one["class"] for one in found}
    assert of_class(client, "timing")["at_risk"] == "99000.00"


def test_pages_follow_each_other_in_both_orders(client: httpx.Client, tmp_path: Path) -> None:
    save([Paid("R-1"), Paid("R-2"), Paid("R-3", 90_000)])
    reconcile(tmp_path, [])
    save([Paid("R-4", day=DAY + timedelta(days=1)), Paid("R-5", 500_000, day=DAY + timedelta(days=1))])
    reconcile(tmp_path, [], day=DAY + timedelta(days=1))
    for order, expected in (("risk", "R-5 R-1 R-2 R-4 R-3"), ("age", "R-1 R-2 R-3 R-4 R-5")):
        seen: list[str] = []
        cursor = None
        while True:
            params = {"order": order, "limit": 2} | ({"cursor": cursor} if cursor else {})
            page = client.get(EXCEPTIONS, params=params).json()
            seen += [one["reference"] for one in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert " ".join(seen) == expected


def test_filters_leave_out_what_was_not_asked_for(client: httpx.Client, tmp_path: Path) -> None:
    every_class(tmp_path)
    save([Paid("R-OVO", gateway="ovo")])
    reconcile(tmp_path, [], gateway="ovo")
    assert [one["reference"] for one in listed(client, gateway="ovo")] == ["R-OVO"]
    assert [one["class"] for one in listed(client, class_="fee_mismatch")] == ["fee_mismatch"]
    assert len(listed(client, min_risk=50_000)) == 5
    assert listed(client, business_date_from="2026-11-25") == []
    assert len(listed(client, business_date_to="2026-11-24")) == 9
    assert listed(client, state="explained") == []
    resolved(client, of_class(client, "fee_mismatch")["exception_id"])
    assert [one["class"] for one in listed(client, state="explained")] == ["fee_mismatch"]


def test_ageing_counts_number_and_money_by_gateway_and_age(client: httpx.Client, tmp_path: Path) -> None:
    today = clock.business_date(clock.now())
    for days in (0, 1, 2, 3, 4, 7, 8, 30, 31, 400):
        day = today - timedelta(days=days)
        save([Paid(f"R-{days}", 10_000 + days, day=day)])
        reconcile(tmp_path, [], day=day)
    answer = client.get(f"{EXCEPTIONS}/ageing").json()
    (gopay,) = answer["gateways"]
    assert answer["as_of"] == today.isoformat()
    assert [(one["bucket"], one["count"], one["at_risk"]) for one in gopay["buckets"]] == [
        ("1", 2, "20001.00"), ("3", 2, "20005.00"), ("7", 2, "20011.00"), ("30", 2, "20038.00"),
        ("older", 2, "20431.00"),
    ]  # fmt: skip
    assert gopay["count"] == 10
    for bucket, expected in (
        ("1", {0, 1}),
        ("3", {2, 3}),
        ("7", {4, 7}),
        ("30", {8, 30}),
        ("older", {31, 400}),
    ):
        assert {one["age_days"] for one in listed(client, age=bucket)} == expected


def test_what_the_gateway_has_not_reported_says_by_when_it_should_have(
    client: httpx.Client, tmp_path: Path
) -> None:
    every_class(tmp_path)
    for name in ("missing_at_gateway", "timing"):
        assert of_class(client, name)["expected_by"] == "2026-11-25"  # Tuesday's money comes on Wednesday
    assert of_class(client, "fee_mismatch")["expected_by"] is None


def test_one_exception_has_its_evidence_its_history_and_proposals(
    client: httpx.Client, tmp_path: Path
) -> None:
    every_class(tmp_path)
    number = of_class(client, "duplicate_at_gateway")["exception_id"]
    found = client.get(f"{EXCEPTIONS}/{number}").json()
    assert (found["class"], found["why"], found["source"]["line"]) == (
        "duplicate_at_gateway",
        "second_charge",
        4,
    )
    assert found["found"]["amount"] == "75000.00"
    assert found["expected"] is None
    (proposal,) = found["proposals"]
    assert (proposal["action"], proposal["amount"]) == ("refund", "75000.00")
    (step,) = found["history"]
    assert (step["from_state"], step["to_state"], step["actor"]) == (None, "open", "reconcile-payments")
    broken = of_class(client, "malformed_line")
    assert (broken["unreadable"]["column"], broken["unreadable"]["seen"]) == ("amount", "1e5")
    assert broken["found"] is None


def test_ending_one_tells_its_new_state_and_who_ended_it(client: httpx.Client, tmp_path: Path) -> None:
    every_class(tmp_path)
    number = of_class(client, "fee_mismatch")["exception_id"]
    told = resolved(client, number)
    assert told["state"] == "explained"
    assert told["closed_at"] is not None
    assert (told["history"][-1]["actor"], told["history"][-1]["reason"]) == ("client:tests", "FIN-118")
    assert resolved(client, number, 409)["type"].endswith(":not-open")
    adopted = resolved(client, of_class(client, "missing_in_ledger")["exception_id"], action="adopt")
    assert adopted["state"] == "healed"


def test_a_write_off_waits_for_somebody_else(client: httpx.Client, tmp_path: Path) -> None:
    every_class(tmp_path)
    number = of_class(client, "amount_mismatch")["exception_id"]
    told = resolved(client, number, 202, action="write_off")
    assert (told["state"], told["awaiting"]["to_state"]) == ("open", "written_off")
    assert told["awaiting"]["requested_by"] == "client:tests"
    (in_list,) = listed(client, class_="amount_mismatch")
    assert in_list["awaiting"] == told["awaiting"]
    again = resolved(client, number, 409, action="write_off")
    assert again["type"].endswith(":awaits-approval")
    assert told["awaiting"]["approval_id"] in again["detail"]
    with unit_of_work() as session:
        said = approval.decide(
            session, told["awaiting"]["approval_id"], by="operator:budi", approve=True, reason="seen"
        )
        exception_work.decided(session, said)
    ended = client.get(f"{EXCEPTIONS}/{number}").json()
    assert (ended["state"], ended["awaiting"]) == ("written_off", None)


def test_a_match_names_its_payment_and_waits_too(client: httpx.Client, tmp_path: Path) -> None:
    save([Paid("R-1")])
    reconcile(tmp_path, [Paid("R1").line()])
    number = of_class(client, "missing_in_ledger")["exception_id"]
    ours = of_class(client, "missing_at_gateway")["payment_id"]
    assert resolved(client, number, 422, action="match")["type"].endswith(":invalid-request")
    assert resolved(client, number, 422, payment_id=ours)["type"].endswith(":invalid-request")
    strange = "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c"
    assert resolved(client, number, 409, action="match", payment_id=strange)["type"].endswith(":not-possible")
    told = resolved(client, number, 202, action="match", payment_id=ours)
    assert told["awaiting"]["to_state"] == "matched"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"reason": ""}, 422),
        ({"reason": " \t "}, 422),
        ({"reason": "x" * 501}, 422),
        ({"action": "delete"}, 422),
        ({"action": "write_off"}, 409),
        ({"action": "adopt"}, 409),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    client: httpx.Client, tmp_path: Path, body: dict[str, Any], status: int
) -> None:
    every_class(tmp_path)
    number = of_class(client, "malformed_line")["exception_id"]
    resolved(client, number, status, **body)
    assert len(client.get(f"{EXCEPTIONS}/{number}").json()["history"]) == 1


def test_unknown_ones_are_not_there(client: httpx.Client) -> None:
    assert client.get(f"{EXCEPTIONS}/99").status_code == 404
    assert (
        client.post(f"{EXCEPTIONS}/99/resolve", json={"action": "explain", "reason": "x"}).status_code == 404
    )


def test_reading_needs_one_scope_and_ending_another(database: str, address: str, tmp_path: Path) -> None:
    every_class(tmp_path)
    with unit_of_work() as session:
        _, key = clients.create(session, "reader", ["exceptions:read"])
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key.text}"}) as reader:
        assert len(listed(reader)) == 8
        assert reader.get(f"{EXCEPTIONS}/sheet").status_code == 200
        for path, more in (
            (f"{EXCEPTIONS}/1/resolve", {"json": {}}),
            (f"{EXCEPTIONS}/sheet", {"content": b"x"}),
        ):
            assert reader.post(path, **more).json()["type"].endswith(":missing-scope")  # type: ignore[arg-type]
        assert reader.get(RUNS).json()["type"].endswith(":missing-scope")


# The sheet


def filled(client: httpx.Client, **by_class: str) -> bytes:
    text = client.get(f"{EXCEPTIONS}/sheet").content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    for row in rows:
        action = by_class.get(row["class"], "")
        writer.writerow(row | {"action": action, "reason": "FIN-118" if action else ""})
    return out.getvalue().encode("utf-8-sig")


def test_a_sheet_goes_out_is_filled_and_comes_back(client: httpx.Client, tmp_path: Path) -> None:
    every_class(tmp_path)
    body = filled(client, fee_mismatch="explain", amount_mismatch="write_off")
    tried = client.post(f"{EXCEPTIONS}/sheet?dry_run=true", content=body).json()
    assert tried == {
        "dry_run": True, "rows": 8, "filled": 2, "ended": {"explained": 1}, "asked": 1, "approvals": [],
    }  # fmt: skip
    assert len(listed(client)) == 8
    done = client.post(f"{EXCEPTIONS}/sheet", content=body).json()
    assert (done["ended"], done["asked"], len(done["approvals"])) == ({"explained": 1}, 1, 1)
    assert of_class(client, "fee_mismatch")["state"] == "explained"
    assert of_class(client, "amount_mismatch")["awaiting"]["approval_id"] == done["approvals"][0]


def test_a_sheet_with_a_wrong_row_is_refused_as_a_whole(client: httpx.Client, tmp_path: Path) -> None:
    every_class(tmp_path)
    body = filled(client, fee_mismatch="explain", amount_mismatch="forget")
    answer = client.post(f"{EXCEPTIONS}/sheet", content=body)
    told = answer.json()
    assert (answer.status_code, told["type"]) == (422, "urn:jembatan:problem:sheet-refused")
    assert told["detail"] == "Nothing was done: 1 of 2 filled rows cannot be worked."
    (error,) = told["errors"]
    assert error == {
        "where": "row 7",
        "reason": "there is no action 'forget' in a sheet; write one of explain, write_off, adopt",
    }
    assert len(listed(client)) == 8


@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"PK\x03\x04broken", b"a;b\n1;2\n", b"<html></html>"])
def test_what_is_no_sheet_is_said_to_be_none(client: httpx.Client, body: bytes) -> None:
    answer = client.post(f"{EXCEPTIONS}/sheet", content=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:jembatan:problem:unusable-sheet")
    assert answer.json()["detail"].startswith("the sheet")


def test_a_sheet_may_be_larger_than_a_message_but_has_an_end(client: httpx.Client, tmp_path: Path) -> None:
    every_class(tmp_path)
    body = filled(client, fee_mismatch="explain") + b"\r\n" * (2 * 1024 * 1024)
    assert client.post(f"{EXCEPTIONS}/sheet", content=body).status_code == 200
    assert client.post(f"{EXCEPTIONS}/sheet", content=b"x" * (16 * 1024 * 1024 + 1)).status_code == 413


def test_the_workbook_has_the_same_rows(client: httpx.Client, tmp_path: Path) -> None:
    every_class(tmp_path)
    answer = client.get(f"{EXCEPTIONS}/sheet", params={"format": "xlsx", "min_risk": 50_000})
    assert answer.headers["content-disposition"] == 'attachment; filename="exceptions.xlsx"'
    rows = fastexcel.read_excel(answer.content).load_sheet(0, dtypes="string").to_arrow().to_pylist()
    assert len(rows) == 4
    assert client.post(f"{EXCEPTIONS}/sheet", content=answer.content).json()["filled"] == 0


# Reconciliations


def test_statements_are_listed_newest_first_and_read_by_their_id(
    client: httpx.Client, tmp_path: Path
) -> None:
    first = reconcile(tmp_path, [])
    second = reconcile(tmp_path, [])
    other = reconcile(tmp_path, [], gateway="ovo")
    runs = client.get(RUNS).json()["items"]
    assert [one["run_id"] for one in runs] == [str(other), str(second)]
    every = client.get(RUNS, params={"versions": "all", "limit": 2}).json()
    rest = client.get(RUNS, params={"versions": "all", "cursor": every["next_cursor"]}).json()
    assert [one["run_id"] for one in rest["items"]] == [str(first)]
    assert [one["run_id"] for one in client.get(RUNS, params={"gateway": "ovo"}).json()["items"]] == [
        str(other)
    ]
    assert client.get(RUNS, params={"business_date": "2026-11-23"}).json()["items"] == []
    assert client.get(f"{RUNS}/{second}").json() == runs[1]
    assert client.get(f"{RUNS}/{DAY}").status_code == 422
    execute("UPDATE reconciliations SET is_balanced = false WHERE id = %s", second)
    assert client.get(f"{RUNS}/{second}").json()["balanced"] is False


def test_a_key_names_one_end_of_one_exception(client: httpx.Client, tmp_path: Path) -> None:
    every_class(tmp_path)
    fee, amount = (of_class(client, name)["exception_id"] for name in ("fee_mismatch", "amount_mismatch"))
    headers, body = {"Idempotency-Key": "end-1"}, {"action": "explain", "reason": "FIN-118"}
    first, again = (client.post(f"{EXCEPTIONS}/{fee}/resolve", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    other = client.post(f"{EXCEPTIONS}/{amount}/resolve", json=body, headers=headers)
    assert other.status_code == 422
    assert other.json()["errors"][0]["where"] == "header.Idempotency-Key"
    assert of_class(client, "amount_mismatch")["state"] == "open"
    # What was refused has used no key.
    refused = {"action": "write_off", "reason": "x"}, {"Idempotency-Key": "end-2"}
    broken = of_class(client, "malformed_line")["exception_id"]
    assert (
        client.post(f"{EXCEPTIONS}/{broken}/resolve", json=refused[0], headers=refused[1]).status_code == 409
    )
    assert client.post(f"{EXCEPTIONS}/{broken}/resolve", json=body, headers=refused[1]).status_code == 200


def test_a_sheet_sent_twice_with_its_key_is_worked_once_and_answered_twice(
    client: httpx.Client, tmp_path: Path
) -> None:
    every_class(tmp_path)
    rows = list(csv.DictReader(io.StringIO(client.get(f"{EXCEPTIONS}/sheet").text)))
    for row in rows:
        if row["class"] == "fee_mismatch":
            row |= {"action": "explain", "reason": "FIN-118"}
    sheet = io.StringIO()
    written = csv.DictWriter(sheet, rows[0])
    written.writeheader()
    written.writerows(rows)
    headers = {"Content-Type": "text/csv", "Idempotency-Key": "sheet-1"}
    first, again = (
        client.post(f"{EXCEPTIONS}/sheet", content=sheet.getvalue(), headers=headers) for _ in range(2)
    )
    assert (first.status_code, first.json()["ended"]) == (200, {"explained": 1})
    assert again.json() == first.json()
    other = client.post(f"{EXCEPTIONS}/sheet", content=sheet.getvalue() + "\n", headers=headers)
    assert other.json()["type"].endswith(":idempotency-key-reused")
    without = client.post(
        f"{EXCEPTIONS}/sheet", content=sheet.getvalue(), headers={"Content-Type": "text/csv"}
    )
    assert without.json()["type"].endswith(":sheet-refused")
