"""How much of a payment can still be given back, and setting it aside for a refund.

Every function wants the payment locked (`records.payment.locked`), so that what it says stays so.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common import clock
from common.money import rupiah
from records.approval import Approval
from records.payment import Payment
from records.refund import ENDED, Refund, add_event


class TooMuch(Exception):
    """More than what is left; `left_minor` says how much that is."""

    def __init__(self, left_minor: int) -> None:
        self.left_minor = left_minor
        super().__init__(f"{rupiah(left_minor)} is left")


@dataclass(frozen=True)
class OtherCharge:
    """A charge beside the one on which the payment stands, by the gateway's name: what was paid on it is the
    limit of what goes back of it. paid_at: when."""

    reference: str
    amount_minor: int
    paid_at: datetime


def reference_of(payment: Payment, refund_key: str) -> str:
    """The key that the gateway gets: 27 letters and digits, short enough for each of them.

    Made of what both sides know, so that even a ledger restored from a backup asks with the same key.
    """
    digest = hashlib.sha256(f"{payment.reference}\n{refund_key}".encode()).digest()
    return "R" + base64.b32encode(digest).decode()[:26]


def left_minor(session: Session, payment: Payment, charge: OtherCharge | None = None) -> int:
    """What can still be given back of the payment, or of another charge: what went back and what is on its
    way are gone."""
    named = charge.reference if charge is not None else None
    confirmed, under_way = session.execute(
        sa.select(
            sa.func.coalesce(sa.func.sum(Refund.amount_minor).filter(Refund.status == "confirmed"), 0),
            sa.func.coalesce(sa.func.sum(Refund.amount_minor).filter(Refund.status.not_in(ENDED)), 0),
        ).where(Refund.payment_id == payment.id, Refund.charge_reference.is_not_distinct_from(named))
    ).one()
    if charge is not None:
        return max(0, charge.amount_minor - int(confirmed) - int(under_way))
    return max(0, payment.amount_minor - max(int(confirmed), payment.refunded_minor) - int(under_way))


def without_a_word_minor(session: Session, payment: Payment) -> int:
    """What we give or gave back of the payment, whichever its charge, with nobody asked for a second word."""
    was_asked = sa.exists().where(
        Approval.subject == "refund",
        Approval.subject_id == sa.cast(Refund.id, sa.Text),
        Approval.state.in_(("open", "approved")),
    )
    total = sa.select(sa.func.coalesce(sa.func.sum(Refund.amount_minor), 0)).where(
        Refund.payment_id == payment.id, Refund.status != "refused", ~Refund.is_foreign, ~was_asked
    )
    return int(session.scalar(total) or 0)


def of_key(session: Session, payment: Payment, refund_key: str) -> Refund | None:
    """The refund of that key, if it was asked for."""
    return session.scalars(
        sa.select(Refund).filter_by(payment_id=payment.id, refund_key=refund_key)
    ).one_or_none()


def reserve(
    session: Session,
    payment: Payment,
    *,
    refund_key: str,
    amount_minor: int | None,
    reason: str,
    requested_by: str,
    charge: OtherCharge | None = None,
    exception_id: int | None = None,
) -> Refund:
    """Set money aside for a refund that nobody has asked for yet (`of_key`).

    amount_minor: None for all that is left. charge: whose money it is, where it is not the payment's own;
    exception_id: which exception it ends. Raises TooMuch (also where nothing is left).
    """
    left = left_minor(session, payment, charge)
    wanted = left if amount_minor is None else amount_minor
    if not 0 < wanted <= left:
        raise TooMuch(left)
    made = Refund(
        payment_id=payment.id,
        reference=reference_of(payment, refund_key),
        gateway=payment.gateway,
        amount_minor=wanted,
        currency=payment.currency,
        status="requested",
        created_at=clock.now(),
        refund_key=refund_key,
        external_id=session.scalar(sa.select(sa.func.next_external_id())),
        requested_by=requested_by,
        reason=reason,
        is_foreign=False,
        exception_id=exception_id,
        charge_reference=charge.reference if charge is not None else None,
        charge_minor=charge.amount_minor if charge is not None else None,
        is_told=True,
    )
    session.add(made)
    session.flush()
    add_event(session, made, None, cause="request", source=requested_by, note=f"Asked for: {rupiah(wanted)}.")
    return made
