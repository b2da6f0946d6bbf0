"""Decide an approval, and do at once what the decision sets in motion, in one transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from checkout import refund
from records import approval, exception_work
from records.approval import Approval


@dataclass(frozen=True)
class Effect:
    """What decisions about one kind of subject do. hold: lock what they change, before the approval itself;
    decided: do what was decided."""

    hold: Callable[[Session, str], None]
    decided: Callable[[Session, Approval], None]


def _exceptions(session: Session, word: Approval) -> None:
    exception_work.decided(session, word)


EFFECTS: dict[str, Effect] = {
    "refund": Effect(refund.hold, refund.decided),
    "exception": Effect(exception_work.hold, _exceptions),
}


def decide(session: Session, approval_id: UUID, *, by: str, approve: bool, reason: str) -> Approval:
    """Approve or refuse, by the named actor; two at once have one effect.

    Raises NotDecided, and for exceptions NotOpen or NotPossible where nothing is left that it could do.
    """
    asked = session.get(Approval, approval_id)
    effect = EFFECTS[asked.subject] if asked is not None else None
    if asked is not None and effect is not None:
        effect.hold(session, asked.subject_id)
    word = approval.decide(session, approval_id, by=by, approve=approve, reason=reason)
    if effect is not None:
        effect.decided(session, word)
    return word
