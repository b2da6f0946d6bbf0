"""Which refund ends which exception, and which charge beside the payment it gives back."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from records.payment import Payment
from records.refund import Refund


def of_exceptions(session: Session, numbers: Sequence[int]) -> dict[int, Refund]:
    """The refunds that are to end these exceptions, of each the one that was asked for last."""
    wanted = sa.select(Refund).where(
        Refund.exception_id == sa.func.any(sa.cast(numbers, sa.ARRAY(sa.BigInteger)))
    )
    newest = session.scalars(wanted.order_by(Refund.created_at, Refund.id))
    return {one.exception_id: one for one in newest if one.exception_id is not None}


def count_of_exception(session: Session, number: int) -> int:
    """How often a refund was asked for that was to end this exception."""
    return session.scalar(sa.select(sa.func.count()).where(Refund.exception_id == number)) or 0


def has_several_charges(session: Session, payment: Payment) -> bool:
    """Whether the gateway has more than one charge under the payment's reference: each needs its own name."""
    found = sa.exists().where(Refund.payment_id == payment.id, Refund.charge_reference.is_not(None))
    return bool(session.scalar(sa.select(found)))


def is_of_another_charge(session: Session, payment: Payment, charge_reference: str | None) -> bool:
    """Whether a charge of this reference is one that a refund gives back beside the payment: what the gateway
    says of it is nothing about the payment. None: the charge by which we know the payment."""
    named = charge_reference or payment.gateway_reference
    if named is None:
        return False
    found = sa.exists().where(Refund.payment_id == payment.id, Refund.charge_reference == named)
    return bool(session.scalar(sa.select(found)))
