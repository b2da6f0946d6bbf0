"""A payout proof in words for the terminal."""

from typing import Any

from rich.markup import escape

from common.money import plain_minor, rupiah
from jembatan.commands.output import console, statement_table
from records.payout_explained import in_words


def print_proof(outcome: dict[str, Any]) -> None:
    """One run for people: the classes, and each payout with what is to be said of it."""
    days = outcome["first_day"]
    if outcome["last_day"] != days:
        days += f" to {outcome['last_day']}"
    shown = outcome | {"gateway": f"payouts of {outcome['gateway']}", "business_date": days}
    console.print(statement_table(shown, sides=("expected", "bank")))
    for one in outcome["payouts"]:
        if one["class"] not in ("matched", "timing"):
            console.print(f"[bold]{one['class']}[/bold] · {escape(sentence(one))}", soft_wrap=True)


def print_sides(one: dict[str, Any]) -> None:
    """One payout: what it is made of, what the bank booked, and what is to be said of it."""
    for name in ("due_on", "first_business_day", "last_business_day", "lines"):
        if one[name] is not None:
            console.print(f"  {name.replace('_', ' ')}: {one[name]}")
    for name in ("payments", "refunds", "chargebacks", "fees", "transfer_fee", "expected", "difference"):
        if one[name] is not None:
            console.print(f"  {name.replace('_', ' ')}: {rupiah_of(one[name])}")
    console.print(f"  {escape(sentence(one))}", soft_wrap=True)


def sentence(one: dict[str, Any]) -> str:
    """What is to be said of one payout."""
    what = one["payout"] or "an entry"
    bank_side = one["bank"]
    where = ""
    if bank_side:
        where = (
            f"{rupiah_of(bank_side['amount'])} booked on {bank_side['booked_on']} "
            f"({bank_side['statement']}, line {bank_side['line']})"
        )
    match one["class"]:
        case "malformed_line":
            return str(one["reason"])
        case "missing_in_ledger":
            return f"{where}: no settled payout fits"
        case "duplicate_at_gateway":
            return f"{what} once more: {where}"
        case "missing_at_gateway":
            hint = f": {one['reason']}" if one["reason"] else ""
            due = f"{rupiah_of(one['expected'])}, was due on {one['due_on']}"
            return f"{what}, {due}; the bank has no entry{hint}"
        case "timing":
            why = "is not due yet" if one["reason"] == "not_due" else "has no bank statement of its day yet"
            return f"{what}, {rupiah_of(one['expected'])}, due on {one['due_on']}, {why}"
        case "amount_mismatch" | "currency_mismatch":
            why = in_words(one["explanation"])
            return f"{what}: {rupiah_of(one['expected'])} expected, {where}{f'; {why}' if why else ''}"
        case _:
            late = f", {one['late_days']} days after its day" if one["late_days"] else ""
            return f"{where or 'nothing was due'}{late}"


def rupiah_of(plain: str | None) -> str:
    """Plain rupiah as people read them; nothing for nothing."""
    return "" if plain is None else rupiah(plain_minor(plain))
