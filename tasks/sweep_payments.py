"""Steps of the sweep: ask each gateway about what is open, and count what came of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect import get_run_logger, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType
from prefect.states import Cancelled

from checkout import sweep as checkout_sweep
from checkout.sweep import Swept
from common import clock
from common.errors import BadInput
from common.settings import GATEWAYS
from records import charge, process, retention
from records.db import unit_of_work
from tasks import work
from tasks.retries import ONCE

PROCESS = "sweep-payments"
KEPT_FOR = timedelta(days=7)  # a run a minute: only the newest are of use
LATE_AFTER = timedelta(seconds=90)
GIVE_UP_AFTER = timedelta(0)  # the next minute's run is the next try


@dataclass(frozen=True)
class Round:
    """One sweep: its process run, and which gateways it asks."""

    run_id: UUID
    gateways: tuple[str, ...]


@contextmanager
def round_to_make(gateway: str | None) -> Iterator[Round]:
    """Open the process run of this sweep and hold it alone; raises work.Ended with what to say."""
    run = work.join(PROCESS, lambda own: own, {"gateway": gateway})
    with work.attempt(run, PROCESS, give_up_after=GIVE_UP_AFTER, skip_if_busy=True):
        asked = run.input.get("gateway")
        if asked is not None and asked not in GATEWAYS:
            raise BadInput(f"there is no gateway {asked!r}; there are {', '.join(GATEWAYS)}")
        yield Round(run.id, (asked,) if asked else GATEWAYS)


@task(name="forget late rounds", **ONCE)
def forget_late() -> int:
    """Cancel the rounds that were due while no worker was there: this one does their work. Without it a
    day without a worker would be followed by an hour of rounds that find nothing."""
    own = work.flow_run_id()
    if own is None:
        return 0
    late = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        expected_start_time=FlowRunFilterExpectedStartTime(before_=clock.now() - LATE_AFTER),
    )
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[PROCESS])), flow_run_filter=late, limit=200
        )
        for run in found:
            if run.id != own and run.auto_scheduled:
                client.set_flow_run_state(
                    run.id, Cancelled(message="A later round did its work."), force=True
                )
    return len(found)


@task(name="ask", task_run_name="ask {gateway}", **ONCE)
def ask_gateway(gateway: str, limit: int) -> dict[str, Any]:
    """Ask one gateway about every payment that is due, and move those that it speaks of.

    One that is not set up rightly is named in the counts; the others are asked all the same.
    """
    try:
        return asdict(checkout_sweep.sweep(gateway, limit)) | {"problem": None}
    except BadInput as error:
        get_run_logger().error("%s cannot be asked: %s", gateway, error)
        return asdict(Swept()) | {"problem": str(error)}


def end(round_: Round, counts: dict[str, dict[str, Any]]) -> State[Any]:
    """End the sweep with its proof: swept, healed, still open, and since when the oldest is."""
    with unit_of_work() as session:
        process.forget(session, PROCESS, clock.now() - KEPT_FOR)
        retention.forget_old(session)
        still = charge.still_open(session)
    together = Swept(**{name: sum(one[name] for one in counts.values()) for name in asdict(Swept())})
    outcome = asdict(together) | {
        "still_open": still.count,
        "oldest": still.oldest.isoformat() if still.oldest else None,
        "gateways": counts,
    }
    parts = [f"swept {together.swept:,}", f"{together.healed:,} healed"]
    if together.expired:
        parts.append(f"{together.expired:,} of them expired")
    parts += [f"{name} cannot be asked: {one['problem']}" for name, one in counts.items() if one["problem"]]
    if together.unanswered:
        parts.append(f"{together.unanswered:,} without an answer")
    oldest = (
        f", the oldest since {still.oldest.astimezone(clock.JAKARTA):%d %b %H:%M} WIB" if still.oldest else ""
    )
    parts.append(f"{still.count:,} still open{oldest}")
    return work.succeed(round_.run_id, outcome, " · ".join(parts))
