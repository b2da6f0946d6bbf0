"""The last part of `jembatan demo`: the bank's statement arrives, and what was settled is held against it."""

import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from common.settings import GATEWAYS
from jembatan.commands.output import complain, console
from jembatan.commands.payout_words import rupiah_of, sentence
from jembatan.stack import Stack
from records import payout, payout_run
from records.bank import BankStatement
from records.calendar import is_working_day, paid_out_on, working_day
from records.db import unit_of_work
from records.reconciliation import Reconciliation
from tasks import bank_statements


def show(running: Stack, day: date) -> bool:
    """Take the bank's statement of the days on which `day` is paid out, and prove each gateway's payouts.

    True where every proof balances and has found what the sandbox's bank was made to do.
    """
    due_on = {gateway: paid_out_on(gateway, day) for gateway in GATEWAYS}
    first, last = min(due_on.values()), working_day(max(due_on.values()), 1)  # one comes a day late
    asked = _asked(day, due_on, first, last)
    where = f"{running.sandbox_url}/_sandbox/bank/{first}/{last}"
    name = f"bank-{first}.sta"
    is_new = _take(name, httpx.get(f"{where}/statement.sta", params=asked, timeout=30).raise_for_status())
    truth = httpx.get(f"{where}/truth.json", params=asked, timeout=30).raise_for_status().json()
    proofs = []
    for gateway in GATEWAYS:
        with unit_of_work() as session:
            run = payout_run.reconcile(session, gateway, first, last)
            proofs.append(payout.as_json(session, run))
    console.print()
    console.print(_table(proofs))
    for one in _rows(proofs):
        if one["class"] != "matched":
            console.print(f"[bold]{one['class']}[/bold] · {escape(sentence(one))}", soft_wrap=True)
    is_right = all(one["balanced"] for one in proofs)
    if not is_right:
        complain("A proof of the payouts does not balance.")
    if not is_new:
        console.print(
            "The bank had paid this day out for an earlier demo. What this one has taken since is not in it, "
            "so payouts differ, and are not held against the bank's truth again."
        )
        return is_right
    differs = [one["gateway"] for one in proofs if _classes(one) != truth[one["gateway"]]["classes"]]
    if differs:
        complain(f"The payouts of {', '.join(differs)} are not what the sandbox's bank was made to do.")
    else:
        console.print("✓ payment ↔ report ↔ bank: every payout is what the sandbox's bank was made to do")
    return is_right and not differs


def _asked(day: date, due_on: dict[str, date], first: date, last: date) -> httpx.QueryParams:
    """The business days that are due together and have a statement; and when banks are closed."""
    with unit_of_work() as session:
        since = Reconciliation.business_date >= first - timedelta(days=31)
        settled = session.execute(
            sa.select(Reconciliation.gateway, Reconciliation.business_date).where(
                Reconciliation.is_current, Reconciliation.is_balanced.is_(True), since
            )
        )
        days = {one for gateway, one in settled if paid_out_on(gateway, one) == due_on[gateway]} | {day}
    span = [min(days) + timedelta(days=number) for number in range((last - min(days)).days + 1)]
    closed = [one for one in span if not is_working_day(one)]
    return httpx.QueryParams(day=[str(one) for one in sorted(days)], closed=[str(one) for one in closed])


def _take(name: str, answer: httpx.Response) -> bool:
    """Take the statement over, unless one of these days is there from an earlier demo."""
    with unit_of_work() as session:
        if session.scalar(sa.select(sa.exists().where(BankStatement.name == name))):
            return False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(answer.content)
        taken, _ = bank_statements.take(path)
    console.print(f"\n✓ the bank's statement {name}: {taken.new_entries} entries imported")
    return True


def _classes(proof: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = proof["classes"]
    return {name: one for name, one in found.items() if one["count"] and name != "timing"}


def _table(proofs: list[dict[str, Any]]) -> Table:
    table = Table("payouts of", "class", "due", "at the bank", box=SIMPLE)
    for one in _rows(proofs):
        booked = (one["bank"] or {}).get("amount")
        table.add_row(one["gateway"], one["class"], rupiah_of(one["expected"]), rupiah_of(booked))
    return table


def _rows(proofs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for proof in proofs for one in proof["payouts"] if one["class"] != "timing"]
