"""Payments and refunds of the ledger: what a learner owes and got back, and how its state may move."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from records.db import Base

PaymentStatus = Literal[
    "created",
    "pending",
    "paid",
    "partially_refunded",
    "refunded",
    "expired",
    "cancelled",
    "denied",
    "reversed",
    "unknown",
]
PAYMENT_STATUSES: frozenset[str] = frozenset(PaymentStatus.__args__)  # type: ignore[attr-defined]
REFUND_STATUSES = frozenset(
    {"requested", "awaiting_approval", "approved", "sent", "accepted", "confirmed", "refused", "unknown"}
)
PAID: frozenset[str] = frozenset({"paid", "partially_refunded", "refunded"})

_ENDS_UNPAID = frozenset({"expired", "cancelled", "denied"})
# Where each state may move. A state never moves backwards; `unknown` heals by the gateway's status.
MOVES: dict[str, frozenset[str]] = {
    "created": frozenset({"pending", "paid", "unknown"}) | _ENDS_UNPAID,
    "unknown": frozenset({"pending", "paid"}) | _ENDS_UNPAID,
    "pending": frozenset({"paid"}) | _ENDS_UNPAID,
    "paid": frozenset({"partially_refunded", "refunded", "reversed"}),
    "partially_refunded": frozenset({"refunded"}),
    "refunded": frozenset(),
    "expired": frozenset(),
    "cancelled": frozenset(),
    "denied": frozenset(),
    "reversed": frozenset(),
}

_TIME = TIMESTAMP(timezone=True)


class Payment(Base):
    """What a learner owes for a course and what became of it. Amounts in minor units."""

    __tablename__ = "payments"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    reference: Mapped[str] = mapped_column(sa.Text(collation="C"))
    gateway: Mapped[str] = mapped_column(sa.Text)
    gateway_reference: Mapped[str | None] = mapped_column(sa.Text(collation="C"))
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    refunded_minor: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    currency: Mapped[str] = mapped_column(sa.Text)
    status: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(_TIME)
    paid_at: Mapped[datetime | None] = mapped_column(_TIME)


class Refund(Base):
    """Money going back for one payment."""

    __tablename__ = "refunds"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    payment_id: Mapped[UUID] = mapped_column(sa.ForeignKey("payments.id"))
    reference: Mapped[str] = mapped_column(sa.Text(collation="C"))
    gateway: Mapped[str] = mapped_column(sa.Text)
    gateway_reference: Mapped[str | None] = mapped_column(sa.Text(collation="C"))
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.Text)
    status: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(_TIME)
    confirmed_at: Mapped[datetime | None] = mapped_column(_TIME)


class PaymentEvent(Base):
    """One thing that happened to a payment; only ever inserted (a trigger holds that)."""

    __tablename__ = "payment_events"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    payment_id: Mapped[UUID]
    refund_id: Mapped[UUID | None]
    at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    cause: Mapped[str] = mapped_column(sa.Text)
    source: Mapped[str | None] = mapped_column(sa.Text)
    from_status: Mapped[str | None] = mapped_column(sa.Text)
    to_status: Mapped[str] = mapped_column(sa.Text)
    effective_at: Mapped[datetime | None] = mapped_column(_TIME)


def apply(
    session: Session,
    payment_id: UUID,
    to_status: PaymentStatus,
    *,
    cause: str,
    source: str,
    effective_at: datetime | None = None,
) -> bool:
    """Move a payment to a state, under its row lock: the one door for every status change.

    effective_at: when it happened at the gateway; becomes `paid_at` on the move to paid.
    Returns whether anything moved; a repeated or backward move changes nothing and writes nothing.
    """
    payment = session.get_one(Payment, payment_id, with_for_update=True)
    if to_status not in MOVES[payment.status]:
        return False
    if to_status == "paid":
        if effective_at is None:
            raise ValueError("a payment becomes paid only with the time at which it was paid")
        payment.paid_at = effective_at
    session.add(
        PaymentEvent(
            payment_id=payment_id,
            cause=cause,
            source=source,
            from_status=payment.status,
            to_status=to_status,
            effective_at=effective_at,
        )
    )
    payment.status = to_status
    return True
