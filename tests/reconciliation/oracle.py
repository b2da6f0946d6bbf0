"""The rules of the reconciliation once more, line by line in plain Python, to hold the SQL against.

Written from the rules' text and not from the SQL; slow and simple on purpose.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

PAID = {"paid", "partially_refunded", "refunded"}
CLASSES = (
    "malformed_line", "duplicate_at_gateway", "missing_in_ledger", "currency_mismatch", "amount_mismatch",
    "status_mismatch", "fee_mismatch", "timing", "missing_at_gateway", "matched",
)  # fmt: skip
WIB = timedelta(hours=7)


@dataclass(frozen=True)
class Item:
    """A payment of the ledger."""

    reference: str
    gateway_reference: str | None
    amount: Decimal
    currency: str
    status: str
    created_at: datetime
    paid_at: datetime | None
    gateway: str = "gopay"


@dataclass(frozen=True)
class Line:
    """A line of a report; `text` is set where the line is malformed."""

    reference: str
    gateway_reference: str
    amount: Decimal
    fee: Decimal | None
    currency: str
    status: str
    occurred_at: datetime
    malformed: str | None = None


@dataclass
class Result:
    """Class of every line worked and of every payment in scope."""

    classes: dict[str, list[tuple[Decimal, Decimal]]]
    overlap: int
    matched: dict[str, str | None]  # reference -> gateway reference of the matched line
    timing: set[str]

    def counts(self) -> dict[str, tuple[int, Decimal, Decimal]]:
        return {
            name: (
                len(rows),
                sum((ledger for ledger, _ in rows), Decimal(0)),
                sum((report for _, report in rows), Decimal(0)),
            )
            for name, rows in self.classes.items()
        }


def wib_day(at: datetime) -> date:
    return (at.astimezone(tz=None) if at.tzinfo is None else at).astimezone(_wib()).date()


def _wib():
    from datetime import timezone

    return timezone(WIB)


def fee(amount: Decimal, percent: Decimal) -> Decimal:
    return (amount * percent / 100).quantize(Decimal(1), ROUND_HALF_UP)


def reconcile(
    items: list[Item],
    reports: list[list[Line]],
    day: date,
    percent: Decimal = Decimal("2.0"),
    earlier: list[Result] | None = None,
    grace_minutes: int = 30,
) -> Result:
    """Class everything of one gateway's day. earlier: results of the days before, oldest first."""
    earlier = earlier or []
    lines, overlap = without_overlap(reports)
    ledger = {item.reference: item for item in items if item.gateway == "gopay"}
    matched_before: dict[str, str | None] = {}
    for result in earlier:
        for reference, theirs in result.matched.items():
            matched_before.setdefault(reference, theirs)
    out: dict[str, list[tuple[Decimal, Decimal]]] = {name: [] for name in CLASSES}
    good = [line for line in lines if line.malformed is None]
    out["malformed_line"] = [(Decimal(0), Decimal(0)) for line in lines if line.malformed is not None]
    named: dict[str, list[Line]] = defaultdict(list)
    for line in good:
        named[line.reference].append(line)

    paired: dict[str, Line] = {}
    for reference, several in named.items():
        item = ledger.get(reference)
        if item is not None and reference in matched_before:
            out["duplicate_at_gateway"] += [(Decimal(0), line.amount) for line in several]
            continue
        the_line = min(
            several,
            key=lambda line: (
                not (item and item.gateway_reference and line.gateway_reference == item.gateway_reference),
                line.occurred_at, line.gateway_reference, line.amount, line.status, line.currency,
                line.fee if line.fee is not None else Decimal(-1),
            ),
        )  # fmt: skip
        rest = list(several)
        rest.remove(the_line)
        out["duplicate_at_gateway"] += [(Decimal(0), line.amount) for line in rest]
        if item is None:
            out["missing_in_ledger"].append((Decimal(0), the_line.amount))
        else:
            paired[reference] = the_line

    timing_before = earlier[-1].timing if earlier else set()
    scope = {
        reference
        for reference, item in ledger.items()
        if item.paid_at is not None and wib_day(item.paid_at) == day and reference not in matched_before
    }
    scope |= timing_before | set(paired)
    matched: dict[str, str | None] = {}
    timing: set[str] = set()
    for reference in scope:
        item = ledger[reference]
        line = paired.get(reference)
        if line is None:
            name = "missing_at_gateway"
            if item.paid_at is not None and wib_day(item.paid_at) == day:
                end = datetime.combine(day + timedelta(days=1), datetime.min.time(), _wib())
                if item.paid_at >= end - timedelta(minutes=grace_minutes):
                    name = "timing"
                    timing.add(reference)
            out[name].append((item.amount, Decimal(0)))
            continue
        name = class_of(item, line, percent)
        if name == "matched":
            matched[reference] = line.gateway_reference or None
        out[name].append((item.amount, line.amount))
    return Result(out, overlap, matched, timing)


def class_of(item: Item, line: Line, percent: Decimal) -> str:
    if line.currency != item.currency:
        return "currency_mismatch"
    if line.amount != item.amount:
        return "amount_mismatch"
    if (line.status == "paid") != (item.status in PAID):
        return "status_mismatch"
    if line.status == "paid" and line.fee is not None and line.fee != fee(item.amount, percent):
        return "fee_mismatch"
    return "matched"


def without_overlap(reports: list[list[Line]]) -> tuple[list[Line], int]:
    """A line equal to one of another file counts as often as the file that has most of it."""
    most: Counter[Line] = Counter()
    for report in reports:
        for line, count in Counter(report).items():
            most[line] = max(most[line], count)
    worked = list(most.elements())
    return worked, sum(len(report) for report in reports) - len(worked)
