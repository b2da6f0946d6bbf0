"""LinkedIn for programs: have a learner connect it, add a certificate to the profile, share it, let go."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse

from api import waiting
from api.access import REFUSALS, Caller, allowed
from api.idempotency import IdempotencyKey, is_repeated
from api.learner_visitor import HOME, set_cookie
from api.linkedin_models import (
    AddCertification,
    CertificationAdded,
    LearnerId,
    LinkedInConnect,
    LinkedInConnectionShown,
    LinkedInDisconnect,
    ProfileFields,
)
from api.problem_kinds import BODY, OURS, described, headers_described
from api.problems import Problem, not_found
from common import clock
from common.settings import settings
from credentials import asking, linkedin, sharing
from providers.linkedin.oauth import SHARE
from records import learner_session, linkedin_connection
from records.credential import Credential
from records.db import unit_of_work
from records.learner_session import Learner
from records.process import ProcessRun

router = APIRouter(prefix="/api/v1/integrations/linkedin", tags=["linkedin"])

Reader = Annotated[Caller, Depends(allowed("linkedin:read"))]
Writer = Annotated[Caller, Depends(allowed("linkedin:write"))]
WhichLearner = Annotated[
    LearnerId, Query(description="The platform's id of the learner", examples=["learner-4711"])
]
_NOTE = (
    "The learner opens the link, checks the form and saves it at LinkedIn. Whether that was done nobody else "
    "is told."
)


@router.get(
    "/connect",
    summary="Have a learner connect LinkedIn",
    response_description="Where the learner's browser goes",
    response_model=LinkedInConnect,
    responses={
        303: {"description": "For a browser: to LinkedIn, whose answer counts in that browser only"},
        **described("invalid-request", *OURS, *REFUSALS),
    },
)
def connect_linkedin(
    request: Request,
    caller: Writer,
    learner_id: WhichLearner,
    share_new: Annotated[
        bool, Query(description="The learner has agreed that new credentials are posted without being asked")
    ] = False,
) -> LinkedInConnect | Response:
    """Two addresses, each good once and for ten minutes: send the learner's browser to one of them. Both end
    at the learner's page. A request that prefers a page is redirected to LinkedIn at once."""
    learner = Learner(learner_id, caller.client_id)
    if "text/html" in request.headers.get("accept", ""):
        with unit_of_work() as session:
            browser = learner_session.open_for(session, learner)
            address, _ = linkedin.begin(session, learner, browser=browser, shares_new=share_new)
        answer = RedirectResponse(address, 303)
        set_cookie(request, answer, browser)
        return answer
    with unit_of_work() as session:
        address, until = linkedin.begin(session, learner, shares_new=share_new)
        ticket, _ = learner_session.ticket(session, "page", learner)
    return LinkedInConnect(
        authorization_url=address,
        learner_page_url=settings().page_url(f"{HOME}/start?ticket={ticket}"),
        expires_at=until,
    )


@router.get(
    "/connection",
    summary="How a learner's LinkedIn stands",
    response_description="The connection",
    responses=described("invalid-request", *OURS, *REFUSALS),
)
def read_linkedin_connection(caller: Reader, learner_id: WhichLearner) -> LinkedInConnectionShown:
    """Whether LinkedIn is connected, and whether posts can be made."""
    with unit_of_work() as session:
        return _shown(session, learner_id)


@router.post(
    "/disconnect",
    summary="Forget a learner's LinkedIn",
    response_description="It is forgotten",
    responses=described(*BODY, "idempotency-key-reused", *OURS, *REFUSALS),
)
def disconnect_linkedin(
    which: LinkedInDisconnect, caller: Writer, idempotency_key: IdempotencyKey = None
) -> LinkedInConnectionShown:
    """Erase the learner's permission here, and end it at LinkedIn as far as LinkedIn answers. Posts that are
    out stay. Where nothing is connected, nothing is done."""
    with unit_of_work() as session:
        repeated = is_repeated(session, caller, idempotency_key, f"disconnect\n{which.model_dump_json()}")
    if not repeated:
        linkedin.disconnect(which.learner_id)
    with unit_of_work() as session:
        return _shown(session, which.learner_id)


@router.post(
    "/add-certification",
    summary="Add a certificate to the learner's LinkedIn",
    response_description="The link to add it with",
    responses={
        202: {
            "model": CertificationAdded,
            "description": "The link, and the share was taken on",
            "headers": headers_described("Location", "Preference-Applied"),
        },
        **described(
            *BODY, "not-found", "not-possible", "linkedin-not-connected", "idempotency-key-reused", *OURS,
            *REFUSALS,
        ),
    },
)  # fmt: skip
def add_certification(
    wish: AddCertification,
    caller: Writer,
    response: Response,
    prefer: waiting.Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> CertificationAdded:
    """The Add-to-profile link: LinkedIn lets nobody but the member write a certification, so the learner
    opens it and saves. With `share` it is posted too, in the background and once, however often it is asked
    for: only where the learner has seen the text and wants it."""
    with unit_of_work() as session:
        one = session.get(Credential, wish.credential_id)
        if one is None or one.learner_id != wish.learner_id:
            raise not_found("This learner has no such credential.")
        state = one.state_on(clock.business_date(clock.now()))
        if state != "valid":
            raise Problem("not-possible", f"It is {state}: it is not shown on LinkedIn.")
        is_repeated(session, caller, idempotency_key, f"add-certification\n{wish.model_dump_json()}")
        run_id = _shared(session, one, wish, caller) if wish.share else None
        added = _added(session, one)
    if run_id is None:
        return added
    response.status_code = 202
    if waiting.until_ended(run_id, prefer):
        response.headers["Preference-Applied"] = "wait"
    path = f"/api/v1/processes/{run_id}"
    response.headers["Location"] = path
    with unit_of_work() as session:
        run = session.get_one(ProcessRun, run_id)
        more = {"process_id": run_id, "status_url": settings().page_url(path), "state": run.state}
    return added.model_copy(update=more)


def _shared(session: Session, one: Credential, wish: AddCertification, caller: Caller) -> UUID:
    """The process that posts it; refused where the learner has to connect first."""
    found = linkedin_connection.of_learner(session, wish.learner_id)
    if found is None or found.state_now() != "connected" or SHARE not in found.scopes:
        raise Problem("linkedin-not-connected")
    text = wish.text or sharing.default_text(one)
    agreed_with = f"client:{caller.name}"
    return asking.share(session, one.id, text, wish.visibility, agreed_with=agreed_with)[0].id


def _added(session: Session, one: Credential) -> CertificationAdded:
    form = linkedin.certificate(session, one)
    return CertificationAdded(
        credential_id=one.id,
        add_to_profile_url=linkedin.form_link(form),
        fields=ProfileFields(
            name=form.name,
            organization_name=form.organisation,
            organization_id=form.organisation_id or None,
            issue_year=form.issued_on.year,
            issue_month=form.issued_on.month,
            expiration_year=form.expires_on.year if form.expires_on else None,
            expiration_month=form.expires_on.month if form.expires_on else None,
            credential_url=form.url,
            credential_id=str(form.id),
        ),
        note=_NOTE,
        process_id=None,
        status_url=None,
        state=None,
    )


def _shown(session: Session, learner_id: str) -> LinkedInConnectionShown:
    found = linkedin_connection.of_learner(session, learner_id)
    if found is None:
        return LinkedInConnectionShown(
            learner_id=learner_id, state="not_connected", since=None, can_share=False, share_new=False,
            expires_at=None,
        )  # fmt: skip
    state = found.state_now()
    return LinkedInConnectionShown(
        learner_id=learner_id,
        state=state,
        since=found.state_since if state == found.state else found.expires_at,
        can_share=state == "connected" and SHARE in found.scopes,
        share_new=found.shares_new_since is not None,
        expires_at=found.expires_at,
    )
