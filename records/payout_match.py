"""An entry of the bank that is a payout under another name, as two people say: every later run knows it."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from records.db import Base
from records.exceptions import NotPossible, ReconciliationException

_E = ReconciliationException
CANDIDATES = 3


class PayoutMatch(Base):
    """One entry, known by its `missing_in_ledger` exception, and the payout that it is; only inserted.

    payout: the name of the payout, its reference or `due:` and its day.
    """

    __tablename__ = "payout_matches"
    exception_id: Mapped[int] = mapped_column(
        sa.ForeignKey("reconciliation_exceptions.id"), primary_key=True, autoincrement=False
    )
    gateway: Mapped[str] = mapped_column(sa.Text)
    payout: Mapped[str] = mapped_column(sa.Text(collation="C"))
    entry_id: Mapped[UUID] = mapped_column(sa.ForeignKey("bank_entries.id"))
    at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=sa.text("now()"))


def by_hand(session: Session, gateway: str) -> dict[UUID, str]:
    """The entries that people have matched, each with its payout."""
    pairs = sa.select(PayoutMatch.entry_id, PayoutMatch.payout).where(PayoutMatch.gateway == gateway)
    return {one.entry_id: one.payout for one in session.execute(pairs)}


def refuse_unfit_entry(found: ReconciliationException) -> None:
    """Raises NotPossible where the exception is no entry of the bank that pays nothing known."""
    if not found.is_payout or found.class_ != "missing_in_ledger":
        raise NotPossible(
            "Of a payout only an entry of the bank that pays nothing known can be matched: class "
            "missing_in_ledger"
        )


def fitting(session: Session, entry: ReconciliationException, name: str) -> ReconciliationException:
    """The open exception of the payout of that name, locked; raises NotPossible where the entry is not it."""
    refuse_unfit_entry(entry)
    named = sa.and_(_open(entry, "missing_at_gateway"), _E.reference == name)
    found = session.scalars(sa.select(_E).where(named).with_for_update()).one_or_none()
    if found is None:
        raise NotPossible(
            f"{entry.gateway} has no payout {name[:80]!r} that the bank lacks: name one by the reference of "
            "its exception, class missing_at_gateway"
        )
    if (found.ledger_minor, found.currency) != (entry.report_minor, entry.currency):
        raise NotPossible(
            "The entry and the payout are not of the same money, and a match would hide the difference: "
            "explain both, or write them off"
        )
    return found


def pair(session: Session, entry: ReconciliationException, payout: ReconciliationException) -> None:
    """Keep that the entry is this payout. Both rows are locked by the caller, and fit."""
    session.add(
        PayoutMatch(
            exception_id=entry.id,
            gateway=entry.gateway,
            payout=payout.reference,
            entry_id=UUID(entry.found["entry_id"]),
        )
    )
    session.flush()


def candidates(
    session: Session, found: ReconciliationException
) -> Iterator[tuple[ReconciliationException, ReconciliationException]]:
    """Pairs of an entry and a payout of the same money, `found` being one of them; the nearest days first."""
    is_entry = found.class_ == "missing_in_ledger"
    if is_entry:
        others = sa.and_(_open(found, "missing_at_gateway"), _E.ledger_minor == found.report_minor)
    elif found.class_ == "missing_at_gateway":
        others = sa.and_(_open(found, "missing_in_ledger"), _E.report_minor == found.ledger_minor)
    else:
        return
    nearest = sa.func.abs(_E.business_date - found.business_date)
    for other in session.scalars(sa.select(_E).where(others).order_by(nearest, _E.id).limit(CANDIDATES)):
        if other.currency == found.currency:
            yield (found, other) if is_entry else (other, found)


def _open(found: ReconciliationException, class_: str) -> sa.ColumnElement[bool]:
    """The gateway's open payout exceptions of a class."""
    return sa.and_(_E.gateway == found.gateway, _E.is_payout, _E.state == "open", _E.class_ == class_)
