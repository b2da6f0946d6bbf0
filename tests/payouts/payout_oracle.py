"""The rules of payouts once more in plain Python, from docs/payouts.md and not from the code.

Slow and simple on purpose: one day after the other, one rule after the other, everything in lists.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal


@dataclass(frozen=True)
class Payout:
    """What is to come: its name (empty: it has only the day on which it is due), and what it is worth."""

    name: str
    due: date
    last_business_day: date
    worth: Decimal


@dataclass(frozen=True)
class Came:
    """What the bank booked. place: tells equal ones apart."""

    day: date
    amount: Decimal
    name: str
    currency: str = "IDR"
    place: int = 0


def next_workday(day: date) -> date:
    """T+1, Monday to Friday."""
    day += timedelta(days=1)
    while day.strftime("%a") in ("Sat", "Sun"):
        day += timedelta(days=1)
    return day


def payouts_of(settled: dict[date, list[tuple[str, Decimal]]]) -> list[Payout]:
    """settled: by business day, the payout that each line names and what the line is worth."""
    names = {name for lines in settled.values() for name, _ in lines if name}
    found = []
    for name in names:
        days = [day for day, lines in settled.items() if any(of == name for of, _ in lines)]
        worth = sum(worth for day in days for of, worth in settled[day] if of == name)
        found.append(Payout(name, next_workday(max(days)), max(days), Decimal(worth)))
    unnamed = {day: [worth for name, worth in lines if not name] for day, lines in settled.items()}
    for due in {next_workday(day) for day, lines in unnamed.items() if lines}:
        days = [day for day, lines in unnamed.items() if lines and next_workday(day) == due]
        worth = sum(worth for day in days for worth in unnamed[day])
        found.append(Payout("", due, max(days), Decimal(worth)))
    return found


def classify(
    settled: dict[date, list[tuple[str, Decimal]]],
    came: list[Came],
    first: date,
    last: date,
    covered: set[date],
) -> list[tuple[str, Decimal | None, Decimal | None]]:
    """Class, what was expected and what came, for all that belongs to the bank days first to last."""
    waiting = payouts_of({day: lines for day, lines in settled.items() if day <= last})
    seen_names: list[str] = []
    out: list[tuple[str, Payout | None, Came | None]] = []
    for day in sorted({one.day for one in came if one.day <= last}):
        todays = sorted(
            (one for one in came if one.day == day),
            key=lambda one: (one.name, one.amount, one.currency, one.place),
        )
        # 1. one entry for each name
        for name in sorted({one.name for one in todays if one.name}):
            same = [one for one in todays if one.name == name]
            right = [payout.worth for payout in waiting if payout.name == name]
            right = right or [payout.worth for payout in waiting]
            best = next((one for one in same if one.amount in right), same[0])
            for one in same:
                if name in seen_names or one is not best:
                    out.append(("duplicate_at_gateway", None, one))
                    todays.remove(one)
            seen_names.append(name)
        # 2. by name
        for one in list(todays):
            for payout in waiting:
                if one.name and payout.name == one.name:
                    out.append((pair_class(payout, one), payout, one))
                    waiting.remove(payout)
                    todays.remove(one)
                    break
        # 3. by the very amount
        for one in list(todays):
            fitting = [
                payout
                for payout in waiting
                if payout.worth == one.amount
                and one.currency == "IDR"
                and payout.last_business_day <= day
                and not (payout.name and one.name)
            ]
            if fitting:
                payout = min(fitting, key=lambda one: (one.due, one.name or f"due:{one.due}"))
                out.append(("matched", payout, one))
                waiting.remove(payout)
                todays.remove(one)
        # 4. by the day on which it is due, the nearest first
        numbered = list(enumerate(todays))
        while True:
            choices = [
                (one.currency != "IDR", abs(payout.worth - one.amount), number, payout.name, payout, one)
                for payout in waiting
                for number, one in numbered
                if payout.due == day and not (payout.name and one.name)
            ]
            if not choices:
                break
            *_, number, _, payout, one = min(choices, key=lambda choice: choice[:4])
            out.append((pair_class(payout, one), payout, one))
            waiting.remove(payout)
            numbered.remove((number, one))
        out += [("missing_in_ledger", None, one) for _, one in numbered]
    for payout in waiting:
        if payout.due > last:
            name = "timing"
        elif payout.worth == 0:
            name = "matched"
        elif payout.due not in covered:
            name = "timing"
        else:
            name = "missing_at_gateway"
        out.append((name, payout, None))
    return sorted(
        (
            (name, payout and payout.worth, one and one.amount)
            for name, payout, one in out
            if (first <= one.day <= last if one else payout is not None and payout.due >= first)
        ),
        key=str,
    )


def pair_class(payout: Payout, one: Came) -> str:
    if one.currency != "IDR":
        return "currency_mismatch"
    return "matched" if payout.worth == one.amount else "amount_mismatch"
