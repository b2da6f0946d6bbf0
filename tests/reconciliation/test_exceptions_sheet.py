"""Many exceptions ended by one sheet: all of its rows, or none and a report that names each wrong one."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastexcel
import pytest
import xlsxwriter
from test_exceptions_worked import (
    ANI,
    BUDI,
    all_states,
    decide,
    every_class,
    item,
    line,
    of_class,
    steps,
    the_payment,
)
from world import load_ledger, run_day

from records import exception_sheet, exceptions, sheet_files
from records.approval import Approval
from records.db import unit_of_work
from records.exception_list import Filter
from records.exception_sheet import COLUMNS, Report

pytestmark = pytest.mark.usefixtures("database")
Fill = Callable[[dict[str, str]], dict[str, str] | None]


def downloaded() -> list[dict[str, str]]:
    with unit_of_work() as session:
        text = "".join(sheet_files.as_csv(exception_sheet.rows(session, Filter())))
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def as_csv(folder: Path, rows: list[dict[str, str]]) -> Path:
    path = folder / "sheet.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def uploaded(path: Path, **more: Any) -> Report:
    found = exception_sheet.read(path, path.name, path.parent)
    with unit_of_work() as session:
        return exception_sheet.apply(session, found, by=ANI, **more)


def fill(rows: list[dict[str, str]], **by_class: str) -> list[dict[str, str]]:
    for row in rows:
        row["action"] = by_class.get(row["class"], "")
        row["reason"] = "FIN-118" if row["action"] else ""
    return rows


def test_a_sheet_that_is_filled_and_uploaded_ends_its_rows_and_leaves_the_others(tmp_path: Path) -> None:
    report = every_class(tmp_path)
    rows = fill(
        downloaded(), fee_mismatch="explain", status_mismatch="Explain", missing_in_ledger="adopt",
        amount_mismatch="write-off", currency_mismatch="Write off",
    )  # fmt: skip
    done = uploaded(as_csv(tmp_path, rows))
    assert done.faults == []
    assert (done.rows, done.filled, done.ended, done.asked) == (8, 5, {"explained": 2, "healed": 1}, 2)
    (asked,) = done.approvals  # one question for all write-offs
    with unit_of_work() as session:
        question = session.get_one(Approval, asked)
    assert question.amount_minor == 500_000 + 15_000_000
    assert "2 exceptions of one sheet" in question.summary
    states = {name: state for (name, _, _), state in all_states().items()}
    assert states["fee_mismatch"] == states["status_mismatch"] == "explained"
    assert states["amount_mismatch"] == states["missing_at_gateway"] == "open"
    assert the_payment("R-STRANGER").status == "paid"
    assert steps(of_class("fee_mismatch").id)[-1] == ("open", "explained", ANI)
    assert len(decide(question, by=BUDI).ended) == 2
    run_day(tmp_path, [report])
    states = {name: state for (name, _, _), state in all_states().items()}
    assert states["amount_mismatch"] == states["currency_mismatch"] == "written_off"


def test_what_one_sheet_asked_and_has_ended_since_is_left_out_by_the_decision(tmp_path: Path) -> None:
    every_class(tmp_path)
    done = uploaded(
        as_csv(tmp_path, fill(downloaded(), fee_mismatch="write_off", amount_mismatch="write_off"))
    )
    with unit_of_work() as session:
        exceptions.move(session, of_class("fee_mismatch").id, "explained", actor=BUDI, reason="contract")
        question = session.get_one(Approval, done.approvals[0])
    decision = decide(question)
    assert decision.ended == [of_class("amount_mismatch").id]
    assert decision.left == [(of_class("fee_mismatch").id, decision.left[0][1])]
    assert of_class("fee_mismatch").state == "explained"


def test_a_dry_run_says_what_would_be_and_does_nothing(tmp_path: Path) -> None:
    every_class(tmp_path)
    path = as_csv(
        tmp_path,
        fill(downloaded(), fee_mismatch="explain", missing_in_ledger="adopt", amount_mismatch="write_off"),
    )
    done = uploaded(path, dry_run=True)
    assert (done.ended, done.asked, done.faults) == ({"explained": 1, "healed": 1}, 1, [])
    assert done.approvals == []
    assert set(all_states().values()) == {"open"}
    with unit_of_work() as session:
        assert len(exceptions.history(session, of_class("fee_mismatch").id)) == 1


WRONG: list[tuple[str, Fill, str, str]] = [
    ("unknown id", lambda row: row | {"exception": "999"}, "there is no exception 999", "download the sheet"),
    ("no id", lambda row: row | {"exception": "x"}, "not a number of an exception", "download the sheet"),
    ("amount", lambda row: row | {"report_amount": "1.00"}, "'1.00' in the sheet, 345000.00", "download"),
    ("risk", lambda row: row | {"at_risk": "1.00"}, "at_risk: '1.00' in the sheet, 5000.00", "download"),
    ("amount gone", lambda row: row | {"ledger_amount": ""}, "'' in the sheet, 350000.00", "download"),
    ("amount odd", lambda row: row | {"ledger_amount": "3.5E5"}, "'3.5E5' in the sheet", "download"),
    ("formula", lambda row: row | {"reason": "=1+1"}, "begins like a formula", "plain words"),
    ("action", lambda row: row | {"action": "delete"}, "no action 'delete'", "explain, write_off, adopt"),
    ("match", lambda row: row | {"action": "match"}, "no action 'match' in a sheet", "write one of"),
    ("no action", lambda row: row | {"action": ""}, "a reason without an action", "or empty both"),
    ("no reason", lambda row: row | {"reason": " "}, "A reason is needed", "fill the cell"),
    ("long reason", lambda row: row | {"reason": "x" * 501}, "500 characters at most", "fill the cell"),
    ("not possible", lambda row: row | {"action": "adopt"}, "our ledger does not have", "another action"),
]


@pytest.mark.parametrize(
    ("fault", "to_do"), [(one[2], one[3]) for one in WRONG], ids=[one[0] for one in WRONG]
)
def test_one_wrong_row_stops_all_and_is_named_with_why_and_what_to_do(
    tmp_path: Path, fault: str, to_do: str
) -> None:
    every_class(tmp_path)
    spoil = next(one[1] for one in WRONG if one[2] == fault)
    rows = fill(downloaded(), fee_mismatch="explain", missing_in_ledger="adopt", amount_mismatch="explain")
    number = next(place for place, row in enumerate(rows) if row["class"] == "amount_mismatch")
    spoilt = spoil(rows[number])
    assert spoilt is not None
    rows[number] = spoilt
    done = uploaded(as_csv(tmp_path, rows))
    (wrong,) = done.faults
    assert wrong.row == number + 2  # the header is row 1
    assert fault in wrong.why
    assert to_do in wrong.to_do
    assert (done.ended, done.asked) == ({}, 0)
    assert set(all_states().values()) == {"open"}


def test_every_wrong_row_is_named(tmp_path: Path) -> None:
    every_class(tmp_path)
    rows = fill(downloaded(), fee_mismatch="explain", amount_mismatch="nonsense")
    rows.append(dict(rows[0]))
    rows[0] |= {"action": "explain", "reason": "x"}
    rows[-1] |= {"action": "explain", "reason": "x"}
    done = uploaded(as_csv(tmp_path, rows))
    assert [fault.row for fault in done.faults] == sorted(fault.row for fault in done.faults)
    whys = {fault.why for fault in done.faults}
    assert any("no action 'nonsense'" in why for why in whys)
    assert any(f"exception {rows[0]['exception']} stands on row 2 too" in why for why in whys)


def test_half_a_row_is_refused_with_the_rest(tmp_path: Path) -> None:
    every_class(tmp_path)
    path = as_csv(tmp_path, fill(downloaded(), fee_mismatch="explain"))
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    path.write_text("\n".join([*lines[:-1], lines[-1][:20]]), encoding="utf-8")
    done = uploaded(path)
    (wrong,) = done.faults
    assert wrong.row == len(lines)
    assert "columns where the header has 16" in wrong.why
    assert of_class("fee_mismatch").state == "open"


def test_the_same_sheet_again_changes_nothing_and_says_why(tmp_path: Path) -> None:
    every_class(tmp_path)
    path = as_csv(tmp_path, fill(downloaded(), fee_mismatch="explain", amount_mismatch="write_off"))
    assert uploaded(path).faults == []
    done = uploaded(path)
    whys = sorted(fault.why for fault in done.faults)
    assert "is explained already" in whys[0]
    assert "operator:ani asked a second person already" in whys[1]
    assert len(steps(of_class("fee_mismatch").id)) == 2


def test_two_lines_of_one_reference_are_not_both_taken_over(tmp_path: Path) -> None:
    run_day(tmp_path, [[line("R-9")]])
    run_day(tmp_path, [[line("R-9")]], day=line("R-9").occurred_at.date().replace(day=25))
    done = uploaded(as_csv(tmp_path, fill(downloaded(), missing_in_ledger="adopt")))
    (wrong,) = done.faults
    assert "has the reference R-9 already" in wrong.why
    assert set(all_states().values()) == {"open"}


def test_a_workbook_comes_back_as_it_was_filled(tmp_path: Path) -> None:
    every_class(tmp_path)
    path = tmp_path / "sheet.xlsx"
    with unit_of_work() as session, path.open("wb") as out:
        sheet_files.write_xlsx(exception_sheet.rows(session, Filter()), out)
    assert uploaded(path).filled == 0  # as it was downloaded there is nothing to do
    cells = fastexcel.read_excel(path).load_sheet(0, header_row=0, dtypes="string").to_arrow().to_pylist()
    rows = [{name: row[name] or "" for name in COLUMNS} for row in cells]
    numbers = ("ledger_amount", "report_amount", "at_risk")
    assert rows == [
        row | {name: row[name].rstrip("0").rstrip(".") if "." in row[name] else "" for name in numbers}
        for row in downloaded()
    ]
    fill(rows, fee_mismatch="explain")
    filled = workbook(tmp_path, rows)
    assert uploaded(filled).ended == {"explained": 1}


def workbook(folder: Path, rows: list[dict[str, str]], formula_in: str = "") -> Path:
    path = folder / "filled.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, COLUMNS)
        for number, row in enumerate(rows, 1):
            for column, name in enumerate(COLUMNS):
                if name == formula_in and row["action"]:
                    sheet.write_formula(number, column, "=1+1", value=row[name])
                else:
                    sheet.write_string(number, column, row[name])
    return path


@pytest.mark.parametrize("column", ["exception", "ledger_amount", "action", "reason"])
def test_a_cell_with_a_formula_is_refused_whatever_value_it_shows(tmp_path: Path, column: str) -> None:
    every_class(tmp_path)
    rows = fill(downloaded(), fee_mismatch="explain")
    done = uploaded(workbook(tmp_path, rows, formula_in=column))
    (wrong,) = done.faults
    assert wrong.why == f"{column}: a formula"
    assert of_class("fee_mismatch").state == "open"


def test_no_cell_that_we_hand_out_is_a_formula(tmp_path: Path) -> None:
    load_ledger(tmp_path, [item("R-1")])
    run_day(tmp_path, [[line("=1+1", gateway_reference="@SUM(A1)"), line("+62")]])
    cells = [cell for row in downloaded() for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    path = tmp_path / "sheet.xlsx"
    with unit_of_work() as session, path.open("wb") as out:
        sheet_files.write_xlsx(exception_sheet.rows(session, Filter()), out)
    from records.sheet_formulas import formula_cells

    assert formula_cells(path, "sheet.xlsx") == set()
    shown = fastexcel.read_excel(path).load_sheet(0, dtypes="string").to_arrow().to_pylist()
    assert {"=1+1", "+62"} <= {row["reference"] for row in shown}
