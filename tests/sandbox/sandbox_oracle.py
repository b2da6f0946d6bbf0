"""A second opinion on a day: classifies ledger and report by the written rules, slowly and plainly.

The sandbox counts what it injects and never compares; this compares and knows nothing of what was injected.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

PAID = ("paid", "partially_refunded", "refunded")
PERCENT = {"gopay": Decimal("2.0"), "ovo": Decimal("1.5"), "linkaja": Decimal("1.5")}


@dataclass(frozen=True)
class Ours:
    """A payment or refund of the ledger; at: when it was paid or confirmed."""

    reference: str
    gateway_reference: str
    amount: Decimal
    status: str
    at: datetime | None


@dataclass(frozen=True)
class Seen:
    """A report line as text; status in the canonical words."""

    reference: str
    gateway_reference: str
    kind: str
    status: str
    amount: str
    fee: str
    currency: str
    at: str
    cells_too_many: bool = False


def classify(
    gateway: str, day: date, ledger: Iterable[Ours], lines: Iterable[Seen]
) -> dict[str, list[Decimal]]:
    """By class: count, sum in the ledger, sum in the report."""
    ours = {one.reference: one for one in ledger}
    found: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)

    def note(name: str, in_ledger: Decimal | int, in_report: Decimal | int) -> None:
        found[name] = [a + b for a, b in zip(found[name], (1, in_ledger, in_report), strict=True)]

    named: dict[str, list[Seen]] = defaultdict(list)
    for line in lines:
        if _is_malformed(line):
            note("malformed_line", 0, 0)
        elif line.reference not in ours:
            note("missing_in_ledger", 0, Decimal(line.amount))
        else:
            named[line.reference].append(line)
    for reference, several in named.items():
        mine = ours[reference]
        several.sort(
            key=lambda one: (
                one.gateway_reference != mine.gateway_reference,
                one.at,
                one.gateway_reference,
                Decimal(one.amount),
            )
        )
        for other in several[1:]:
            note("duplicate_at_gateway", 0, Decimal(other.amount))
        note(_pair(gateway, mine, several[0]), mine.amount, Decimal(several[0].amount))
    for mine in ours.values():
        if mine.reference not in named and mine.at and mine.at.date() == day:
            is_late = mine.at.strftime("%H:%M:%S") >= "23:30:00"
            note("timing" if is_late else "missing_at_gateway", mine.amount, 0)
    return dict(found)


def _pair(gateway: str, mine: Ours, line: Seen) -> str:
    if line.currency != "IDR":
        return "currency_mismatch"
    if Decimal(line.amount) != mine.amount:
        return "amount_mismatch"
    if (line.status == "paid") != (mine.status in (*PAID, "confirmed")):
        return "status_mismatch"
    right = (mine.amount * PERCENT[gateway] / 100).quantize(Decimal(1), ROUND_HALF_UP)
    right = Decimal(0) if line.kind == "refund" else right
    return "fee_mismatch" if line.fee and Decimal(line.fee) != right else "matched"


def _is_malformed(line: Seen) -> bool:
    try:
        datetime.fromisoformat(line.at)
    except ValueError:
        return True
    return (
        line.cells_too_many
        or line.status not in ("paid", "failed", "reversed")
        or not re.fullmatch(r"\d+(\.\d{1,2})?", line.amount)
        or Decimal(line.amount) == 0
        or not re.fullmatch(r"(\d+(\.\d{1,2})?)?", line.fee)
    )
