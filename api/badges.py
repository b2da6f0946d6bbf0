"""What anybody may read: badges as they were signed, status lists, achievements, and our public keys.

No API key, no names, nothing personal. Other origins may read all of it, so that verifiers in browsers work.
"""

import hashlib
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Path, Request, Response
from starlette.responses import JSONResponse

from api import credential_page
from api.problem_kinds import OURS, described
from api.problems import not_found
from credentials import badges, images, lists, ours
from credentials.badges import Proof
from credentials.images import Kind
from providers.open_badges import keys as wire
from providers.open_badges.document import achievement
from providers.open_badges.status_list import PURPOSES, TTL, Purpose
from records.credential import Achievement
from records.db import unit_of_work

router = APIRouter(tags=["badges"])
JWT = "application/vc+jwt"
JSON_LD = "application/vc+ld+json"
_ANYWHERE = {"Access-Control-Allow-Origin": "*"}
BadgeId = Annotated[
    UUID, Path(description="Of the credential", examples=["7c0e5d4e-6d2b-4f0a-9a53-0f2f4a1d9b11"])
]
ETagSeen = Annotated[
    str | None,
    Header(alias="If-None-Match", description="The `ETag` of a copy that you have", examples=['"a1"']),
]


def _answers(*media_types: str) -> dict[int | str, dict[str, Any]]:
    content = {media_type: {"schema": {"type": "string"}} for media_type in media_types}
    return {200: {"content": content}, **described("not-found", *OURS)}


@router.get(
    "/credentials/{credential_id:uuid}.jws",
    summary="A badge as a JWT",
    response_description="The compact JWT as it was signed",
    response_class=Response,
    responses=_answers("text/plain"),
)
def badge_jws(credential_id: BadgeId) -> Response:
    """The Open Badge secured as a JWT (RS256, or EdDSA where the operator chose it), byte for byte."""
    return _badge(credential_id, "jws", "text/plain; charset=utf-8")


@router.get(
    "/credentials/{credential_id:uuid}.json",
    summary="A badge as JSON",
    response_description="The badge with the proof embedded in it",
    response_class=Response,
    responses={
        200: {"content": {JSON_LD: {"schema": {"type": "object"}, "examples": {"badge": {"value": {}}}}}},
        **described("not-found", *OURS),
    },
)
def badge_json(credential_id: BadgeId) -> Response:
    """The Open Badge with an embedded proof (`eddsa-rdfc-2022`), byte for byte as it was signed."""
    return _badge(credential_id, "embedded", JSON_LD)


@router.get(
    "/credentials/{credential_id:uuid}/badge.png",
    summary="A badge as a picture",
    response_description="The picture with the badge baked in",
    response_class=Response,
    responses=_answers("image/png"),
)
def badge_png(credential_id: BadgeId, seen: ETagSeen = None) -> Response:
    """The picture of the badge, with the signed badge in it. Keep the file as it is: services that shrink
    pictures take the badge out."""
    return _picture(credential_id, "png", seen)


@router.get(
    "/credentials/{credential_id:uuid}/badge.svg",
    summary="A badge as a drawing",
    response_description="The drawing with the badge baked in",
    response_class=Response,
    responses=_answers("image/svg+xml"),
)
def badge_svg(credential_id: BadgeId, seen: ETagSeen = None) -> Response:
    """The drawing of the badge, with the signed badge in it."""
    return _picture(credential_id, "svg", seen)


def _picture(credential_id: UUID, kind: Kind, seen: str | None) -> Response:
    found = images.baked(credential_id, kind)
    if found is None:
        raise not_found("There is no such credential.")
    etag = f'"{hashlib.sha256(found).hexdigest()[:32]}"'
    headers = _ANYWHERE | {"ETag": etag, "Cache-Control": "no-cache"}
    if seen is not None and etag in seen:
        return Response(status_code=304, headers=headers)
    return Response(found, media_type=images.MEDIA_TYPES[kind], headers=headers)


@router.get(
    "/credentials/{credential_id:uuid}",
    summary="A credential, for anybody",
    response_description="The badge in the form that the request prefers",
    response_class=Response,
    responses={
        200: {
            "content": {
                JSON_LD: {"schema": {"type": "object"}, "examples": {"badge": {"value": {}}}},
                JWT: {"schema": {"type": "string"}},
                "image/png": {"schema": {"type": "string"}},
                "text/html": {"schema": {"type": "string"}},
            }
        },
        **described("not-found", *OURS),
    },
)
def public_credential(credential_id: BadgeId, request: Request) -> Response:
    """A badge's own address. `Accept` chooses: a page for people, JSON with an embedded proof, a JWT, or the
    picture. The page says what holds now; it is asked for again each time (`no-cache`, with an ETag)."""
    answer = negotiated(credential_id, request.headers.get("accept", ""))
    return answer if answer is not None else credential_page.page_of(credential_id, request)


def negotiated(credential_id: UUID, accept: str) -> Response | None:
    """The badge in the form that `Accept` prefers; None where it prefers a page, or anything.

    Raises the problem `not-found`.
    """
    wanted = _preferred(accept)
    if wanted == "text/html":
        return None
    if wanted in (JWT, "application/jwt"):
        answer = _badge(credential_id, "jws", wanted)
    elif wanted == "text/plain":
        answer = badge_jws(credential_id)
    elif wanted == "image/png":
        answer = badge_png(credential_id)
    elif wanted == "image/svg+xml":
        answer = badge_svg(credential_id)
    else:
        answer = badge_json(credential_id)
    answer.headers["Vary"] = "Accept"
    return answer


_FORMS = ("text/html", JSON_LD, JWT, "application/jwt", "text/plain", "image/png", "image/svg+xml")
_ALSO_JSON = ("application/json", "application/ld+json", "application/vc")
# Networks that make a card of a link (WhatsApp, Facebook, Telegram) ask for anything, and need the page.
_ANY_OF = {"*/*": "text/html", "text/*": "text/html", "image/*": "image/png", "application/*": JSON_LD}


def _preferred(accept: str) -> str:
    """The first of our forms by the weights of the header, what is named before what is left open. The page
    where nothing is asked for, JSON where none of ours is."""
    best, weight = JSON_LD if accept.strip() else "text/html", (0.0, False)
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        given = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        try:
            quality = min(1.0, max(0.0, float(given)))
        except ValueError:
            quality = 0.0
        form = _ANY_OF.get(name) or (JSON_LD if name in _ALSO_JSON else name)
        rank = (quality, name not in _ANY_OF)
        if form in _FORMS and quality and rank > weight:
            best, weight = form, rank
    return best


def _badge(credential_id: UUID, proof: Proof, media_type: str) -> Response:
    body = badges.badge(credential_id, proof)
    if body is None:
        raise not_found("There is no such credential.")
    return Response(body, media_type=media_type, headers=_ANYWHERE)


@router.get(
    "/status/{purpose}/{number}",
    summary="A status list",
    response_description="The signed list: one bit for each credential",
    response_class=Response,
    responses={
        200: {
            "content": {
                JWT: {"schema": {"type": "string"}},
                JSON_LD: {"schema": {"type": "object"}, "examples": {"list": {"value": {}}}},
            }
        },
        **described("not-found", "invalid-request", *OURS),
    },
)
def status_list(
    purpose: Annotated[str, Path(description="`revocation` or `suspension`", examples=["revocation"])],
    number: Annotated[int, Path(ge=1, le=2**31 - 1, description="Which list", examples=[1])],
    request: Request,
    seen: ETagSeen = None,
) -> Response:
    """Which credentials are not valid (W3C Bitstring Status List). A JWT, or JSON with an embedded proof
    where the request prefers JSON. May be kept for half a minute."""
    known = _purpose(purpose)
    form: Proof = "embedded" if "json" in request.headers.get("accept", "") else "jws"
    found = lists.signed(known, number, form) if known is not None else None
    if found is None:
        raise not_found("There is no such status list.")
    etag = f'"{hashlib.sha256(found.body.encode()).hexdigest()[:32]}"'
    headers = _ANYWHERE | {
        "ETag": etag,
        "Vary": "Accept",
        "Cache-Control": f"public, max-age={int(TTL.total_seconds())}",
    }
    if seen is not None and etag in seen:
        return Response(status_code=304, headers=headers)
    return Response(found.body, media_type=JWT if form == "jws" else JSON_LD, headers=headers)


def _purpose(text: str) -> Purpose | None:
    return next((purpose for purpose in PURPOSES if purpose == text), None)


@router.get(
    "/achievements/{achievement_id:uuid}",
    summary="An achievement",
    response_description="The achievement as it stands in its badges",
    response_class=Response,
    responses={
        200: {"content": {JSON_LD: {"schema": {"type": "object"}, "examples": {"it": {"value": {}}}}}},
        **described("not-found", *OURS),
    },
)
def read_achievement(
    achievement_id: Annotated[
        UUID, Path(description="From a badge", examples=["0d6c1f0e-6d2b-4f0a-9a53-0f2f4a1d9b11"])
    ],
) -> Response:
    """What many learners achieved alike."""
    with unit_of_work() as session:
        found = session.get(Achievement, achievement_id)
        if found is None:
            raise not_found("There is no such achievement.")
        said = achievement(badges.achieved(session, found), ours.base_url())
    return JSONResponse(said, media_type=JSON_LD, headers=_ANYWHERE)


@router.get(
    "/achievements/{achievement_id:uuid}/image.png",
    summary="The picture of an achievement",
    response_description="The picture, without a badge in it",
    response_class=Response,
    responses=_answers("image/png"),
)
def achievement_image(
    achievement_id: Annotated[
        UUID, Path(description="From a badge", examples=["0d6c1f0e-6d2b-4f0a-9a53-0f2f4a1d9b11"])
    ],
) -> Response:
    """What all badges of the achievement look like."""
    found = images.plain(achievement_id)
    if found is None:
        raise not_found("There is no such achievement.")
    return Response(found, media_type="image/png", headers=_ANYWHERE)


@router.get(
    "/.well-known/jwks.json",
    summary="Our public keys",
    response_description="The JWK set",
    response_class=Response,
    responses={
        200: {
            "content": {
                "application/jwk-set+json": {
                    "schema": {"type": "object"},
                    "examples": {"keys": {"value": {"keys": []}}},
                }
            }
        },
        **described(*OURS),
    },
)
def jwks() -> Response:
    """Every key whose badges verify: those that sign now, and those that ever did and were not withdrawn."""
    with unit_of_work() as session:
        known = ours.public_keys(session)
    document = wire.jwk_set(ours.issuer().id, known, [key.id for key in ours.keys().signing])
    return JSONResponse(document, media_type="application/jwk-set+json", headers=_ANYWHERE)


@router.get(
    "/.well-known/did.json",
    summary="Our DID document",
    response_description="The document of our did:web",
    response_class=Response,
    responses={
        200: {
            "content": {
                "application/did+json": {"schema": {"type": "object"}, "examples": {"did": {"value": {}}}}
            }
        },
        **described(*OURS),
    },
)
def did_document() -> Response:
    """The same keys for who resolves our `did:web`."""
    with unit_of_work() as session:
        known = ours.public_keys(session)
    document = wire.did_document(ours.issuer().id, known, [key.id for key in ours.keys().signing])
    return JSONResponse(document, media_type="application/did+json", headers=_ANYWHERE)
