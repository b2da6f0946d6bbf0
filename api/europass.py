"""European credentials for programs: have one made and delivered, download it, and the certificate as PDF."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Query, Response
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag
from sqlalchemy.orm import Session

from api import waiting
from api.access import REFUSALS
from api.credential_models import CredentialTold, ExportAccepted
from api.credentials import CredentialId, Reader, Writer, accepted, taken
from api.idempotency import IdempotencyKey, is_repeated
from api.problem_kinds import BODY, OURS, described, headers_described
from api.problems import Problem, not_found
from common.settings import settings
from credentials import asking, certificates, european
from providers.europass.concepts import Language
from records.credential import Credential
from records.db import unit_of_work
from records.process import ProcessRun

router = APIRouter(tags=["europass"])
_ID = "7c0e5d4e-6d2b-4f0a-9a53-0f2f4a1d9b11"
_PROCESS_ID = "019ab1c2-9a20-7c3e-9d55-0a4b6f1e2d3c"
_ACCEPTED: dict[str, Any] = {
    "process_id": _PROCESS_ID,
    "status_url": f"https://jembatan.example/api/v1/processes/{_PROCESS_ID}",
    "state": "queued",
    "exports": 1,
    "credential_id": _ID,
}
_PRIVATE = {"Cache-Control": "no-store"}  # the learner's name is in it


class CredentialChosen(BaseModel):
    """A credential that is there already."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"credential_id": _ID}]})

    credential_id: UUID = Field(description="Which", examples=[_ID])


class EuropassAccepted(ExportAccepted):
    """A European credential that was asked for, and its process. The outcome has its links."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ACCEPTED]})

    credential_id: UUID = Field(description="The credential")


def _which(body: Any) -> str:
    return "chosen" if isinstance(body, dict) and "credential_id" in body else "told"


Wish = Annotated[
    Annotated[CredentialChosen, Tag("chosen")] | Annotated[CredentialTold, Tag("told")],
    Discriminator(_which),
    Body(
        description="A credential by its id, or all that a new one says, as for `POST /api/v1/credentials`",
        openapi_examples={"chosen": {"value": {"credential_id": _ID}}},
    ),
]


@router.post(
    "/api/v1/integrations/europass/generate",
    status_code=202,
    summary="Make a European credential",
    response_description="It was taken on",
    responses={
        202: {"headers": headers_described("Location", "Preference-Applied")},
        **described(
            *BODY, "not-found", "not-possible", "credential-differs", "idempotency-key-reused", *OURS,
            *REFUSALS,
        ),
    },
)  # fmt: skip
def generate_european_credential(
    wish: Wish,
    caller: Writer,
    response: Response,
    prefer: waiting.Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> EuropassAccepted:
    """Make a learner's European credential (European Learning Model v3), and deliver it where an issuer is
    set. Done once, however often it is asked for. The outcome of the process has the links: `download`, in
    the form that the EU's web issuer takes, `certificate`, and what the issuer gave."""
    with unit_of_work() as session:
        is_repeated(session, caller, idempotency_key, f"europass\n{wish.model_dump_json()}")
        credential_id, run, number = _asked(session, wish)
    return EuropassAccepted(**accepted(run.id, number, prefer, response), credential_id=credential_id)


def _asked(session: Session, wish: CredentialChosen | CredentialTold) -> tuple[UUID, ProcessRun, int]:
    """The credential, the process that exports it, and how much that has to do."""
    if isinstance(wish, CredentialTold):
        targets = tuple(dict.fromkeys((*settings().export_targets, european.TARGET)))
        credential_id, run = taken(session, wish, targets)
        if run is not None:
            return credential_id, run, len(targets)
    else:
        credential_id = wish.credential_id
    found = session.get(Credential, credential_id)
    if found is None:
        raise not_found("There is no such credential.")
    if found.state != "valid":
        raise Problem("not-possible", f"It is {found.state}: no European credential is made of it.")
    run, number = asking.ask_for(session, asking.Wish([credential_id], targets=[european.TARGET]))
    return credential_id, run, number


@router.get(
    "/api/v1/credentials/{credential_id:uuid}/europass.json",
    summary="Download a European credential",
    response_description="The file",
    response_class=Response,
    responses={
        200: {
            "content": {
                "application/json": {"schema": {"type": "object"}, "examples": {"upload": {"value": {}}}}
            }
        },
        **described("not-found", "invalid-request", *OURS, *REFUSALS),
    },
)
def download_european_credential(
    credential_id: CredentialId,
    caller: Reader,
    form: Annotated[
        str,
        Query(
            pattern="^(upload|document)$",
            description="`upload`: not sealed, as the EU's web issuer takes it; `document`: as it was made "
            "and delivered, under our own seal where one is set",
            examples=["upload"],
        ),
    ] = "upload",
) -> Response:
    """The European credential as a file. It has the learner's name in it: hand it to nobody else."""
    if form == "upload":
        text = european.upload(credential_id)
    else:
        kept = european.document(credential_id)
        text = kept.document() if kept is not None else None
    if text is None:
        raise not_found("There is no such credential, or it was revoked.")
    name = {"Content-Disposition": f'attachment; filename="europass-{credential_id}.json"'}
    return Response(text, media_type="application/json", headers=_PRIVATE | name)


@router.get(
    "/api/v1/credentials/{credential_id:uuid}/certificate.pdf",
    summary="Download a certificate",
    response_description="The certificate",
    response_class=Response,
    responses={
        200: {"content": {"application/pdf": {"schema": {"type": "string"}}}},
        **described("not-found", "invalid-request", *OURS, *REFUSALS),
    },
)
def download_certificate(
    credential_id: CredentialId,
    caller: Reader,
    language: Annotated[Language, Query(description="`id` Indonesian, `en` English", examples=["id"])] = "id",
) -> Response:
    """The certificate as PDF (PDF/A), drawn from the same template as the pages of European credentials."""
    made = certificates.pdf(credential_id, language)
    if made is None:
        raise not_found("There is no such credential, or it was revoked.")
    name = {"Content-Disposition": f'inline; filename="certificate-{credential_id}-{language}.pdf"'}
    return Response(made, media_type="application/pdf", headers=_PRIVATE | name)
