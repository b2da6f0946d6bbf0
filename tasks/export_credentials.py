"""Steps of exporting credentials: take up what is to be worked, bring each batch further, tell people."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import prefect.runtime
from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from common import clock
from common.cells import neutral
from common.errors import BadInput
from credentials import asking, exports
from credentials.asking import Wish
from records import credential_export, process
from records.credential_export import OPEN, PROCESS
from records.db import unit_of_work
from tasks import work
from tasks.retries import ONCE

__all__ = ["PROCESS", "Work", "batches", "end", "export", "exports_to_work", "run_name"]
SHOWN = 100  # exports that an outcome and a table name; the rest is counted
FIRST_WAIT = timedelta(minutes=5)


@dataclass(frozen=True)
class Work:
    """Process runs that this flow run works, and nobody else meanwhile. left: held by another, or ended."""

    run_ids: tuple[UUID, ...]
    left: int = 0


def run_name() -> str:
    """What a flow run is called."""
    asked = prefect.runtime.flow_run.parameters
    if asked.get("processes"):
        return f"export credentials ({len(asked['processes'])} requests)"
    return f"export {asked.get('program_code') or 'credentials'} asked for in Prefect"


@contextmanager
def exports_to_work(
    credential_ids: Sequence[UUID] | None,
    program_code: str,
    targets: Sequence[str] | None,
    processes: Sequence[UUID] | None,
) -> Iterator[Work]:
    """Hold the process runs of a batch alone, or the one that is asked for here; raises work.Ended with what
    to say where there is nothing to do."""
    run_ids = list(processes or ())
    if not run_ids:
        run_ids = [_asked_for_here(credential_ids, program_code, targets)]
    elif credential_ids or program_code:
        raise work.Ended(Failed(message="Give either credentials or processes, not both."))
    with work.batch(run_ids) as runs:
        yield Work(tuple(sorted(run.id for run in runs)), left=len(run_ids) - len(runs))


def _asked_for_here(
    credential_ids: Sequence[UUID] | None, program_code: str, targets: Sequence[str] | None
) -> UUID:
    """Take on what the form of the Prefect UI or the flow-run API asks for; the id of its process run.

    A flow run that begins again, as its first worker died, finds the one that it opened.
    """
    own = work.flow_run_id()
    named = [getattr(target, "value", target) for target in targets or ("open_badge",)]
    try:
        with unit_of_work() as session:
            known = process.of_flow_run(session, PROCESS, own) if own is not None else None
            if known is not None:
                return known.id
            wish = Wish(tuple(credential_ids or ()), program_code.strip() or None, named)
            return asking.ask_for(session, wish, own)[0].id
    except BadInput as refusal:
        with unit_of_work() as session:
            run, _ = process.request(session, PROCESS, f"refused/{own}", {}, own)
            process.start(session, run.id, own)
            process.finish(session, run.id, "failed", error={"type": "refused", "message": str(refusal)})
        raise work.Ended(Failed(message=f"{refusal}.")) from None


def batches(asked: Work) -> Iterator[tuple[str, list[UUID]]]:
    """Every export of these runs that is to be worked now, by target and in batches.

    A target that took nothing of a batch and has some of it wait ends with that batch: the others stay
    queued until the next attempt, and hold no worker.
    """
    for target, where in exports.TARGETS.items():
        after: UUID | None = None
        while True:
            with unit_of_work() as session:
                ids = credential_export.to_work(session, asked.run_ids, target, where.batch, after)
            if not ids:
                break
            yield target, ids
            after = ids[-1]
            with unit_of_work() as session:
                if credential_export.is_put_off(session, ids, target):
                    break


@task(name="export", task_run_name="{target}", **ONCE)
def export(target: str, credential_ids: Sequence[UUID]) -> int:
    """Bring a batch of exports to one target as far as they go now; safe to run again after any line."""
    steps = exports.step(target, credential_ids)
    states = Counter(one.state for one in steps)
    said = ", ".join(f"{number:,} {state.replace('_', ' ')}" for state, number in sorted(states.items()))
    get_run_logger().info("%s: %s", target, said or "nothing left to do")
    return len(steps)


def end(asked: Work) -> State[Any]:
    """End each process run with what became of its exports, and the flow run with all of them."""
    total: Counter[str] = Counter()
    rows: list[dict[str, Any]] = []
    is_waiting = needs_somebody = False
    with unit_of_work() as session:
        for run_id in asked.run_ids:
            run = session.get_one(process.ProcessRun, run_id)
            by_target = credential_export.counted(session, run)
            states: Counter[str] = sum((Counter(states) for states in by_target.values()), Counter())
            total += states
            some = [exports.shown(one) for one in credential_export.some(session, run, SHOWN)]
            rows += some[: SHOWN - len(rows)]
            outcome = {"targets": by_target, "exports": some, "shown": len(some), "of": states.total()}
            stuck = states["needs_attention"] + states["refused"]
            if any(states[state] for state in OPEN):
                is_waiting = True
                until = credential_export.next_attempt(session, run_id) or clock.now() + FIRST_WAIT
                process.wait(session, run_id, until, _waits(states, until))
            elif stuck:
                needs_somebody = True
                message = f"{stuck:,} of {states.total():,} exports need a person: {_first_problem(some)}"
                details = {"type": "needs-attention", "message": message}
                process.finish(session, run_id, "needs_attention", outcome=outcome, error=details)
            else:
                process.finish(session, run_id, "succeeded", outcome=outcome)
    message = ", ".join(f"{number:,} {state.replace('_', ' ')}" for state, number in sorted(total.items()))
    message = f"{message or 'all was done already'}"
    if asked.left:
        message += f"; {asked.left:,} requests ended already or worked by another run"
    _publish(message, rows)
    if needs_somebody:
        return Failed(message=message)
    return Completed(name="Waiting", message=message) if is_waiting else Completed(message=message)


def _waits(states: "Counter[str]", until: datetime) -> dict[str, str]:
    open_ones = sum(states[state] for state in OPEN)
    again = until.astimezone(clock.JAKARTA)
    return {"type": "waiting", "message": f"{open_ones:,} exports go on at {again:%d %b %H:%M} WIB"}


def _first_problem(some: Sequence[dict[str, Any]]) -> str:
    return next((str(one["problem"]) for one in some if one["problem"]), "see each of them")


def _publish(message: str, rows: Sequence[dict[str, Any]]) -> None:
    create_markdown_artifact(
        f"# Exports of credentials\n\n{message}\n", key="exports", description="What became of these exports"
    )
    create_table_artifact(
        [
            {
                "credential": one["links"].get("page") or one["credential_id"],
                "target": one["target"],
                "state": one["state"],
                "why": neutral(one["problem"] or ""),
            }
            for one in rows
        ],
        key="exports-each",
        description=f"Each export, the first {SHOWN}",
    )
