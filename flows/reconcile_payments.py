"""Hold each gateway's settlement report of a business day against our ledger, and prove the result."""

from datetime import date
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.wallet import Wallet
from tasks.payouts import hold_payouts
from tasks.reconcile_payments import (
    PROCESS,
    classify,
    day_to_reconcile,
    end,
    fetch_report,
    heal,
    is_recorded,
    prove,
    run_name,
    stage_report,
    take_in_refunds,
    tell,
)
from tasks.work import Ended


@flow(name=PROCESS, flow_run_name=run_name, persist_result=False)
def reconcile_payments(
    gateway: Wallet = Wallet.gopay,
    business_date: date | None = None,
    source: str | None = None,
    layout: str | None = None,
    allow_empty: bool = False,
    skip_if_done: bool = False,
) -> State[Any]:
    """Hold one gateway's settlement report of a business day against the ledger, and prove the result.

    Fetch the report and keep it, read it strictly, take in refunds that were made at the gateway without us,
    give every line and every payment one class, heal what the gateway itself can answer, prove that both
    sides add up, look whether the bank has what was settled, and tell people. Running a day again makes a new
    version of its statement; exceptions keep their identity.
    Runbook: docs/runbooks/reconcile-payments.md

    Args:
        gateway: Whose settlement report.
        business_date: Business day in Jakarta. None means yesterday, seen from when the run was due.
        source: Where the report is. None means the gateway's configured source; kept files are named by
            their SHA-256 as sha256:…, several with commas.
        layout: How the report is laid out. None means the gateway's own layout, or the one that fits the
            header of a kept file; else the name of a layout, such as canonical.
        allow_empty: Accept a report without lines although payments are in scope.
        skip_if_done: Leave a day alone that is reconciled already, as the nightly schedule does.
    """
    try:
        with day_to_reconcile(gateway, business_date, source, layout, allow_empty, skip_if_done) as day:
            if not is_recorded(day):
                files = fetch_report(day)
                lines = stage_report(day, files)
                take_in_refunds(day, lines)
                classify(day, lines)
            healing = heal(day)
            prove(day)
            payouts = hold_payouts(day)
            return end(day, tell(day, healing), payouts)
    except Ended as ended:
        return ended.state
