"""Credentials in the console: find one, see where it went, and revoke, suspend or restore it.

Learners stand here by the platform's ids; their names do not.
"""

import re
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Request
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from api.console.forms import Filled, NotTaken, shown_with, taken
from api.console.visitor import Form, Sent, Turned, Visitor, shown, visiting
from common import clock
from common.settings import settings
from credentials import exports as exporting
from records import credential_export, credential_state
from records.credential import Credential
from records.credential_state import MOVES, NotPossible
from records.db import unit_of_work

router = APIRouter()
PER_PAGE = 50
MOST_WORDS = 255  # of a reason, as the API has it
STATES = ("valid", "expired", "suspended", "revoked")
_ACTIONS = {"revoke": "revoked", "suspend": "suspended", "restore": "valid"}
Reader = Annotated[Visitor, Depends(visiting("credentials:read"))]
Writer = Annotated[Visitor, Depends(visiting("credentials:write"))]
CredentialId = Annotated[UUID, Path()]


@router.get("/credentials")
def listed(visitor: Reader, q: str = "", state: str = "", before: UUID | None = None) -> HTMLResponse:
    """Credentials, newest first: all of them, or what a number, a learner, a program or an address finds."""
    q = q.replace("\0", "").strip()[:200]
    state = state if state in STATES else ""
    today = clock.business_date(clock.now())
    with unit_of_work() as session:
        found = list(session.scalars(_query(q, state, before).limit(PER_PAGE + 1)))
        page = found[:PER_PAGE]
        return shown(
            "credentials.html",
            visitor,
            q=q,
            state=state,
            states=STATES,
            rows=[(one, one.state_on(today)) for one in page],
            more=page[-1].id if len(found) > PER_PAGE else None,
            is_first=before is None,
        )


def _query(q: str, state: str, before: UUID | None) -> sa.Select[Credential]:
    query = sa.select(Credential).order_by(Credential.created_at.desc(), Credential.id.desc())
    if q:
        named = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", q.lower())
        fits = [Credential.certificate_number == q, Credential.learner_id == q, Credential.program_code == q]
        query = query.where(sa.or_(*fits, *([Credential.id == UUID(named[0])] if named else [])))
    passed = Credential.expires_on < clock.business_date(clock.now())
    if state == "expired":
        query = query.where(Credential.state == "valid", passed)
    elif state == "valid":
        query = query.where(Credential.state == "valid", passed.isnot(True))
    elif state:
        query = query.where(Credential.state == state)
    if before is not None:
        last = sa.select(Credential.created_at, Credential.id).where(Credential.id == before)
        query = query.where(sa.tuple_(Credential.created_at, Credential.id) < last.scalar_subquery())
    return query


@router.get("/credentials/{credential_id:uuid}")
def one(visitor: Reader, credential_id: CredentialId, request: Request) -> HTMLResponse:
    """One credential: how it stands, where it went, and who did what with it."""
    return _page(visitor, credential_id, Filled.by_address(request))


@router.post("/credentials/{credential_id:uuid}/move")
def move(visitor: Writer, credential_id: CredentialId, sent: Sent) -> Response:
    """Revoke, suspend or restore it; what that means is in `records.credential_state`, as for the API."""
    return taken(
        sent,
        f"/console/credentials/{credential_id}",
        lambda: _move(visitor, credential_id, sent),
        lambda filled: _page(visitor, credential_id, filled),
    )


def _move(visitor: Visitor, credential_id: UUID, sent: Form) -> str:
    action, reason = sent.text("action"), sent.text("reason")
    problems: dict[str, str] = {}
    if action not in _ACTIONS:
        problems["action"] = "Choose what is to happen."
    if action in ("revoke", "suspend"):
        if not reason:
            problems["reason"] = "Say why: the public page shows it."
        elif len(reason) > MOST_WORDS or not reason.isprintable():
            problems["reason"] = f"One line, at most {MOST_WORDS} characters."
    if action == "revoke" and sent.text("sure") != "yes":
        problems["sure"] = "A revocation cannot be undone: say that you mean it."
    if problems:
        raise NotTaken(problems)
    try:
        with unit_of_work() as session:
            credential_state.apply(
                session,
                credential_id,
                _ACTIONS[action],
                source=visitor.actor,
                reason="" if action == "restore" else reason,
            )
    except NotPossible as error:
        raise NotTaken({"": str(error)}, 409) from None
    except sa.exc.NoResultFound:
        raise _unknown() from None
    return action


def _page(visitor: Visitor, credential_id: UUID, filled: Filled) -> HTMLResponse:
    with unit_of_work() as session:
        found = session.get(Credential, credential_id)
        if found is None:
            raise _unknown()
        return shown_with(
            "credential.html",
            visitor,
            filled,
            found=found,
            told=found.achievement.told(),
            state=found.state_on(clock.business_date(clock.now())),
            url=settings().page_url(f"/credentials/{found.id}"),
            exports=_exports(session, credential_id),
            history=credential_state.history(session, credential_id),
            moves=[action for action, state in _ACTIONS.items() if state in MOVES[found.state]],
            most_words=MOST_WORDS,
        )


def _exports(
    session: Session, credential_id: UUID
) -> list[tuple[credential_export.CredentialExport, dict[str, str]]]:
    """Each target, with the links that a browser opens without a key."""
    found = credential_export.of_credential(session, credential_id)
    return [
        (one, {name: url for name, url in exporting.links(one).items() if "/api/v1/" not in url})
        for one in found
    ]


def _unknown() -> Turned:
    return Turned(404, "Not found", "There is no such credential. Its address may have been mistyped.")
