"""The CSV of a statement's exceptions: whole, and harmless in a spreadsheet."""

import csv
import io
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from api_world import Day, Paid, reconcile

from api import export
from common.cells import neutral
from records import exceptions
from records.db import unit_of_work


def rows_of(reader: httpx.Client, statement: UUID) -> list[dict[str, str]]:
    answer = reader.get(f"/reconciliations/{statement}/exceptions.csv")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_each_exception_is_a_row_with_both_sides(day: Day) -> None:
    rows = {row["reference"]: row for row in csv.DictReader(io.StringIO(day.csv.decode("utf-8-sig")))}
    assert len(rows) == 9  # the awaited one is there too
    less = rows["R-LESS"]
    assert less["class"] == "amount_mismatch"
    assert (less["expected_amount"], less["found_amount"]) == ("350000.00", "345000.00")
    assert less["expected_at"] == "2026-11-24T09:00:00+07:00"
    assert (less["source"], less["line"], less["state"], less["last_event"]) == (
        "settlement.csv",
        "7",
        "open",
        "found",
    )
    assert rows["R-BROKEN"]["unreadable_text"] == "1e5"
    assert rows["R-STRANGER"]["expected_amount"] == ""


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1"])
def test_a_cell_that_could_be_a_formula_begins_with_an_apostrophe(text: str) -> None:
    assert neutral(text) == f"'{text}"


def test_other_cells_stay_as_they_are() -> None:
    assert neutral("R-1") == "R-1"
    assert neutral("") == ""


def test_no_cell_of_a_hostile_report_is_a_formula(reader: httpx.Client, tmp_path: Path) -> None:
    lines = [
        Paid("R-1").line(reference="=cmd|'/C calc'!A0", gateway_reference="@SUM(A1)"),
        Paid("R-2").line(amount="-5"),
        Paid("R-3").line(status="+x"),
    ]
    statement = reconcile(tmp_path, lines, name="=name.csv")
    with unit_of_work() as session:
        one = exceptions.search(session, run_id=statement)[0]
        exceptions.move(session, one.id, "explained", actor="-eve", reason="=1+1")
    rows = rows_of(reader, statement)
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    for shown in ("'=cmd|'/C calc'!A0", "'@SUM(A1)", "'-5", "'+x", "'=name.csv", "'-eve", "'=1+1"):
        assert shown in cells


def test_a_file_in_several_pieces_is_whole(
    reader: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_BATCH", 100)
    statement = reconcile(tmp_path, [Paid(f"R-{number}").line() for number in range(300)])
    rows = rows_of(reader, statement)
    assert len({row["exception"] for row in rows}) == len(rows) == 300


def test_the_file_of_an_unknown_statement_is_not_found(reader: httpx.Client) -> None:
    assert reader.get(f"/reconciliations/{uuid4()}/exceptions.csv").status_code == 404
