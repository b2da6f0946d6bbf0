"""`jembatan exceptions`: ended in every way, and by a sheet, from the command line."""

import json
from pathlib import Path

import pytest
from test_exceptions_sheet import fill
from test_exceptions_worked import all_states, decide, every_class, item, line, of_class, the_payment
from typer.testing import CliRunner, Result
from world import load_ledger, run_day

from jembatan.cli import app
from records.approval import Approval
from records.db import unit_of_work
from records.exception_requests import awaited

pytestmark = pytest.mark.usefixtures("database")


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["exceptions", *map(str, words)])


def asked_about(number: int) -> Approval:
    with unit_of_work() as session:
        return session.get_one(Approval, awaited(session, [number])[number].approval_id)


def test_an_exception_is_explained_where_nothing_else_is_said(tmp_path: Path) -> None:
    every_class(tmp_path)
    number = of_class("fee_mismatch").id
    done = run("resolve", number, "--reason", "contract", "--by", "ani")
    assert (done.exit_code, done.output) == (0, f"Exception {number} is explained.\n")
    again = run("resolve", number, "--reason", "contract")
    assert (again.exit_code, "is explained already" in again.output) == (1, True)
    assert run("resolve", 999, "--reason", "x").exit_code == 2
    shown = json.loads(run("show", number, "--json").output)
    assert shown["history"][-1]["actor"] == "operator:ani"


def test_it_is_taken_over_written_off_or_matched_where_that_is_said(tmp_path: Path) -> None:
    every_class(tmp_path)
    line_of = of_class("missing_in_ledger").id
    done = run("resolve", line_of, "--as", "adopted", "--reason", "order 12")
    assert f"the line is payment {the_payment('R-STRANGER').id} now" in done.output.replace("\n", " ")
    number = of_class("amount_mismatch").id
    done = run("resolve", number, "--as", "written-off", "--reason", "small", "--by", "ani")
    asked = asked_about(number)
    assert done.exit_code == 0
    assert str(asked.id) in done.output
    assert str(asked.id) in run("show", number).output
    decide(asked)
    assert of_class("amount_mismatch").state == "written_off"
    assert (
        run("resolve", of_class("malformed_line").id, "--as", "written-off", "--reason", "x").exit_code == 1
    )


def test_a_match_names_its_payment(tmp_path: Path) -> None:
    load_ledger(tmp_path, [item("R-1")])
    run_day(tmp_path, [[line("R1")]])
    number, ours = of_class("missing_in_ledger").id, the_payment("R-1").id
    assert "match" in run("show", number).output
    assert run("resolve", number, "--as", "matched", "--reason", "x").exit_code != 0
    assert run("resolve", number, "--as", "matched", "--payment", ours, "--reason", "x").exit_code == 0
    decide(asked_about(number))
    assert set(all_states().values()) == {"matched"}


@pytest.mark.parametrize("name", ["sheet.csv", "sheet.xlsx"])
def test_a_sheet_is_written_filled_and_applied(tmp_path: Path, name: str) -> None:
    from test_exceptions_sheet import as_csv, downloaded

    every_class(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    assert "8 open exceptions are in" in run("sheet", out / name).output
    assert "nothing · 8 rows left alone" in run("apply", out / name).output
    filled = as_csv(out, fill(downloaded(), fee_mismatch="explain", amount_mismatch="write_off"))
    assert run("apply", filled, "--dry-run").output.startswith("Would be: 1 explained · 1 wait for a second")
    assert of_class("fee_mismatch").state == "open"
    assert run("apply", filled, "--by", "ani").exit_code == 0
    assert of_class("fee_mismatch").state == "explained"
    again = run("apply", filled, "--by", "ani")
    assert again.exit_code == 1
    assert "2 of 2 filled rows cannot be worked" in again.output
    assert len(json.loads(run("apply", filled, "--json").output)["faults"]) == 2


def test_the_ages_are_shown(tmp_path: Path) -> None:
    every_class(tmp_path)
    ages = json.loads(run("ageing", "--json").output)
    assert sum(one["count"] for one in ages) == 8
    assert "gopay" in run("ageing").output
