"""Which bank entry pays which payout, and what class each of them is: the rules of docs/payouts.md.

A pure function of what is settled and what is booked. It goes through the bank's days in their order, so
what is booked later never changes what an earlier day has paired, and the order of the input means nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from uuid import UUID


@dataclass(frozen=True)
class Expected:
    """A payout as the gateway's reports have it. key: its reference, or the day on which it is due.

    last_day: the last business day whose lines are in it.
    """

    key: str
    has_reference: bool
    due_on: date
    last_day: date
    amount_minor: int
    currency: str = "IDR"


@dataclass(frozen=True)
class Booked:
    """A bank entry of the gateway. rank: orders entries of one day by their content."""

    id: UUID
    booked_on: date
    amount_minor: int
    currency: str
    reference: str | None
    rank: tuple[str, int] = ("", 0)


@dataclass(frozen=True)
class Pairing:
    """One row of the proof: a payout, an entry, or both, and the one class that it has."""

    class_: str
    expected: Expected | None = None
    booked: Booked | None = None
    reason: str | None = None

    @property
    def late_days(self) -> int | None:
        """By how many days the entry came after the day on which it was due; negative: before."""
        if self.expected is None or self.booked is None:
            return None
        return (self.booked.booked_on - self.expected.due_on).days or None


def pair(
    expected: Sequence[Expected],
    booked: Sequence[Booked],
    until: date,
    is_covered: Callable[[date], bool],
    by_hand: Mapping[UUID, str] | None = None,
) -> list[Pairing]:
    """Give every payout and every entry up to the day `until` exactly one class.

    is_covered: whether a bank statement tells of a day; where none does, nothing is missing yet.
    by_hand: entries that people have matched, each with the key of its payout, which no other entry pays.
    """
    open_ = {one.key: one for one in expected}
    kept = {key: open_.pop(key) for key in (by_hand or {}).values() if key in open_}
    known: set[str] = set()  # references that an entry has had
    found: list[Pairing] = []
    entries = sorted((one for one in booked if one.booked_on <= until), key=_by_content)
    for day, of_day in groupby(entries, key=lambda one: one.booked_on):
        todays = _without_matched(list(of_day), by_hand or {}, kept, known, found)
        todays = _without_duplicates(todays, open_, known, found)
        for step in (_by_reference, _by_amount, _by_due_day):
            for payout, entry in step(todays, open_, day):
                found.append(_paired(payout, entry))
                todays.remove(entry)
                del open_[payout.key]
        found += [Pairing("missing_in_ledger", booked=entry) for entry in todays]
    found += [_unpaid(one, until, is_covered) for one in (*open_.values(), *kept.values())]
    return found


def _by_content(entry: Booked) -> tuple[date, str, int, str, tuple[str, int]]:
    return (entry.booked_on, entry.reference or "", entry.amount_minor, entry.currency, entry.rank)


def _without_matched(
    todays: list[Booked],
    by_hand: Mapping[UUID, str],
    kept: dict[str, Expected],
    known: set[str],
    found: list[Pairing],
) -> list[Booked]:
    """What people have matched is paired before all else."""
    left = []
    for entry in todays:
        payout = kept.pop(by_hand.get(entry.id, ""), None)
        if payout is None:
            left.append(entry)
            continue
        found.append(_paired(payout, entry))
        if entry.reference is not None:
            known.add(entry.reference)
    return left


def _without_duplicates(
    todays: list[Booked], open_: dict[str, Expected], known: set[str], found: list[Pairing]
) -> list[Booked]:
    """One entry for each reference: that with the payout's amount, else the first by content."""
    kept = [entry for entry in todays if entry.reference is None]
    named = [entry for entry in todays if entry.reference is not None]
    for reference, several in groupby(named, key=lambda one: one.reference):
        assert reference is not None
        wanted = open_[reference].amount_minor if reference in open_ else None
        amounts = {wanted} if wanted is not None else {one.amount_minor for one in open_.values()}
        ranked = sorted(several, key=lambda one: one.amount_minor not in amounts)  # stable: else by content
        if reference not in known:
            kept.append(ranked.pop(0))
        found += [Pairing("duplicate_at_gateway", booked=entry, reason="second_entry") for entry in ranked]
        known.add(reference)
    return kept


Pairs = list[tuple[Expected, Booked]]


def _by_reference(todays: list[Booked], open_: dict[str, Expected], _: date) -> Pairs:
    return [
        (open_[entry.reference], entry)
        for entry in todays
        if entry.reference in open_ and open_[entry.reference].has_reference
    ]


def _by_amount(todays: list[Booked], open_: dict[str, Expected], day: date) -> Pairs:
    """Equal amounts, the payout that was due first with the first entry."""
    pairs: Pairs = []
    waiting = sorted(open_.values(), key=lambda one: (one.due_on, one.key))
    for entry in todays:
        for payout in waiting:
            same = (payout.amount_minor, payout.currency) == (entry.amount_minor, entry.currency)
            if same and payout.last_day <= day and _may_pair(payout, entry):
                pairs.append((payout, entry))
                waiting.remove(payout)
                break
    return pairs


def _by_due_day(todays: list[Booked], open_: dict[str, Expected], day: date) -> Pairs:
    """What is due on the day and what came on it, the nearest amounts first: they differ."""
    choices = [
        (payout.currency != entry.currency, abs(payout.amount_minor - entry.amount_minor), place, payout)
        for place, entry in enumerate(todays)
        for payout in sorted(open_.values(), key=lambda one: one.key)
        if payout.due_on == day and _may_pair(payout, entry)
    ]
    pairs: Pairs = []
    paid, used = set(), set()
    for _, _, place, payout in sorted(choices, key=lambda one: (*one[:3], one[3].key)):
        if payout.key not in paid and place not in used:
            pairs.append((payout, todays[place]))
            paid.add(payout.key)
            used.add(place)
    return pairs


def _may_pair(payout: Expected, entry: Booked) -> bool:
    """Two references that differ never pair."""
    return not payout.has_reference or entry.reference is None


def _paired(payout: Expected, entry: Booked) -> Pairing:
    if payout.currency != entry.currency:
        return Pairing("currency_mismatch", payout, entry)
    if payout.amount_minor != entry.amount_minor:
        reason = "over" if entry.amount_minor > payout.amount_minor else "under"
        return Pairing("amount_mismatch", payout, entry, reason)
    return Pairing("matched", payout, entry)


def _unpaid(payout: Expected, until: date, is_covered: Callable[[date], bool]) -> Pairing:
    if payout.due_on > until:
        return Pairing("timing", payout, reason="not_due")
    if payout.amount_minor == 0:
        return Pairing("matched", payout, reason="nothing_due")
    if not is_covered(payout.due_on):
        return Pairing("timing", payout, reason="no_statement")
    return Pairing("missing_at_gateway", payout)


def concerns(pairing: Pairing, first_day: date, last_day: date) -> bool:
    """Whether a row belongs to the proof of these bank days.

    Entries booked in them with what they pay; payouts due in them; and what is settled but not due yet. A
    payout that came earlier, or was due earlier and is still open, belongs to earlier days.
    """
    if pairing.booked is not None:
        return first_day <= pairing.booked.booked_on <= last_day
    assert pairing.expected is not None
    return pairing.expected.due_on >= first_day
