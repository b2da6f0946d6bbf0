"""A payout proof in words for the terminal."""

from typing import Any

from rich.markup import escape

from common.money import rupiah
from jembatan.commands.output import console, statement_table


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
            return f"{what}: {rupiah_of(one['expected'])} expected, {where}{_explained(one)}"
        case _:
            late = f", {one['late_days']} days after its day" if one["late_days"] else ""
            return f"{where or 'nothing was due'}{late}"


_WHAT = {
    "missing_payment": "the payment {names} is missing in it",
    "missing_payment_but_not_its_fee": "the payment {names} is missing in it, its fee was taken all the same",
    "missing_payments": "the payments {names} are missing in it",
    "chargeback_not_taken_off": "the payment {names}, which was taken back, was not taken off",
    "refund_not_taken_off": "the refund {names} was not taken off",
    "repeated_line_paid": "the payment {names}, which the report lists twice, was paid twice",
}


def _explained(one: dict[str, Any]) -> str:
    said = one["explanation"]
    if not said:
        return ""
    names = ", ".join(said["references"])
    if not said["is_unique"]:
        more = " …" if said["lines"] > len(said["references"]) else ""
        names = f"(one of {said['lines']:,} that are worth the same: {names}{more})"
    return f"; {_WHAT[said['what']].format(names=names)}"


def rupiah_of(plain: str | None) -> str:
    """Plain rupiah as people read them; nothing for nothing."""
    return "" if plain is None else rupiah(int(plain.replace(".", "")))
