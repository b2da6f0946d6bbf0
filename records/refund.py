"""Refunds: money that goes back for a payment, once, and how far it has come."""

from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from records.db import Base

RefundStatus = Literal[
    "requested", "awaiting_approval", "approved", "sent", "accepted", "confirmed", "refused", "unknown"
]
REFUND_STATUSES: frozenset[str] = frozenset(get_args(RefundStatus))

_TIME = TIMESTAMP(timezone=True)


class Refund(Base):
    """Money going back for one payment. All that are not refused never exceed what was paid.

    reference: by which the gateway and its reports know it: ours is derived from the payment and the key.
    refund_key: the client's, unique for each payment; none where we did not ask for the refund.
    external_id: digits by which the gateway knows the call. requested_by: `client:…` or `operator:…`.
    problem: why it is not further, or why it was refused. is_foreign: made at the gateway without us.
    sent_at: when the gateway was asked first.
    """

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
    refund_key: Mapped[str | None] = mapped_column(sa.Text)
    external_id: Mapped[str | None] = mapped_column(sa.Text)
    requested_by: Mapped[str | None] = mapped_column(sa.Text)
    reason: Mapped[str | None] = mapped_column(sa.Text)
    problem: Mapped[str | None] = mapped_column(sa.Text)
    is_foreign: Mapped[bool] = mapped_column(server_default=sa.text("false"))
    sent_at: Mapped[datetime | None] = mapped_column(_TIME)
    process_run_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("process_runs.id"))
