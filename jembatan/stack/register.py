"""Registers what prefect.yaml says, as a program: `python -m jembatan.stack.register prefect.yaml`.

The work is Prefect's own `deploy --all`, so what is registered here is what is registered in production.
Before it: the work pool, a look at schedules that people added, and (`--only-worker`, said by who may have
the home's only worker) the runs that were cut off when the last one ended.
"""

import runpy
import sys
import time
from contextlib import suppress
from datetime import datetime

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.states import Crashed
from prefect.utilities.processutils import command_to_string
from prefect.workers.process import ProcessWorker

from common import clock
from deployments.names import WORK_POOL
from jembatan.runs import start

ONLY_WORKER = "--only-worker"
PATIENCE = 120.0  # seconds for the server to come up


def main() -> None:
    """Wait for the server, make the pool, deploy all."""
    began = clock.now()
    file, *options = sys.argv[1:]
    with get_client(sync_client=True) as client:
        _wait_for(client)
        if ONLY_WORKER in options:
            _end_cut_off_runs(client, began)
        _make_pool(client)
        _name_schedules(client)
    sys.argv = ["prefect", "--no-prompt", "deploy", "--all", "--prefect-file", file]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


def _wait_for(client: SyncPrefectClient) -> None:
    until = time.monotonic() + PATIENCE
    while (problem := client.api_healthcheck()) is not None:
        if time.monotonic() > until:
            raise problem
        time.sleep(0.1)


def _make_pool(client: SyncPrefectClient) -> None:
    """A process pool whose runs start with this very Python, from the nursery where its worker has one.
    Without a command of its own Prefect first starts a second Python to find out which one to start: a second
    more for each run."""
    template = ProcessWorker.get_default_base_job_template()
    template["variables"]["properties"]["command"]["default"] = command_to_string(
        [sys.executable, "-I", "-S", start.__file__]
    )
    try:  # an existing one may be paused or limited by a person: that stays
        client.update_work_pool(WORK_POOL, WorkPoolUpdate(base_job_template=template))
    except ObjectNotFound:
        with suppress(ObjectAlreadyExists):  # the worker makes one as well
            client.create_work_pool(
                WorkPoolCreate(name=WORK_POOL, type="process", base_job_template=template)
            )


def _name_schedules(client: SyncPrefectClient) -> None:
    """Give a slug to schedules that people added in the UI. As long as one has none, a deploy throws all of
    a deployment's schedules away and makes those of the file anew, active, though a person paused them."""
    for deployment in client.read_deployments():
        for schedule in deployment.schedules:
            if schedule.slug is None:
                client.update_deployment_schedule(deployment.id, schedule.id, slug=f"added-{schedule.id}")


def _end_cut_off_runs(client: SyncPrefectClient, began: datetime) -> None:
    """What the pool had under way before we began has ended: say so, or it shows as running for ever."""
    under_way = FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING, StateType.CANCELLING])
    found = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=under_way)),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[WORK_POOL])),
    )
    for run in found:
        if run.state is not None and run.state.timestamp < began:
            message = "Cut off: the stack was stopped or killed while this run was under way."
            client.set_flow_run_state(run.id, Crashed(message=message), force=True)


if __name__ == "__main__":
    main()
