"""Checks of credentials at the ministry's register: what was asked, and whether it said yes.

The question names a person by NIK: it is sealed, and dropped once it is answered. The answer is kept whole,
sealed as well.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import clock
from records import person, process, service_gate
from records.db import Base
from records.process import ProcessRun
from records.program import SERVICE, iso
from records.sealed import keyed_hash, seal, seal_json, unseal_json

PROCESS = "verify-credential"
_TIME = TIMESTAMP(timezone=True)


class CredentialCheck(Base):
    """One question to the register. status: `pending`, `verified` (an explicit yes) or `not_verified`.

    sent_unknown_at: when it went, where we knew nobody of that NIK whose audit could say so.
    """

    __tablename__ = "credential_checks"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    credential_id: Mapped[UUID]
    fingerprint: Mapped[bytes]
    nik_hash: Mapped[bytes]
    question: Mapped[bytes | None]
    answer: Mapped[bytes | None]
    status: Mapped[str] = mapped_column(sa.Text, server_default="pending")
    reason: Mapped[str | None] = mapped_column(sa.Text)
    requested_by: Mapped[str] = mapped_column(sa.Text)
    process_run_id: Mapped[UUID] = mapped_column(sa.ForeignKey("process_runs.id"))
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    answered_at: Mapped[datetime | None] = mapped_column(_TIME)
    sent_unknown_at: Mapped[datetime | None] = mapped_column(_TIME)


def ask_for(
    session: Session, question: Mapping[str, str], *, by: str, is_repeat: bool = False
) -> tuple[CredentialCheck, ProcessRun]:
    """Write a checked question down and open its process; joins the same question while it is open.

    is_repeat: the caller's own key says that it is the same request: the answer that there is will do.
    """
    text = json.dumps(question, sort_keys=True, separators=(",", ":")).encode()
    fingerprint = keyed_hash("credential check", text, key="persons")
    same = sa.select(CredentialCheck).filter_by(fingerprint=fingerprint)
    if not is_repeat:
        same = same.where(CredentialCheck.status == "pending")
    known = session.scalars(same.order_by(CredentialCheck.created_at.desc()).limit(1)).one_or_none()
    if known is not None:
        return known, session.get_one(ProcessRun, known.process_run_id)
    check_id = uuid4()
    run, _ = process.request(
        session,
        PROCESS,
        str(check_id),
        {"check_id": str(check_id), "credential_id": question["credential_id"]},
    )
    service_gate.wait_while_shut(session, SERVICE, [run])
    made = CredentialCheck(
        id=check_id,
        credential_id=UUID(question["credential_id"]),
        fingerprint=fingerprint,
        nik_hash=person.hash_of(question["participant_nik"]),
        question=seal_json(dict(question)),
        status="pending",
        requested_by=by,
        process_run_id=run.id,
    )
    session.add(made)
    session.flush()
    return made, run


def question_of(check: CredentialCheck) -> dict[str, Any]:
    """What is asked. Holds a NIK: for the provider only."""
    assert check.question is not None
    question: dict[str, Any] = unseal_json(check.question)
    return question


def sent_of_nobody_known(session: Session, check_id: UUID) -> None:
    """Note that the question goes, about somebody of whom we know nothing else."""
    session.get_one(CredentialCheck, check_id, with_for_update=True).sent_unknown_at = clock.now()


def answered(
    session: Session, check_id: UUID, *, is_verified: bool, reason: str, evidence: bytes
) -> CredentialCheck:
    """Note the register's answer, once: the one door for a check's state."""
    check = session.get_one(CredentialCheck, check_id, with_for_update=True)
    if check.status == "pending":
        check.status = "verified" if is_verified else "not_verified"
        check.reason, check.answered_at = reason, clock.now()
        check.question, check.answer = None, seal(evidence)
    return check


def withdrawn(check: CredentialCheck) -> None:
    """The person was erased before the register answered: it is not asked any more."""
    check.status, check.answered_at, check.question = "not_verified", clock.now(), None
    check.reason = "The person was erased before the register answered"


def resource(check: CredentialCheck) -> dict[str, Any]:
    """The check as others see it: no person in it."""
    return {
        "check_id": str(check.id),
        "credential_id": str(check.credential_id),
        "status": check.status,
        "verified": check.status == "verified",
        "reason": check.reason,
        "requested_by": check.requested_by,
        "process_id": str(check.process_run_id),
        "created_at": iso(check.created_at),
        "answered_at": iso(check.answered_at),
    }
