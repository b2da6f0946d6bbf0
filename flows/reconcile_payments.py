"""Hold each gateway's settlement report of a business day against our ledger, and prove the result."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from tasks.reconcile_payments import (
    PROCESS,
    classify,
    day_to_reconcile,
    end,
    fetch_report,
    heal,
    is_recorded,
    prove,
    stage_report,
    tell,
)
from tasks.work import Ended


class Wallet(StrEnum):
    """The gateways that report settlements."""

    gopay = "gopay"
    ovo = "ovo"
    linkaja = "linkaja"


@flow(name=PROCESS, flow_run_name="{gateway} {business_date}", persist_result=False, validate_parameters=True)
def reconcile_payments(
    gateway: Annotated[Wallet, Field(description="Whose settlement report")] = Wallet.gopay,
    business_date: Annotated[
        date | None,
        Field(description="Business day in Jakarta; empty: yesterday, seen from when the run was due"),
    ] = None,
    source: Annotated[
        str | None,
        Field(description="Empty: the configured source. Else kept files as `sha256:…`, several with commas"),
    ] = None,
    layout: Annotated[
        str | None,
        Field(description="Empty: the gateway's own. Else the name of a layout, such as canonical"),
    ] = None,
    allow_empty: Annotated[
        bool, Field(description="Accept a report without lines although payments are in scope")
    ] = False,
    skip_if_done: Annotated[
        bool, Field(description="Leave a day alone that is reconciled already, as the schedule does")
    ] = False,
) -> State[Any]:
    """Reconcile one gateway's business day. Runbook: docs/runbooks/reconcile-payments.md

    Fetch the report and keep it, read it strictly, give every line and every payment one class, heal what
    the gateway itself can answer, prove that both sides add up, and tell people. Running a day again
    makes a new version of its statement; exceptions keep their identity.
    """
    try:
        with day_to_reconcile(gateway, business_date, source, layout, allow_empty, skip_if_done) as day:
            if not is_recorded(day):
                files = fetch_report(day)
                lines = stage_report(day, files)
                classify(day, lines)
            healing = heal(day)
            prove(day)
            return end(day, tell(day, healing))
    except Ended as ended:
        return ended.state
