"""The sweep of one gateway: 10,000 open payments, half of them paid at the gateway without our knowing.

The gateway's pace is set so high that it does not count; what is measured is `checkout.sweep.sweep` in a
process of its own, from its call to its counts, everything recorded.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.payments import messages
from benchmarks.payments.stage import Cores, Stage, UnderWay, check, put_into_ledger, stage
from checkout import gateways
from checkout.sweep import Swept, sweep
from records import db

PAYMENTS = 10_000


@dataclass(frozen=True)
class Round:
    """One sweep. others: cores that other work on the machine kept busy meanwhile."""

    seconds: float
    others: float

    @property
    def per_second(self) -> float:
        """Status calls a second, recorded."""
        return PAYMENTS / self.seconds


def measure(folder: Path, rounds: int) -> dict[str, list[Round]]:
    """Rounds of each gateway, each with payments of its own, all on one stage. Raises WrongAnswer."""
    batches = {
        gateway: [
            [
                UnderWay(gateway, f"S-{gateway}-{batch}-{number}", is_paid=number % 2 == 0)
                for number in range(PAYMENTS)
            ]
            for batch in range(rounds)
        ]
        for gateway in messages.GATEWAYS
    }
    everything = [one for some in batches.values() for batch in some for one in batch]
    with stage(folder, api=False, at_sandbox=everything) as on:
        try:
            return {
                gateway: [_round(on, gateway, batch) for batch in some] for gateway, some in batches.items()
            }
        finally:
            gateways.close_all()
            db.engine(on.database_url).dispose()


def _round(on: Stage, gateway: str, payments: list[UnderWay]) -> Round:
    with db.connection() as connection:  # those of the round before have had their turn
        connection.execute("UPDATE payments SET next_status_at = NULL")
    put_into_ledger(on.client_id, payments)
    calls = on.calls(gateway, "status")
    cores, start = Cores(), time.perf_counter()
    counts = sweep(gateway, 2 * PAYMENTS)
    seconds = time.perf_counter() - start
    _, others = cores.look()
    asked = on.calls(gateway, "status") - calls
    check(asked == PAYMENTS, f"the gateway was asked {asked:,} times about {PAYMENTS:,} payments")
    paid = {one.reference for one in payments if one.is_paid}
    right = Swept(swept=PAYMENTS, healed=len(paid))
    check(counts == right, f"the sweep counts {counts} where {right} is true")
    _check_ledger(on, payments, paid)
    return Round(seconds, others)


def _check_ledger(on: Stage, payments: list[UnderWay], paid: set[str]) -> None:
    """Who is paid at the gateway is paid here, with one event; the others are pending, untouched."""
    references = [one.reference for one in payments]
    for status, right in (("paid", paid), ("pending", set(references) - paid)):
        found = on.scalar(
            "SELECT string_agg(reference, ' ') FROM payments WHERE reference = ANY(%s) AND status = %s"
            " AND asked_at IS NOT NULL AND answered_at IS NOT NULL",
            references,
            status,
        )
        check(set((found or "").split()) == right, f"the wrong payments are {status}")
    events = on.scalar(
        "SELECT count(*) FROM payment_events e JOIN payments p ON p.id = e.payment_id"
        " WHERE p.reference = ANY(%s)",
        references,
    )
    check(events == len(paid), f"{events:,} events tell of {len(paid):,} moves")
