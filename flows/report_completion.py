"""Report who has completed a training program to the ministry's register, each person once."""

from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.report_completion import PROCESS, end, report, reports_to_work, run_name
from tasks.work import Ended


@flow(name=PROCESS, flow_run_name=run_name, persist_result=False)
def report_completion(report_id: UUID | None = None, processes: list[UUID] | None = None) -> State[Any]:
    """Report a class to the ministry's register, in chunks, and keep what it says of each participant.

    The class itself was handed in before, over the API or with `jembatan completions report`: names and
    numbers of persons never pass through here. A register that is away makes the report wait, without a
    worker. Participants whose answer was lost are never sent again blindly.
    Runbook: docs/runbooks/report-completion.md

    Args:
        report_id: Which report, by its id. One that has ended badly is taken up again.
        processes: Filled in by Jembatan where it hands over reports that are due. Leave it empty.
    """
    try:
        with reports_to_work(report_id, processes) as batch:
            steps = report(batch.report_ids)
            return end(batch, steps)
    except Ended as ended:
        return ended.state
