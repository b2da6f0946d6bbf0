"""What a gateway has settled against what the bank has booked: each class, and what its difference is."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from bank_world import (
    FRI,
    MON,
    SAT,
    SUN,
    THU,
    TUE,
    WED,
    Credit,
    Line,
    bank_file,
    book,
    classes,
    covering,
    net,
    only,
    paid,
    proof,
    rupiah,
    settle,
)

from common.errors import BadInput
from common.settings import settings
from records import payout
from records.db import unit_of_work
from tasks import bank_statements

DAY = [paid("A1", 150_000), paid("A2", 275_000), paid("A3", 99_000)]
pytestmark = pytest.mark.usefixtures("database")


def test_a_payout_is_the_settled_payments_less_fees_and_refunds(tmp_path: Path) -> None:
    refund = Line("RF1", Decimal(50_000), None, kind="refund")
    failed = paid("A9", 777_000, status="failed", fee=None)
    settle(tmp_path, TUE, [*DAY, refund, failed])
    expected = net(*DAY) - 50_000
    book(tmp_path, Credit(WED, expected))
    outcome = proof(WED)
    assert classes(outcome) == {"matched": (1, expected, expected)}
    one = only(outcome)
    assert (one["payments"], one["refunds"], one["fees"]) == ("524000.00", "50000.00", "10480.00")
    assert (one["due_on"], one["late_days"], one["lines"]) == (str(WED), None, 4)
    assert {source["rows"] for source in outcome["sources"]} == {5, 1}


def test_one_payment_that_is_missing_in_a_payout_is_named(tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    book(tmp_path, Credit(WED, net(*DAY) - net(DAY[1])))
    outcome = proof(WED)
    assert classes(outcome) == {"amount_mismatch": (1, net(*DAY), net(DAY[0], DAY[2]))}
    one = only(outcome)
    assert (one["reason"], one["difference"]) == ("under", rupiah(-net(DAY[1])))
    assert one["explanation"] == {
        "what": "missing_payment", "is_unique": True, "lines": 1, "references": ["A2"],
    }  # fmt: skip


def test_a_payment_worth_the_same_as_others_is_one_of_them(tmp_path: Path) -> None:
    settle(tmp_path, TUE, [*DAY, paid("A4", 275_000)])
    book(tmp_path, Credit(WED, net(*DAY)))
    said = only(proof(WED))["explanation"]
    assert (said["is_unique"], said["lines"], said["references"]) == (False, 2, ["A2", "A4"])


@pytest.mark.parametrize("missing", [("A1", "A3"), ("A1", "A2", "A5")])
def test_the_only_payments_that_make_up_the_difference_are_named(
    tmp_path: Path, missing: tuple[str, ...]
) -> None:
    lines = [*DAY, paid("A4", 1_250_000), paid("A5", 35_050)]
    settle(tmp_path, TUE, lines)
    book(tmp_path, Credit(WED, net(*(line for line in lines if line.reference not in missing))))
    said = only(proof(WED))["explanation"]
    assert (said["what"], said["references"]) == ("missing_payments", list(missing))


def test_several_combinations_are_no_explanation(tmp_path: Path) -> None:
    lines = [paid("B1", 100_000), paid("B2", 300_000), paid("B3", 150_000), paid("B4", 250_000)]
    settle(tmp_path, TUE, lines)
    book(tmp_path, Credit(WED, net(*lines) - net(lines[0], lines[1])))
    assert only(proof(WED))["explanation"] is None


def test_a_payment_whose_fee_was_taken_all_the_same(tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    book(tmp_path, Credit(WED, net(*DAY) - DAY[0].amount))
    assert only(proof(WED))["explanation"]["what"] == "missing_payment_but_not_its_fee"


def test_a_refund_that_was_not_taken_off_and_a_repeated_line_that_was_paid(tmp_path: Path) -> None:
    refund = Line("RF1", Decimal(50_000), None, kind="refund")
    settle(tmp_path, TUE, [*DAY, refund, DAY[2]])
    settle(tmp_path, WED, [paid("C1", 80_000), paid("C2", 60_000), paid("C2", 60_000)])
    book(tmp_path, Credit(WED, net(*DAY)), Credit(THU, net(paid("C1", 80_000)) + 2 * net(paid("C2", 60_000))))
    said = {one["day"]: one["explanation"] for one in proof(WED, THU)["payouts"] if one["bank"]}
    assert (said[str(WED)]["what"], said[str(WED)]["references"]) == ("refund_not_taken_off", ["RF1"])
    assert (said[str(THU)]["what"], said[str(THU)]["references"]) == ("repeated_line_paid", ["C2"])


def test_what_is_not_due_yet_is_awaited_and_what_has_not_come_is_missing(tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    settle(tmp_path, WED, [paid("C1", 80_000)])
    book(tmp_path, covering(WED))
    outcome = proof(WED)
    assert classes(outcome) == {
        "missing_at_gateway": (1, net(*DAY), 0),
        "timing": (1, net(paid("C1", 80_000)), 0),
    }
    assert [one["reason"] for one in outcome["payouts"]] == ["not_due", None]


def test_a_day_that_no_statement_covers_has_nothing_missing(tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    book(tmp_path, covering(TUE), Credit(TUE, Decimal(1)))
    assert only(proof(WED))["reason"] == "no_statement"
    book(tmp_path, covering(WED))
    assert only(proof(WED))["class"] == "missing_at_gateway"


def test_a_late_payout_is_matched_on_the_day_on_which_it_came(tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    settle(tmp_path, WED, [paid("C1", 80_000)])
    book(tmp_path, covering(WED), Credit(THU, net(*DAY)), Credit(THU, net(paid("C1", 80_000))))
    assert classes(proof(WED)) == {
        "missing_at_gateway": (1, net(*DAY), 0),
        "timing": (1, net(paid("C1", 80_000)), 0),
    }
    outcome = proof(THU)
    assert set(classes(outcome)) == {"matched"}
    assert sorted((one["payout"], one["late_days"]) for one in outcome["payouts"]) == [
        (f"due:{WED}", 1),
        (f"due:{THU}", None),
    ]
    with unit_of_work() as session:
        known = {one.details["payout"]: one.class_ for one in payout.search(session)}
    assert known == {f"due:{WED}": "matched", f"due:{THU}": "matched"}
    assert classes(proof(WED))["missing_at_gateway"][0] == 1  # that day is as it was
    with unit_of_work() as session:
        assert {one.class_ for one in payout.search(session)} == {"matched"}  # and we know what we know


def test_a_credit_that_nothing_was_settled_for(tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    book(tmp_path, Credit(WED, net(*DAY)), Credit(WED, Decimal(5_000_000)))
    assert classes(proof(WED)) == {
        "matched": (1, net(*DAY), net(*DAY)),
        "missing_in_ledger": (1, 0, Decimal(5_000_000)),
    }


def test_an_entry_whose_report_comes_later_is_one_payout_then(tmp_path: Path) -> None:
    book(tmp_path, Credit(WED, net(*DAY)))
    assert set(classes(proof(WED))) == {"missing_in_ledger"}
    settle(tmp_path, TUE, DAY)
    outcome = proof(WED)
    assert outcome["version"] == 2
    assert set(classes(outcome)) == {"matched"}
    with unit_of_work() as session:
        (known,) = payout.search(session)
    assert known.class_ == "matched"


def test_the_days_of_a_weekend_are_paid_out_together(tmp_path: Path) -> None:
    days = {FRI: [paid("F1", 50_000)], SAT: [paid("S1", 60_000)], SUN: [paid("U1", 70_000)]}
    for day, lines in days.items():
        settle(tmp_path, day, lines)
    book(tmp_path, Credit(MON, net(*(line for lines in days.values() for line in lines))))
    one = only(proof(MON))
    assert (one["class"], one["lines"]) == ("matched", 3)
    assert (one["first_business_day"], one["last_business_day"]) == (str(FRI), str(SUN))


def test_a_holiday_and_the_banks_fee_of_a_transfer_are_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JEMBATAN_EXTRA_HOLIDAYS", f'["{WED}"]')
    monkeypatch.setenv("JEMBATAN_GOPAY__PAYOUT__TRANSFER_FEE", "2500")
    settings.cache_clear()
    settle(tmp_path, TUE, DAY)
    book(tmp_path, covering(WED), Credit(THU, net(*DAY) - 2_500))
    assert only(proof(WED))["class"] == "timing"
    one = only(proof(THU))
    assert (one["class"], one["transfer_fee"]) == ("matched", "2500.00")


# Payouts by the reference that the report gives


def test_lines_that_name_a_payout_are_paired_by_its_reference(tmp_path: Path) -> None:
    first = [paid("A1", 150_000, payout="PO-1"), paid("A2", 275_000, payout="PO-1")]
    second = [paid("A3", 99_000, payout="PO-2")]
    settle(tmp_path, TUE, [*first, *second])
    book(tmp_path, Credit(WED, net(*second), "PO-2"), Credit(WED, net(*first) - 1, "PO-1"))
    outcome = proof(WED)
    assert classes(outcome) == {
        "amount_mismatch": (1, net(*first), net(*first) - 1),
        "matched": (1, net(*second), net(*second)),
    }
    assert {one["payout"] for one in outcome["payouts"]} == {"PO-1", "PO-2"}


def test_a_reference_that_nothing_was_settled_under_pairs_with_nothing(tmp_path: Path) -> None:
    lines = [paid("A1", 150_000, payout="PO-1")]
    settle(tmp_path, TUE, lines)
    book(tmp_path, Credit(WED, net(*lines), "PO-7"))
    assert set(classes(proof(WED))) == {"missing_at_gateway", "missing_in_ledger"}


def test_two_credits_with_one_reference_are_one_and_a_duplicate(tmp_path: Path) -> None:
    lines = [paid("A1", 150_000, payout="PO-1")]
    settle(tmp_path, TUE, lines)
    book(tmp_path, Credit(WED, Decimal(1_000), "PO-1"), Credit(WED, net(*lines), "PO-1"))
    book(tmp_path, Credit(THU, net(*lines), "PO-1"))
    assert classes(proof(WED)) == {
        "duplicate_at_gateway": (1, 0, Decimal(1_000)),
        "matched": (1, net(*lines), net(*lines)),
    }
    assert classes(proof(THU)) == {"duplicate_at_gateway": (1, 0, net(*lines))}


def test_another_currency_is_said_before_another_amount(tmp_path: Path) -> None:
    lines = [paid("A1", 150_000, payout="PO-1")]
    settle(tmp_path, TUE, lines)
    book(tmp_path, Credit(WED, Decimal(10), "PO-1", currency="USD"))
    assert classes(proof(WED)) == {"currency_mismatch": (1, net(*lines), Decimal(10))}


def test_a_payment_that_is_taken_back_later_is_taken_off_the_later_payout(tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    back = paid("A1", 150_000, status="reversed", fee=None)
    settle(tmp_path, WED, [paid("C1", 800_000), back], in_ledger=False)
    book(tmp_path, Credit(WED, net(*DAY)), Credit(THU, net(paid("C1", 800_000)) - 150_000))
    outcome = proof(WED, THU)
    assert set(classes(outcome)) == {"matched"}
    assert "150000.00" in {one["chargebacks"] for one in outcome["payouts"]}


def test_a_line_in_another_currency_is_in_no_payout(tmp_path: Path) -> None:
    settle(tmp_path, TUE, [*DAY, paid("A4", 10, currency="USD")])
    book(tmp_path, Credit(WED, net(*DAY)))
    assert set(classes(proof(WED))) == {"matched"}


def test_a_line_of_the_bank_that_cannot_be_read_is_said_with_its_number(tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    taken, read = bank_statements.take(
        bank_file(tmp_path, [covering(WED), Credit(WED, net(*DAY), malformed="1e5")], "wed.csv")
    )
    assert (taken.statement.malformed_rows, read.malformed[0].line_no) == (1, 3)
    outcome = proof(WED)
    assert classes(outcome) == {"malformed_line": (1, 0, 0), "missing_at_gateway": (1, net(*DAY), 0)}
    said = {one["class"]: one["reason"] for one in outcome["payouts"]}
    assert said["malformed_line"].startswith("wed.csv, line 3: amount: not an amount of the form")
    assert said["missing_at_gateway"] == "line 3 of the bank statement cannot be read"


def test_an_entry_that_fits_two_gateways_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEMBATAN_OVO__PAYOUT__PATTERN", "PAYOUT")
    settings.cache_clear()
    book(tmp_path, Credit(WED, Decimal(1_000)))
    with pytest.raises(BadInput, match="fits the patterns of both gopay and ovo"):
        proof(WED)


def test_what_the_bank_says_of_others_is_not_kept(tmp_path: Path) -> None:
    from records.bank import BankEntry

    book(tmp_path, covering(WED), Credit(WED, Decimal(1_000)))
    with unit_of_work() as session:
        kept = {entry.amount_minor: entry.narrative for entry in session.query(BankEntry)}
    assert kept == {-1234567: None, 100_000: "TRSF SANDBOX gopay PAYOUT"}


def test_two_runs_and_two_imports_at_once_take_turns(tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    files = [bank_file(tmp_path, [Credit(WED, net(*DAY)), covering(WED)]) for _ in range(4)]
    files[0].write_text(files[0].read_text().replace(f"FEE-{WED}", "FEE-2"))  # another file, one entry shared
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda path: bank_statements.take(path)[0], files))
        assert (sum(one.new_entries for one in taken), sum(one.is_new for one in taken)) == (3, 2)
        outcomes = list(pool.map(lambda _: proof(WED), range(4)))
    assert sorted(one["version"] for one in outcomes) == [1, 2, 3, 4]
    assert all(classes(one) == {"matched": (1, net(*DAY), net(*DAY))} for one in outcomes)
