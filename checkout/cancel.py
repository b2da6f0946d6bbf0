"""Cancel a payment that is still open, at its gateway first."""

from uuid import UUID

from checkout import ask
from checkout.create import Refusal
from checkout.gateways import gateway
from common.errors import Ambiguous, ProviderError, Rejected
from records import charge, payment
from records.db import unit_of_work
from records.payment import Payment


def cancel(payment_id: UUID, *, cause: str = "api", expire: bool = False) -> Payment:
    """Cancel the charge, or let it expire; returns the payment as it is afterwards.

    Raises Refusal (`not-cancellable`, `gateway-unavailable`). A charge that was paid meanwhile stays paid.
    """
    with unit_of_work() as session:
        found = session.get_one(Payment, payment_id)
        external_id = session.scalar(charge.NEXT_EXTERNAL_ID)
    opened = gateway(found.gateway)
    if found.status == "cancelled":
        return found
    if found.status != "pending":
        raise Refusal(
            "not-cancellable", None, f"Only a pending payment can be cancelled; this is {found.status}."
        )
    if not opened.capabilities.cancel:
        raise Refusal(
            "not-cancellable",
            None,
            f"{found.gateway} cannot cancel a charge. It ends by itself at its `expires_at`.",
        )
    try:
        said = opened.cancel_charge(
            found.reference, external_id or "", expire=expire, gateway_reference=found.gateway_reference
        )
    except (Ambiguous, Rejected) as error:
        asked = ask.ask(payment_id, cause=cause, source="cancel")
        if asked.said is None:
            raise Refusal("gateway-unavailable", None, f"{error}. Ask for the payment again.") from None
        return asked.payment
    except ProviderError as error:
        raise Refusal("gateway-unavailable", None, f"{error}. Nothing was cancelled; try again.") from None
    with unit_of_work() as session:
        after = payment.locked(session, payment_id)
        ask.settle(session, after, said, cause=cause, source="cancel")
        return after
