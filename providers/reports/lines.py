"""Lines of a settlement report: every value exactly what the layout allows, or the line is malformed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from common import columns, money
from common.errors import UnusableFile
from common.tables import Batch, RejectedLine, Table, columns_of, open_table
from providers.reports.layout import FIELDS, FieldName, Layout

LONGEST_TEXT = 128
SEEN = 80
CONTENT = 2000
_TOTALS_WORD = re.compile(r"\s*(TOTALS?|TRAILER|HEADER|SUMMARY|JUMLAH)\s*", re.IGNORECASE)
_TOTALS = rf"(?i)^{_TOTALS_WORD.pattern}$"

GOOD = pa.schema(
    [
        ("line_no", pa.int32()),
        ("is_refund", pa.bool_()),
        ("reference", pa.string()),
        ("gateway_reference", pa.string()),
        ("status", pa.string()),
        ("amount_minor", pa.int64()),
        ("fee_minor", pa.int64()),
        ("currency", pa.string()),
        ("occurred_at", pa.string()),
        ("payout_reference", pa.string()),
    ]
)
MALFORMED = pa.schema(
    [
        ("line_no", pa.int32()),
        ("column_name", pa.string()),
        ("reason", pa.string()),
        ("seen", pa.string()),
        ("reference", pa.string()),
        ("content", pa.string()),
    ]
)


@dataclass(frozen=True)
class Lines:
    """Some lines of a report: the good ones typed (GOOD), the malformed ones explained (MALFORMED).

    Sums are over all amounts and fees that can be read, also of lines malformed elsewhere: the gateway
    counts those in its totals too.
    """

    good: pa.RecordBatch
    malformed: pa.RecordBatch
    amount_minor: int
    refund_minor: int
    fee_minor: int


@dataclass
class Totals:
    """What the file itself says that it holds, and what its lines add up to (amounts in minor units)."""

    line: int
    rows: int | None = None
    amount_minor: int | None = None
    fee_minor: int | None = None


@dataclass
class Report:
    """One opened report file. Iterate `lines()` once; counts are complete after that."""

    table: Table
    layout: Layout
    rows: int = 0
    amount_minor: int = 0
    _readable_minor: int = 0
    _refund_minor: int = 0
    _fee_minor: int = 0
    _stated: list[Totals] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.table.name

    def lines(self) -> Iterator[Lines]:
        """All lines in batches. Raises UnusableFile at the end when a stated total differs from them."""
        places = columns_of(self.table, self.layout.wanted)
        for number, cells in enumerate(self.table.preamble, start=1):
            if cells and _TOTALS_WORD.fullmatch(cells[0]):
                self._stated.append(self._read_totals(number, cells, places))
        for batch in self.table.batches():
            batch = self._take_totals(batch, places)
            lines = _check(batch, places, self.layout, self.table)
            self._count(lines)
            yield lines
        self._compare_totals()

    def _count(self, lines: Lines) -> None:
        self.rows += lines.good.num_rows + lines.malformed.num_rows
        self.amount_minor += _sum(lines.good.column("amount_minor"))
        self._readable_minor += lines.amount_minor
        self._refund_minor += lines.refund_minor
        self._fee_minor += lines.fee_minor

    def _take_totals(self, batch: Batch, places: dict[str, int]) -> Batch:
        """The batch without lines that state totals: first cell such a word, no type and no status."""
        kept = []
        for line in batch.rejected:
            cells = line.text.split(self.table.delimiter)
            if _TOTALS_WORD.fullmatch(cells[0].strip('"')):
                self._stated.append(self._read_totals(line.line, cells, places))
            else:
                kept.append(line)
        is_total = pc.match_substring_regex(batch.columns[0], _TOTALS)
        if pc.any(is_total).as_py():
            for name in ("type", "status"):
                if name in places and places[name] != 0:
                    is_total = pc.and_(is_total, pc.equal(batch.columns[places[name]], ""))
            chosen = is_total.to_numpy(zero_copy_only=False)
            texts = [column.filter(is_total).to_pylist() for column in batch.columns]
            for line, *cells in zip(batch.lines[chosen], *texts, strict=True):
                self._stated.append(self._read_totals(int(line), cells, places))
            keep = pc.invert(is_total)
            columns_left = [column.filter(keep) for column in batch.columns]
            return Batch(columns_left, batch.lines[~chosen], kept)
        return Batch(batch.columns, batch.lines, kept)

    def _read_totals(self, line: int, cells: list[str], places: dict[str, int]) -> Totals:
        """Totals from the amount and fee columns of a full line, else in the order count, amount, fee."""
        stated = Totals(line)
        cells = [cell.strip().strip('"') for cell in cells]
        full = len(cells) == len(self.table.header)
        spots = {places.get("amount"): "amount_minor", places.get("fee"): "fee_minor"} if full else {}
        for index, cell in enumerate(cells[1:], start=1):
            if not cell:
                continue
            name = spots.get(index) or ("rows" if stated.rows is None else None)
            if name is None and not full:
                name = "amount_minor" if stated.amount_minor is None else "fee_minor"
            value = self._total_value(cell, is_count=name == "rows")
            if name is None or value is None:
                raise UnusableFile(
                    self.name, "the line that states totals cannot be read", line=line, seen=",".join(cells)
                )
            setattr(stated, name, value)
        return stated

    def _total_value(self, cell: str, *, is_count: bool) -> int | None:
        if is_count:
            return int(cell) if re.fullmatch(r"[0-9]{1,12}", cell) else None
        may_be_negative = self.layout.totals_count_refunds == "subtracted"
        sign = -1 if may_be_negative and cell.startswith("-") else 1
        text = cell.removeprefix("-") if sign < 0 else cell
        checked = columns.amounts(pa.array([text]), self.layout.amounts, zero=True)
        return None if checked.bad[0].as_py() else sign * int(checked.values[0].as_py())

    def _compare_totals(self) -> None:
        if self.layout.totals == "required" and not self._stated:
            raise UnusableFile(self.name, "the line that states the totals is missing: the file is cut off")
        subtract = self.layout.totals_count_refunds == "subtracted"
        amount = self._readable_minor - (2 * self._refund_minor if subtract else 0)
        for stated in self._stated:
            for what, says, have in (
                ("lines", stated.rows, self.rows),
                ("amount", stated.amount_minor, amount),
                ("fees", stated.fee_minor, self._fee_minor),
            ):
                if says is not None and says != have:
                    show = str if what == "lines" else money.plain
                    raise UnusableFile(
                        self.name,
                        f"the total of {what} is stated as {show(says)}, but the lines give {show(have)}",
                        line=stated.line,
                    )


def open_report(path: Path, name: str, choices: list[Layout], *, size_limit: int, scratch: Path) -> Report:
    """Open a report in the first of the layouts whose columns its header has.

    Raises UnusableFile (of the first layout when none fits) naming line, column and reason.
    """
    first: UnusableFile | None = None
    for layout in choices:
        try:
            table = open_table(
                path,
                name,
                required=layout.required,
                delimiter=layout.delimiter,
                encoding=layout.encoding,
                size_limit=size_limit,
                scratch=scratch,
            )
        except UnusableFile as error:
            first = first or error
        else:
            return Report(table, layout)
    assert first is not None
    raise first


def _sum(values: pa.Array) -> int:
    return int(pc.sum(pc.cast(values, pa.decimal128(38, 0))).as_py() or 0)


def _check(batch: Batch, places: dict[str, int], layout: Layout, table: Table) -> Lines:
    rows = len(batch.lines)
    cells = {name: _cells(name, batch, places, layout, rows) for name in FIELDS}
    checked = {name: _check_field(name, cells[name], layout) for name in FIELDS}
    faults = [(name, check.bad, check.reason) for name, check in checked.items()]
    if table.survey.has_nul:
        faults[:0] = [(name, columns.has_nul(cells[name]), "holds a NUL byte") for name in FIELDS]
    is_bad = faults[0][1]
    for _, mask, _ in faults:
        is_bad = pc.or_(is_bad, mask)
    line_numbers = pa.array(batch.lines)
    good = pa.record_batch(
        [
            line_numbers,
            pc.equal(checked["type"].values, "refund"),
            *(checked[name].values for name in ("reference", "gateway_reference", "status")),
            *(checked[name].values for name in ("amount", "fee", "currency", "occurred_at")),
            checked["payout_reference"].values,
        ],
        schema=GOOD,
    )
    malformed = _shape_faults(batch.rejected, layout, table)
    if pc.any(is_bad).as_py():
        good = good.filter(pc.invert(is_bad))
        unfit = _value_faults(batch, is_bad, faults, cells, table)
        malformed = pa.Table.from_batches([unfit, malformed]).combine_chunks().to_batches()[0]
    is_refund = pc.fill_null(pc.equal(checked["type"].values, "refund"), False)
    amounts = checked["amount"].values.filter(pc.invert(checked["amount"].bad))
    refunds = checked["amount"].values.filter(pc.and_not(is_refund, checked["amount"].bad))
    fees = checked["fee"].values.filter(pc.invert(checked["fee"].bad))
    return Lines(good, malformed, _sum(amounts), _sum(refunds), _sum(fees))


def _cells(
    name: FieldName, batch: Batch, places: dict[str, int], layout: Layout, rows: int
) -> pa.StringArray:
    if name not in places:
        return pa.repeat(pa.scalar(layout.constants.get(name, "")), rows)
    cells = batch.columns[places[name]]
    return pc.utf8_trim_whitespace(cells) if layout.trim else cells


def _check_field(name: FieldName, cells: pa.StringArray, layout: Layout) -> columns.Checked:
    match name:
        case "reference":
            return columns.texts(cells, LONGEST_TEXT, empty=False)
        case "gateway_reference" | "payout_reference":
            return columns.texts(cells, LONGEST_TEXT, empty=True)
        case "type" | "status":
            allowed: dict[str, str] = dict(layout.types if name == "type" else layout.statuses)
            return columns.words(pc.utf8_lower(cells) if layout.ignore_case else cells, allowed, name)
        case "amount":
            return columns.amounts(cells, layout.amounts, zero=False)
        case "fee":
            return columns.amounts(cells, layout.amounts, zero=True, empty=True)
        case "currency":
            return columns.currencies(cells)
        case "occurred_at":
            iso = cells if layout.time == "iso" else columns.local_times(cells, layout.time, layout.offset)
            checked = columns.iso_times(iso)
            if layout.time == "iso":
                return checked
            return replace(checked, reason=f"not a time of the form {layout.time} that exists")


def _value_faults(
    batch: Batch,
    is_bad: pa.BooleanArray,
    faults: list[tuple[FieldName, pa.BooleanArray, str]],
    cells: dict[FieldName, pa.StringArray],
    table: Table,
) -> pa.RecordBatch:
    """For each bad row its first faulty field, why, and the text seen there."""
    masks = pa.StructArray.from_arrays(
        [mask.filter(is_bad) for _, mask, _ in faults], names=[str(i) for i in range(len(faults))]
    )
    seen = {name: _clean(column.filter(is_bad), table) for name, column in cells.items()}
    names = [pa.scalar(name) for name, _, _ in faults]
    reasons = [pa.scalar(reason) for _, _, reason in faults]
    texts = [seen[name] for name, _, _ in faults]
    content = [_clean(column.filter(is_bad), table) for column in batch.columns]
    return pa.record_batch(
        [
            pa.array(batch.lines).filter(is_bad),
            pc.case_when(masks, *names),
            pc.case_when(masks, *reasons),
            pc.utf8_slice_codeunits(pc.case_when(masks, *texts), 0, SEEN),
            pc.utf8_slice_codeunits(seen["reference"], 0, LONGEST_TEXT),
            pc.utf8_slice_codeunits(pc.binary_join_element_wise(*content, table.delimiter), 0, CONTENT),
        ],
        schema=MALFORMED,
    )


def _shape_faults(rejected: list[RejectedLine], layout: Layout, table: Table) -> pa.RecordBatch:
    texts = [line.text.replace("\x00", "␀") for line in rejected]
    place = columns_of(table, layout.wanted).get("reference", 0)
    split = [text[:CONTENT].split(table.delimiter) for text in texts]
    return pa.record_batch(
        [
            pa.array([line.line for line in rejected], pa.int32()),
            pa.nulls(len(rejected), pa.string()),
            pa.array([line.reason for line in rejected], pa.string()),
            pa.array([text[:SEEN] for text in texts], pa.string()),
            pa.array(
                [c[place].strip('"')[:LONGEST_TEXT] if place < len(c) else None for c in split], pa.string()
            ),
            pa.array([text[:CONTENT] for text in texts], pa.string()),
        ],
        schema=MALFORMED,
    )


def _clean(text: pa.StringArray, table: Table) -> pa.StringArray:
    return pc.replace_substring(text, "\x00", "␀") if table.survey.has_nul else text
