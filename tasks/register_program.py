"""Steps of registering programs: take up what is to be worked, bring each a step further, tell people."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import prefect.runtime
import sqlalchemy as sa
from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from common import clock
from common.cells import neutral
from ministry import registering
from ministry.registering import Step
from records import process
from records.db import unit_of_work
from records.process import ProcessRun
from records.program import PROCESS, Program, ProgramVersion
from tasks import work
from tasks.retries import ONCE

__all__ = ["PROCESS", "Batch", "end", "programs_to_register", "run_name", "send"]
TABLE_ROWS = 200


@dataclass(frozen=True)
class Batch:
    """Processes that this flow run works, and nobody else meanwhile, in the order in which they were asked
    for. left: how many are held by another run or have ended."""

    run_ids: tuple[UUID, ...]
    left: int = 0


def run_name() -> str:
    """What a flow run is called: the program's code, or how many there are."""
    asked = prefect.runtime.flow_run.parameters
    if asked.get("processes"):
        return f"programs ({len(asked['processes'])})"
    return f"program {asked.get('program_code') or asked.get('program_id') or '?'}"


@contextmanager
def programs_to_register(
    program_code: str, lpk_registration_number: str, program_id: UUID | None, processes: Sequence[UUID] | None
) -> Iterator[Batch]:
    """Hold the programs of a batch alone, or the stored one that is named; raises work.Ended with what to say
    where there is nothing to do."""
    is_named = bool(program_code.strip()) or program_id is not None
    if processes and is_named:
        raise work.Ended(Failed(message="Name either a program or processes, not both."))
    run_ids = list(processes or ()) or [_named(program_code, lpk_registration_number, program_id)]
    with work.batch(run_ids) as runs:
        yield Batch(tuple(run.id for run in runs), left=len(run_ids) - len(runs))


def _named(program_code: str, lpk_registration_number: str, program_id: UUID | None) -> UUID:
    """The process of the stored program that a person named; one that ended badly is taken up again."""
    query = sa.select(ProgramVersion, Program, ProcessRun).join(Program).join(ProcessRun)
    if program_id is not None:
        query = query.where(Program.id == program_id)
    else:
        query = query.where(Program.program_code == program_code.strip())
    if lpk_registration_number.strip():
        query = query.where(Program.lpk_registration_number == lpk_registration_number.strip())
    with unit_of_work() as session:
        rows = session.execute(query.order_by(ProgramVersion.version.desc()).limit(50)).all()
        if not rows:
            raise work.Ended(
                Failed(
                    message="There is no such program. Store it first: POST /api/v1/integrations/siplatih/"
                    "register, or `jembatan programs register`."
                )
            )
        if len({program.id for _, program, _ in rows}) > 1:
            raise work.Ended(Failed(message="Several LPK have this code: name the LPK's number too."))
        version, program, run = rows[0]
        if version.status == "registered":
            message = f"{program.program_code} is registered already, as {program.siplatih_program_id}"
            raise work.Ended(Completed(name="Skipped", message=message))
        if run.state in ("failed", "needs_attention"):
            process.retry(session, run.id)
        return run.id


@task(name="send", **ONCE)
def send(batch: Batch) -> list[Step]:
    """Bring each program as far as it goes now: send it, or ask the register what became of it."""
    steps = registering.work(work.in_order(batch.run_ids))
    log = get_run_logger()
    for one in steps:
        if one.next != "ended" or one.kind:
            log.info("%s: %s %s", one.program_code, one.status, one.sentence)
    return steps


def end(batch: Batch, steps: Sequence[Step]) -> State[Any]:
    """End the flow run with what became of each; every program's process has its own state already."""
    counts = Counter(one.status if one.next == "ended" else f"{one.next} ({one.status})" for one in steps)
    parts = [f"{number:,} {status.replace('_', ' ')}" for status, number in sorted(counts.items())]
    if batch.left:
        parts.append(f"{batch.left:,} ended already or worked by another run")
    if len(steps) == 1:
        one = steps[0]
        number = f" as {one.siplatih_program_id}" if one.status == "registered" else ""
        message = f"{one.program_code}: {one.status}{number}" + (f". {one.sentence}" if one.sentence else "")
    else:
        message = f"{len(steps):,} programs: {', '.join(parts)}"
    _publish(message, steps)
    if any(one.next == "needs_attention" for one in steps) or (
        len(steps) == 1 and steps[0].kind == "rejected"
    ):
        return Failed(message=message)
    if any(one.next == "waits" for one in steps):
        return Completed(name="Waiting", message=message)
    return Completed(message=message)


def _publish(message: str, steps: Sequence[Step]) -> None:
    create_markdown_artifact(
        f"# Programs\n\n{message}\n", key="programs", description="What became of these programs"
    )
    create_table_artifact(
        [_row(one) for one in steps[:TABLE_ROWS]],
        key="programs-each",
        description=f"Each program, the first {TABLE_ROWS}",
    )


def _row(one: Step) -> dict[str, str]:
    again = f"{one.until.astimezone(clock.JAKARTA):%d %b %H:%M} WIB" if one.until else ""
    return {
        "program": neutral(one.program_code),
        "status": one.status,
        "number": neutral(one.siplatih_program_id or ""),
        "why": neutral(one.sentence),
        "next attempt": again,
    }
