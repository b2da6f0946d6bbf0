"""What a second person is asked about exceptions: to write some of them off, or to match one by hand.

One request is one question, however many exceptions it is about; the question itself is an approval whose
subject is the request. Until it is answered the exceptions stay open.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import clock
from common.money import rupiah
from records import approval
from records.approval import Approval
from records.db import Base
from records.exceptions import ExceptionEvent, NotPossible, ReconciliationException


class ExceptionRequest(Base):
    """One question. to_state: `written_off` or `matched`; then payment_id: which payment the line is, or
    payout: which payout the entry of the bank is."""

    __tablename__ = "exception_requests"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    to_state: Mapped[str] = mapped_column(sa.Text)
    payment_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("payments.id"))
    payout: Mapped[str | None] = mapped_column(sa.Text)


class ExceptionRequestItem(Base):
    """One exception of a question, with its reason and the amounts at which it was asked; only inserted."""

    __tablename__ = "exception_request_items"
    request_id: Mapped[UUID] = mapped_column(sa.ForeignKey("exception_requests.id"), primary_key=True)
    exception_id: Mapped[int] = mapped_column(
        sa.ForeignKey("reconciliation_exceptions.id"), primary_key=True, autoincrement=False
    )
    reason: Mapped[str] = mapped_column(sa.Text)
    ledger_minor: Mapped[int | None] = mapped_column(sa.BigInteger)
    report_minor: Mapped[int | None] = mapped_column(sa.BigInteger)
    risk_minor: Mapped[int] = mapped_column(sa.BigInteger)


class AwaitsApproval(NotPossible):
    """The exception waits for a second person's word already."""


@dataclass(frozen=True)
class Awaited:
    """The open question about one exception."""

    approval_id: UUID
    to_state: str
    reason: str
    requested_by: str
    expires_at: datetime


def ask(
    session: Session,
    to_state: str,
    wanted: Sequence[tuple[ReconciliationException, str]],
    *,
    requested_by: str,
    payment_id: UUID | None = None,
    payout: str | None = None,
    summary: str | None = None,
) -> Approval:
    """Put one question about these exceptions, each with its reason; their histories say so.

    wanted: open exceptions of one currency, their rows locked by the caller. Raises AwaitsApproval.
    """
    waiting = awaited(session, [found.id for found, _ in wanted])
    if waiting:
        first, one = min(waiting.items())
        raise AwaitsApproval(
            f"Exception {first} waits for a second person's word already: {one.requested_by} asked to have "
            f"it {one.to_state.replace('_', ' ')}. Have approval {one.approval_id} decided first"
        )
    made = ExceptionRequest(to_state=to_state, payment_id=payment_id, payout=payout)
    session.add(made)
    session.flush()
    at_risk, currency = sum(found.risk_minor for found, _ in wanted), wanted[0][0].currency
    asked = approval.request(
        session,
        "exception",
        str(made.id),
        requested_by=requested_by,
        summary=summary or _summary(wanted, at_risk, currency),
        amount_minor=at_risk,
        currency=currency,
    )
    session.execute(
        sa.insert(ExceptionRequestItem),
        [
            {
                "request_id": made.id,
                "exception_id": found.id,
                "reason": reason,
                "ledger_minor": found.ledger_minor,
                "report_minor": found.report_minor,
                "risk_minor": found.risk_minor,
            }
            for found, reason in wanted
        ],
    )
    words = {"written_off": "asks to write it off", "matched": "asks to match it by hand"}[to_state]
    remark(session, [(found.id, f"{words}: {reason}") for found, reason in wanted], asked.requested_by)
    return asked


def _summary(wanted: Sequence[tuple[ReconciliationException, str]], at_risk: int, currency: str) -> str:
    money = rupiah(at_risk) if currency == "IDR" else f"{rupiah(at_risk).removeprefix('Rp ')} {currency}"
    if len(wanted) == 1:
        found, reason = wanted[0]
        name = f" of {found.reference}" if found.reference else ""
        return f"Write off {money}: exception {found.id}, {found.class_}{name}. {reason}"[:400]
    return f"Write off {money}: {len(wanted):,} exceptions of one sheet, each with its reason"


def awaited(session: Session, exception_ids: Sequence[int]) -> dict[int, Awaited]:
    """Of these exceptions, those that wait for a second person's word, and the question."""
    item = ExceptionRequestItem
    rows = session.execute(
        sa.select(
            item.exception_id,
            Approval.id,
            ExceptionRequest.to_state,
            item.reason,
            Approval.requested_by,
            Approval.expires_at,
        )
        .join(ExceptionRequest, ExceptionRequest.id == item.request_id)
        .join(Approval, Approval.subject_id == sa.cast(item.request_id, sa.Text))
        .where(
            item.exception_id == sa.func.any(sa.cast(exception_ids, sa.ARRAY(sa.BigInteger))),
            Approval.subject == "exception",
            Approval.state == "open",
            Approval.expires_at > clock.now(),
        )
    )
    return {row[0]: Awaited(*row[1:]) for row in rows}


def of_subject(session: Session, subject_id: str) -> tuple[ExceptionRequest, list[ExceptionRequestItem]]:
    """The request that an approval with this subject is about, and its exceptions in their order."""
    made = session.get_one(ExceptionRequest, UUID(subject_id))
    items = sa.select(ExceptionRequestItem).filter_by(request_id=made.id)
    return made, list(session.scalars(items.order_by(ExceptionRequestItem.exception_id)))


def remark(session: Session, remarks: Iterable[tuple[int, str]], actor: str) -> None:
    """Add to the histories of open exceptions what moved nothing."""
    rows = [
        {"exception_id": number, "actor": actor, "from_state": "open", "to_state": "open", "reason": text}
        for number, text in remarks
    ]
    if rows:
        session.execute(sa.insert(ExceptionEvent), rows)
