"""Bank statements: three forms with one meaning, each bad one with its sentence and nothing of it taken."""

from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from bank_world import ACCOUNT, BANK_HEAD, TUE, WED, Credit, bank_file, book, covering

from common.errors import BadInput, UnusableFile
from common.settings import settings
from providers.bank.entries import BankStatement
from providers.bank.layout import load_bank_layout
from providers.bank.statement import read_statement
from records import bank
from records.db import unit_of_work
from sandbox import bank_files
from sandbox.bank import Booking
from tasks import bank_statements

BOOKED = [
    Booking(TUE, 51_352_000, "B1", "TRSF E-BANKING SANDBOX GOPAY PAYOUT PO-20261124-gopay " + "x" * 70),
    Booking(TUE, -1_500_000, "B2", "LISTRIK & AIR <kantor>"),
    Booking(WED, 7, "B3", "BUNGA"),
]
MT940 = bank_files.mt940(BOOKED, TUE, WED).replace("\r\n", "\n")
CAMT = bank_files.camt053(BOOKED, TUE, WED)
CSV = bank_files.table_csv(BOOKED, TUE, WED)


def read(folder: Path, content: str | bytes, account: str = "", layout: str = "canonical") -> BankStatement:
    path = folder / "bank"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    chosen = load_bank_layout(layout, folder)
    return read_statement(path, path.name, format=None, layout=chosen, account=account, size_limit=10**7)


def test_the_three_forms_say_the_same(tmp_path: Path) -> None:
    said = [
        [(one.account, one.booked_on, one.amount_minor, one.currency, one.reference, one.narrative)
         for one in read(tmp_path, text).entries]
        for text in (MT940, CAMT, CSV)
    ]  # fmt: skip
    assert said[0] == said[1] == said[2]
    assert [row[2] for row in said[0]] == [51_352_000, -1_500_000, 7]
    assert {read(tmp_path, text).format for text in (MT940, CAMT, CSV)} == {
        "mt940", "camt053", "csv",
    }  # fmt: skip
    for text in (MT940, CAMT, CSV):
        days = [(one.first_day, one.last_day) for one in read(tmp_path, text).coverage]
        assert (min(first for first, _ in days), max(last for _, last in days)) == (TUE, WED)


BOMB = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
EXTERNAL = '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "the file is empty"),
        (MT940.replace(":62F:C261125IDR1", ":62F:C261125IDR2"), "line 12: the closing balance is stated"),
        (MT940[: MT940.rindex(":62F:")], "line 12: the statement has no closing balance (field :62:)"),
        (MT940.replace(":25:", ":26:", 1), "line 1: the statement has no account (field :25:)"),
        (MT940.replace("NTRFNONREF", "", 1), "line 5: the field :61: is not one of MT940 (seen:"),
        (MT940.replace("C513520,00", "Cabc"), "line 5: the field :61: is not one of MT940"),
        (MT940.replace("C513520,00", "C513520,005"), "line 5: an amount has more than two decimals"),
        (MT940.replace(":61:261124", ":61:261324", 1), "line 5: the field :61: is not one of MT940"),
        (CAMT[:-40], "this is no well-formed XML: cut off or damaged"),
        (CAMT.replace("513520.00", "513520.01"), "the closing balance is stated as"),
        (CAMT.replace("513520.00", "5.1e5"), "not an amount with at most two decimals (seen: '5.1e5')"),
        (CAMT.replace("513520.00", "513520.001"), "not an amount with at most two decimals"),
        (CAMT.replace("<BookgDt><Dt>2026-11-24", "<BookgDt><Dt>2026-11-31"), "line 9: not a day that exists"),
        (CAMT.replace("0087654321", ""), "does not say of which account it is"),
        (CAMT.replace("<NbOfNtries>3", "<NbOfNtries>4"), "stated as 4, but there are 3"),
        (CAMT.replace("BkToCstmrStmt", "BkToCstmrDbtCdtNtfctn"), "this is no camt.053"),
        (CAMT.replace("<Document", f"{BOMB}<Document"), "the XML has a document type"),
        (CAMT.replace("<Document", f"{EXTERNAL}<Document").replace("BUNGA", "&a;"), "has a document type"),
        ("<html><body>Maintenance</body></html>", "this is no camt.053"),
        (CSV.replace("narrative", "text"), "the header lacks the column narrative"),
        (CSV.replace("booked_on,amount", "booked_on"), "the header lacks the column amount"),
        (BANK_HEAD + "\n", "no line of the statement has a day that can be read"),
    ],
)  # fmt: skip
def test_a_statement_that_is_unusable_says_where_and_why(tmp_path: Path, content: str, sentence: str) -> None:
    with pytest.raises(UnusableFile) as refused:
        read(tmp_path, content)
    assert sentence in str(refused.value)
    assert len(refused.value.seen) <= 80


@pytest.mark.parametrize(
    ("old", "new", "column", "seen"),
    [
        ("513520.00", "-513520.00", "amount", "-513520.00"),
        ("513520.00", "1e5", "amount", "1e5"),
        ("513520.00", "0.00", "amount", "0.00"),
        ("513520.00", "513520.001", "amount", "513520.001"),
        ("2026-11-24,513520.00", "2026-02-30,513520.00", "booked_on", "2026-02-30"),
        ("2026-11-24,513520.00", "24/11/2026,513520.00", "booked_on", "24/11/2026"),
        ("513520.00,credit", "513520.00,CR", "direction", "CR"),
        ("credit,IDR,B1", "credit,RUP,B1", "currency", "RUP"),
        (",B1,", ",B\x001,", "reference", "B␀1"),
        (",B1,", ",B1,x,", None, None),
    ],
)
def test_a_line_of_a_table_that_cannot_be_read_says_which_why_and_what(
    tmp_path: Path, old: str, new: str, column: str | None, seen: str | None
) -> None:
    found = read(tmp_path, CSV.replace(old, new, 1))
    (line,) = found.malformed
    assert (line.line_no, line.column) == (2, column)
    assert seen is None or line.seen == seen
    assert [one.reference for one in found.entries] == ["B2", "B3"]


def test_a_statement_of_another_account_is_refused(tmp_path: Path) -> None:
    for text in (MT940, CAMT, CSV):
        with pytest.raises(UnusableFile, match="the statement is not of the account 12345"):
            read(tmp_path, text, account="12345")


def test_a_banks_own_layout_has_a_column_for_each_direction(tmp_path: Path) -> None:
    (tmp_path / "mybank.toml").write_text(
        """
        title = "My bank"
        source = "a statement of November 2026"
        amounts = "comma-dot"
        date = "%d/%m/%Y"
        [columns]
        booked_on = ["Tanggal"]
        narrative = ["Keterangan"]
        credit = ["Kredit"]
        debit = ["Debet"]
        [constants]
        currency = "IDR"
        """
    )
    rows = [
        '24/11/2026,"SETOR, TUNAI",,"1,500,000.00"',
        "25/11/2026,BIAYA,2500.00,0.00",
        "25/11/2026,X,1.00,2.00",
    ]
    found = read(tmp_path, "\n".join(["Tanggal,Keterangan,Debet,Kredit", *rows]) + "\n", ACCOUNT, "mybank")
    assert [(one.booked_on, one.amount_minor) for one in found.entries] == [
        (TUE, 150_000_000),
        (WED, -250_000),
    ]
    assert found.malformed[0].reason == "not exactly one of credit and debit has an amount"
    with pytest.raises(UnusableFile, match="say whose statement it is"):
        read(tmp_path, "\n".join(["Tanggal,Keterangan,Debet,Kredit", *rows]) + "\n", layout="mybank")
    with pytest.raises(BadInput, match=r"there is no bank layout 'other' \(there are: canonical, mybank\)"):
        load_bank_layout("other", tmp_path)


def test_the_same_file_is_the_same_and_overlap_is_counted(database: str, tmp_path: Path) -> None:
    one, other = covering(TUE), Credit(TUE, 100, reference="R1")  # type: ignore[arg-type]
    first = bank_statements.take(bank_file(tmp_path, [one, other, other], "a.csv"))[0]
    again = bank_statements.take(bank_file(tmp_path, [one, other, other], "b.csv"))[0]
    assert (first.new_entries, first.is_new) == (3, True)
    assert (again.new_entries, again.is_new, again.statement.id) == (0, False, first.statement.id)
    more = bank_statements.take(bank_file(tmp_path, [other, covering(WED)], "c.csv"))[0]
    assert (more.new_entries, more.statement.overlap_rows) == (1, 1)


def test_entries_without_a_reference_are_told_apart_by_what_they_say(database: str, tmp_path: Path) -> None:
    rows = [f"{ACCOUNT},{TUE},100.00,credit,IDR,,{text}" for text in ("one", "other", "one")]
    path = tmp_path / "bank.csv"
    path.write_text("\n".join([BANK_HEAD, *rows]) + "\n")
    assert bank_statements.take(path)[0].new_entries == 3
    path.write_text("\n".join([BANK_HEAD, *rows[:2], rows[0].replace("one", "third")]) + "\n")
    assert bank_statements.take(path)[0].new_entries == 1


def test_a_file_that_is_unusable_leaves_nothing(database: str, tmp_path: Path) -> None:
    path = tmp_path / "bank.sta"
    path.write_text(MT940.replace(":62F:C261125IDR1", ":62F:C261125IDR2"))
    with pytest.raises(UnusableFile):
        bank_statements.take(path)
    with unit_of_work() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(bank.BankStatement)) == 0
        assert session.scalar(sa.select(sa.func.count()).select_from(bank.BankEntry)) == 0


def test_a_pattern_that_is_set_later_knows_what_is_imported_again(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bank_file(tmp_path, [Credit(TUE, 100, gateway="dompet")])  # type: ignore[arg-type]
    bank_statements.take(path)
    monkeypatch.setenv("JEMBATAN_OVO__PAYOUT__PATTERN", "dompet")
    settings.cache_clear()
    assert bank_statements.take(path)[0].new_entries == 0
    with unit_of_work() as session:
        (entry,) = session.scalars(sa.select(bank.BankEntry))
    assert (entry.narrative, entry.seen) == ("TRSF SANDBOX dompet PAYOUT", 1)


def test_days_between_entries_are_covered(database: str, tmp_path: Path) -> None:
    book(tmp_path, covering(date(2026, 11, 2)), covering(date(2026, 11, 6)))
    with unit_of_work() as session:
        assert bank.covered_days(session, ACCOUNT) == [(date(2026, 11, 2), date(2026, 11, 6))]
        assert bank.covered_days(session, "another") == []
