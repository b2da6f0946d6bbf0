"""The night's look at the bank: has what a gateway settled been paid out?"""

from typing import Any

from prefect import task

from common.errors import BadInput
from common.settings import settings
from records import payout, payout_run
from records.calendar import paid_out_on
from records.classes import NO_EXCEPTION
from records.db import unit_of_work
from tasks.reconcile_payments import Day
from tasks.retries import ONCE


@task(name="payouts", **ONCE)
def hold_payouts(day: Day) -> dict[str, Any] | None:
    """Hold the gateway's payouts against the bank, from the business day to the day on which it is paid out.

    The bank's statement often comes later: its import looks again. None: the gateway has no payouts set. A
    setting that cannot be worked is told and leaves the reconciliation as it is.
    """
    if not settings().gateway(day.gateway).payout.pattern:
        return None
    last_day = paid_out_on(day.gateway, day.business_date)
    try:
        with unit_of_work() as session:
            run = payout_run.reconcile(session, day.gateway, day.business_date, last_day)
            outcome = payout.as_json(session, run)
    except BadInput as error:
        return {"error": str(error)}
    counts = {name: one["count"] for name, one in outcome["classes"].items()}
    differences = sum(count for name, count in counts.items() if name not in NO_EXCEPTION)
    return {
        "run_id": outcome["run_id"],
        "balanced": outcome["balanced"],
        "matched": counts["matched"],
        "awaited": counts["timing"],
        "differences": differences,
    }
