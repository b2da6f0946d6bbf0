"""What is known of one learner, gathered from all that we remember; nothing is judged here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, undefer

from records import credential_export, enrolment, entitlement, program
from records.completion import Completion, CompletionCall
from records.credential import Credential
from records.credential_export import CredentialExport
from records.enrolment import Enrolment, EnrolmentStatement
from records.entitlement import Finding
from records.payment import Payment
from records.person import Person, masked_nik
from records.program import Program, ProgramVersion
from records.refund import Refund


@dataclass
class OfProgram:
    """One program of the learner. code: none for payments that name no program.

    completions: with the call that brought the register's answer, the receipt; superseded ones too.
    """

    code: str | None
    programs: list[tuple[Program, ProgramVersion]] = field(default_factory=list)
    enrolment: Enrolment | None = None
    statements: list[EnrolmentStatement] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    completions: list[tuple[Completion, CompletionCall | None]] = field(default_factory=list)
    credentials: list[tuple[Credential, list[CredentialExport]]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class Known:
    """A learner. niks: as much of each as may be shown; several where several persons have this learner."""

    learner_id: str
    niks: list[str]
    programs: list[OfProgram]


def of_learner(session: Session, learner_id: str, client_id: UUID | None = None) -> Known | None:
    """Everything about a learner, by program; None where nothing is known.

    client_id: whose payments are shown; another client's are not there. None: everybody's.
    """
    by_code: dict[str | None, OfProgram] = {}

    def of(code: str | None) -> OfProgram:
        return by_code.setdefault(code, OfProgram(code))

    for one, told in enrolment.of_learner(session, learner_id):
        of(one.program_code).enrolment, of(one.program_code).statements = one, told
    for code, payment in _payments(session, learner_id, client_id):
        of(code).payments.append(payment)
    people = _people(session, learner_id)
    for code, completion, call in _completions(session, [one.id for one in people]):
        of(code).completions.append((completion, call))
    for credential in session.scalars(
        sa.select(Credential).filter_by(learner_id=learner_id).order_by(Credential.created_at)
    ):
        exports = credential_export.of_credential(session, credential.id)
        of(credential.program_code).credentials.append((credential, exports))
    if not by_code and not people:
        return None
    for finding in entitlement.of_learner(session, learner_id):
        if finding.program_code in by_code:
            of(finding.program_code).findings.append(finding)
    for course in by_code.values():
        course.refunds = _refunds(session, course.payments)
        course.programs = _programs(session, course)
    niks = [nik for nik in map(masked_nik, people) if nik]
    return Known(
        learner_id, niks, sorted(by_code.values(), key=lambda one: (one.code is None, one.code or ""))
    )


def find(session: Session, asked: str) -> str | None:
    """The learner whom a text names: by the platform's id, a payment's reference or a certificate number."""
    queries = (
        sa.select(Enrolment.learner_id).where(Enrolment.learner_id == asked),
        sa.select(Payment.learner_id).where(Payment.learner_id == asked),
        sa.select(Person.learner_id).where(Person.learner_id == asked),
        sa.select(Credential.learner_id).where(Credential.learner_id == asked),
        sa.select(Payment.learner_id).where(Payment.reference == asked, Payment.learner_id.is_not(None)),
        sa.select(Enrolment.learner_id)
        .join(Payment, Payment.id == Enrolment.payment_id)
        .where(Payment.reference == asked, Enrolment.learner_id.is_not(None)),
        sa.select(Credential.learner_id).where(
            Credential.certificate_number == asked, Credential.withdrawn_at.is_(None)
        ),
        sa.select(Person.learner_id)
        .join(Completion, Completion.person_id == Person.id)
        .where(Completion.certificate_number == asked, Person.learner_id.is_not(None)),
    )
    for query in queries:
        found = session.scalars(query.limit(1)).first()
        if found is not None:
            return found
    return None


def _payments(session: Session, learner_id: str, client_id: UUID | None) -> list[tuple[str | None, Payment]]:
    """Payments with the program that each is for: what the learner's enrolments name, or it names itself."""
    named = sa.select(Enrolment.program_code, Payment).join(Payment, Payment.id == Enrolment.payment_id)
    named = named.where(Enrolment.learner_id == learner_id)
    is_named = sa.exists().where(Enrolment.payment_id == Payment.id, Enrolment.learner_id.is_not(None))
    own = sa.select(Payment.program_code, Payment).where(Payment.learner_id == learner_id, ~is_named)
    if client_id is not None:
        named = named.where(sa.or_(Payment.client_id == client_id, Payment.client_id.is_(None)))
        own = own.where(Payment.client_id == client_id)
    found = [(code, one) for query in (named, own) for code, one in session.execute(query)]
    return sorted(found, key=lambda pair: (pair[1].created_at, pair[1].id))


def _refunds(session: Session, payments: Sequence[Payment]) -> list[Refund]:
    mine = sa.select(Refund).where(Refund.payment_id.in_([one.id for one in payments]))
    return list(session.scalars(mine.order_by(Refund.created_at, Refund.id))) if payments else []


def _people(session: Session, learner_id: str) -> list[Person]:
    mine = sa.select(Person).filter_by(learner_id=learner_id).options(undefer(Person.nik))
    return list(session.scalars(mine.order_by(Person.created_at)))


def _completions(
    session: Session, person_ids: Sequence[UUID]
) -> list[tuple[str, Completion, CompletionCall | None]]:
    """What was reported of these persons, each with the last call that was answered for it."""
    rows = session.execute(
        sa.select(Program.program_code, Completion)
        .join(Program, Program.id == Completion.program_id)
        .where(Completion.person_id.in_(person_ids))
        .order_by(Completion.created_at, Completion.id)
    )
    found = []
    for code, one in rows.all() if person_ids else []:
        answered = sa.select(CompletionCall).where(
            CompletionCall.report_id == one.report_id,
            CompletionCall.answered_at.is_not(None),
            sa.or_(CompletionCall.chunk == one.chunk, CompletionCall.chunk.is_(None)),
        )
        call = session.scalars(answered.order_by(CompletionCall.id.desc()).limit(1)).first()
        found.append((code, one, call))
    return found


def _programs(session: Session, one: OfProgram) -> list[tuple[Program, ProgramVersion]]:
    """The program as it is known for the register: that of the learner's completions, where there are any,
    else those of every LPK that has the code."""
    if one.code is None:
        return []
    query = program.listed(program_code=one.code)
    mine = {completion.program_id for completion, _ in one.completions}
    if mine:
        query = query.where(Program.id.in_(mine))
    return [(found, version) for found, version in session.execute(query.order_by(Program.id))]
