"""Steps of checking credentials at the ministry's register: take up what was asked, ask, tell people."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import prefect.runtime
from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from ministry import checking
from ministry.checking import Step
from records import process
from records.credential_check import PROCESS, CredentialCheck
from records.db import unit_of_work
from tasks import work
from tasks.retries import ONCE

__all__ = ["PROCESS", "ask", "checks_to_make", "end", "run_name"]


def run_name() -> str:
    """What a flow run is called: the check, or how many there are."""
    asked = prefect.runtime.flow_run.parameters
    if asked.get("processes"):
        return f"credential checks ({len(asked['processes'])})"
    return f"credential check {asked.get('check_id') or '?'}"


@contextmanager
def checks_to_make(check_id: UUID | None, processes: Sequence[UUID] | None) -> Iterator[list[UUID]]:
    """Hold the checks of a batch alone, or the stored one that is named, and give their processes; raises
    work.Ended with what to say where there is nothing to do."""
    if processes and check_id is not None:
        raise work.Ended(Failed(message="Give either a check_id or processes, not both."))
    with work.batch(list(processes or ()) or [_named(check_id)]) as runs:
        yield [run.id for run in runs]


def _named(check_id: UUID | None) -> UUID:
    """The process of the check that a person named; one that ended badly is taken up again."""
    with unit_of_work() as session:
        check = session.get(CredentialCheck, check_id) if check_id else None
        if check is None:
            raise work.Ended(
                Failed(
                    message="There is no such check: POST /api/v1/integrations/siplatih/verify-credential."
                )
            )
        process.retry(session, check.process_run_id)
        return check.process_run_id


@task(name="ask", **ONCE)
def ask(run_ids: Sequence[UUID]) -> list[Step]:
    """Ask the register about each credential."""
    return checking.work(work.in_order(run_ids))


def end(steps: Sequence[Step]) -> State[Any]:
    """End the flow run with what became of each; every check's process has its own state already."""
    one = steps[0]
    if len(steps) == 1:
        message = f"{one.credential_id}: {one.status.replace('_', ' ')}. {one.sentence}"
    else:
        counts = Counter(one.status if one.state == "succeeded" else one.state for one in steps)
        parts = [f"{number:,} {word.replace('_', ' ')}" for word, number in sorted(counts.items())]
        message = f"{len(steps):,} credentials: {', '.join(parts)}"
    create_markdown_artifact(
        f"# Credentials\n\n{message}\n", key="credential-checks", description="What the register says"
    )
    if any(one.state == "needs_attention" for one in steps):
        return Failed(message=message)
    if any(one.state == "waiting" for one in steps):
        return Completed(name="Waiting", message=message)
    return Completed(message=message)
