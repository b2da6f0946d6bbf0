"""Persons for a data-protection officer: find, reveal, export, erase, and who saw what. A NIK stands in
bodies only, never in an address."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict
from sqlalchemy.orm import Session

from api.access import REFUSALS, Caller, allowed
from api.completion_models import Said
from api.idempotency import IdempotencyKey, answer_kept, is_repeated, keep_answer
from api.problem_kinds import BODY, OURS, described
from api.problems import Problem, not_found
from common import clock
from common.errors import BadInput
from credentials import linkedin
from records import approval, audit, breach, person, subject
from records.client import REVEAL
from records.db import unit_of_work
from records.person import Person
from records.subject import StillReported, Subject

router = APIRouter(prefix="/api/v1/persons", tags=["persons"])

Reader = Annotated[Caller, Depends(allowed("persons:read"))]
Writer = Annotated[Caller, Depends(allowed("persons:write"))]
Revealer = Annotated[Caller, Depends(allowed(REVEAL))]
PersonId = Annotated[
    UUID, Path(description="From `find`, or a participant", examples=["019ab1c2-9b00-7c3e-9d55-0a4b6f1e2d3c"])
]
Nik = Annotated[str, StringConstraints(pattern=r"^[0-9]{16}$")]

Moment = Annotated[str, StringConstraints(pattern=f"^{clock.MOMENT}$")]

_ID = "019ab1c2-9b00-7c3e-9d55-0a4b6f1e2d3c"
_REASON = "Asked for by the person, DPO-31"
_SHOWN: JsonDict = {
    "person_id": _ID,
    "nik": "3201********0001",
    "learner_id": "learner-1",
    "created_at": "2024-07-15T04:00:00Z",
    "erased_at": None,
}
_LINE: JsonDict = {
    "at": "2024-07-15T04:00:02Z",
    "act": "sent",
    "fields": ["nik", "full_name"],
    "by": "process:019ab1c2-9a20-7c3e-9d55-0a4b6f1e2d3c",
    "recipient": "siplatih",
    "reason": "report of completion, LPK-2024-001",
    "origin": "worker",
}
_GROUP: JsonDict = {
    "act": "sent",
    "recipient": "siplatih",
    "by": "process:019ab1c2-9a20-7c3e-9d55-0a4b6f1e2d3c",
    "origin": "worker",
    "fields": ["nik", "full_name"],
    "persons": 20,
    "times": 20,
    "first_at": "2024-07-15T04:00:02Z",
    "last_at": "2024-07-15T04:00:02Z",
}


class WhichPerson(BaseModel):
    """Somebody whose NIK you know."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"nik": "3201010101010001"}]})

    nik: Nik = Field(description="The whole number")


class Why(BaseModel):
    """Why you do it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": _REASON}]})

    reason: Said = Field(
        description="In words, without personal data; stands in the audit for good", examples=[_REASON]
    )


class PersonShown(BaseModel):
    """A person as everybody may see them who has the scope."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SHOWN]})

    person_id: UUID = Field(description="Names the person here")
    nik: str | None = Field(description="Masked; null of who was erased")
    learner_id: str | None = Field(description="The platform's own id of the same person")
    created_at: datetime = Field(description="When we first heard of them")
    erased_at: datetime | None = Field(description="When what is personal was taken away")


class PersonRevealed(BaseModel):
    """A person in full."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"person_id": _ID, "nik": "3201010101010001", "full_name": "Siti Rahma"}]
        }
    )

    person_id: UUID = Field(description="Names the person here")
    nik: str = Field(description="The whole number")
    full_name: str = Field(description="As first reported")


class AuditShown(BaseModel):
    """One act on a person's data."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LINE]})

    at: datetime = Field(description="When")
    act: str = Field(description="`found`, `revealed`, `exported`, `sent` or `erased`")
    fields: list[str] = Field(description="Which data")
    by: str = Field(description="Who did it", examples=["client:platform"])
    recipient: str = Field(description="Who has the data since", examples=["siplatih"])
    reason: str = Field(description="Why")
    origin: str = Field(description="From where", examples=["api 127.0.0.1"])


class PersonAudit(BaseModel):
    """Everything that happened to a person's data, oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_LINE]}]})

    items: list[AuditShown] = Field(description="The acts")


class PersonExport(BaseModel):
    """Everything that we hold of a person."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"exported": {"person": {"nik": "3201010101010001"}}}]}
    )

    exported: dict[str, Any] = Field(description="Person, completions, payments, and who saw them")


class PersonErased(BaseModel):
    """What was taken away."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"completions": 1, "credentials": 1, "payments": 1, "payments_under_way": 0}]
        }
    )

    completions: int = Field(description="Completions that stay without a name")
    credentials: int = Field(description="Credentials that are revoked, and say nothing any more")
    payments: int = Field(description="Payments that stay without a learner")
    payments_under_way: int = Field(description="Payments that still need theirs; erase again later")


class BreachGroup(BaseModel):
    """Acts of one kind, by the same, to the same recipient, from the same place."""

    model_config = ConfigDict(json_schema_extra={"examples": [_GROUP]})

    act: str = Field(description="What was done")
    recipient: str = Field(description="Who has the data since")
    by: str = Field(description="Who did it")
    origin: str = Field(description="From where")
    fields: list[str] = Field(description="Which data")
    persons: int = Field(description="How many persons it was about")
    times: int = Field(description="How often")
    first_at: datetime = Field(description="The first time")
    last_at: datetime = Field(description="The last time")


class BreachReport(BaseModel):
    """Who saw or received whose data in a time; for the notice within 3 × 24 hours."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "since": "2024-07-15T00:00:00Z",
                    "until": "2024-07-16T00:00:00Z",
                    "persons": 20,
                    "groups": [_GROUP],
                }
            ]
        }
    )

    since: datetime = Field(description="From when, included")
    until: datetime = Field(description="Until when")
    persons: int = Field(description="Persons of completions that it was about in all")
    groups: list[BreachGroup] = Field(description="The acts, gathered")


@router.post(
    "/find",
    summary="Find a person by NIK",
    response_description="The person",
    responses=described("not-found", *BODY, "idempotency-key-reused", *OURS, *REFUSALS),
)
def find_person(
    which: WhichPerson, caller: Reader, request: Request, idempotency_key: IdempotencyKey = None
) -> PersonShown:
    """Whether we know somebody, and by which id. That you asked stands in their audit."""
    with unit_of_work() as session:
        is_repeated(session, caller, idempotency_key, b"find\n" + person.hash_of(which.nik))  # is told again
        found = person.find(session, which.nik)
        if found is None:
            raise not_found("We know nobody by that.")
        by = _by(caller)
        audit.note(
            session,
            [found.id],
            "found",
            ["nik"],
            by=by,
            recipient=by,
            reason="found by a NIK that the caller knew",
            origin=_origin(request),
        )
        return _shown(found)


@router.get(
    "/breach-report",
    summary="Who saw or received what",
    response_description="The acts of that time, gathered",
    responses=described("invalid-request", *OURS, *REFUSALS),
)
def breach_report(
    caller: Reader,
    since: Annotated[
        Moment, Query(description="From when, with its offset", examples=["2024-07-15T00:00:00Z"])
    ],
    until: Annotated[
        Moment | None, Query(description="Until when; left out: now", examples=["2024-07-16T00:00:00Z"])
    ] = None,
) -> BreachReport:
    """For a notice after article 46 of UU 27/2022."""
    begin = _moment("since", since)
    end = _moment("until", until) if until is not None else clock.now()
    with unit_of_work() as session:
        return BreachReport.model_validate(breach.report(session, begin, end))


@router.get(
    "/{person_id:uuid}",
    summary="A person",
    response_description="The person",
    responses=described("not-found", *OURS, *REFUSALS),
)
def read_person(person_id: PersonId, caller: Reader) -> PersonShown:
    """As much as may be shown."""
    with unit_of_work() as session:
        return _shown(_known(session, person_id))


@router.get(
    "/{person_id:uuid}/audit",
    summary="What happened to a person's data",
    response_description="The acts",
    responses=described("not-found", *OURS, *REFUSALS),
)
def read_person_audit(person_id: PersonId, caller: Reader) -> PersonAudit:
    """Who saw or received it, when, from where and why."""
    with unit_of_work() as session:
        found = audit.of_person(session, _known(session, person_id).id)
        return PersonAudit(items=[AuditShown.model_validate(audit.resource(line)) for line in found])


@router.post(
    "/{person_id:uuid}/reveal",
    summary="See a person in full",
    response_description="NIK and name",
    responses=described("not-found", *BODY, "idempotency-key-reused", *OURS, *REFUSALS),
)
def reveal_person(
    person_id: PersonId,
    why: Why,
    caller: Revealer,
    request: Request,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> PersonRevealed:
    """NIK and name, with a line in the audit. No other scope includes this one, not even `*`."""
    with _in_full(response, caller, idempotency_key, f"reveal {person_id}\n{why.reason}") as session:
        known = _known(session, person_id)
        found = person.reveal(session, known, by=_by(caller), reason=why.reason, origin=_origin(request))
        if found is None:
            raise not_found("What is personal of this person was erased.")
        return PersonRevealed(person_id=known.id, nik=found.nik, full_name=found.name)


@router.post(
    "/{person_id:uuid}/export",
    summary="Everything that we hold of a person",
    response_description="Person, completions, payments, and who saw them",
    responses=described("not-found", *BODY, "idempotency-key-reused", *OURS, *REFUSALS),
)
def export_person(
    person_id: PersonId,
    why: Why,
    caller: Revealer,
    request: Request,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> PersonExport:
    """For the person's right to a copy, in full; with a line in the audit."""
    with _in_full(response, caller, idempotency_key, f"export {person_id}\n{why.reason}") as session:
        known = _known(session, person_id)
        whom = Subject(known, known.learner_id)
        found = subject.export(session, whom, by=_by(caller), reason=why.reason, origin=_origin(request))
        return PersonExport(exported=found)


@contextmanager
def _in_full(response: Response, caller: Caller, key: str | None, asked: str) -> Iterator[Session]:
    """An answer with everything of a person in it: asked for with a reason, and kept by nobody on its way."""
    response.headers["Cache-Control"] = "no-store"
    with unit_of_work() as session:
        is_repeated(session, caller, key, asked)
        try:
            yield session
        except BadInput as error:
            raise _no_reason(error) from None


@router.post(
    "/{person_id:uuid}/erase",
    summary="Take away what is personal",
    response_description="What was taken away",
    responses=described("not-found", "still-reported", *BODY, "idempotency-key-reused", *OURS, *REFUSALS),
)
def erase_person(
    person_id: PersonId, why: Why, caller: Writer, request: Request, idempotency_key: IdempotencyKey = None
) -> PersonErased:
    """For good. Amounts, states and the audit stay; what the ministry was told stays with it."""
    with unit_of_work() as session:
        known = _known(session, person_id)
        if is_repeated(session, caller, idempotency_key, f"erase {person_id}\n{why.reason}"):
            return PersonErased.model_validate(answer_kept(session, caller, idempotency_key))
        try:
            done = subject.erase(
                session,
                Subject(known, known.learner_id),
                by=_by(caller),
                reason=why.reason,
                origin=_origin(request),
            )
        except BadInput as error:
            raise _no_reason(error) from None
        except StillReported as error:
            raise Problem("still-reported", f"{error}.") from None
        erased = PersonErased(
            completions=done.completions,
            credentials=done.credentials,
            payments=done.payments,
            payments_under_way=done.kept,
        )
        keep_answer(session, caller, idempotency_key, erased.model_dump())
    linkedin.end(done.linkedin)  # a call, and so in no transaction
    return erased


def _known(session: Session, person_id: UUID) -> Person:
    found = session.get(Person, person_id)
    if found is None:
        raise not_found("There is no such person.")
    return found


def _shown(found: Person) -> PersonShown:
    return PersonShown(
        person_id=found.id,
        nik=person.masked_nik(found),
        learner_id=found.learner_id,
        created_at=found.created_at,
        erased_at=found.erased_at,
    )


def _moment(name: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        problem = Problem("invalid-request", "There is no such moment.")
        problem.errors = [{"where": f"query.{name}", "reason": "There is no such moment."}]
        raise problem from None


def _by(caller: Caller) -> str:
    return approval.actor("client", caller.name)


def _origin(request: Request) -> str:
    return f"api {request.client.host if request.client else 'unknown'}"


def _no_reason(error: BadInput) -> Problem:
    problem = Problem("invalid-request", f"{error}.")
    problem.errors = [{"where": "body.reason", "reason": f"{error}."}]
    return problem
