"""Of two charges for one order, which goes back: the later one, as long as the other can carry the order."""

from dataclasses import dataclass
from datetime import datetime

from records.exceptions import NotPossible, ReconciliationException
from records.payment import PAID, Payment
from records.refund_room import OtherCharge


@dataclass(frozen=True)
class Twice:
    """An order that was charged twice. back: the charge to give back; stays: the gateway's name of the other;
    why: the figures, in a sentence."""

    back: OtherCharge
    stays: str
    why: str


def is_one(found: ReconciliationException) -> bool:
    """Whether the exception is a second charge."""
    return found.class_ == "duplicate_at_gateway" and found.reason == "second_charge" and not found.is_refund


def charged_twice(found: ReconciliationException, ours: Payment | None) -> Twice:
    """The two charges of an exception that is a second charge; raises NotPossible where none can go back.

    ours: the payment that it is about. Where the later charge is the payment's own, the payment stands on the
    first one afterwards; so that one has to be of the order's amount, and else goes back itself.
    """
    if ours is None or ours.status not in PAID or ours.paid_at is None:
        raise NotPossible("There is no paid payment of ours beside this charge: nothing was charged twice")
    if found.found.get("status") != "paid":
        raise NotPossible(
            f"The line says {found.found.get('status')}, not paid: there is nothing to give back"
        )
    if found.found["currency"] != ours.currency:
        raise NotPossible("The charge is in another currency: give it back in the gateway's dashboard")
    theirs, own = found.gateway_reference, ours.gateway_reference
    at, minor = datetime.fromisoformat(found.found["at"]), int(found.found["amount_minor"])
    is_theirs_later = at >= ours.paid_at
    if theirs is None or (own is None and not is_theirs_later):
        raise NotPossible(
            "The later charge has no name at the gateway by which it could be meant: give it back in the "
            "gateway's dashboard"
        )
    own = own or "the order's own"
    twice = f"{ours.reference} was charged twice: as "
    if is_theirs_later:
        return Twice(OtherCharge(theirs, minor, at), own, f"{twice}{own} and later as {theirs}")
    if minor != ours.amount_minor:
        why = f"{twice}{own} and before as {theirs}, which is not of the order's amount"
        return Twice(OtherCharge(theirs, minor, at), own, why)
    back = OtherCharge(own, ours.amount_minor, ours.paid_at)
    return Twice(back, theirs, f"{twice}{theirs} and later as {own}")
