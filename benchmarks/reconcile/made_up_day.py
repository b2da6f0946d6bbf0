"""One business day from a seed: ledger, report, and what is true of them by the maker's own books.

As many report lines as payments; half a percent of them differ, with every class among them. The lines
come in random order. Peers get a copy of the report without its malformed lines.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

DAY = "2026-11-24"
LAST_HALF_HOUR = 84_600  # seconds of the day; an unreported payment from here on is `timing`
LEDGER_HEAD = "reference,gateway,gateway_reference,amount,currency,status,created_at,paid_at"
REPORT_HEAD = "reference,gateway_reference,type,status,amount,fee,currency,occurred_at"

# How many of 10,000 payments have which fate; the other 9,953 match. What adds a line and what takes one
# away balance each other.
FATES = {
    "repeated": 4,  # its line comes twice
    "charged_twice": 3,  # a second line, with another gateway reference
    "foreign": 6,  # it matches, and a line comes that no payment of ours has
    "unreported": 6,
    "late": 7,  # unreported and paid within the last half hour
    "malformed": 3,  # its line cannot be read, so that the payment goes unreported
    "currency": 2,
    "over": 4,
    "under": 3,
    "failed": 2,
    "reversed": 1,
    "unpaid": 2,  # the line says paid, the ledger does not
    "fee": 4,
}


@dataclass
class Sums:
    """Count and sums of one class."""

    count: int = 0
    ledger_minor: int = 0
    report_minor: int = 0

    def add(self, ledger: int, report: int) -> None:
        """Count one outcome; amounts in rupiah."""
        self.count += 1
        self.ledger_minor += ledger * 100
        self.report_minor += report * 100


@dataclass
class MadeUpDay:
    """The files and the truth: class -> (count, ledger_minor, report_minor)."""

    payments: int
    ledger: Path
    report: Path
    report_without_malformed: Path
    truth: dict[str, Sums] = field(default_factory=dict)
    repeated: Sums = field(default_factory=Sums)  # the duplicates, taken for matches of their payment

    def answer(self, *, malformed: bool = True, duplicates: bool = True) -> dict[str, tuple[int, int, int]]:
        """The right classes. malformed: for those who read the whole report; duplicates: for those who
        know them; the others take a second line of a payment for one more match of it."""
        classes = {name: (s.count, s.ledger_minor, s.report_minor) for name, s in self.truth.items()}
        if not malformed:
            del classes["malformed_line"]
        if not duplicates:
            del classes["duplicate_at_gateway"]
            again = self.repeated
            count, ledger, report = classes["matched"]
            classes["matched"] = (
                count + again.count,
                ledger + again.ledger_minor,
                report + again.report_minor,
            )
        return classes


def make(folder: Path, payments: int) -> MadeUpDay:
    """Write the three files of a day with that many payments; the same ones for the same number."""
    rng = random.Random(f"a made-up day of {payments}")
    day = MadeUpDay(
        payments, folder / "ledger.csv", folder / "report.csv", folder / "report-without-malformed.csv"
    )
    fates = _deal(rng, payments)
    lines: list[str] = []
    unreadable: list[str] = []
    with day.ledger.open("w", encoding="utf-8") as ledger:
        ledger.write(LEDGER_HEAD + "\n")
        for number in range(payments):
            payment = _Payment(rng, number, payments)
            fate = fates.get(number, "")
            ledger.write(payment.in_ledger("pending" if fate == "unpaid" else "paid"))
            if fate == "malformed":
                unreadable.append(_unreadable(payment, len(unreadable)))
            _report(day, payment, fate, lines)
    _write(day.report_without_malformed, lines, rng)
    _write(day.report, lines + unreadable, rng)
    return day


class _Payment:
    """A payment of the day, later in the day the higher its number."""

    def __init__(self, rng: random.Random, number: int, of: int) -> None:
        self.number = number
        self.reference = f"ORD-{number:07d}-{rng.getrandbits(20):05x}"
        self.theirs = f"{rng.getrandbits(128):032x}"
        self.amount = rng.randrange(10_000, 5_000_000)
        self.second = 10 + (number * 86_380) // of
        self.has_fee = rng.random() > 0.02  # an empty fee is not checked

    def in_ledger(self, status: str) -> str:
        paid_at = _time(self.second) if status == "paid" else ""
        return (
            f"{self.reference},gopay,{self.theirs},{self.amount},IDR,{status},"
            f"{_time(self.second - 10)},{paid_at}\n"
        )

    def line(self, **other: str | int) -> str:
        """Its line in the report, with some cells other than they should be."""
        fee = f"{(self.amount * 2 + 50) // 100}.00" if self.has_fee else ""
        cells = {
            "reference": self.reference,
            "gateway_reference": self.theirs,
            "type": "payment",
            "status": "paid",
            "amount": f"{self.amount}.00",
            "fee": fee,
            "currency": "IDR",
            "occurred_at": _time(self.second + 3),
        }
        return ",".join(str(cell) for cell in (cells | other).values()) + "\n"


def _deal(rng: random.Random, payments: int) -> dict[int, str]:
    """Which payments have a fate; the late ones from the day's end, the others from before."""
    late_from = (LAST_HALF_HOUR * payments) // 86_380 + 1
    wanted = Counter({fate: max(share * payments // 10_000, 1) for fate, share in FATES.items()})
    late = rng.sample(range(late_from, payments), wanted.pop("late"))
    others = rng.sample(range(late_from - 1), wanted.total())
    return dict.fromkeys(late, "late") | dict(zip(others, wanted.elements(), strict=True))


def _report(day: MadeUpDay, payment: _Payment, fate: str, lines: list[str]) -> None:
    """Write the payment's lines and book what is true of them."""
    amount = payment.amount
    match fate:
        case "unreported" | "late" | "malformed":
            _book(day, "timing" if fate == "late" else "missing_at_gateway", amount, 0)
            if fate == "malformed":
                _book(day, "malformed_line", 0, 0)
            return
        case "currency":
            lines.append(payment.line(currency="USD"))
        case "over":
            lines.append(payment.line(amount=f"{amount + 1}.00"))
            amount += 1
        case "under":
            lines.append(payment.line(amount=f"{amount - 500}.00"))
            amount -= 500
        case "failed" | "reversed":
            lines.append(payment.line(status=fate))
        case "fee":
            lines.append(payment.line(fee="1.50"))
        case _:
            lines.append(payment.line())
    _book(day, _CLASSES.get(fate, "matched"), payment.amount, amount)
    match fate:
        case "repeated":
            again = payment.line()
        case "charged_twice":  # earlier, so that only the gateway reference tells which one is ours
            again = payment.line(gateway_reference=payment.theirs[::-1], occurred_at=_time(payment.second))
        case "foreign":
            lines.append(payment.line(reference=f"X{payment.reference}", gateway_reference=""))
            _book(day, "missing_in_ledger", 0, amount)
            return
        case _:
            return
    lines.append(again)
    _book(day, "duplicate_at_gateway", 0, amount)
    day.repeated.add(amount, amount)


_CLASSES = {
    "currency": "currency_mismatch",
    "over": "amount_mismatch",
    "under": "amount_mismatch",
    "failed": "status_mismatch",
    "reversed": "status_mismatch",
    "unpaid": "status_mismatch",
    "fee": "fee_mismatch",
}


def _unreadable(payment: _Payment, number: int) -> str:
    """A line with one fault or another, by turns."""
    faults = (
        lambda: payment.line(amount="NaN"),
        lambda: payment.line(amount="1e5"),
        lambda: payment.line(amount="-5000.00"),
        lambda: payment.line(amount="5000.125"),
        lambda: payment.line(occurred_at="2026-02-30T09:10:11+07:00"),
        lambda: payment.line(status="kaput"),
        lambda: payment.line().replace(",payment,", ","),
    )
    return faults[number % len(faults)]()


def _book(day: MadeUpDay, name: str, ledger: int, report: int) -> None:
    day.truth.setdefault(name, Sums()).add(ledger, report)


def _write(path: Path, lines: list[str], rng: random.Random) -> None:
    rng.shuffle(lines)
    with path.open("w", encoding="utf-8") as out:
        out.write(REPORT_HEAD + "\n")
        out.writelines(lines)


def _time(second: int) -> str:
    return f"{DAY}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}+07:00"
