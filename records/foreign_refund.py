"""Refunds that were made at the gateway without us: taken in from its own word, or from a report."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common import clock
from common.money import rupiah
from records.payment import Payment
from records.refund import Refund, add_event


def adopt(
    session: Session,
    payment: Payment,
    *,
    reference: str,
    amount_minor: int,
    source: str,
    cause: str = "adopted",
    gateway_reference: str | None = None,
    line_reference: str | None = None,
    evidence: bytes | None = None,
) -> Refund | None:
    """Take in a refund that was made at the gateway without us, as `accepted`; `apply` moves it on.

    payment: locked. line_reference: where a report told of it, and not the gateway itself. None where another
    payment's refund has this reference: a person has to look.
    """
    made = Refund(
        payment_id=payment.id,
        reference=reference,
        gateway=payment.gateway,
        gateway_reference=gateway_reference,
        amount_minor=amount_minor,
        currency=payment.currency,
        status="accepted",
        created_at=clock.now(),
        is_foreign=True,
        line_reference=line_reference,
        is_told=line_reference is None,
    )
    try:
        with session.begin_nested():
            session.add(made)
    except sa.exc.IntegrityError:
        return None
    note = f"{rupiah(amount_minor)} is given back at the gateway without us; we take the refund in."
    add_event(session, made, None, cause=cause, source=source, note=note, evidence=evidence)
    return made


def reported(session: Session, payment: Payment, amount_minor: int | None) -> Refund | None:
    """A foreign refund of this amount that only a report has told of so far: the gateway's own word of it may
    have another name. payment: locked."""
    unnamed = sa.select(Refund).filter_by(payment_id=payment.id, amount_minor=amount_minor, is_told=False)
    oldest = unnamed.order_by(Refund.created_at, Refund.id).execution_options(populate_existing=True)
    return session.scalars(oldest).first()


def told_of(session: Session, known: Refund, reference: str, gateway_reference: str | None) -> None:
    """Note that the gateway has told of a refund that came by a report, and by which names.

    Its payment is locked by the caller.
    """
    if known.is_told:
        return
    is_taken = sa.exists().where(Refund.reference == reference, Refund.id != known.id)
    if not session.scalar(sa.select(is_taken)):
        known.reference = reference  # reports know it by its line_reference
    known.gateway_reference = gateway_reference or known.gateway_reference
    known.is_told = True
    session.flush()
