"""Report lines that a person has paired with a payment: by hand, or by taking the line over as a payment.

Every later run knows them: the line's reference counts as the payment's, and the payment as matched on the
line's day (records.matching_sql).
"""

import re
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from records.db import Base
from records.exceptions import NotPossible, ReconciliationException
from records.ledger import REFERENCE
from records.payment import Payment, PaymentEvent

_TIME = TIMESTAMP(timezone=True)
WHOLE = 100  # minor units: what the ledger owes is whole rupiah


class HandMatch(Base):
    """One line, known by its `missing_in_ledger` exception, and the payment that it is; only inserted.

    business_date: the line's. is_adopted: the payment was made from the line.
    """

    __tablename__ = "hand_matches"
    exception_id: Mapped[int] = mapped_column(
        sa.ForeignKey("reconciliation_exceptions.id"), primary_key=True, autoincrement=False
    )
    gateway: Mapped[str] = mapped_column(sa.Text)
    business_date: Mapped[date]
    reference: Mapped[str] = mapped_column(sa.Text(collation="C"))
    gateway_reference: Mapped[str | None] = mapped_column(sa.Text(collation="C"))
    payment_id: Mapped[UUID] = mapped_column(sa.ForeignKey("payments.id"))
    is_adopted: Mapped[bool]
    at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))


def refuse_unfit_line(line: ReconciliationException) -> None:
    """Raises NotPossible where the exception is no line of a payment that the gateway calls paid."""
    if line.class_ != "missing_in_ledger" or line.type != "payment":
        raise NotPossible(
            "Only a payment's line that our ledger does not have can be paired: class missing_in_ledger"
        )
    if line.found.get("status") != "paid":
        raise NotPossible(f"The line says {line.found.get('status')}, not paid: explain it instead")


def refuse_taken_line(session: Session, line: ReconciliationException) -> None:
    """Raises NotPossible where this reference of the gateway is paired already."""
    taken = session.scalar(
        sa.select(HandMatch.payment_id).filter_by(gateway=line.gateway, reference=line.reference)
    )
    if taken is not None:
        raise NotPossible(
            f"{line.reference} is paired with payment {taken} already; this is one more line of it: explain "
            "it, or have the money given back"
        )


def pair(session: Session, line: ReconciliationException, payment: Payment, *, is_adopted: bool) -> None:
    """Keep that the line is this payment. Both rows are locked by the caller, and were looked at."""
    session.add(
        HandMatch(
            exception_id=line.id,
            gateway=line.gateway,
            business_date=line.business_date,
            reference=line.reference,
            gateway_reference=line.gateway_reference,
            payment_id=payment.id,
            is_adopted=is_adopted,
        )
    )


def refuse_unfit_payment(session: Session, line: ReconciliationException, payment: Payment | None) -> Payment:
    """The payment, where the line may be it; raises NotPossible with the reason where not."""
    if payment is None or payment.gateway != line.gateway:
        raise NotPossible(f"There is no such payment at {line.gateway}")
    found = (line.found["amount_minor"], line.found["currency"])
    if found != (payment.amount_minor, payment.currency):
        raise NotPossible(
            "The line and the payment are not of the same money, and a match would hide the difference: "
            "take the line over as a payment of its own, or explain it"
        )
    if payment.status == "reversed":
        raise NotPossible("That payment was reversed: a paid line cannot be it")
    if is_matched(session, payment.id):
        raise NotPossible("That payment is matched already, so this line is other money")
    return payment


def is_matched(session: Session, payment_id: UUID) -> bool:
    """Whether a current statement, or a person, has matched this payment."""
    return bool(session.scalar(_IS_MATCHED, {"id": payment_id}))


_IS_MATCHED = sa.text(
    """SELECT EXISTS (SELECT FROM hand_matches WHERE payment_id = :id) OR EXISTS (
        SELECT FROM payments p
        JOIN reconciliations r ON r.gateway = p.gateway AND r.is_current
            AND r.business_date >= (p.created_at AT TIME ZONE 'Asia/Jakarta')::date - 2
        JOIN reconciliation_outcomes o
            ON o.run_no = r.no AND o.subject_id = p.id AND o.class = 'matched' AND NOT o.is_refund
        WHERE p.id = :id)"""
)


def adopted_before(session: Session, line: ReconciliationException) -> Payment | None:
    """The payment that this line was made when it was to be given back, where the gateway refused that."""
    kept = session.get(HandMatch, line.id)
    return session.get_one(Payment, kept.payment_id) if kept is not None and kept.is_adopted else None


def adopt(session: Session, line: ReconciliationException, *, actor: str, reason: str) -> Payment:
    """Make the line a payment of our ledger, paid when the gateway says, with its history.

    line: open and locked. Nobody is told: no client asked for this payment. Raises NotPossible.
    """
    made, refused = adopt_many(session, [(line, reason)], actor=actor)
    if refused:
        raise NotPossible(refused[line.id])
    return made[line.id]


def adopt_many(
    session: Session, wanted: Sequence[tuple[ReconciliationException, str]], *, actor: str
) -> tuple[dict[int, Payment], dict[int, str]]:
    """The same for many lines, each with its reason: a handful of statements for all.

    Returns the payments, and why a line was not taken over, both by the exception's number.
    """
    references = {line.reference for line, _ in wanted}
    pairs = sa.select(HandMatch.gateway, HandMatch.reference).where(HandMatch.reference.in_(references))
    taken = {(gateway, reference) for gateway, reference in session.execute(pairs)}
    known = set(session.scalars(sa.select(Payment.reference).where(Payment.reference.in_(references))))
    made: dict[int, Payment] = {}
    refused: dict[int, str] = {}
    for line, _ in wanted:
        try:
            refuse_unadoptable(line)
            if (line.gateway, line.reference) in taken:
                refuse_taken_line(session, line)
            if line.reference in known:
                raise NotPossible(
                    f"Our ledger has the reference {line.reference} already: match it, or explain it"
                )
        except NotPossible as why:
            refused[line.id] = str(why)
            continue
        known.add(str(line.reference))
        made[line.id] = _payment_of(line)
    session.add_all(made.values())
    session.flush()
    adopted = [(line, reason, made[line.id]) for line, reason in wanted if line.id in made]
    session.add_all(
        PaymentEvent(
            payment_id=payment.id,
            cause="adoption",
            source=f"exception {line.id}",
            to_status="paid",
            effective_at=payment.paid_at,
            note=f"Taken over from the report of {line.business_date} by {actor}: {reason}",
        )
        for line, reason, payment in adopted
    )
    for line, _, payment in adopted:
        pair(session, line, payment, is_adopted=True)
    session.flush()
    return made, refused


def refuse_unadoptable(line: ReconciliationException) -> None:
    """Raises NotPossible where the line cannot become a payment of our ledger as it is."""
    refuse_unfit_line(line)
    if line.found["currency"] == "IDR" and int(line.found["amount_minor"]) % WHOLE:
        raise NotPossible("Our ledger holds whole rupiah: explain this line, or have the money given back")
    if not re.fullmatch(REFERENCE, line.reference or ""):
        raise NotPossible("Its reference cannot be one of our ledger: match it with the payment that it is")


def _payment_of(line: ReconciliationException) -> Payment:
    paid_at = datetime.fromisoformat(line.found["at"])
    return Payment(
        reference=line.reference,
        gateway=line.gateway,
        gateway_reference=line.gateway_reference,
        amount_minor=int(line.found["amount_minor"]),
        currency=line.found["currency"],
        status="paid",
        created_at=paid_at,
        paid_at=paid_at,
    )
