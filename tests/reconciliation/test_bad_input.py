"""Each bad input gets its sentence: the file or the line is refused, nothing of it is stored as good."""

import gzip
from pathlib import Path

import pytest
import world
from world import DAY, LEDGER_HEAD, REPORT_HEAD, counts, write

from common.errors import NothingReported, UnusableFile
from providers.reports.layout import Layout, layouts, load_layout
from providers.reports.lines import open_report
from records import exceptions, files, ledger
from records.db import connection, unit_of_work

GOOD = "A1,G1,payment,paid,150000.00,3000.00,IDR,2026-11-24T10:00:00+07:00"
OTHER = "A2,G2,payment,paid,150000.00,3000.00,IDR,2026-11-24T10:00:00+07:00"


def read(path: Path, *choices: Layout) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Good and malformed lines of a file."""
    report = open_report(path, path.name, list(choices) or layouts(), size_limit=10**7, scratch=path.parent)
    good, malformed = [], []
    for lines in report.lines():
        good += lines.good.to_pylist()
        malformed += lines.malformed.to_pylist()
    return good, malformed


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the file is empty"),
        (f"{REPORT_HEAD}\n{GOOD}".replace("fee", "charge").encode(), "the header lacks the column fee"),
        (b"reference,amount\nA1,1\n", "the header lacks the columns"),
        (REPORT_HEAD.replace(",", "|").encode() + b"\nA|B\n", "the delimiter is not ',' or ';'"),
        (REPORT_HEAD.replace(",", "\t").encode() + b"\nA\tB\n", "the delimiter is not ',' or ';'"),
        (b"<!DOCTYPE html><html><body>Maintenance</body></html>", "this is a web page, not a report"),
        (f"{REPORT_HEAD},amount\n{GOOD},1\n".encode(), "the header has the column amount twice"),
        (b"\x00" * 3_000_000, "a line is longer than"),
        (gzip.compress(b"\x00" * 40_000_000), "unpacked, a line is longer than"),
        (gzip.compress(b"abcdefg\n" * 2_000_000), "unpacked it is larger than the limit"),
        (gzip.compress(f"{REPORT_HEAD}\n{GOOD}\n".encode())[:-10], "the gzip file is damaged or cut off"),
        (f"{REPORT_HEAD}\n{GOOD}\nTOTAL,2,,,150000.00,3000.00,,\n".encode(), "lines is stated as 2"),
        (f"{REPORT_HEAD}\n{GOOD}\nTOTAL,1,,,150000.01,,,\n".encode(), "amount is stated as 150000.01"),
        (f"{REPORT_HEAD}\n{GOOD}\nTRAILER,1,149999.00\n".encode(), "amount is stated as 149999.00"),
        (f"TOTAL,3\n{REPORT_HEAD}\n{GOOD}\n".encode(), "the total of lines is stated as 3"),
        (f"{REPORT_HEAD}\n{GOOD}\nTOTAL,1,,,lots,,,\n".encode(), "states totals cannot be read"),
        (b"PK\x03\x04" + b"no workbook" * 20, "the workbook is damaged or is no XLSX file"),
        (f'{REPORT_HEAD}\n{GOOD}\n"A2,{"x" * 9_000_000}'.encode(), "a line is longer than"),
    ],
)  # fmt: skip
def test_an_unusable_file_is_refused_as_a_whole(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "report.csv"
    path.write_bytes(content)
    with pytest.raises(UnusableFile) as refused:
        read(path)
    assert sentence in str(refused.value)
    assert len(refused.value.seen) <= 80
    assert [left.name for left in tmp_path.iterdir()] == ["report.csv"]


@pytest.mark.parametrize(
    ("line", "column", "seen"),
    [
        (GOOD.replace("IDR", "IDX"), "currency", "IDX"),
        (GOOD.replace("IDR", "idr"), "currency", "idr"),
        (GOOD.replace("150000.00", "NaN"), "amount", "NaN"),
        (GOOD.replace("150000.00", "1e5"), "amount", "1e5"),
        (GOOD.replace("150000.00", "-150000.00"), "amount", "-150000.00"),
        (GOOD.replace("150000.00", "0.00"), "amount", "0.00"),
        (GOOD.replace("150000.00", "150000.001"), "amount", "150000.001"),
        (GOOD.replace("150000.00", "92233720368547758.08"), "amount", "92233720368547758.08"),
        (GOOD.replace("150000.00", "9" * 400), "amount", "9" * 80),
        (GOOD.replace("150000.00", "=150000"), "amount", "=150000"),
        (GOOD.replace("150000.00", "+150000"), "amount", "+150000"),
        (GOOD.replace("150000.00", "150,000").replace("150,000", '"150,000"'), "amount", "150,000"),
        (GOOD.replace("150000.00", "٣"), "amount", "٣"),
        (GOOD.replace("150000.00", ""), "amount", ""),
        (GOOD.replace("3000.00", "-1"), "fee", "-1"),
        (GOOD.replace("2026-11-24T10", "2026-02-30T10"), "occurred_at", "2026-02-30T10:00:00+07:00"),
        (GOOD.replace("2026-11-24T10", "2026-02-29T10"), "occurred_at", "2026-02-29T10:00:00+07:00"),
        (GOOD.replace("2026-11-24T10", "0000-01-01T10"), "occurred_at", "0000-01-01T10:00:00+07:00"),
        (GOOD.replace("+07:00", "?"), "occurred_at", "2026-11-24T10:00:00?"),
        (GOOD.replace("+07:00", ""), "occurred_at", "2026-11-24T10:00:00"),
        (GOOD.replace("T10:", "T24:"), "occurred_at", "2026-11-24T24:00:00+07:00"),
        (GOOD.replace("A1", ""), "reference", ""),
        (GOOD.replace("A1", "A\x001"), "reference", "A␀1"),
        (GOOD.replace("payment", "topup"), "type", "topup"),
        (GOOD.replace("paid", "settled"), "status", "settled"),
        (GOOD + ",x" * 192, None, (GOOD + ",x" * 192)[:80]),
        (GOOD.rsplit(",", 1)[0], None, GOOD.rsplit(",", 1)[0][:80]),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_and_the_good_ones_are_worked(
    tmp_path: Path, line: str, column: str | None, seen: str
) -> None:
    good, malformed = read(write(tmp_path / "report.csv", REPORT_HEAD, [OTHER, line, OTHER]))
    assert [row["line_no"] for row in good] == [2, 4]
    (fault,) = malformed
    assert (fault["line_no"], fault["column_name"], fault["seen"]) == (3, column, seen)
    assert fault["reason"]


def test_a_truncated_last_line_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text(f"{REPORT_HEAD}\n{OTHER}\n{GOOD[:-18]}")
    good, malformed = read(path)
    assert len(good) == 1
    assert malformed[0]["line_no"] == 3
    assert "cut off" in str(malformed[0]["reason"]) or malformed[0]["column_name"] == "occurred_at"
    path.write_text(f"{REPORT_HEAD}\n{OTHER}\n{GOOD[:30]}")
    assert "cut off" in str(read(path)[1][0]["reason"])


def test_formula_cells_are_kept_as_text(database: str, tmp_path: Path) -> None:
    world.load_ledger(tmp_path, [])
    lines = [GOOD.replace("A1", text) for text in ("=1+1", "+SUM(A1)", "-2", "@cmd")]
    statement = world.run_files([write(tmp_path / "r.csv", REPORT_HEAD, lines)], DAY, tmp_path)
    assert counts(statement)["missing_in_ledger"][0] == 4
    with unit_of_work() as session:
        found = {one.reference for one in exceptions.search(session, run_id=statement)}
    assert found == {"=1+1", "+SUM(A1)", "-2", "@cmd"}


def test_header_only_is_refused_while_payments_are_in_scope(database: str, tmp_path: Path) -> None:
    path = write(tmp_path / "ledger.csv", LEDGER_HEAD, [
        "A1,gopay,G1,150000,IDR,paid,2026-11-24T09:00:00+07:00,2026-11-24T10:00:00+07:00"
    ])  # fmt: skip
    with connection() as db:
        ledger.import_file(db, path, size_limit=10**9, scratch=tmp_path)
    empty = write(tmp_path / "r.csv", REPORT_HEAD, [])
    with pytest.raises(NothingReported, match="1 items of that day in scope"):
        world.run_files([empty], DAY, tmp_path, allow_empty=False)
    assert counts(world.run_files([empty], DAY, tmp_path, allow_empty=True))["missing_at_gateway"][0] == 1


def test_dialects_of_csv_read_the_same(tmp_path: Path) -> None:
    plain = f"{REPORT_HEAD}\n{GOOD}\n{OTHER}\n".encode()
    semicolons = plain.replace(b",", b";")
    dialects = {
        "plain": plain,
        "semicolon": semicolons,
        "bom": b"\xef\xbb\xbf" + plain,
        "crlf": plain.replace(b"\n", b"\r\n"),
        "gzip": gzip.compress(plain),
        "quoted": plain.replace(b"A1", b'"A1"').replace(b"IDR", b'"IDR"'),
        "blank lines": plain.replace(b"\n", b"\n\n", 1) + b"\n\n",
        "no newline at the end": plain.rstrip(b"\n"),
    }
    for name, content in dialects.items():
        path = tmp_path / "report.csv"
        path.write_bytes(content)
        good, malformed = read(path)
        values = [{key: value for key, value in row.items() if key != "line_no"} for row in good]
        expected = ["A1", "A2"]
        assert ([row["reference"] for row in values], malformed) == (expected, []), name
        assert values[0]["amount_minor"] == 15_000_000


def test_line_numbers_count_lines_inside_quotes_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    quoted = GOOD.replace("A1", '"A\n1"')
    path.write_text(
        f"{REPORT_HEAD}\n\n{quoted}\n{GOOD},x\n{quoted}\n{OTHER.replace('paid', 'no')}\n{OTHER}\n"
    )
    good, malformed = read(path)
    assert [row["line_no"] for row in good] == [3, 6, 9]
    assert sorted((row["line_no"], row["column_name"]) for row in malformed) == [(5, None), (8, "status")]


def test_line_numbers_hold_in_a_file_of_many_blocks_with_faults_throughout(tmp_path: Path) -> None:
    """Arrow parses ahead of what it hands out; the rows that it refuses there belong to later lines."""
    lines = [f"{GOOD},x" if number % 997 == 0 else GOOD for number in range(2, 120_002)]
    good, malformed = read(write(tmp_path / "report.csv", REPORT_HEAD, lines))
    faults = [number for number in range(2, 120_002) if number % 997 == 0]
    assert [row["line_no"] for row in malformed] == faults
    assert [row["line_no"] for row in good] == [n for n in range(2, 120_002) if n % 997]


def test_latin_1_is_read_where_the_file_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_bytes(f"{REPORT_HEAD}\n{GOOD.replace('A1', 'Kafé')}\n".encode("latin-1"))
    assert read(path)[0][0]["reference"] == "Kafé"


def test_indonesian_amounts_and_local_times_by_layout(tmp_path: Path) -> None:
    own = tmp_path / "layouts"
    own.mkdir()
    (own / "dashboard.toml").write_text(
        """
        title = "My wallet's dashboard"
        source = "my wallet"
        delimiter = ";"
        encoding = "latin-1"
        amounts = "dot-comma"
        time = "%d/%m/%Y %H:%M"
        ignore_case = true
        [columns]
        reference = ["No. Pesanan"]
        amount = ["Jumlah"]
        status = ["Status"]
        occurred_at = ["Tanggal"]
        [constants]
        type = "payment"
        currency = "IDR"
        [statuses]
        berhasil = "paid"
        gagal = "failed"
        """
    )
    path = tmp_path / "export.csv"
    path.write_bytes(
        "Laporan harian;;;\nTanggal;No. Pesanan;Status;Jumlah\n"
        "24/11/2026 09:10;A1;Berhasil;1.500.000,00\n24/11/2026 09:11;A2;Gagal;250000\n"
        "31/11/2026 09:11;A3;Berhasil;1,00\n24/11/2026 09:12;A4;Berhasil;1500.000,00\n".encode("latin-1")
    )
    good, malformed = read(path, load_layout("dashboard", own))
    assert [(row["reference"], row["status"], row["amount_minor"]) for row in good] == [
        ("A1", "paid", 150_000_000),
        ("A2", "failed", 25_000_000),
    ]
    assert good[0]["occurred_at"] == "2026-11-24T09:10:00+07:00"
    assert [(row["line_no"], row["column_name"]) for row in malformed] == [(5, "occurred_at"), (6, "amount")]


def test_xlsx_reads_like_csv(tmp_path: Path) -> None:
    import xlsxwriter

    path = tmp_path / "report.xlsx"
    book = xlsxwriter.Workbook(path)
    sheet = book.add_worksheet()
    sheet.write_row(1, 0, REPORT_HEAD.split(","))
    sheet.write_row(2, 0, ["A1", "G1", "payment", "paid", 150000, 3000.5, "IDR", "2026-11-24T10:00:00+07:00"])
    sheet.write_row(4, 0, ["A2", "G2", "payment", "paid", "1e5", "", "IDR", "2026-11-24T10:00:00+07:00"])
    book.close()
    good, malformed = read(path)
    assert [(row["line_no"], row["amount_minor"], row["fee_minor"]) for row in good] == [
        (3, 15_000_000, 300_050)
    ]
    assert [(row["line_no"], row["seen"]) for row in malformed] == [(5, "1e5")]


def test_a_total_counts_readable_amounts_of_malformed_lines_too(tmp_path: Path) -> None:
    lines = [GOOD, OTHER.replace("IDR", "XXQ"), OTHER.replace("150000.00", "1e5")]
    path = write(tmp_path / "report.csv", REPORT_HEAD, [*lines, "TOTAL,3,,,300000.00,9000.00,,"])
    good, malformed = read(path)
    assert (len(good), len(malformed)) == (1, 2)


def test_totals_of_a_layout_that_subtracts_refunds(tmp_path: Path) -> None:
    net = load_layout("canonical").model_copy(update={"totals_count_refunds": "subtracted"})
    refund = OTHER.replace("payment", "refund").replace("150000.00", "50000.00")
    path = write(tmp_path / "report.csv", REPORT_HEAD, [GOOD, refund, "TOTAL,2,,,100000.00,,,"])
    assert len(read(path, net)[0]) == 2
    with pytest.raises(UnusableFile, match=r"stated as 100000\.00, but the lines give 200000\.00"):
        read(path)


def test_a_layout_that_requires_totals_refuses_a_file_without(tmp_path: Path) -> None:
    strict = load_layout("canonical").model_copy(update={"totals": "required"})
    with pytest.raises(UnusableFile, match="the line that states the totals is missing"):
        read(write(tmp_path / "report.csv", REPORT_HEAD, [GOOD]), strict)


@pytest.mark.parametrize(
    "quoted", [GOOD.replace("A1", '"A1'), GOOD.replace("2026-11-24T10", '"2026-11-24T10')]
)
def test_an_open_quote_never_swallows_lines_in_silence(tmp_path: Path, quoted: str) -> None:
    path = write(tmp_path / "report.csv", REPORT_HEAD, [GOOD, quoted, OTHER, OTHER, OTHER])
    with pytest.raises(UnusableFile, match="line 3: a quoted value is not closed again"):
        read(path)
    closed_again = write(tmp_path / "again.csv", REPORT_HEAD, [GOOD, quoted, OTHER, OTHER, quoted, OTHER])
    with pytest.raises(UnusableFile, match="a quoted value is not closed again"):
        read(closed_again)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"x" * 200_000, "the delimiter is not"),
        (b"\x00" * 500_000, "the delimiter is not"),
        (b"\xd0\xcf\x11\xe0" + b"\x00" * 100, "an old Excel workbook"),
        ((REPORT_HEAD + "\n").encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_no_table_at_all_says_what_it_is(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "report.csv"
    path.write_bytes(content)
    with pytest.raises(UnusableFile, match=sentence):
        read(path)


@pytest.mark.parametrize(
    "name", ["../../etc/cron.d/evil.csv", "..\\..\\evil.csv", "/evil.csv", "ev\x00il.csv"]
)
def test_a_file_name_leads_nowhere(database: str, tmp_path: Path, name: str) -> None:
    sha256 = files.keep(name, [b"content"])
    kept = files.path_of(sha256)
    assert kept.read_bytes() == b"content"
    assert kept.is_relative_to(tmp_path / "reports")
    made = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "keys"]
    assert made == [kept]
    with unit_of_work() as session:
        assert session.get_one(files.KeptFile, sha256).name == "evil.csv"
    for wrong in ("../" * 21 + "x", "0" * 63, "G" * 64):
        with pytest.raises(ValueError, match="not a SHA-256"):
            files.path_of(wrong)
