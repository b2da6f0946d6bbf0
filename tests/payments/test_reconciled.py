"""Live payments in the night: what was taken through the API is what the gateway reports, to the rupiah."""

from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from typing import Any

import pytest
import sqlalchemy as sa
from till import Till

from common import clock
from records import exceptions
from records.db import unit_of_work
from records.process import ProcessRun

# A day of its own: the sandbox is shared, and what is paid here stands in its books of that day for good.
DAY = clock.yesterday() - timedelta(days=17)


def reconciled(gateway: str) -> dict[str, Any]:
    """The outcome of that day's night."""
    from flows.reconcile_payments import reconcile_payments
    from flows.wallet import Wallet

    state = reconcile_payments(
        gateway=Wallet(gateway), business_date=DAY, return_state=True, allow_empty=True
    )
    assert state.type.value == "COMPLETED", state.message
    with unit_of_work() as session:
        run = session.scalars(sa.select(ProcessRun).filter_by(process="reconcile-payments")).one()
        assert run.outcome is not None
        return run.outcome


@pytest.mark.parametrize(
    "gateway", ["gopay", *(pytest.param(one, marks=pytest.mark.slow) for one in ("ovo", "linkaja"))]
)
def test_live_payments_match_the_report_and_a_missed_one_is_healed_by_its_status(
    till: Till, gateway: str
) -> None:
    evening = datetime.combine(DAY, time_of_day(19), clock.JAKARTA)
    told = till.create(gateway, amount=123_457)
    till.act(told, "pay", at=evening.isoformat())
    till.becomes(told, "paid")
    till.quiet(gateway)
    missed = till.create(gateway, amount=234_568)
    till.act(missed, "pay", at=(evening + timedelta(minutes=1)).isoformat(), notify=False)
    unpaid = till.create(gateway, amount=345_679)
    outcome = reconciled(gateway)
    assert outcome["balanced"]
    matched = outcome["classes"]["matched"]
    assert matched["ledger_amount"] == matched["report_amount"] == "123457.00"
    # The books of that day have thousands of payments that this ledger does not know: only ours count here.
    assert outcome["classes"]["missing_at_gateway"]["count"] == 0
    with unit_of_work() as session:
        (mismatch,) = exceptions.search(session, class_="status_mismatch", state=None)
    assert (mismatch.reference, mismatch.state) == (missed["reference"], "healed")
    now = till.read(missed)
    assert now["status"] == "paid"
    assert now["paid_at"][:16] == (evening + timedelta(minutes=1)).astimezone(UTC).isoformat()[:16]
    assert "settlement report" in now["events"][-1]["note"]
    assert till.read(unpaid)["status"] == "pending"
