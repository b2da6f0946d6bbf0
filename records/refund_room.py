"""How much of a payment can still be given back, and setting it aside for a refund.

Payments are locked by the caller (`records.payment.locked`), so that what is said here stays so.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common import clock
from common.money import rupiah
from records.approval import Approval
from records.payment import Payment
from records.refund import Refund

_NUMBERS = sa.text("SELECT next_external_id() FROM generate_series(1, :count)")


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


@dataclass
class Room:
    """A payment with its refunds. with_a_word: those about which a second person is or was asked; numbers:
    for calls of a gateway, as many as are needed."""

    payment: Payment
    refunds: list[Refund] = field(default_factory=list)
    with_a_word: set[UUID] = field(default_factory=set)
    numbers: Iterator[str] = field(default_factory=lambda: iter(()))

    def of_key(self, refund_key: str) -> Refund | None:
        """The refund of that key, if it was asked for."""
        return next((one for one in self.refunds if one.refund_key == refund_key), None)

    def left_minor(self, charge: OtherCharge | None = None) -> int:
        """What can still be given back of the payment, or of another charge: what went back and what is on
        its way are gone."""
        named = charge.reference if charge is not None else None
        of_it = [one for one in self.refunds if one.charge_reference == named and one.status != "refused"]
        confirmed = sum(one.amount_minor for one in of_it if one.status == "confirmed")
        under_way = sum(one.amount_minor for one in of_it if one.status != "confirmed")
        if charge is not None:
            return max(0, charge.amount_minor - confirmed - under_way)
        return max(0, self.payment.amount_minor - max(confirmed, self.payment.refunded_minor) - under_way)

    def without_a_word_minor(self) -> int:
        """What we give or gave back of it, whichever its charge, with nobody asked for a second word."""
        return sum(
            one.amount_minor
            for one in self.refunds
            if one.status != "refused" and not one.is_foreign and one.id not in self.with_a_word
        )

    def set_aside(
        self,
        *,
        refund_key: str,
        amount_minor: int | None,
        reason: str,
        requested_by: str,
        charge: OtherCharge | None = None,
        exception_id: int | None = None,
    ) -> Refund:
        """A refund that nobody has asked for yet (`of_key`), for the caller to add to the session.

        amount_minor: None for all that is left. charge: whose money it is, where it is not the payment's own;
        exception_id: which exception it ends. Raises TooMuch (also where nothing is left).
        """
        left = self.left_minor(charge)
        wanted = left if amount_minor is None else amount_minor
        if not 0 < wanted <= left:
            raise TooMuch(left)
        made = Refund(
            payment_id=self.payment.id,
            reference=reference_of(self.payment, refund_key),
            gateway=self.payment.gateway,
            amount_minor=wanted,
            currency=self.payment.currency,
            status="requested",
            created_at=clock.now(),
            refund_key=refund_key,
            external_id=next(self.numbers),
            requested_by=requested_by,
            reason=reason,
            is_foreign=False,
            exception_id=exception_id,
            charge_reference=charge.reference if charge is not None else None,
            charge_minor=charge.amount_minor if charge is not None else None,
            is_told=True,
        )
        self.refunds.append(made)
        return made


def rooms(session: Session, payments: Sequence[Payment], *, new: int = 0) -> dict[UUID, Room]:
    """These payments with their refunds, by their ids: three statements, however many they are.

    new: how many refunds at most are going to be set aside.
    """
    numbers = iter(session.scalars(_NUMBERS, {"count": new}).all()) if new else iter(())
    found = {one.id: Room(one, numbers=numbers) for one in payments}
    refunds = session.scalars(
        sa.select(Refund)
        .where(Refund.payment_id.in_(found))
        .order_by(Refund.created_at, Refund.id)
        .execution_options(populate_existing=True)
    )
    ids: dict[str, Refund] = {}
    for one in refunds:
        found[one.payment_id].refunds.append(one)
        ids[str(one.id)] = one
    if ids:
        asked = sa.select(Approval.subject_id).where(
            Approval.subject == "refund",
            Approval.subject_id.in_(ids),
            Approval.state.in_(("open", "approved")),
        )
        for subject in session.scalars(asked):
            found[ids[subject].payment_id].with_a_word.add(ids[subject].id)
    return found


def left_minor(session: Session, payment: Payment) -> int:
    """What can still be given back of one payment."""
    return rooms(session, [payment])[payment.id].left_minor()


def reference_of(payment: Payment, refund_key: str) -> str:
    """The key that the gateway gets: 27 letters and digits, short enough for each of them.

    Made of what both sides know, so that even a ledger restored from a backup asks with the same key.
    """
    digest = hashlib.sha256(f"{payment.reference}\n{refund_key}".encode()).digest()
    return "R" + base64.b32encode(digest).decode()[:26]
