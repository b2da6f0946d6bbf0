"""Refunds on the command line: one, a list, and a cancelled course as a file."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from refund_desk import Desk, rows, worked
from typer.testing import CliRunner, Result

from jembatan.cli import app
from records.db import unit_of_work
from records.process import ProcessRun
from records.refund import Refund


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})


def counted() -> tuple[int, int]:
    with unit_of_work() as session:
        refunds = session.scalar(sa.select(sa.func.count()).select_from(Refund))
        runs = session.scalar(sa.select(sa.func.count()).where(ProcessRun.process == "refund-payment"))
    return refunds or 0, runs or 0


def file_of(folder: Path, *lines: str, head: str = "reference,refund_key,amount,reason") -> str:
    path = folder / "course.csv"
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return str(path)


def test_one_refund_is_asked_for_listed_and_shown(desk: Desk) -> None:
    made = desk.paid()
    words = ["refunds", "create", made["reference"], "--key", "k1", "--reason", "Cancelled", "--by", "sri"]
    asked = json.loads(run(*words, "--amount", "50000", "--json").output)
    assert (asked["amount"], asked["status"], asked["is_new"]) == (50_000, "approved", True)
    assert "asked for before" in run(*words).output
    assert run(*words, "--amount", "60000").exit_code == 2
    worked()
    desk.ends(made, "confirmed")
    (listed,) = json.loads(run("refunds", "list", "--payment", made["reference"], "--json").output)
    assert (listed["status"], listed["process_state"]) == ("confirmed", "succeeded")
    shown = run("refunds", "show", asked["refund_id"]).output
    assert "Asked for: Rp 50,000." in shown
    assert "operator:sri" in json.dumps(
        json.loads(run("refunds", "show", asked["refund_id"], "--json").output)
    )
    assert run("refunds", "list", "--status", "open").output.strip() == "No refunds."


def test_a_cancelled_course_is_given_back_by_a_file_and_the_file_may_come_again(
    desk: Desk, tmp_path: Path
) -> None:
    made = [desk.paid("linkaja") for _ in range(3)]
    file = file_of(tmp_path, *(f"{one['reference']},course-w2,,Course W2 was cancelled" for one in made))
    dry = json.loads(run("refunds", "import", file, "--dry-run", "--json").output)
    assert (dry["rows"], dry["new"], dry["total"], dry["refused"]) == (3, 3, 450_000, [])
    assert counted() == (0, 0)
    assert run("refunds", "import", file, "--total", "449999").exit_code == 1
    assert CliRunner().invoke(app, ["refunds", "import", file], input="n\n").exit_code == 1
    assert counted() == (0, 0)
    asked = json.loads(run("refunds", "import", file, "--total", "450000", "--by", "sri", "--json").output)
    assert (asked["new"], asked["known"]) == (3, 0)
    assert counted() == (3, 3)  # one process for each
    again = json.loads(run("refunds", "import", file, "--yes", "--by", "sri", "--json").output)
    assert (again["new"], again["known"], again["total"]) == (0, 3, 0)
    assert counted() == (3, 3)
    assert {step.status for step in worked()} == {"confirmed"}
    for one in made:
        assert desk.given_back(one) == ["150000.00"]


_CANNOT_BE = [
    ("NOBODY,k,1000,Cancelled", "reference", "no such payment"),
    ("{ref},k,1.5,Cancelled", "amount", "whole rupiah"),
    ("{ref},k,0,Cancelled", "amount", "whole rupiah"),
    ("{ref},k,-5,Cancelled", "amount", "whole rupiah"),
    ("{ref},k,=1+1,Cancelled", "amount", "whole rupiah"),
    ("{ref},k,150001,Cancelled", "amount", "is left"),
    ("{ref},a b,1000,Cancelled", "refund_key", "1 to 64"),
    ("{ref},k,1000,", "reason", "A reason is needed"),
    ("{ref},good,1000,Cancelled", "refund_key", "Line 2 has this refund already"),
    ("{pending},k,1000,Cancelled", "reference", "this is pending"),
]


def test_one_row_that_cannot_be_stops_the_whole_file_and_says_which_and_why(
    desk: Desk, tmp_path: Path
) -> None:
    made, pending = desk.paid(), desk.till.create()
    for line, column, reason in _CANNOT_BE:
        bad = line.format(ref=made["reference"], pending=pending["reference"])
        file = file_of(tmp_path, f"{made['reference']},good,1000,Cancelled", bad)
        ended = run("refunds", "import", file, "--yes", "--json")
        assert ended.exit_code == 1, line
        told: dict[str, Any] = json.loads(ended.output)
        (refused,) = told["refused"]
        assert (refused["line"], refused["column"]) == (3, column)
        assert reason in refused["reason"]
        assert rows(made["payment_id"]) == []
        assert counted() == (0, 0)


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("reference,amount", "a,1"),
        ("reference,refund_key,amount,reason", "a,b"),
        ("reference,refund_key,amount,reason", 'a,b,1,"half'),
    ],
)
def test_a_file_that_is_no_table_of_refunds_is_refused_as_a_whole(
    database: str, tmp_path: Path, head: str, line: str
) -> None:
    ended = run("refunds", "import", file_of(tmp_path, line, head=head), "--yes")
    assert ended.exit_code != 0
    assert counted() == (0, 0)
