"""Ask the ministry's register whether it vouches for a credential."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import WithJsonSchema

from api import waiting
from api.access import REFUSALS
from api.idempotency import IdempotencyKey
from api.problem_kinds import BODY, OURS, described, headers_described
from api.problems import not_found
from api.program_models import CheckAccepted, ShownCheck
from api.programs import Reader, Writer, accept, by, invalid, used
from common.settings import settings
from ministry import checking
from ministry.programs import Faulty
from records import credential_check
from records.credential_check import CredentialCheck
from records.db import unit_of_work
from records.process import ProcessRun

router = APIRouter(prefix="/api/v1/integrations/siplatih", tags=["siplatih"])
QuestionBody = Annotated[
    dict[str, Any], WithJsonSchema({"$ref": "#/components/schemas/CredentialQuestion"}, mode="validation")
]


@router.post(
    "/verify-credential",
    status_code=202,
    summary="Have a credential checked",
    response_description="The question was taken on; its process asks the register",
    responses={
        202: {"headers": headers_described("Location", "Preference-Applied")},
        **described(*BODY, "idempotency-key-reused", *OURS, *REFUSALS),
    },
)
def verify_credential(
    body: QuestionBody,
    caller: Writer,
    response: Response,
    prefer: waiting.Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> CheckAccepted:
    """Ask the register about a credential. `verified` is true only where it said so in so many words."""
    with unit_of_work() as session:
        is_repeat = used(session, caller, idempotency_key, "verify-credential", body)
        try:
            check, run = checking.ask_for(session, body, by=by(caller), is_repeat=is_repeat)
        except Faulty as faulty:
            raise invalid(faulty.faults) from None
    accept(response, run.id, prefer)
    with unit_of_work() as session:
        return CheckAccepted(
            process_id=run.id,
            status_url=settings().page_url(f"/api/v1/processes/{run.id}"),
            state=session.get_one(ProcessRun, run.id).state,
            check=_shown(session.get_one(CredentialCheck, check.id)),
        )


@router.get(
    "/credential-checks/{check_id}",
    summary="One check of a credential",
    response_description="The check",
    responses=described("not-found", "invalid-request", *OURS, *REFUSALS),
)
def read_credential_check(
    check_id: Annotated[
        UUID, Path(description="From the request", examples=["019ab1c2-9a10-7c3e-9d55-0a4b6f1e2d3c"])
    ],
    _: Reader,
) -> ShownCheck:
    """What the register said."""
    with unit_of_work() as session:
        found = session.get(CredentialCheck, check_id)
        if found is None:
            raise not_found("There is no such check.")
        return _shown(found)


def _shown(check: CredentialCheck) -> ShownCheck:
    return ShownCheck.model_validate(credential_check.resource(check))
