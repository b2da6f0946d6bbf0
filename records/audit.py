"""Who saw or received which person's data, when, from where and why: lines that are only ever inserted."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from common.errors import BadInput
from records.db import Base
from records.sealed import keyed_hash

Act = Literal["found", "revealed", "exported", "sent", "erased"]
LONGEST_REASON = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LONG_NUMBER = re.compile(r"[0-9](?:[ .\-]?[0-9]){11,}")


class AuditLine(Base):
    """One thing that happened to one person's data; it stays when the person is erased.

    act: found (by a NIK that the asker knew), revealed, exported, sent, erased. fields: which data.
    by: `client:…`, `operator:…` or `process:…`; recipient: who has the data now. origin: from where.
    """

    __tablename__ = "personal_data_audit"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=sa.text("now()"))
    person_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("persons.id"))
    learner_hash: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    act: Mapped[str] = mapped_column(sa.Text)
    fields: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    by: Mapped[str] = mapped_column(sa.Text)
    recipient: Mapped[str] = mapped_column(sa.Text)
    reason: Mapped[str] = mapped_column(sa.Text)
    origin: Mapped[str] = mapped_column(sa.Text)


_NOTE = sa.text(
    """INSERT INTO personal_data_audit (person_id, act, fields, by, recipient, reason, origin)
       SELECT unnest(CAST(:ids AS uuid[])), :act, CAST(:fields AS text[]), :by, :recipient, :reason,
           :origin"""
)


def note(
    session: Session,
    person_ids: Sequence[UUID],
    act: Act,
    fields: Sequence[str],
    *,
    by: str,
    recipient: str,
    reason: str,
    origin: str,
) -> None:
    """One line for each person, in the caller's transaction: what is not noted has not happened."""
    session.execute(
        _NOTE,
        {
            "ids": list(person_ids),
            "act": act,
            "fields": list(fields),
            "by": by,
            "recipient": recipient,
            "reason": reason,
            "origin": origin,
        },
    )


def note_learner(
    session: Session,
    learner_id: str,
    act: Act,
    fields: Sequence[str],
    *,
    by: str,
    recipient: str,
    reason: str,
    origin: str,
) -> None:
    """The same for a learner of whom we know no NIK: by a keyed hash, as the id would outlive its erasure."""
    session.add(
        AuditLine(
            learner_hash=_of_learner(learner_id),
            act=act,
            fields=list(fields),
            by=by,
            recipient=recipient,
            reason=reason,
            origin=origin,
        )
    )
    session.flush()


def of_learner(session: Session, learner_id: str) -> list[AuditLine]:
    """What happened to a learner's data while we knew no NIK of theirs, oldest first."""
    mine = sa.select(AuditLine).filter_by(learner_hash=_of_learner(learner_id))
    return list(session.scalars(mine.order_by(AuditLine.id)))


def _of_learner(learner_id: str) -> bytes:
    return keyed_hash("learner", learner_id.encode(), key="persons")


def of_person(session: Session, person_id: UUID) -> list[AuditLine]:
    """Everything that happened to a person's data, oldest first."""
    return list(session.scalars(sa.select(AuditLine).filter_by(person_id=person_id).order_by(AuditLine.id)))


def resource(line: AuditLine) -> dict[str, Any]:
    """The line as others see it, as JSON values."""
    return {
        "at": line.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "act": line.act,
        "fields": line.fields,
        "by": line.by,
        "recipient": line.recipient,
        "reason": line.reason,
        "origin": line.origin,
    }


def checked_reason(text: str) -> str:
    """Why somebody wants to see personal data, in their own words; raises BadInput for none, or for one that
    holds a long number: a NIK in the audit could never be erased."""
    reason = text.strip()
    if not any(map(str.isalpha, reason)) or len(reason) > LONGEST_REASON or _CONTROL.search(reason):
        raise BadInput(f"A reason is needed, in words, of at most {LONGEST_REASON} characters on one line")
    if _LONG_NUMBER.search(reason):
        raise BadInput("A reason has no long numbers in it: name the case and not the person")
    return reason
