"""Bring credentials to where their learners can show them, each target of each once."""

from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State

from flows.target import Target
from tasks.export_credentials import PROCESS, batches, end, export, exports_to_work, run_name
from tasks.work import Ended


@flow(name=PROCESS, flow_run_name=run_name, persist_result=False)
def export_credentials(
    credential_ids: list[UUID] | None = None,
    program_code: str = "",
    targets: list[Target] | None = None,
    processes: list[UUID] | None = None,
) -> State[Any]:
    """Export credentials to one or more targets: sign Open Badges, deliver European ones, share on LinkedIn.

    Each target of each credential is done once: what is done already stays as it is, whoever asks again.
    New credentials are exported by themselves. LinkedIn: only what its learner agreed to share.
    Runbook: docs/runbooks/export-credentials.md

    Args:
        credential_ids: Which credentials, by their ids. Leave it empty to name a program.
        program_code: All credentials of this program.
        targets: Where to. None means open_badge.
        processes: Filled in by Jembatan where it hands over exports that were asked for. Leave it empty.
    """
    try:
        with exports_to_work(credential_ids, program_code, targets, processes) as work:
            for target, ids in batches(work):
                export(target, ids)
            return end(work)
    except Ended as ended:
        return ended.state
