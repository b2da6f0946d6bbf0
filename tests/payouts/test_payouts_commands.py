"""`jembatan payouts`: exit codes, sentences, JSON."""

import json
from pathlib import Path
from typing import Any

import pytest
from bank_world import THU, TUE, WED, Credit, bank_file, covering, net, paid, settle

from jembatan.cli import main

DAY = [paid("A1", 150_000), paid("A2", 275_000)]


@pytest.fixture
def run(database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command as the terminal does; exit code, standard output and error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        first = () if arguments[0] == "exceptions" else ("payouts",)
        monkeypatch.setattr("sys.argv", ["jembatan", *first, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), said.out, said.err

    return call


def test_a_statement_is_taken_over_and_its_payouts_are_looked_at(run: Any, tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    file = bank_file(tmp_path, [Credit(WED, net(DAY[0])), covering(WED)], "bank.csv")
    code, out, _ = run("import-statement", file)
    assert code == 0
    assert "2 entries of bank.csv (csv): 2 new, 0 known from another statement, 0 cannot be read" in out
    assert "the payment A2 is missing in it" in out
    assert "✓ the proof balances" in out
    code, out, _ = run("import-statement", file, "--json")
    told = json.loads(out)
    assert (code, told["known_already"], told["imported"]) == (0, True, 0)
    (proof,) = [one for one in told["payouts"] if one["gateway"] == "gopay"]
    assert (proof["version"], proof["classes"]["amount_mismatch"]["count"]) == (2, 1)
    code, out, _ = run("list", "--json")
    (one,) = json.loads(out)
    for name in (one["payout_id"], f"due:{WED}"):
        code, out, _ = run("show", name)
        assert (code, "difference: -Rp 269,500" in out) == (0, True)


def test_a_payout_is_worked_by_the_commands_of_exceptions(run: Any, tmp_path: Path) -> None:
    named = [paid("A1", 150_000, payout="PO-1"), paid("A2", 275_000, payout="PO-2")]
    settle(tmp_path, TUE, named)
    credits = [Credit(WED, net(named[0]), "PO-7"), Credit(WED, net(named[1]) - 1, "PO-2")]
    run("import-statement", bank_file(tmp_path, credits, "bank.csv"))
    _, out, _ = run("exceptions", "list", "--type", "payout", "--json")
    found = {one["class"]: one for one in json.loads(out)}
    assert {one["type"] for one in found.values()} == {"payout"}
    code, out, _ = run("exceptions", "show", found["amount_mismatch"]["exception"])
    assert code == 0
    assert "amount_mismatch of a payout · gopay 2026-11-25 · open" in out
    assert "expected: Rp 269,500" in out
    code, out, _ = run("exceptions", "show", found["missing_at_gateway"]["exception"])
    assert "the gateway should have paid it out by the end of Wed 25 Nov 2026" in out
    entry = found["missing_in_ledger"]["exception"]
    ending = ("exceptions", "resolve", entry, "--as", "matched", "--reason", "FIN-118", "--by", "ani")
    code, out, _ = run(*ending, "--payout", "PO-1")
    assert (code, "stays open until somebody else approves" in out) == (0, True)
    code, _, error = run(*ending)
    assert (code, "`--payment` or `--payout` goes with `--as matched`" in error) == (2, True)
    code, _, error = run("exceptions", "list", "--type", "bank")
    assert (code, "There is no type 'bank'" in error) == (2, True)


def test_json_has_the_form_of_a_reconciliation(run: Any, tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    run("import-statement", bank_file(tmp_path, [Credit(WED, net(*DAY))]), "--no-reconcile")
    code, out, _ = run("reconcile", "gopay", WED, "--json")
    outcome = json.loads(out)
    assert code == 0
    assert set(outcome) >= {
        "run_id", "gateway", "ledger_rows", "report_rows", "ledger_amount", "report_amount", "classes",
        "overlap_rows", "sources", "balanced", "exceptions_open", "version", "payouts",
    }  # fmt: skip
    assert len(outcome["classes"]) == 10
    assert outcome["ledger_amount"] == outcome["report_amount"] == "416500.00"
    code, out, _ = run("reconcile", "gopay", "--from", WED, "--to", THU)
    assert (code, "payouts of gopay · 2026-11-25 to 2026-11-26" in out) == (0, True)


def test_lines_that_cannot_be_read_are_one_and_unusable_files_and_days_are_two(
    run: Any, tmp_path: Path
) -> None:
    file = bank_file(tmp_path, [covering(WED), Credit(WED, net(*DAY), malformed="1e5")], "bank.csv")
    code, _, error = run("import-statement", file)
    assert code == 1
    assert "line 3: amount: not an amount of the form" in error
    for arguments, sentence in (
        (("import-statement", tmp_path / "none.csv"), "there is no such file"),
        (("import-statement", file, "--format", "pdf"), "There is no format 'pdf'"),
        (("import-statement", file, "--format", "camt053"), "no well-formed XML"),
        (("import-statement", file, "--layout", "mine"), "there is no bank layout 'mine'"),
        (("import-statement", file, "--account", "1"), "is not of the account 1"),
        (("reconcile", "dana", WED), "There is no gateway 'dana'"),
        (("reconcile", "gopay"), "Give one bank day, or --from and --to"),
        (("reconcile", "gopay", WED, "--to", THU), "Give one bank day, or --from and --to"),
        (("reconcile", "gopay", "--from", THU, "--to", WED), "is after"),
        (("show", "PO-1"), "There is no payout 'PO-1'"),
        (("list", "--class", "lost"), "There is no class 'lost'"),
    ):
        code, _, error = run(*arguments)
        assert (code, sentence in error) == (2, True), (arguments, error)
