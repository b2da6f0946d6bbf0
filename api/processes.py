"""Process runs for programs: what was asked for, how far it is, how it ended."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from api import cursors, prefect_server
from api.access import REFUSALS, allowed
from api.cursors import Cursor
from api.problem_kinds import OURS, described
from api.problems import not_found
from records.db import unit_of_work
from records.process import ProcessRun

router = APIRouter(
    prefix="/api/v1/processes",
    tags=["processes"],
    dependencies=[Depends(allowed("processes:read"))],
    responses=described(*REFUSALS),
)

State = Literal["queued", "running", "waiting", "succeeded", "failed", "needs_attention"]
_EXAMPLE: JsonDict = {
    "process_id": "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c",
    "process": "reconcile-payments",
    "state": "waiting",
    "attempts": 1,
    "next_attempt_at": "2026-11-24T19:10:00Z",
    "outcome": None,
    "error": {
        "type": "not-reachable",
        "message": "gopay report: no answer within 15 s. Tries again at 02:10 WIB, until 25 Nov 12:00 WIB",
    },
    "flow_run_id": "019ab1c2-8a01-7d02-8d11-3f0c2b7a9e10",
    "flow_run_url": "http://127.0.0.1:4200/runs/flow-run/019ab1c2-8a01-7d02-8d11-3f0c2b7a9e10",
    "created_at": "2026-11-24T19:00:00Z",
    "submitted_at": "2026-11-24T19:00:01Z",
    "started_at": "2026-11-24T19:00:03Z",
    "ended_at": None,
}


class ProcessError(BaseModel):
    """Why the last attempt did not end well."""

    type: str = Field(description="What kind of error; stable, for programs", examples=["not-reachable"])
    message: str = Field(
        description="One sentence, for people; without secrets or personal data",
        examples=["gopay report: no answer within 15 s. Tries again at 02:10 WIB"],
    )


class Process(BaseModel):
    """One process that was asked for. The same trigger twice is one process."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    process_id: UUID = Field(description="Names the process here")
    process: str = Field(description="Which process: the name of its flow")
    state: State = Field(
        description="`waiting`: until `next_attempt_at`; `needs_attention`: its error says what to do"
    )
    attempts: int = Field(description="How often it was begun")
    next_attempt_at: datetime | None = Field(description="When it tries again by itself")
    outcome: dict[str, Any] | None = Field(description="What came of it; its members depend on the process")
    error: ProcessError | None = Field(description="Why the last attempt did not end well")
    flow_run_id: UUID | None = Field(description="The newest flow run that works it")
    flow_run_url: str | None = Field(description="That flow run in the Prefect UI")
    created_at: datetime = Field(description="When it was asked for")
    submitted_at: datetime | None = Field(description="When Prefect took it")
    started_at: datetime | None = Field(description="When its last attempt began")
    ended_at: datetime | None = Field(description="When it ended")


class Processes(BaseModel):
    """A page of processes, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_EXAMPLE], "next_cursor": None}]})

    items: list[Process] = Field(description="The processes of this page")
    next_cursor: str | None = Field(
        description="Give it as `cursor` for the next page; null: this is the last"
    )


@router.get(
    "/{process_id}",
    summary="One process",
    response_description="The process",
    responses=described("not-found", "invalid-request", *OURS),
)
def read_process(
    process_id: Annotated[
        UUID, Path(description="From `status_url`, or the list", examples=[str(_EXAMPLE["process_id"])])
    ],
) -> Process:
    """State, attempts, outcome and error of one process, and its flow run."""
    with unit_of_work() as session:
        run = session.get(ProcessRun, process_id)
        if run is None:
            raise not_found("There is no process with this id.")
        return _process(run)


@router.get(
    "",
    summary="Processes",
    response_description="A page of processes",
    responses=described("invalid-request", "invalid-cursor", *OURS),
)
def list_processes(
    process: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")] | None,
        Query(description="Only this process", examples=["reconcile-payments"]),
    ] = None,
    state: Annotated[State | None, Query(description="Only those in this state")] = None,
    flow_run_id: Annotated[
        UUID | None,
        Query(description="Only the one that this flow run works", examples=[str(_EXAMPLE["flow_run_id"])]),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="How many on a page")] = 50,
    cursor: Cursor = None,
) -> Processes:
    """Processes, newest first, in pages that stay steady while new ones arrive."""
    query = sa.select(ProcessRun)
    if process is not None:
        query = query.where(ProcessRun.process == process)
    if state is not None:
        query = query.where(ProcessRun.state == state)
    if flow_run_id is not None:
        query = query.where(ProcessRun.flow_run_id == flow_run_id)
    if cursor is not None:
        query = query.where(ProcessRun.id < cursors.place(cursor))
    with unit_of_work() as session:
        # The ids are UUIDs of version 7: their order is that of the requests.
        found = list(session.scalars(query.order_by(ProcessRun.id.desc()).limit(limit + 1)))
    more = len(found) > limit
    return Processes(
        items=[_process(run) for run in found[:limit]],
        next_cursor=cursors.cursor(found[limit - 1].id) if more else None,
    )


def _process(run: ProcessRun) -> Process:
    return Process(
        process_id=run.id,
        flow_run_url=prefect_server.flow_run_url(run.flow_run_id) if run.flow_run_id else None,
        error=ProcessError.model_validate(run.error) if run.error else None,
        **{
            name: getattr(run, name)
            for name in Process.model_fields.keys() - {"process_id", "flow_run_url", "error"}
        },
    )
