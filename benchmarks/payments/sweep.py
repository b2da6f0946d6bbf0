"""The sweep of one gateway: 10,000 open payments, half of them paid at the gateway without our knowing.

The gateway's pace is set so high that it does not count; what is measured is `checkout.sweep.sweep` in a
process of its own, from its call to its counts, everything recorded. A sweep ends after its time
(checkout.sweep.SECONDS), however far it came: on a slow machine that is a low rate, and no wrong answer.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.payments import messages
from benchmarks.payments.stage import Cores, Stage, UnderWay, check, put_into_ledger, stage
from checkout import gateways
from checkout.sweep import SECONDS, Swept, sweep
from records import db

PAYMENTS = 10_000


@dataclass(frozen=True)
class Round:
    """One sweep. asked: payments that it came to; others: cores that other work kept busy meanwhile."""

    seconds: float
    asked: int
    others: float

    @property
    def per_second(self) -> float:
        """Status calls a second, recorded."""
        return self.asked / self.seconds


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
    check(asked == counts.swept, f"the gateway was asked {asked:,} times about {counts.swept:,} payments")
    is_whole = asked == PAYMENTS or (seconds > SECONDS and asked < PAYMENTS)
    check(is_whole, f"the sweep ended after {asked:,} of {PAYMENTS:,} payments and {seconds:.0f} s")
    right = Swept(swept=asked, healed=_check_ledger(on, payments, asked))
    check(counts == right, f"the sweep counts {counts} where {right} is true")
    return Round(seconds, asked, others)


def _check_ledger(on: Stage, payments: list[UnderWay], asked: int) -> int:
    """Of those that were asked about, who is paid at the gateway is paid here, with one event; all others are
    pending, untouched. Returns how many became paid."""
    references = [one.reference for one in payments]
    known = set(_references(on, references, "answered_at IS NOT NULL AND asked_at IS NOT NULL"))
    check(len(known) == asked, f"{len(known):,} payments know of {asked:,} answers")
    paid = {one.reference for one in payments if one.is_paid} & known
    for status, right in (("paid", paid), ("pending", set(references) - paid)):
        found = set(_references(on, references, f"status = '{status}'"))
        check(found == right, f"the wrong payments are {status}")
    events = on.scalar(
        "SELECT count(*) FROM payment_events e JOIN payments p ON p.id = e.payment_id"
        " WHERE p.reference = ANY(%s)",
        references,
    )
    check(events == len(paid), f"{events:,} events tell of {len(paid):,} moves")
    return len(paid)


def _references(on: Stage, references: list[str], condition: str) -> list[str]:
    query = "SELECT string_agg(reference, ' ') FROM payments WHERE reference = ANY(%s) AND "
    return (on.scalar(query + condition, references) or "").split()
