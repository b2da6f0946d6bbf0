"""Look every night whether who paid is enrolled, who is enrolled has paid, and who completed was reported."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.reconcile_entitlements import PROCESS, end, is_recorded, look, look_to_take, run_name, tell
from tasks.work import Ended


@flow(name=PROCESS, flow_run_name=run_name, persist_result=False)
def reconcile_entitlements(skip_if_done: bool = False) -> State[Any]:
    """Hold payments, enrolments, completions and credentials of every learner against each other.

    Every pair of learner and program is looked at once, and what does not fit is a finding: paid and not
    enrolled, enrolled and not paid, completed and not reported, reported without payment, refunded and still
    enrolled. A finding keeps its identity over the nights; what came right resolves by itself, what a person
    explained stays explained. Running it again finds nothing new.
    Runbook: docs/runbooks/reconcile-entitlements.md

    Args:
        skip_if_done: Do nothing where this night's look was taken already, as the nightly schedule does.
    """
    try:
        with look_to_take(skip_if_done) as run_id:
            if not is_recorded(run_id):
                look(run_id)
            return end(run_id, tell(run_id))
    except Ended as ended:
        return ended.state
