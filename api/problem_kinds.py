"""Every kind of problem that an answer can be, one row for each; routes are documented with them."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:jembatan:problem:"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. detail: how it reads, or may read where it tells of the case; where: the member that it
    names, if it names one; retry_after: seconds after which the same request may do better, where it may."""

    status: int
    detail: str
    where: str | None = None
    retry_after: int | None = None


# The last part of the stable type, which is also its title: `not-found` is "Not found".
KINDS: dict[str, Kind] = {
    "bad-request": Kind(
        400, "The body cannot be read: send JSON in UTF-8, nested no deeper than it is described."
    ),
    "unauthenticated": Kind(401, "The API key is not valid."),
    "missing-scope": Kind(
        403, "This needs the scope `payments:write`, which the client reports does not have."
    ),
    "own-request": Kind(403, "client:platform asked for it: somebody else has to approve."),
    "not-found": Kind(404, "There is nothing under this address."),
    "method-not-allowed": Kind(405, "Method Not Allowed."),
    "still-running": Kind(
        409, "The first request for this payment is still under way. Repeat this one.", retry_after=1
    ),
    "reference-taken": Kind(409, "This reference is in use. Take another one.", "body.reference"),
    "not-cancellable": Kind(409, "Only a pending payment can be cancelled; this is paid."),
    "not-refundable": Kind(409, "Only a paid payment can be refunded; this is pending."),
    "already-decided": Kind(409, "It was approved already, by client:finance on 25 Nov 11:04 WIB."),
    "approval-expired": Kind(409, "It expired on 28 Nov 11:00 WIB; ask for it again."),
    "finding-closed": Kind(409, "This finding is resolved already."),
    "not-open": Kind(409, "Exception 4711 is explained already."),
    "awaits-approval": Kind(
        409,
        "Exception 4711 waits for a second person's word already: client:finance asked to have it written "
        "off. Have approval 019ab1c2-8a01-7d02-8d11-3f0c2b7a9e10 decided first.",
    ),
    "credential-differs": Kind(
        409,
        "Credential 7c0e5d4e-6d2b-4f0a-9a53-0f2f4a1d9b11 has this number already, and says otherwise.",
        "body.certificate_number",
    ),
    "linkedin-not-connected": Kind(
        409, "The learner has to connect LinkedIn first, and allow posts; nothing was posted."
    ),
    "still-reported": Kind(
        409, "A completion of this person is on its way to the ministry; wait for its end."
    ),
    "not-possible": Kind(409, "It puts no money at risk, so there is nothing to write off: explain it."),
    "program-under-way": Kind(
        409,
        "Version 1 of LPK-2024-001 is still being registered, with other content. Wait until its process has "
        "ended, then send the change.",
    ),
    "program-registered": Kind(
        409,
        'LPK-2024-001 is registered with other content, as SIPLATIH-2024-001234. Say "change": true if this '
        "is to be sent as a new version.",
    ),
    "not-undecided": Kind(409, "It is registered already, as SIPLATIH-2024-001234: nothing to decide."),
    "number-taken": Kind(409, "SIPLATIH-2024-001234 is the number of LPK-2024-002 already."),
    "too-large": Kind(
        413,
        "A request may have 1 MiB at most, one about payments 64 KiB; a picture 5 MiB, a sheet or a class "
        "16 MiB.",
    ),
    "unsupported-media-type": Kind(415, "Send the body as JSON, with `Content-Type: application/json`."),
    "invalid-request": Kind(422, "body.amount: Input should be greater than 0", "body.amount"),
    "invalid-cursor": Kind(422, "Give a `next_cursor` as it was, or none for the first page."),
    "amount-outside-limits": Kind(422, "gopay takes Rp 1 to Rp 20,000,000 at once.", "body.amount"),
    "expiry-outside-limits": Kind(
        422, "gopay lets a payment live from 20 to 604800 seconds.", "body.expires_in"
    ),
    "phone-required": Kind(422, "ovo sends its request to the learner's phone.", "body.learner.phone"),
    "linking-required": Kind(
        422,
        "ovo needs a linked account in its present profile, and linking is not offered yet.",
        "body.gateway",
    ),
    "reference-reused": Kind(
        422,
        "This reference was used with another body. Take a new reference for a new payment.",
        "body.reference",
    ),
    "idempotency-key-reused": Kind(
        422,
        "This key was used for another request. Take a new key for a new payment.",
        "header.Idempotency-Key",
    ),
    "refund-too-large": Kind(
        422,
        "No more than Rp 100,000 is left: the rest has gone back or is on its way.",
        "body.amount",
    ),
    "partial-refund-not-offered": Kind(
        422, "linkaja gives back only the whole payment, Rp 150,000.", "body.amount"
    ),
    "refund-key-reused": Kind(
        422,
        "This key was used for a refund of this payment with another amount or reason. Take a new key for a "
        "new refund.",
        "body.refund_key",
    ),
    "unusable-sheet": Kind(
        422, "the sheet, line 1: the header lacks the columns action, reason. Nothing was done."
    ),
    "program-unknown": Kind(
        422, "There is no program LPK-2024-001 of this LPK: register it first.", "body.program_code"
    ),
    "completions-refused": Kind(
        422,
        "1 of 20 participants cannot be reported; nothing was sent.",
        "body.participants[16].nik",
    ),
    "enrolments-refused": Kind(
        422, "1 of 20 enrolments cannot be taken; nothing was kept.", "body[16].occurred_at"
    ),
    "sheet-refused": Kind(422, "Nothing was done: 1 of 46 filled rows cannot be worked.", "row 7"),
    "too-many-requests": Kind(
        429, "The client platform may make 30,000 requests a minute; try again in 7 s.", retry_after=7
    ),
    "internal-error": Kind(500, "Something went wrong on our side; the log of the API has the details."),
    "busy": Kind(503, "Many badges are being checked at the moment. Repeat the request.", retry_after=2),
    "gateway-busy": Kind(503, "ovo answers slowly at the moment. Repeat the request.", retry_after=1),
    "gateway-unavailable": Kind(
        503, "gopay cancel: no answer within 15 s. Nothing was cancelled; try again.", retry_after=1
    ),
    "database-unavailable": Kind(
        503,
        "The database does not answer at the moment. Nothing was changed; try again in a few seconds.",
        retry_after=5,
    ),
    "not-set-up": Kind(
        503,
        "This part of the service is not set up rightly; its operator has to look. Nothing was changed.",
        retry_after=60,
    ),
}
# What any endpoint may answer that works with our database and settings; and any that takes JSON.
OURS = ("database-unavailable", "not-set-up")
BODY = ("bad-request", "too-large", "unsupported-media-type", "invalid-request")


def title(slug: str) -> str:
    """The kind in words."""
    return slug.replace("-", " ").capitalize()


class WrongMember(BaseModel):
    """A member of the request that is wrong."""

    where: str = Field(description="Which one", examples=["body.amount"])
    reason: str = Field(description="What is wrong; never its value", examples=["Input should be an integer"])


class ProblemBody(BaseModel):
    """An error, after RFC 9457. Programs look at `type`, people read `detail`."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(description="What kind of problem; stable", examples=[f"{TYPE}not-found"])
    title: str = Field(description="The kind in words", examples=["Not found"])
    status: int = Field(description="The HTTP status", examples=[404])
    detail: str = Field(description="This very case", examples=["There is no such payment."])
    errors: list[WrongMember] = Field([], description="Each member that is wrong; absent where none is named")


_HEADERS: dict[str, tuple[str, str]] = {
    "Location": ("string", "Where it is to be read from now on"),
    "Preference-Applied": ("string", "`wait`, where the answer was held for it"),
    "WWW-Authenticate": ("string", "Always `Bearer`"),
    "Retry-After": ("integer", "Seconds until the same request may do better"),
    "RateLimit-Limit": ("integer", "Requests that the client may make in a minute"),
    "RateLimit-Remaining": ("integer", "Requests left: 0"),
    "RateLimit-Reset": ("integer", "The same seconds as `Retry-After`"),
}
_BY_STATUS = {
    401: ["WWW-Authenticate"],
    429: ["Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"],
}


def described(*slugs: str, as_page: bool = False) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may end with these kinds, with an example of each.

    as_page: a browser gets the same words as a page.
    """
    kinds = {slug: KINDS[slug] for slug in slugs}
    by_status: dict[int | str, dict[str, Any]] = {}
    for status in sorted({kind.status for kind in kinds.values()}):
        of_status = [slug for slug, kind in kinds.items() if kind.status == status]
        retry = any(kinds[slug].retry_after is not None for slug in of_status)
        headers = _BY_STATUS.get(status, ["Retry-After"] if retry else [])
        by_status[status] = {
            "description": f"{HTTPStatus(status).phrase}: {', '.join(f'`{slug}`' for slug in of_status)}",
            "headers": headers_described(*headers),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {
                        slug: {"summary": title(slug), "value": _example(slug)} for slug in of_status
                    },
                }
            },
        }
        if as_page:
            by_status[status]["content"]["text/html"] = {"schema": {"type": "string"}}
    return by_status


def headers_described(*names: str) -> dict[str, Any]:
    """Headers of an answer, for its documentation."""
    return {name: {"description": _HEADERS[name][1], "schema": {"type": _HEADERS[name][0]}} for name in names}


def _example(slug: str) -> JsonDict:
    kind = KINDS[slug]
    body: JsonDict = {
        "type": TYPE + slug,
        "title": title(slug),
        "status": kind.status,
        "detail": kind.detail,
    }
    if kind.where is not None:
        body["errors"] = [{"where": kind.where, "reason": kind.detail.removeprefix(f"{kind.where}: ")}]
    return body
