"""Ask the gateways about every payment that is not final, so that a lost message is healed in minutes."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.wallet import Wallet
from tasks.sweep_payments import PROCESS, ask_gateway, end, forget_late, round_to_make
from tasks.work import Ended


@flow(name=PROCESS, persist_result=False)
def sweep_payments(gateway: Wallet | None = None, limit: int = 20_000) -> State[Any]:
    """Ask about every payment that is not final, heal what its gateway knows better, expire what is over.

    Each gateway is asked by its own timetable: not before it allows, then in growing gaps, to the payment's
    end and beyond. Runs each minute by schedule; one that finds another at work does nothing.
    Runbook: docs/runbooks/payments.md

    Args:
        gateway: Whose payments. None means all gateways.
        limit: The most payments that are asked about at each gateway in this run.
    """
    try:
        with round_to_make(gateway) as round_:
            forget_late()
            asked = {name: ask_gateway.submit(name, limit) for name in round_.gateways}  # side by side
            return end(round_, {name: counts.result() for name, counts in asked.items()})
    except Ended as ended:
        return ended.state
