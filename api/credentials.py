"""Credentials for programs: make one, see it, end it, have it exported."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query, Response
from sqlalchemy.orm import Session

from api import cursors, waiting
from api.access import REFUSALS, Caller, allowed, needs_too
from api.credential_models import (
    CredentialMade,
    CredentialReason,
    Credentials,
    CredentialTold,
    CredentialWithHistory,
    ExportAccepted,
    ExportWish,
    NameShown,
    ShownCredential,
)
from api.cursors import Cursor
from api.idempotency import IdempotencyKey, is_repeated
from api.problem_kinds import BODY, OURS, described, headers_described
from api.problems import Problem, not_found
from common import clock
from common.errors import BadInput
from common.settings import settings
from credentials import asking
from credentials import exports as exporting
from records import credential, credential_export, credential_state
from records.credential import Content, Credential, Holder, Unit
from records.credential_export import CredentialExport
from records.credential_state import NotPossible
from records.db import unit_of_work
from records.process import ProcessRun
from records.sealed import seal

router = APIRouter(prefix="/api/v1/credentials", tags=["credentials"])

Reader = Annotated[Caller, Depends(allowed("credentials:read"))]
Writer = Annotated[Caller, Depends(allowed("credentials:write"))]
CredentialId = Annotated[
    UUID, Path(description="Ours, from the creation", examples=["7c0e5d4e-6d2b-4f0a-9a53-0f2f4a1d9b11"])
]


@router.post(
    "",
    status_code=201,
    summary="Make a credential",
    response_description="The credential; its badge is signed within moments",
    responses={
        201: {"headers": headers_described("Location", "Preference-Applied")},
        **described(
            *BODY, "credential-differs", "idempotency-key-reused", *OURS, *REFUSALS
        ),
    },
)  # fmt: skip
def create_credential(
    told: CredentialTold,
    caller: Writer,
    response: Response,
    prefer: waiting.Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> CredentialMade:
    """Make a learner's credential and export it. Repeat the same request as often as you like: it is one
    credential, and what a signed badge says cannot be changed: revoke it and issue another number."""
    with unit_of_work() as session:
        is_repeated(session, caller, idempotency_key, f"credential\n{told.model_dump_json()}")
        credential_id, run = taken(session, told, settings().export_targets)
    if run is not None and waiting.until_ended(run.id, prefer):
        response.headers["Preference-Applied"] = "wait"
    response.headers["Location"] = f"/api/v1/credentials/{credential_id}"
    with unit_of_work() as session:
        found = session.get_one(Credential, credential_id)
        exports = credential_export.of_credential(session, credential_id)
        runs = [export.process_run_id for export in exports if export.process_run_id is not None]
        run_id = run.id if run is not None else (runs[0] if runs else None)
        return CredentialMade.model_validate(
            shown(found, exports)
            | {
                "process_id": run_id,
                "status_url": settings().page_url(f"/api/v1/processes/{run_id}") if run_id else None,
            }
        )


@router.get(
    "",
    summary="Credentials",
    response_description="A page of credentials",
    responses=described("invalid-request", "invalid-cursor", *OURS, *REFUSALS),
)
def list_credentials(
    caller: Reader,
    learner_id: Annotated[
        str | None,
        Query(
            max_length=64, pattern="^[^\x00]*$", description="Only of this learner", examples=["learner-4711"]
        ),
    ] = None,
    program_code: Annotated[
        str | None,
        Query(
            max_length=64,
            pattern="^[^\x00]*$",
            description="Only of this program",
            examples=["PRG-2026-0017"],
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="How many on a page")] = 50,
    cursor: Cursor = None,
) -> Credentials:
    """Credentials in the order of their ids, which are random."""
    query = sa.select(Credential).order_by(Credential.id).limit(limit + 1)
    if learner_id is not None:
        query = query.where(Credential.learner_id == learner_id)
    if program_code is not None:
        query = query.where(Credential.program_code == program_code)
    if cursor is not None:
        query = query.where(Credential.id > cursors.place(cursor))
    with unit_of_work() as session:
        found = list(session.scalars(query))
        page = found[:limit]
        exports = _exports_of(session, page)
        return Credentials(
            items=[ShownCredential.model_validate(shown(one, exports.get(one.id, []))) for one in page],
            next_cursor=cursors.cursor(page[-1].id) if len(found) > limit else None,
        )


@router.post(
    "/export",
    status_code=202,
    summary="Export credentials",
    response_description="The export was taken on",
    responses={
        202: {"headers": headers_described("Location", "Preference-Applied")},
        **described(*BODY, "idempotency-key-reused", *OURS, *REFUSALS),
    },
)
def export_credentials(
    wish: ExportWish,
    caller: Writer,
    response: Response,
    prefer: waiting.Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> ExportAccepted:
    """Have credentials exported to some targets. What is done already stays as it is; what a person had to
    look at is tried anew. The target `linkedin` also needs the scope `linkedin:write`, and shares only what
    its learner has agreed to."""
    if "linkedin" in wish.targets:
        needs_too(caller, "linkedin:write")
    with unit_of_work() as session:
        is_repeated(session, caller, idempotency_key, f"export\n{wish.model_dump_json()}")
        try:
            asked = asking.Wish(wish.credential_ids, wish.program_code, wish.targets)
            run, number = asking.ask_for(session, asked)
        except BadInput as refusal:
            problem = Problem("invalid-request", f"{refusal}.")
            problem.errors = [{"where": "body", "reason": problem.detail}]
            raise problem from None
    return ExportAccepted(**accepted(run.id, number, prefer, response))


def accepted(run_id: UUID, exports: int, prefer: str | None, response: Response) -> dict[str, Any]:
    """What an answer says of exports that were taken on, once their process has ended or nobody waits."""
    if waiting.until_ended(run_id, prefer):
        response.headers["Preference-Applied"] = "wait"
    path = f"/api/v1/processes/{run_id}"
    response.headers["Location"] = path
    with unit_of_work() as session:
        state = session.get_one(ProcessRun, run_id).state
    return {
        "process_id": run_id,
        "status_url": settings().page_url(path),
        "state": state,
        "exports": exports,
    }


@router.get(
    "/{credential_id:uuid}",
    summary="A credential",
    response_description="The credential with its history",
    responses=described("not-found", *OURS, *REFUSALS),
)
def read_credential(credential_id: CredentialId, caller: Reader) -> CredentialWithHistory:
    """One credential: its state, where it goes, and what happened to it."""
    return _with_history(credential_id)


_CHANGES: dict[str, Any] = {
    "response_description": "The credential as it is now",
    "responses": described(*BODY, "not-found", "not-possible", "idempotency-key-reused", *OURS, *REFUSALS),
}


@router.post("/{credential_id:uuid}/revoke", summary="Revoke a credential", **_CHANGES)
def revoke_credential(
    credential_id: CredentialId,
    word: CredentialReason,
    caller: Writer,
    idempotency_key: IdempotencyKey = None,
) -> CredentialWithHistory:
    """End a credential for good. The page, the API and the status list say so at once, others who kept the
    list within half a minute. It cannot be undone."""
    return _moved(credential_id, "revoked", caller, word.reason, idempotency_key)


@router.post("/{credential_id:uuid}/suspend", summary="Suspend a credential", **_CHANGES)
def suspend_credential(
    credential_id: CredentialId,
    word: CredentialReason,
    caller: Writer,
    idempotency_key: IdempotencyKey = None,
) -> CredentialWithHistory:
    """Let a credential be not valid until it is restored."""
    return _moved(credential_id, "suspended", caller, word.reason, idempotency_key)


@router.post(
    "/{credential_id:uuid}/restore",
    summary="Restore a credential",
    response_description="The credential as it is now",
    responses=described(
        "invalid-request", "not-found", "not-possible", "idempotency-key-reused", *OURS, *REFUSALS
    ),
)
def restore_credential(
    credential_id: CredentialId, caller: Writer, idempotency_key: IdempotencyKey = None
) -> CredentialWithHistory:
    """Let a suspended credential be valid again."""
    return _moved(credential_id, "valid", caller, "", idempotency_key)


@router.post("/{credential_id:uuid}/show-name", summary="Show the name, or no longer", **_CHANGES)
def show_credential_name(
    credential_id: CredentialId, word: NameShown, caller: Writer, idempotency_key: IdempotencyKey = None
) -> CredentialWithHistory:
    """Pass on the learner's word on the name. The public page follows at once; what others saved of it, or a
    certificate that somebody has downloaded, stays as it was."""
    with unit_of_work() as session:
        asked = f"show-name {credential_id}\n{word.show_name}"
        if not is_repeated(session, caller, idempotency_key, asked):
            with _in_words():
                source = f"client:{caller.name}"
                credential_state.show_name(session, credential_id, is_agreed=word.show_name, source=source)
    return _with_history(credential_id)


def _moved(
    credential_id: UUID, to_state: str, caller: Caller, reason: str, key: str | None
) -> CredentialWithHistory:
    with unit_of_work() as session:
        if is_repeated(session, caller, key, f"{to_state} {credential_id}\n{reason}"):
            return _with_history(credential_id)
        with _in_words():
            source = f"client:{caller.name}"
            credential_state.apply(session, credential_id, to_state, source=source, reason=reason)
    return _with_history(credential_id)


@contextmanager
def _in_words() -> Iterator[None]:
    """What cannot be is a problem document."""
    try:
        yield
    except NotPossible as refusal:
        raise Problem("not-possible", str(refusal)) from None
    except sa.exc.NoResultFound:
        raise _no_such() from None


def _with_history(credential_id: UUID) -> CredentialWithHistory:
    with unit_of_work() as session:
        found = session.get(Credential, credential_id)
        if found is None:
            raise _no_such()
        events = [
            {
                "at": event.at,
                "from_state": event.from_state,
                "to_state": event.to_state,
                "source": event.source,
                "reason": event.reason or None,
            }
            for event in credential_state.history(session, credential_id)
        ]
        exports = credential_export.of_credential(session, credential_id)
        return CredentialWithHistory.model_validate(shown(found, exports) | {"events": events})


def _no_such() -> Problem:
    return not_found("There is no such credential.")


def shown(found: Credential, exports: list[CredentialExport]) -> dict[str, Any]:
    """A credential as the API shows it."""
    return {
        "credential_id": found.id,
        "url": settings().page_url(f"/credentials/{found.id}"),
        "learner_id": found.learner_id,
        "program_code": found.program_code,
        "lpk_registration_number": found.achievement.lpk_registration_number,
        "certificate_number": found.certificate_number,
        "achievement": found.achievement.content,
        "issued_on": found.issued_on,
        "expires_on": found.expires_on,
        "score": found.score,
        "state": found.state_on(clock.business_date(clock.now())),
        "reason": found.reason,
        "state_since": found.state_since,
        "created_at": found.created_at,
        "exports": [
            {
                "target": one.target,
                "state": one.state,
                "links": exporting.links(one),
                "problem": one.problem,
                "next_attempt_at": one.next_attempt_at,
                "done_at": one.done_at,
            }
            for one in exports
        ],
    }


def _exports_of(session: Session, page: list[Credential]) -> dict[UUID, list[CredentialExport]]:
    wanted = sa.select(CredentialExport).where(CredentialExport.credential_id.in_([one.id for one in page]))
    found: dict[UUID, list[CredentialExport]] = {}
    for one in session.scalars(wanted.order_by(CredentialExport.target)):
        found.setdefault(one.credential_id, []).append(one)
    return found


def taken(session: Session, told: CredentialTold, targets: Sequence[str]) -> tuple[UUID, ProcessRun | None]:
    """The credential that is told, made where it is new, and the process that exports it; None where all of
    it was exported before. Raises a Problem for days that cannot be, and for one that says otherwise."""
    _check_days(told)
    made = credential.from_completion(
        session,
        program_code=told.program_code,
        lpk_registration_number=told.lpk_registration_number,
        achievement=_content(told),
        issued_on=told.issued_on,
        expires_on=told.expires_on,
        holders=[_holder(told)],
        targets=targets,
    )
    (one,) = made.credentials
    if not one.is_same:
        raise Problem(
            "credential-differs", f"Credential {one.id} has this number already, and says otherwise."
        )
    return one.id, made.run


_FIRST_DAY = date(1970, 1, 1)


def _check_days(told: CredentialTold) -> None:
    """Days that no certificate can have."""
    wrong = None
    if told.issued_on > clock.business_date(clock.now()):
        wrong = ("issued_on", "The day of issue lies in the future.")
    elif told.issued_on < _FIRST_DAY:
        wrong = ("issued_on", f"A certificate of before {_FIRST_DAY:%Y} is a slip of the pen.")
    elif told.expires_on is not None and told.expires_on < told.issued_on:
        wrong = ("expires_on", "It would expire before it is issued.")
    if wrong is not None:
        problem = Problem("invalid-request", f"body.{wrong[0]}: {wrong[1]}")
        problem.errors = [{"where": f"body.{wrong[0]}", "reason": wrong[1]}]
        raise problem


def _content(told: CredentialTold) -> Content:
    said = told.achievement
    return Content(
        name=said.name,
        description=said.description,
        criteria=said.criteria,
        skkni_units=tuple(Unit(unit.code, unit.title, unit.title_en) for unit in said.skkni_units),
        kkni_level=said.kkni_level,
        hours=said.hours,
        name_en=said.name_en,
        description_en=said.description_en,
        criteria_en=said.criteria_en,
        isced_f=said.isced_f,
    )


def _holder(told: CredentialTold) -> Holder:
    who = told.learner
    return Holder(
        who.id, seal(who.name.encode()), told.certificate_number, who.email, told.score, who.show_name
    )
