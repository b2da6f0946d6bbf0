"""Give money back for payments, each refund once, whatever fails in between."""

from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.refund_payment import PROCESS, end, give_back, refunds_to_work, run_name
from tasks.work import Ended


@flow(name=PROCESS, flow_run_name=run_name, persist_result=False)
def refund_payment(
    payment_id: UUID | None = None,
    amount: int | None = None,
    reason: str = "",
    refund_key: str = "",
    requested_by: str = "prefect-ui",
    processes: list[UUID] | None = None,
) -> State[Any]:
    """Give money back for a payment, once, and follow it until the bank has moved it.

    The money is set aside first, then the gateway is asked, always by the same key. Above the limit a second
    person has to approve it, in the console, the API or on the command line, before anything is sent. What
    takes longer waits without a worker and is taken up again.
    Runbook: docs/runbooks/refund-payment.md

    Args:
        payment_id: Which payment, by its id.
        amount: Whole rupiah. None means all that is left.
        reason: Why, in a few words for the gateway; nothing personal.
        refund_key: Your name for this refund, 1 to 64 of A-Z a-z 0-9 _ -. Again it is the same refund.
        requested_by: Who asks: the name by which you would approve. Who asks may not approve.
        processes: Filled in by Jembatan where it hands over refunds that were asked for. Leave it empty.
    """
    try:
        with refunds_to_work(payment_id, amount, reason, refund_key, requested_by, processes) as batch:
            steps = give_back(batch.refund_ids)
            return end(batch, steps)
    except Ended as ended:
        return ended.state
