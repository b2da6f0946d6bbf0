"""Steps of the look at every learner's programs: look and record, tell people."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import prefect.runtime
from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State

from common import clock
from common.cells import neutral
from common.settings import settings
from records import entitlement, entitlement_look
from records.db import connection, unit_of_work
from records.entitlement import CLASSES, PROCESS, EntitlementRun, Filter
from records.entitlement_look import Rules
from tasks import work
from tasks.retries import ONCE

__all__ = ["PROCESS", "end", "is_recorded", "look", "look_to_take", "run_name", "tell"]
TABLE_ROWS = 100
GIVE_UP_AFTER = timedelta(0)  # the next night's look sees all that this one would have seen


def run_name() -> str:
    """What a flow run is called: the night it is of."""
    return f"entitlements {_night().isoformat()}"


@contextmanager
def look_to_take(skip_if_done: bool) -> Iterator[UUID]:
    """Open or join the process run of this look and hold it alone; raises work.Ended with what to say."""
    night = _night().isoformat()
    run = work.join(PROCESS, lambda own: night if skip_if_done else f"{night}/{own}", {})
    with work.attempt(run, PROCESS, give_up_after=GIVE_UP_AFTER, skip_if_busy=skip_if_done):
        yield run.id


def is_recorded(run_id: UUID) -> bool:
    """Whether an earlier attempt of this process run came as far as a record whose proof balances."""
    with unit_of_work() as session:
        run = session.get(EntitlementRun, run_id)
        return run is not None and run.is_balanced


@task(name="look and record", **ONCE)
def look(run_id: UUID) -> None:
    """Look at every pair of learner and program, and record findings and proof, whole or not at all."""
    with connection() as db:
        entitlement_look.take(db, run_id, Rules.of(settings().entitlements), clock.now())


@task(name="tell", **ONCE)
def tell(run_id: UUID) -> dict[str, Any]:
    """Put the counts where people look, beside the flow run; returns the process run's outcome."""
    with unit_of_work() as session:
        run = session.get_one(EntitlementRun, run_id)
        outcome = entitlement.run_as_json(run) | {
            "open": sum(entitlement.open_of(session).values()),
            "page": settings().page_url("/console/learners"),
        }
        first = entitlement.page(session, Filter(), limit=TABLE_ROWS)
    create_markdown_artifact(_markdown(outcome), key="entitlements", description="Learners and programs")
    create_table_artifact(
        [
            {
                "finding": str(one.id),
                "class": one.class_,
                "program": neutral(one.program_code),
                "since": f"{one.since.astimezone(clock.JAKARTA):%d %b %Y %H:%M} WIB",
            }
            for one in first
        ]
        or [{"findings": "none"}],
        key="entitlements-findings",
        description=f"Open findings, the first {TABLE_ROWS}; all of them are on the page",
    )
    create_link_artifact(outcome["page"], link_text="Learners", key="entitlements-page")
    return outcome


def end(run_id: UUID, outcome: dict[str, Any]) -> State[Any]:
    """End the process run with its outcome; the flow run's final state says it in one line."""
    message = summary(outcome)
    if outcome["balanced"]:
        return work.succeed(run_id, outcome, message)
    sentence = f"The proof does not balance: rely on nothing of it, and tell the developers · {message}"
    return work.fail(run_id, "proof", sentence, outcome)


def summary(outcome: dict[str, Any]) -> str:
    """One line for people, like `looked at 10,000 programs of learners · 9,950 in order · 12 differ: …`."""
    parts = [f"looked at {outcome['pairs']:,} programs of learners", f"{outcome['in_order']:,} in order"]
    if outcome["awaited"]:
        parts.append(f"{outcome['awaited']:,} within their grace")
    found = {name: outcome["classes"][name]["found"] for name in CLASSES}
    named = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in found.items() if count)
    parts.append(f"{outcome['differing']:,} differ{f': {named}' if named else ''}")
    for word in ("opened", "resolved"):
        count = sum(outcome["classes"][name][word] for name in CLASSES)
        if count:
            parts.append(f"{count:,} {word}")
    return " · ".join(parts)


def _night() -> date:
    """The night that this run was due in, also where it starts late."""
    return clock.business_date(prefect.runtime.flow_run.scheduled_start_time or clock.now())


def _markdown(outcome: dict[str, Any]) -> str:
    columns = ("found", "opened", "still_open", "explained", "resolved", "awaited")
    lines = [
        f"# Learners and their programs, {outcome['looked_at']}",
        "",
        "✅ The proof balances." if outcome["balanced"] else "❌ **The proof does not balance.**",
        f"{outcome['pairs']:,} pairs of learner and program were looked at, each once: "
        f"{outcome['in_order']:,} in order, {outcome['awaited']:,} within their grace, "
        f"{outcome['differing']:,} differ.",
        "",
        f"| class | {' | '.join(name.replace('_', ' ') for name in columns)} |",
        f"|---|{'---:|' * len(columns)}",
    ]
    for name in CLASSES:
        counts = outcome["classes"][name]
        lines.append(f"| {name} | {' | '.join(f'{counts[column]:,}' for column in columns)} |")
    left = outcome["left_out"]
    lines += [
        "",
        f"Left out, as they name no learner or no program: {left['payments']:,} payments, "
        f"{left['completions']:,} completions.",
    ]
    return "\n".join(lines)
