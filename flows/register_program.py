"""Register training programs with the ministry, each once, whatever fails in between."""

from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.register_program import PROCESS, end, programs_to_register, run_name, send
from tasks.work import Ended


@flow(name=PROCESS, flow_run_name=run_name, persist_result=False)
def register_program(
    program_code: str = "",
    lpk_registration_number: str = "",
    program_id: UUID | None = None,
    processes: list[UUID] | None = None,
) -> State[Any]:
    """Register a stored program with SIPLatih, once, or find out what became of it there.

    The program itself is stored first, through our API or the command line. What was sent and not answered is
    looked up by its code before it is sent again; while the register is away it waits without a worker.
    Runbook: docs/runbooks/register-program.md

    Args:
        program_code: Which program, by its code.
        lpk_registration_number: Its LPK, where several have that code.
        program_id: Or which program, by our id.
        processes: Filled in by Jembatan where it hands over programs that were asked for. Leave it empty.
    """
    try:
        with programs_to_register(program_code, lpk_registration_number, program_id, processes) as batch:
            return end(batch, send(batch))
    except Ended as ended:
        return ended.state
