"""Ask the ministry's register whether it vouches for a credential."""

from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.verify_credential import PROCESS, ask, checks_to_make, end, run_name
from tasks.work import Ended


@flow(name=PROCESS, flow_run_name=run_name, persist_result=False)
def verify_credential(check_id: UUID | None = None, processes: list[UUID] | None = None) -> State[Any]:
    """Ask SIPLatih about a credential, and keep its answer: `verified` is only an explicit yes.

    The question is stored first, through our API; it names a person and is never shown here.
    Runbook: docs/runbooks/verify-credential.md

    Args:
        check_id: Which stored check, by its id.
        processes: Filled in by Jembatan where it hands over checks that were asked for. Leave it empty.
    """
    try:
        with checks_to_make(check_id, processes) as run_ids:
            return end(ask(run_ids))
    except Ended as ended:
        return ended.state
