"""What could end an exception, as the figures suggest it: a proposal is for a person to take or to leave."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from records import hand_match, payout_match, refund_charges, second_charge
from records.calendar import AWAITED
from records.exceptions import NotPossible, ReconciliationException, is_of_type
from records.payment import Payment

NEAR = timedelta(days=7)  # a line and the payment that it is are seldom further apart
CANDIDATES = 3
_E = ReconciliationException


@dataclass(frozen=True)
class Proposal:
    """One thing to do. action: `refund`, or one of exception_work.ACTIONS; target: ids and references, as
    texts, of what it is done to. why: the figures behind it, in a sentence."""

    action: str
    amount_minor: int
    currency: str
    why: str
    target: dict[str, str] = field(default_factory=dict)


def proposals(session: Session, found: ReconciliationException) -> list[Proposal]:
    """What the figures suggest for an open exception; none for one that has ended, or whose money is on its
    way back."""
    going_back = refund_charges.of_exceptions(session, [found.id]).get(found.id)
    if found.state != "open" or (going_back is not None and going_back.status != "refused"):
        return []
    if found.is_payout:
        return [_match_of(*pair) for pair in payout_match.candidates(session, found)]
    if second_charge.is_one(found):
        return list(_for_second_charge(session, found))
    if found.class_ == "missing_in_ledger" and not found.is_refund:
        return [*_pairs(session, found), *_for_unknown_line(found)]
    if found.class_ in AWAITED and not found.is_refund:
        return _pairs(session, found)
    return []


def _for_second_charge(session: Session, found: ReconciliationException) -> Iterator[Proposal]:
    """Of two charges for one payment the later one goes back."""
    ours = session.get(Payment, found.subject_id) if found.subject_id else None
    try:
        twice = second_charge.charged_twice(found, ours)
    except NotPossible:
        return
    assert ours is not None
    target = {
        "payment_id": str(ours.id),
        "reference": ours.reference,
        "gateway_reference": twice.back.reference,
    }
    yield Proposal("refund", twice.back.amount_minor, ours.currency, twice.why, target)


def _for_unknown_line(found: ReconciliationException) -> Iterator[Proposal]:
    """Money under a reference that we do not have becomes ours, or goes back."""
    try:
        hand_match.refuse_unadoptable(found)
    except NotPossible:
        return
    line = {"reference": found.reference or ""}
    if found.gateway_reference:
        line["gateway_reference"] = found.gateway_reference
    amount, currency = int(found.found["amount_minor"]), found.found["currency"]
    yield Proposal("adopt", amount, currency, "if the order is ours: the line becomes a payment", line)
    why = "if nobody ordered it: the line becomes a payment, and all of it goes back"
    yield Proposal("refund", amount, currency, why, line)


def _pairs(session: Session, found: ReconciliationException) -> list[Proposal]:
    """Open exceptions of the other side with the same money, the nearest in time first."""
    is_line = found.class_ == "missing_in_ledger"
    minor = found.report_minor if is_line else found.ledger_minor
    if is_line and found.found.get("status") != "paid":
        return []
    theirs = _E.expected["currency"] if is_line else _E.found["currency"]
    others = session.scalars(
        sa.select(_E)
        .where(
            _E.gateway == found.gateway,
            _E.state == "open",
            _E.business_date.between(found.business_date - NEAR, found.business_date + NEAR),
            _E.class_.in_(AWAITED if is_line else ("missing_in_ledger",)),
            is_of_type("payment"),
            (_E.ledger_minor if is_line else _E.report_minor) == minor,
            theirs.astext == found.currency,
        )
        .order_by(sa.func.abs(_E.business_date - found.business_date), _E.id)
        .limit(CANDIDATES)
    )
    made = []
    for other in others:
        line, ours = (found, other) if is_line else (other, found)
        why = f"the line {line.reference} and our payment {ours.reference} are of the same money"
        target = {
            "exception_id": str(line.id),
            "payment_id": str(ours.subject_id),
            "reference": ours.reference or "",
        }
        made.append(Proposal("match", minor or 0, found.currency, why, target))
    return made


def _match_of(entry: ReconciliationException, payout: ReconciliationException) -> Proposal:
    return Proposal(
        "match",
        entry.report_minor or 0,
        entry.currency,
        f"the entry of the bank of {entry.business_date} and the payout {payout.reference}, which it lacks, "
        "are of the same money",
        {"exception_id": str(entry.id), "payout": payout.reference or ""},
    )
