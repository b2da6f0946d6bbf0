"""A data subject: everything that we hold of one person, handed out, and taken away again.

Somebody is known by NIK, by our id, or by the platform's id of a learner; payments know only the last.
Erasing takes away what is personal and leaves what has to balance: amounts, states, times and the audit.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, undefer

from common import clock
from common.errors import BadInput
from records import (
    audit,
    credential_check,
    credential_state,
    enrolment,
    entitlement,
    learner_session,
    linkedin_connection,
    linkedin_share,
    person,
)
from records.completion import Completion, CompletionReport
from records.credential import Credential
from records.credential_check import CredentialCheck
from records.credential_export import CredentialExport
from records.enrolment import Enrolment
from records.linkedin_connection import LinkedInConnection, Tokens
from records.linkedin_share import LinkedInShare
from records.payment import NOT_FINAL, Payment, PaymentEvent
from records.person import Person
from records.process import OPEN, ProcessRun
from records.program import Program
from records.sealed import unseal, unseal_json

_NOBODY = bytes(32)  # the hash of no NIK


@dataclass(frozen=True)
class Subject:
    """Who it is about. learner_id: by which payments know them; one of both is there."""

    who: Person | None
    learner_id: str | None


@dataclass(frozen=True)
class Erased:
    """What was taken away. payments: so many lost their learner; kept: so many are still under way;
    credentials: so many are revoked and empty. linkedin: tokens that are to be ended there, by the caller."""

    completions: int
    credentials: int
    payments: int
    kept: int
    linkedin: Tokens | None = field(default=None, repr=False)


class StillReported(Exception):
    """The person's completion is on its way to the ministry: it cannot be recalled, nor finished without."""


def find(
    session: Session, *, nik: str | None = None, person_id: UUID | None = None, learner_id: str | None = None
) -> Subject:
    """The subject by one of the three; raises BadInput where nobody is known by it."""
    if learner_id is not None:
        people = session.scalars(sa.select(Person).filter_by(learner_id=learner_id)).all()
        if len(people) > 1:
            ids = ", ".join(str(one.id) for one in people)
            raise BadInput(f"Several persons have this learner's id: name one of them, {ids}")
        is_known = sa.or_(
            sa.exists().where(Payment.learner_id == learner_id),
            sa.exists().where(Credential.learner_id == learner_id),
            sa.exists().where(LinkedInConnection.learner_id == learner_id),
            sa.exists().where(Enrolment.learner_id == learner_id),
        )
        if people or session.scalar(sa.select(is_known)):
            return Subject(people[0] if people else None, learner_id)
    else:
        who = session.get(Person, person_id) if person_id else person.find(session, nik or "")
        if who is not None:
            return Subject(who, who.learner_id)
    raise BadInput("We know nobody by that")


def export(session: Session, subject: Subject, *, by: str, reason: str, origin: str) -> dict[str, Any]:
    """Everything that we hold of the subject, as JSON values, with a line in the audit."""
    why = audit.checked_reason(reason)
    found: dict[str, Any] = {
        "exported_at": _iso(clock.now()),
        "learner_id": subject.learner_id,
        "person": None,
        "completions": [],
        "payments": _payments(session, subject.learner_id),
        "credentials": _credentials(session, subject.learner_id),
        "linkedin": _linkedin(session, subject.learner_id),
        "enrolments": _enrolments(session, subject.learner_id),
        "differences": _differences(session, subject.learner_id),
        "checks_of_credentials": [],
        "who_saw_it": [],
    }
    told = {"by": by, "recipient": by, "reason": why, "origin": origin}
    if subject.who is None and subject.learner_id is not None:
        fields = ["credentials", "payments"]
        audit.note_learner(session, subject.learner_id, "exported", fields, **told)
    if subject.learner_id is not None:
        lines = audit.of_learner(session, subject.learner_id)
        found["who_saw_it"] = [audit.resource(line) for line in lines]
    if subject.who is not None:
        fields = ["nik", "full_name", "completions", "credentials", "payments"]
        audit.note(session, [subject.who.id], "exported", fields, **told)
        identity = person.identity(subject.who)
        found["person"] = {
            "person_id": str(subject.who.id),
            "nik": identity.nik if identity else None,
            "full_name": identity.name if identity else None,
            "created_at": _iso(subject.who.created_at),
            "erased_at": _iso(subject.who.erased_at),
        }
        found["completions"] = _completions(session, subject.who.id)
        found["checks_of_credentials"] = _checks(session, subject.who)
        lines = audit.of_person(session, subject.who.id)
        found["who_saw_it"] += [audit.resource(line) for line in lines]
    return found


def erase(session: Session, subject: Subject, *, by: str, reason: str, origin: str) -> Erased:
    """Take away everything personal of the subject, for good. Raises StillReported, BadInput for no reason.

    What the ministry and the wallets were told stays with them, and the gateways' signed messages stay sealed
    with their payments: evidence of money that moved. Of LinkedIn all goes; the caller ends the tokens there.
    """
    why = audit.checked_reason(reason)
    completions = _erase_person(session, subject.who, by, why, origin) if subject.who is not None else 0
    credentials, tokens = 0, None
    if subject.learner_id is not None:
        tokens = linkedin_connection.disconnect(session, subject.learner_id)
        learner_session.forget(session, subject.learner_id)
        credentials = credential_state.withdraw(session, subject.learner_id, source=by).credentials
        enrolment.forget(session, subject.learner_id)
        entitlement.forget(session, subject.learner_id, by=by)
    payments, kept = _erase_payments(session, subject.learner_id)
    if subject.who is not None:  # by whom else would the payments be found that are still under way?
        subject.who.learner_id = subject.learner_id if kept else None
    if subject.who is None and subject.learner_id is not None:
        fields = ["learner_id", "credentials", "payments", "enrolments", "linkedin"]
        told = {"by": by, "recipient": "nobody", "reason": why, "origin": origin}
        audit.note_learner(session, subject.learner_id, "erased", fields, **told)
    return Erased(completions, credentials, payments, kept, tokens)


def _erase_person(session: Session, who: Person, by: str, reason: str, origin: str) -> int:
    session.refresh(who, with_for_update=True)
    rows = session.scalars(sa.select(Completion).filter_by(person_id=who.id).with_for_update()).all()
    if any(one.state in ("sent", "unknown") or _is_due(session, one) for one in rows):
        raise StillReported("A completion of this person is on its way to the ministry; wait for its end")
    if who.erased_at is not None:
        return 0
    checks = session.scalars(sa.select(CredentialCheck).filter_by(nik_hash=who.nik_hash).with_for_update())
    for check in checks:
        if check.status == "pending" and _is_at_work(session, check.process_run_id):
            raise StillReported("The ministry is being asked about a credential of theirs; wait for that")
        if check.status == "pending":  # it waits for a person, who may never come
            credential_check.withdrawn(check)
        check.question = check.answer = None
        check.nik_hash = _NOBODY
    who.nik = who.name = who.nik_hash = None
    who.erased_at = clock.now()
    for one in rows:
        one.name = None
        if one.state == "waiting" and one.superseded_at is None:
            one.superseded_at = clock.now()  # it is not sent any more, whoever retries its process
    audit.note(
        session,
        [who.id],
        "erased",
        ["nik", "full_name", "learner_id"],
        by=by,
        recipient="nobody",
        reason=reason,
        origin=origin,
    )
    session.flush()
    return len(rows)


def _is_due(session: Session, one: Completion) -> bool:
    """Whether it goes to the ministry by itself; where its process waits for a person it does not."""
    if one.state != "waiting" or one.superseded_at is not None:
        return False
    return _is_at_work(session, session.get_one(CompletionReport, one.report_id).process_run_id)


def _is_at_work(session: Session, run_id: UUID) -> bool:
    """Whether a process goes on by itself; it is held as it is until the end of this transaction."""
    return session.get_one(ProcessRun, run_id, with_for_update=True).state in OPEN


def _erase_payments(session: Session, learner_id: str | None) -> tuple[int, int]:
    """Take the learner out of payments that have ended; tells of how many, and how many are under way."""
    if learner_id is None:
        return 0, 0
    mine = sa.select(Payment).filter_by(learner_id=learner_id).with_for_update()
    payments = session.scalars(mine).all()
    ended = [one for one in payments if one.status not in NOT_FINAL]
    for one in ended:
        one.learner = one.learner_id = None
    session.flush()
    return len(ended), len(payments) - len(ended)


def _completions(session: Session, person_id: UUID) -> list[dict[str, Any]]:
    found = session.execute(
        sa.select(Completion, CompletionReport, Program)
        .join(CompletionReport, CompletionReport.id == Completion.report_id)
        .join(Program, Program.id == Completion.program_id)
        .options(undefer(Completion.name))
        .where(Completion.person_id == person_id)
        .order_by(Completion.created_at, Completion.id)
    )
    return [
        {
            "report_id": str(report.id),
            "program_code": program.program_code,
            "lpk_registration_number": program.lpk_registration_number,
            "siplatih_program_id": program.siplatih_program_id,
            "completion_date": one.completion_date.isoformat(),
            "full_name": unseal(one.name).decode() if one.name else None,
            "completion_status": one.completion_status,
            "final_score": None if one.final_score is None else str(one.final_score),
            "certificate_number": one.certificate_number,
            "state": one.state,
            "sent_at": _iso(one.sent_at),
            "answered_at": _iso(one.answered_at),
            "superseded_at": _iso(one.superseded_at),
        }
        for one, report, program in found
    ]


def _checks(session: Session, who: Person) -> list[dict[str, Any]]:
    found = session.scalars(sa.select(CredentialCheck).filter_by(nik_hash=who.nik_hash))
    return [credential_check.resource(one) for one in found] if who.nik_hash else []


def _credentials(session: Session, learner_id: str | None) -> list[dict[str, Any]]:
    if learner_id is None:
        return []
    mine = sa.select(Credential).filter_by(learner_id=learner_id).order_by(Credential.created_at)
    return [
        {
            "credential_id": str(one.id),
            "program_code": one.program_code,
            "certificate_number": one.certificate_number,
            "issued_on": one.issued_on.isoformat(),
            "state": one.state,
            "score": one.score,
            "name": one.holder_name(),
            "email": unseal(one.email).decode() if one.email else None,
            "name_is_public": one.name_is_public,
        }
        for one in session.scalars(mine)
    ]


def _linkedin(session: Session, learner_id: str | None) -> dict[str, Any] | None:
    """The connected account by LinkedIn's own name, and what was shared; no tokens."""
    found = linkedin_connection.of_learner(session, learner_id) if learner_id is not None else None
    mine = sa.select(LinkedInShare).join(Credential).where(Credential.learner_id == learner_id)
    shares = list(session.scalars(mine.order_by(LinkedInShare.agreed_at)))
    if found is None and not shares:
        return None
    return {
        "member": found.opened().member if found else None,
        "state": found.state_now() if found else "not_connected",
        "scopes": found.scopes if found else [],
        "connected_at": _iso(found.connected_at) if found else None,
        "expires_at": _iso(found.expires_at) if found else None,
        "shares_new_since": _iso(found.shares_new_since) if found else None,
        "shares": [
            {
                "credential_id": str(one.credential_id),
                "text": one.words(),
                "visibility": one.visibility,
                "agreed_with": one.agreed_with,
                "agreed_at": _iso(one.agreed_at),
                "post": export.external_id if export else None,
            }
            for one in shares
            for export in [session.get(CredentialExport, (one.credential_id, linkedin_share.TARGET))]
        ],
    }


def _enrolments(session: Session, learner_id: str | None) -> list[dict[str, Any]]:
    if learner_id is None:
        return []
    return [
        {
            "program_code": one.program_code,
            "state": one.state,
            "is_free": one.is_free,
            "payment_id": str(one.payment_id) if one.payment_id else None,
            "told": [
                {"state": said.state, "occurred_at": _iso(said.occurred_at), "told_at": _iso(said.told_at)}
                for said in told
            ],
        }
        for one, told in enrolment.of_learner(session, learner_id)
    ]


def _differences(session: Session, learner_id: str | None) -> list[dict[str, Any]]:
    """What the nightly look has found of the learner."""
    if learner_id is None:
        return []
    return [
        {
            "program_code": one.program_code,
            "class": one.class_,
            "state": one.state,
            "since": _iso(one.since),
            "history": [
                {"at": _iso(event.at), "to_state": event.to_state, "reason": event.reason}
                for event in entitlement.history(session, one.id)
            ],
        }
        for one in entitlement.of_learner(session, learner_id)
    ]


def _payments(session: Session, learner_id: str | None) -> list[dict[str, Any]]:
    if learner_id is None:
        return []
    payments = session.scalars(
        sa.select(Payment)
        .filter_by(learner_id=learner_id)
        .options(undefer(Payment.learner))
        .order_by(Payment.created_at, Payment.id)
    ).all()
    return [
        {
            "payment_id": str(one.id),
            "reference": one.reference,
            "gateway": one.gateway,
            "amount_minor": one.amount_minor,
            "currency": one.currency,
            "status": one.status,
            "created_at": _iso(one.created_at),
            "paid_at": _iso(one.paid_at),
            "learner": unseal_json(one.learner) if one.learner else None,
            "history": [
                {"at": _iso(event.at), "to_status": event.to_status, "note": event.note}
                for event in session.scalars(
                    sa.select(PaymentEvent).filter_by(payment_id=one.id).order_by(PaymentEvent.id)
                )
            ],
        }
        for one in payments
    ]


def as_json(found: dict[str, Any]) -> str:
    """An export as the text that is handed over."""
    return json.dumps(found, indent=2, ensure_ascii=False)


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None
