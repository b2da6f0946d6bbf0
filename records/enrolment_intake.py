"""Taking on enrolments: all of a list or none, with each payment that it names found and held against it."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from records import enrolment, enrolment_rows
from records.completion_rows import Fault, Row
from records.enrolment import Statement, Told
from records.enrolment_rows import Said, path_of
from records.payment import Payment

_NO_PAYMENT = (
    "you have no such payment: check what names it, or leave it out and tell this again once it is there"
)
_OF_ANOTHER = "it is another learner's payment: name this learner's own, or leave it out"


class Refused(Exception):
    """Nothing was taken on; `faults` has all that is wrong. bad: how many rows those are."""

    def __init__(self, faults: Sequence[Fault], rows: int) -> None:
        self.faults = sorted(faults, key=lambda one: one.row)
        self.bad = len({one.row for one in faults if one.row})
        self.rows = rows
        told = f"{self.bad:,} of {rows:,} enrolments cannot be taken" if self.bad else self.faults[0].reason
        super().__init__(f"{told}; nothing was kept")


def take_on(session: Session, rows: Sequence[Row], *, by: str, client_id: UUID | None) -> list[Told]:
    """Check all rows and keep what they say, in the caller's transaction; the same again is no news.

    by: an actor. client_id: whose payments may be named, beside those of no client; None for an operator, who
    may name any. Raises Refused with every fault: then nothing was kept.
    """
    checked = enrolment_rows.check(rows)
    payments = _Payments(session, checked.good, client_id)
    statements, faults = [], list(checked.faults)
    for one in checked.good:
        payment, fault = payments.named_by(one)
        if fault is not None:
            faults.append(fault)
            continue
        statements.append(
            Statement(one.learner_id, one.program_code, one.state, one.occurred_at, one.is_free, payment)
        )
    if faults:
        raise Refused(faults, len(rows))
    return enrolment.tell(session, statements, by=by)


class _Payments:
    """The payments that a list names, read at once."""

    def __init__(self, session: Session, said: Iterable[Said], client_id: UUID | None) -> None:
        references = {one.payment_reference for one in said if one.payment_reference}
        ids = {one.payment_id for one in said if one.payment_id}
        query = sa.select(Payment.id, Payment.reference, Payment.learner_id).where(
            sa.or_(
                Payment.reference == sa.any_(sa.literal(list(references), ARRAY(sa.Text))),
                Payment.id == sa.any_(sa.literal(list(ids), ARRAY(sa.Uuid))),
            )
        )
        if client_id is not None:
            query = query.where(sa.or_(Payment.client_id == client_id, Payment.client_id.is_(None)))
        found = session.execute(query).all() if references or ids else []
        self._by_reference = {reference: (id_, learner) for id_, reference, learner in found}
        self._by_id = {id_: (id_, learner) for id_, _, learner in found}

    def named_by(self, one: Said) -> tuple[UUID | None, Fault | None]:
        """The payment that a row names, if it names one; or what is wrong with that."""
        if one.payment_reference is None and one.payment_id is None:
            return None, None
        if one.payment_reference is not None:
            name, found = "payment_reference", self._by_reference.get(one.payment_reference)
        else:
            assert one.payment_id is not None
            name, found = "payment_id", self._by_id.get(one.payment_id)
        if found is None:
            return None, Fault(path_of(one.index, name), one.row, _NO_PAYMENT)
        payment_id, learner_id = found
        if learner_id is not None and learner_id != one.learner_id:
            return None, Fault(path_of(one.index, name), one.row, _OF_ANOTHER)
        return payment_id, None
