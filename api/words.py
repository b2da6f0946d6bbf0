"""The texts that people read on our pages, in one place, so that another language can stand beside English.

Whatever comes from the outside (references, file names, reasons of a reader) is shown as it is.
"""

import re
from datetime import date, datetime
from typing import NamedTuple

from common.clock import JAKARTA


class ClassWords(NamedTuple):
    """A class in plain words: its name, what it means, and what stands where a side has nothing."""

    title: str
    meaning: str
    nothing_expected: str = ""
    nothing_found: str = ""


CLASSES = {
    "malformed_line": ClassWords(
        "Line that cannot be read",
        "A line of the report is not exactly what its layout allows, so it is held against nothing.",
        nothing_expected="Not looked for: the line cannot be read.",
    ),
    "duplicate_at_gateway": ClassWords(
        "Listed more than once",
        "The gateway lists one payment in several lines. One of them counts; these are the others.",
        nothing_expected="No further line: another one counts for this payment.",
    ),
    "missing_in_ledger": ClassWords(
        "Not in our ledger",
        "The gateway reports it, and our ledger has nothing under this reference.",
        nothing_expected="Our ledger has nothing under this reference.",
    ),
    "currency_mismatch": ClassWords("Other currency", "Both sides have it, in different currencies."),
    "amount_mismatch": ClassWords("Other amount", "Both sides have it, with different amounts."),
    "status_mismatch": ClassWords("Other status", "One side says that it is paid, the other that it is not."),
    "fee_mismatch": ClassWords("Other fee", "The gateway kept another fee than the fee plan says."),
    "timing": ClassWords(
        "Awaited with the next report",
        "Paid shortly before midnight and not reported yet. No exception: if the next day's report does not "
        "have it either, it becomes one there.",
        nothing_found="Not in this report yet.",
    ),
    "missing_at_gateway": ClassWords(
        "Not in the report",
        "Our ledger has it on this day, and the gateway's report has no line for it.",
        nothing_found="The report has no line for it.",
    ),
    "matched": ClassWords("Matched", "Both sides say the same."),
}

# The same for a payout: what the reports say is due, against what the bank has booked.
PAYOUT_CLASSES = {
    "malformed_line": ClassWords(
        "Bank line that cannot be read",
        "A line of the bank's statement names the wallet and cannot be read, so it counts nothing.",
    ),
    "duplicate_at_gateway": ClassWords(
        "Paid out twice", "The bank has one more entry with the reference of a payout that it had already."
    ),
    "missing_in_ledger": ClassWords(
        "Entry that pays nothing known", "The bank booked it for the wallet, and no settled payout is this."
    ),
    "currency_mismatch": ClassWords("Payout in another currency", "The bank booked another currency."),
    "amount_mismatch": ClassWords("Payout of another amount", "The bank booked another amount than is due."),
    "missing_at_gateway": ClassWords(
        "Payout not at the bank", "It was due, and the bank's statement of that day has no entry for it."
    ),
}

# What the nightly look at learners and their programs finds: what it is, and what a person does about it.
FINDINGS = {
    "paid_not_enrolled": ClassWords(
        "Paid, and not enrolled",
        "We hold the learner's money, and the platform has told us of no seat, or of a withdrawal. Have the "
        "platform enrol the learner, or tell us of it; or give the money back.",
    ),
    "enrolled_not_paid": ClassWords(
        "Enrolled, and not paid",
        "The learner has a seat, and no payment is known for it. Ask for the payment; where none is due, "
        "have the platform tell the enrolment as free, or explain it.",
    ),
    "completed_not_reported": ClassWords(
        "Completed, and not reported",
        "The learner has completed the program, and the ministry has not accepted that. Hand in the class, "
        "or mend what the ministry refused.",
    ),
    "reported_without_payment": ClassWords(
        "Reported without payment",
        "The ministry has this learner's completion, and we hold no payment for it. Find the payment, or "
        "explain who pays.",
    ),
    "refunded_still_enrolled": ClassWords(
        "Refunded, and still enrolled",
        "The money went back, and the learner still has the seat. Have the platform withdraw the learner, or "
        "explain why the seat stays.",
    ),
}
FINDING_STATES = {
    "open": "open",
    "explained": "explained by a person",
    "resolved": "came right by itself",
}

GATEWAYS = {"gopay": "GoPay", "ovo": "OVO", "linkaja": "LinkAja"}
NO_SOURCE = "the report's own source"

REPORT_SIDE = "The report’s side"
LEDGER_SIDE = "The ledger’s side"
MISMATCHES = "Other currency, amount, status or fee"
COUNTED_IN_REPORT = "Counted in the report’s files"
COUNTED_IN_LEDGER = "Counted in the ledger"
CHART_COUNT = "Exceptions by class"
CHART_MONEY = "Money at risk in open exceptions"

_REASONS = {
    "repeated_line": "the same line again",
    "second_charge": "a second charge for the same payment",
    "over": "the gateway reports more",
    "under": "the gateway reports less",
    "payment_not_paid": "money that went back of a payment that is not paid with us",
    "other_currency": "money that went back in another currency than the payment's",
    "not_whole_rupiah": "an amount that is not whole rupiah went back",
    "may_be_ours": "it may be a refund of ours under another name",
    "more_than_was_paid": "with the other refunds more than was paid",
    "reference_taken": "another payment's refund has this name",
}
_PAYOUT_REASONS = {
    "over": "the bank booked more than is due",
    "under": "the bank booked less than is due",
    "second_entry": "a second entry with the same reference",
}
_PAID_THERE = "the report says paid, our ledger does not"
_PAID_HERE = "our ledger says paid, the report does not"
_NOTES = {
    "gateway_reference_differs": "the gateway's own reference differs from the one we have",
    "foreign_refund": "made at the gateway without us",
    "matched_on_an_earlier_day": "the payment was matched on an earlier day",
    "now reversed": "the gateway now says reversed",
    "now failed": "the gateway now says failed",
}
_DEFAULT_REASONS = {
    "currency_mismatch": "the gateway reports another currency",
    "fee_mismatch": "the gateway kept another fee",
    "missing_in_ledger": "reported, and unknown to us",
    "missing_at_gateway": "paid by our ledger, and not reported",
    "timing": "paid shortly before midnight",
}
_STATUSES = {"partially_refunded": "partly refunded"}
TYPES = {"payment": "payments", "refund": "refunds", "payout": "payouts"}
STATES = {
    "open": "open",
    "explained": "explained by a person",
    "healed": "healed",
    "refunded": "given back",
    "matched": "matched by hand",
    "written_off": "written off",
    "settled": "settled later",
    "carried": "carried to a later day",
    "cleared": "no longer found",
}
AGES = {"1": "0–1 day", "3": "2–3 days", "7": "4–7 days", "30": "8–30 days", "older": "over 30 days"}
ACTIONS = {
    "explain": ("Explain", "It is right as it is, and you can say why. Ends at once."),
    "adopt": ("Take over", "The order is ours: the line becomes a payment of our ledger. Ends at once."),
    "match": (
        "Match by hand",
        "It is one that we have under another reference. A second person decides.",
    ),
    "refund": (
        "Give back",
        "The money goes back through the wallet. It ends when the wallet has confirmed that.",
    ),
    "write_off": ("Write off", "The money is given up. A second person decides."),
}
APPROVAL_STATES = {"open": "waiting", "approved": "approved", "refused": "refused", "expired": "expired"}
_REFUND_STATUSES = {
    "requested": "asked for",
    "awaiting_approval": "waits for a second person",
    "approved": "approved, about to be sent",
    "sent": "sent to the wallet",
    "accepted": "taken by the wallet, not moved yet",
    "confirmed": "given back",
    "refused": "not given back",
    "unknown": "not known yet: the wallet is asked again",
}
PROCESS_STATES = {
    "queued": "waits to be started",
    "running": "is running",
    "waiting": "waits for its next try",
    "failed": "failed",
    "needs_attention": "needs a person",
}

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_WALLET = "|".join(GATEWAYS)
_CODE = re.compile(
    rf"(?<=, )({'|'.join(CLASSES)})(?= of |\.)|(?<=\()({_WALLET})(?=\))|(?<= at )({_WALLET})(?=:)"
)
_CLASS_AT_END = re.compile(r": (" + "|".join(CLASSES) + r")$")


_DUE = re.compile(r"due:([0-9]{4}-[0-9]{2}-[0-9]{2})")


def named(reference: str | None) -> str:
    """A reference as people read it; a payout without one is named by the day on which it is due."""
    fits = _DUE.fullmatch(reference or "")
    return f"Due on {short_day(date.fromisoformat(fits[1]))}" if fits else reference or ""


def open_of(is_open: int, count: int) -> str:
    """How many of some exceptions are open."""
    if is_open == count:
        return f"{count:,} open"
    return f"{is_open:,} of {count:,} open" if is_open else f"{count:,}, none open"


def gateway(name: str) -> str:
    """The wallet as people write it."""
    return GATEWAYS.get(name, name)


def of_class(class_: str, is_payout: bool) -> ClassWords:
    """A class in plain words, as it is called of a payout where it is about one."""
    return PAYOUT_CLASSES.get(class_, CLASSES[class_]) if is_payout else CLASSES[class_]


def payout_reason(class_: str, code: str | None) -> str:
    """Why a payout, or an entry of the bank, is an exception."""
    return _PAYOUT_REASONS.get(code or "", code or PAYOUT_CLASSES[class_].meaning.rstrip("."))


def reason(class_: str, code: str | None, found_status: str | None = None) -> str:
    """Why the item is an exception; a reason that is no code of ours is a sentence already."""
    if class_ == "status_mismatch":
        return _PAID_THERE if found_status == "paid" else _PAID_HERE
    if not code:
        return _DEFAULT_REASONS.get(class_, CLASSES[class_].meaning)
    return _REASONS.get(code, code)


def notes(codes: str | None) -> list[str]:
    """What else is worth knowing of an exception."""
    return [_NOTES.get(code, code) for code in (codes or "").split(", ") if code]


def status(word: str | None) -> str:
    """A payment's or a line's status."""
    return _STATUSES.get(word or "", (word or "–").replace("_", " "))


def refund_status(word: str) -> str:
    """How far a refund has come."""
    return _REFUND_STATUSES.get(word, word.replace("_", " "))


def event(text: str, is_payout: bool = False) -> str:
    """The reason of an exception's event; a class named at its end is put in plain words."""
    return _CLASS_AT_END.sub(lambda found: f" as “{of_class(found[1], is_payout).title}”", text)


def actor(who: str) -> str:
    """Who did something: a client or an operator by name, a flow as it is called."""
    kind, _, name = who.partition(":")
    return name if kind in ("client", "operator") and name else who


def summary(text: str) -> str:
    """What a second person is asked; codes of classes and wallets are put in plain words."""
    return _CODE.sub(
        lambda found: f"“{CLASSES[found[1]].title}”" if found[1] else gateway(found[2] or found[3]), text
    )


def day(value: date) -> str:
    """`Tuesday, 24 November 2026`"""
    return f"{_DAYS[value.weekday()]}, {value.day} {_MONTHS[value.month - 1]} {value.year}"


def short_day(value: date) -> str:
    """`24 Nov 2026`"""
    return f"{value.day} {_MONTHS[value.month - 1][:3]} {value.year}"


def moment(value: datetime) -> str:
    """`24 Nov 2026 10:11:12`, in WIB (the page says so once)."""
    local = value.astimezone(JAKARTA)
    return f"{short_day(local.date())} {local:%H:%M:%S}"


def minute(value: datetime) -> str:
    """`25 November 2026, 02:03 WIB`"""
    local = value.astimezone(JAKARTA)
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}, {local:%H:%M} WIB"


def short_minute(value: datetime) -> str:
    """`25 Nov 2026, 02:03`, in WIB (the page says so once)."""
    local = value.astimezone(JAKARTA)
    return f"{short_day(local.date())}, {local:%H:%M}"
