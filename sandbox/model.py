"""What the books hold: our payments and refunds, the gateway's lines, and what was injected (the truth).

All amounts are in sen (money.py), all times aware in WIB.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

Kind = Literal["payment", "refund"]
State = Literal[
    "settled",
    "pending",
    "denied",
    "cancelled",
    "expired",
    "failed",
    "partially_refunded",
    "refunded",
    "reversed",
    "unknown",
]
STATES: tuple[State, ...] = get_args(State)

CLASSES = (
    "malformed_line",
    "duplicate_at_gateway",
    "missing_in_ledger",
    "currency_mismatch",
    "amount_mismatch",
    "status_mismatch",
    "fee_mismatch",
    "timing",
    "missing_at_gateway",
    "matched",
)


@dataclass(slots=True)
class Payment:
    """A payment as the merchant's ledger has it; `status` is the ledger's word."""

    reference: str
    gateway: str
    gateway_reference: str
    amount: int
    status: str
    created_at: datetime
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class Refund:
    """Money given back for one payment, confirmed by the gateway, as the merchant's ledger has it."""

    reference: str
    payment_reference: str
    gateway: str
    gateway_reference: str
    amount: int
    created_at: datetime
    confirmed_at: datetime


@dataclass(slots=True)
class Line:
    """One line of a day's report before its layout. Amount and fee are text: a line can be malformed.

    status: `paid`, `failed` or `reversed`, which each layout turns into its gateway's word; any other word is
    printed as it is. variant picks among several words of one meaning. at: always within the report's day.
    """

    reference: str
    gateway_reference: str
    kind: Kind
    status: str
    amount: str
    fee: str
    currency: str
    at: datetime
    variant: int = 0
    printed_day: str = ""  # printed instead of the date of `at`
    more_cells: int = 0  # CSV only: cells beyond the header


@dataclass(frozen=True, slots=True)
class Standing:
    """What the gateway's status service says of one payment. is_second: of a second charge for it, which only
    its own gateway reference means."""

    reference: str
    gateway_reference: str
    state: State
    amount: int
    created_at: datetime
    settled_at: datetime | None
    refunds: tuple[Refund, ...] = ()
    is_second: bool = False


@dataclass(slots=True)
class Count:
    """How many items of a class were injected, and their amount on each side."""

    count: int = 0
    ledger_amount: int = 0
    report_amount: int = 0


@dataclass(slots=True)
class Truth:
    """The books' own count of what went into one gateway's day, kept while it is put there."""

    ledger_rows: int = 0
    report_rows: int = 0
    ledger_amount: int = 0
    report_amount: int = 0
    classes: dict[str, Count] = field(default_factory=lambda: {name: Count() for name in CLASSES})

    def note(self, name: str, *, ledger: int | None = None, report: int | None = None) -> None:
        """Count one item by its amount in the ledger and in the report; None = it has no such side."""
        one = self.classes[name]
        one.count += 1
        one.ledger_amount += ledger or 0
        one.report_amount += report or 0
        self.ledger_rows += ledger is not None
        self.report_rows += report is not None
        self.ledger_amount += ledger or 0
        self.report_amount += report or 0
