"""Steps of giving money back: take up what is to be worked, bring each refund a step further, tell people."""

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

from checkout import giving_back
from checkout.create import Refusal
from checkout.giving_back import Step
from checkout.refund import Wish, ask_for
from common import clock, money
from common.cells import neutral
from common.errors import BadInput
from records import approval, process
from records.approval import NobodyNamed
from records.db import unit_of_work
from records.refund import PROCESS, Refund
from tasks import work
from tasks.retries import ONCE

__all__ = ["PROCESS", "Batch", "end", "give_back", "refunds_to_work", "run_name"]
TABLE_ROWS = 200


@dataclass(frozen=True)
class Batch:
    """Refunds that this flow run works, and nobody else meanwhile. left: held by another run or ended."""

    refund_ids: tuple[UUID, ...]
    left: int = 0


def run_name() -> str:
    """What a flow run is called: the payment's refund, or how many of them."""
    asked = prefect.runtime.flow_run.parameters
    if asked.get("processes"):
        return f"refunds ({len(asked['processes'])})"
    return f"refund {asked.get('refund_key') or 'asked for in Prefect'}"


@contextmanager
def refunds_to_work(
    payment_id: UUID | None,
    amount: int | None,
    reason: str,
    refund_key: str,
    requested_by: str,
    processes: Sequence[UUID] | None,
) -> Iterator[Batch]:
    """Hold the refunds of a batch alone, or the one that is asked for here; raises work.Ended with what to
    say where there is nothing to do."""
    run_ids = list(processes or ())
    if not run_ids:
        run_ids = [_asked_for_here(payment_id, amount, reason, refund_key, requested_by)]
    elif payment_id is not None:
        raise work.Ended(Failed(message="Give either a payment_id or processes, not both."))
    with work.batch(run_ids) as runs:
        of_runs = [run.id for run in runs]
        with unit_of_work() as session:
            ids = session.scalars(sa.select(Refund.id).where(Refund.process_run_id.in_(of_runs)))
            refund_ids = tuple(sorted(ids))
        yield Batch(refund_ids, left=len(run_ids) - len(refund_ids))


def _asked_for_here(
    payment_id: UUID | None, amount: int | None, reason: str, refund_key: str, requested_by: str
) -> UUID:
    """Ask for a refund from the form of the Prefect UI or the flow-run API; the id of its process run.

    What cannot be done ends the flow run with the reason. So does what waits for a second person: that starts
    a run of its own.
    """
    own = work.flow_run_id()
    try:
        if payment_id is None:
            raise BadInput("a payment_id is needed")
        minor = None if amount is None else amount * money.MINOR_PER_UNIT
        by = approval.actor("operator", requested_by)
        with unit_of_work() as session:
            asked = ask_for(session, payment_id, Wish(refund_key, minor, reason, by), flow_run_id=own)
    except (Refusal, NobodyNamed, BadInput) as refusal:
        raise work.Ended(_refused(own, str(refusal))) from None
    except sa.exc.NoResultFound:
        raise work.Ended(_refused(own, f"there is no payment {payment_id}")) from None
    if asked.approval is not None:
        waits = (asked.run.error or {}).get("message", "")
        raise work.Ended(Completed(name="Waiting", message=f"{waits}. Who asked may not approve."))
    return asked.run.id


def _refused(own: UUID | None, sentence: str) -> State[Any]:
    """Leave a row behind that says why there is no refund."""
    with unit_of_work() as session:
        run, _ = process.request(session, PROCESS, f"refused/{own}", {}, own)
        process.start(session, run.id, own)
        process.finish(session, run.id, "failed", error={"type": "refused", "message": sentence})
    return Failed(message=sentence)


@task(name="give back", **ONCE)
def give_back(refund_ids: Sequence[UUID]) -> list[Step]:
    """Bring each refund as far as it goes now: ask the gateway, or ask what became of it."""
    steps = giving_back.step_all(refund_ids)
    log = get_run_logger()
    for one in steps:
        log.info("%s: %s %s", one.reference, one.status, one.sentence)
    return steps


def end(batch: Batch, steps: Sequence[Step]) -> State[Any]:
    """End the flow run with what became of each; every refund's process has its own state already."""
    counts = Counter(one.status for one in steps)
    parts = [f"{number:,} {status.replace('_', ' ')}" for status, number in sorted(counts.items())]
    if batch.left:
        parts.append(f"{batch.left:,} ended already or worked by another run")
    one = steps[0]
    message = (
        f"{one.reference}: {money.rupiah(one.amount_minor)} {one.status.replace('_', ' ')}"
        if len(steps) == 1
        else f"{len(steps):,} refunds: {', '.join(parts)}"
    )
    if len(steps) == 1 and one.sentence:
        message += f". {one.sentence}"
    _publish(message, steps)
    with_trouble = [one for one in steps if one.next == "needs_attention"]
    is_refused = len(steps) == 1 and one.status == "refused"
    if with_trouble or is_refused:
        return Failed(message=message)
    if any(one.next == "waits" for one in steps):
        return Completed(name="Waiting", message=message)
    return Completed(message=message)


def _publish(message: str, steps: Sequence[Step]) -> None:
    create_markdown_artifact(
        f"# Refunds\n\n{message}\n", key="refunds", description="What became of these refunds"
    )
    create_table_artifact(
        [_row(one) for one in steps[:TABLE_ROWS]],
        key="refunds-each",
        description=f"Each refund, the first {TABLE_ROWS}",
    )


def _row(one: Step) -> dict[str, str]:
    again = f"{one.until.astimezone(clock.JAKARTA):%d %b %H:%M} WIB" if one.until else ""
    return {
        "payment": neutral(one.reference),
        "amount": money.rupiah(one.amount_minor),
        "status": one.status,
        "why": neutral(one.sentence),
        "next look": again,
    }
