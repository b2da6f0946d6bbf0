"""The night looks at the bank, after its statement and without touching it."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from bank_world import REPORT_HEAD, TUE, WED, Credit, book, net, paid, take_ledger
from world import write

from common.settings import settings
from jembatan.stack import Stack
from providers.reports.sources import read_blocks
from records import files
from records.db import unit_of_work
from records.process import ProcessRun

DAY = [paid("A1", 150_000), paid("A2", 275_000)]


def night(folder: Path) -> tuple[str, dict[str, Any]]:
    """The flow over that day's report; its message and the outcome of its process."""
    from flows.reconcile_payments import reconcile_payments
    from flows.wallet import Wallet

    report = write(folder / "report.csv", REPORT_HEAD, [line.text(TUE) for line in DAY])
    state = reconcile_payments(
        gateway=Wallet.gopay,
        business_date=TUE,
        source=f"sha256:{files.keep(report.name, read_blocks(report))}",
        return_state=True,
    )
    with unit_of_work() as session:
        run = session.scalars(sa.select(ProcessRun).order_by(ProcessRun.created_at.desc())).first()
    assert run is not None
    assert run.outcome is not None
    assert (state.type.value, run.state, run.outcome["balanced"]) == ("COMPLETED", "succeeded", True)
    return state.message or "", run.outcome["payouts"]


def test_the_night_tells_what_is_awaited_and_what_differs(
    parts: Stack, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_ledger(tmp_path, TUE, DAY)
    message, payouts = night(tmp_path)
    assert (payouts["awaited"], payouts["differences"], payouts["balanced"]) == (1, 0, True)
    assert "payout" not in message
    book(tmp_path, Credit(WED, net(DAY[0])))
    message, payouts = night(tmp_path)
    assert (payouts["awaited"], payouts["differences"]) == (0, 1)
    assert message.endswith("1 payout differs")
    # A pattern that two gateways fit is told, and the day stays reconciled.
    monkeypatch.setenv("JEMBATAN_OVO__PAYOUT__PATTERN", "PAYOUT")
    settings.cache_clear()
    message, payouts = night(tmp_path)
    assert "fits the patterns of both gopay and ovo" in message
    assert payouts == {"error": message.partition("payouts: ")[2]}
