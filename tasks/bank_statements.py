"""Taking a bank's statement over: kept by its SHA-256, read strictly, recorded whole or not at all."""

from pathlib import Path
from typing import Any

from common.settings import GATEWAYS, settings
from providers.bank.entries import BankStatement
from providers.bank.layout import load_bank_layout
from providers.bank.statement import read_statement
from providers.reports.sources import read_blocks
from records import bank, files, payout, payout_run
from records.db import unit_of_work
from records.payout_rows import is_a_gateways


def take(
    path: Path, *, format: str | None = None, account: str = "", layout: str = "canonical"
) -> tuple[bank.Taken, BankStatement]:
    """Take the statement over; what was recorded, and what was read.

    A death in between, or a file that is unusable, leaves at most the kept file. Raises UnusableFile or
    BadInput, and then nothing of it is recorded.
    """
    own = load_bank_layout(layout, settings().home / "bank-layouts")
    kept = files.keep(path.name, read_blocks(path))
    # What is read is the kept file: the one that was given may change meanwhile.
    limit = settings().report_size_limit
    read = read_statement(
        files.path_of(kept), path.name, format=format, layout=own, account=account, size_limit=limit
    )
    with unit_of_work() as session:
        taken = bank.take(
            session,
            kept,
            path.name,
            read.format,
            [bank.NewEntry(**vars(one)) for one in read.entries],
            [bank.NewMalformedLine(**vars(one)) for one in read.malformed],
            [(one.account, one.first_day, one.last_day) for one in read.coverage],
            is_a_gateways,
        )
    return taken, read


def reconcile(read: BankStatement) -> list[dict[str, Any]]:
    """Hold the payouts of every gateway that pays to these accounts against the days of a statement."""
    proofs = []
    for gateway in GATEWAYS:
        plan = settings().gateway(gateway).payout
        spans = [one for one in read.coverage if plan.account in ("", one.account)]
        if not plan.pattern or not spans:
            continue
        first, last = min(one.first_day for one in spans), max(one.last_day for one in spans)
        with unit_of_work() as session:
            run = payout_run.reconcile(session, gateway, first, last)
            proofs.append(payout.as_json(session, run))
    return proofs
