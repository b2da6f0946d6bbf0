"""One exception as it stands on the page: what was expected and what was found, side by side, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.orm import Session

from api import words
from api.rendering import amount
from records.exceptions import ExceptionEvent, ReconciliationException

# The field in which both sides of a class differ; it is set off on the page.
_DIFFERS = {
    "currency_mismatch": "amount",
    "amount_mismatch": "amount",
    "status_mismatch": "status",
    "fee_mismatch": "fee",
}


@dataclass(frozen=True)
class Side:
    """What one side says of the payment or refund; every value is text for people."""

    amount: str
    fee: str
    status: str
    at: str
    gateway_reference: str

    @classmethod
    def of(cls, said: dict[str, Any]) -> Self | None:
        """The side kept with the exception; None where it has nothing."""
        if "amount_minor" not in said:
            return None
        at = said.get("at")
        return cls(
            amount(said["amount_minor"], said.get("currency")),
            amount(said.get("fee_minor"), said.get("currency")),
            words.status(said.get("status")),
            words.moment(datetime.fromisoformat(at)) if at else "–",
            said.get("gateway_reference") or "–",
        )


@dataclass(frozen=True)
class Item:
    """An exception with its words and its last event."""

    id: int
    class_: str
    is_refund: bool
    reference: str | None
    reason: str
    difference: str
    notes: list[str]
    expected: Side | None
    found: Side | None
    unreadable: dict[str, Any] | None  # of a malformed line: the column, and the text seen there
    differs: frozenset[str]
    place: str
    state: str
    event: str
    event_by: str
    event_at: datetime | None
    money: int


def items(session: Session, kept: Sequence[ReconciliationException]) -> list[Item]:
    """Exceptions with their last events: open ones first, then by the money they speak of."""
    last = last_events(session, [one.id for one in kept])
    made = [_item(one, last.get(one.id)) for one in kept]
    return sorted(made, key=lambda item: (item.state != "open", -item.money, item.id))


def _item(kept: ReconciliationException, last: ExceptionEvent | None) -> Item:
    difference = _difference(kept)
    differs = {_DIFFERS.get(kept.class_, "")}
    if "gateway_reference_differs" in (kept.note or ""):
        differs.add("gateway_reference")
    return Item(
        id=kept.id,
        class_=kept.class_,
        is_refund=kept.is_refund,
        reference=kept.reference,
        reason=_reason(kept),
        difference=amount(difference, None) if difference else "",
        notes=words.notes(kept.note),
        expected=Side.of(kept.expected),
        found=Side.of(kept.found),
        unreadable=kept.found if kept.class_ == "malformed_line" else None,
        differs=frozenset(differs),
        place=_place(kept),
        state=kept.state,
        event=words.event(last.reason, kept.is_payout) if last else "",
        event_by=last.actor if last else "",
        event_at=last.at if last else None,
        money=abs(difference) if difference else max(kept.ledger_minor or 0, kept.report_minor or 0),
    )


def _reason(kept: ReconciliationException) -> str:
    code = kept.found.get("reason") or kept.reason
    if kept.is_payout:
        return words.payout_reason(kept.class_, code)
    return words.reason(kept.class_, code, kept.found.get("status"))


def _difference(kept: ReconciliationException) -> int:
    """By how much the report is above the ledger in the field that the class is about."""
    field = {"amount_mismatch": "amount_minor", "fee_mismatch": "fee_minor"}.get(kept.class_)
    return int(kept.found[field]) - int(kept.expected[field]) if field else 0


def _place(kept: ReconciliationException) -> str:
    if kept.line_no is None:
        return ""
    return f"{kept.source_name or words.NO_SOURCE}, line {kept.line_no:,}"


def last_events(session: Session, ids: Sequence[int]) -> dict[int, ExceptionEvent]:
    newest = sa.select(sa.func.max(ExceptionEvent.id)).where(ExceptionEvent.exception_id.in_(ids))
    newest = newest.group_by(ExceptionEvent.exception_id)
    found = session.scalars(sa.select(ExceptionEvent).where(ExceptionEvent.id.in_(newest)))
    return {event.exception_id: event for event in found}
