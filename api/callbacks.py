"""Where gateways tell us what became of a payment: checked over the raw bytes, stored, answered, then worked.

The signature is the authentication. Nothing here moves a payment: `checkout.inbox` does, from what is stored.
"""

import logging
import re
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api import callback_docs
from api.callback_docs import WhichGateway
from api.intake import Intake
from api.problems import not_found
from checkout import tokens
from checkout.gateways import gateway as open_gateway
from common import clock
from common.errors import NotReachable
from common.settings import GATEWAYS, settings
from providers.base import BadNotification, Gateway, Incoming, Notification, Reply
from records import notification
from records.notification import Received

router = APIRouter(prefix="/api/v1/payments/callback", tags=["callbacks"])
LARGEST = 64 * 1024
_REFERENCE = re.compile(r"[A-Za-z0-9._~-]{1,32}")
_CURRENCY = re.compile(r"[A-Z]{3}")
log = logging.getLogger("jembatan.callbacks")


@router.post(
    "/{gateway}",
    summary="A gateway's notification",
    response_class=Response,
    responses=callback_docs.NOTIFICATION_ANSWERS,
    openapi_extra=callback_docs.NOTIFICATION,
)
@router.post("/{gateway}/v1.0/debit/notify", include_in_schema=False)
async def receive_notification(gateway: WhichGateway, request: Request) -> Response:
    """The gateway's raw message. Its signature is the authentication; there is no API key.

    Rightly signed messages get the gateway's own yes, also where they are repeated, late, or about a payment
    that we do not know: those change nothing and are put aside for a person. The same is taken under
    `/v1.0/debit/notify` below this address, which some aggregators append.
    """
    opened = _known(gateway)
    try:
        message = await _message(request)
    except BadNotification as problem:
        return _answer(_refused(gateway, opened, problem))
    return _answer(await taken(gateway, message, request.app.state.intake))


@router.post(
    "/{gateway}/access-token/b2b",
    summary="A token for a gateway that notifies with one",
    response_class=Response,
    responses=callback_docs.TOKEN_ANSWERS,
    openapi_extra=callback_docs.TOKEN_REQUEST,
)
@router.post("/{gateway}/v1.0/access-token/b2b", include_in_schema=False)
async def grant_token(gateway: WhichGateway, request: Request) -> Response:
    """DOKU takes a token here before it notifies: `X-CLIENT-KEY` is our client id, the signature its own."""
    opened = _known(gateway)
    if not opened.capabilities.token_endpoint:
        raise not_found(f"{gateway} takes no token from us in its present profile.")
    try:
        opened.check_token_request(await _message(request))
    except BadNotification as problem:
        log.warning("%s: a request for a token was refused: %s", gateway, problem.reason)
        return _answer(opened.refuse_token(problem))
    return _answer(opened.token_reply(tokens.issue(gateway), tokens.LIFE_SECONDS))


async def taken(gateway: str, message: Incoming, intake: Intake) -> Reply:
    """Check a message and store it; what its gateway is answered, in that gateway's form.

    Raises NotReachable where it cannot be stored now: the gateway comes again.
    """
    opened = open_gateway(gateway)
    try:
        claim = opened.read_notification(message, lambda token: tokens.is_ours(gateway, token))
    except BadNotification as problem:
        return _refused(gateway, opened, problem)
    try:
        await intake.stored(_kept(gateway, message, claim))
    except NotReachable:
        log.error("%s: a message could not be stored; the gateway is told to come again", gateway)
        raise
    return opened.acknowledge()


def _refused(gateway: str, opened: Gateway, problem: BadNotification) -> Reply:
    log.warning("%s: a message was not taken: %s", gateway, problem.reason)
    return opened.refuse(problem)


def _known(name: str) -> Gateway:
    if name not in GATEWAYS:
        raise not_found("There is no such gateway.")
    return open_gateway(name)


async def _message(request: Request) -> Incoming:
    """The message as it came; memory stays flat however long it is."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > LARGEST:
        raise BadNotification(413, "too large")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise BadNotification(413, "too large")
    query = f"?{request.url.query}" if request.url.query else ""
    return Incoming(
        method=request.method,
        path=urlsplit(settings().public_url or "").path.rstrip("/") + request.url.path + query,
        headers=[(key.decode("latin-1"), value.decode("latin-1")) for key, value in request.headers.raw],
        body=bytes(body),
        received_at=clock.now(),
    )


def _kept(name: str, message: Incoming, claim: Notification) -> Received:
    """What is stored of a claim. What cannot stand in our columns is about no payment of ours anyway."""
    fits = _REFERENCE.fullmatch(claim.reference) is not None
    return Received(
        gateway=name,
        event=notification.event_of(message.body),
        reference=claim.reference if fits else "",
        gateway_reference=_printable(claim.gateway_reference),
        claimed=claim.state,
        word=_printable(claim.word) or "",
        amount_minor=claim.amount_minor,
        currency=claim.currency if claim.currency and _CURRENCY.fullmatch(claim.currency) else None,
        at=claim.at,
        confirm=claim.confirm,
        merchant_differs=claim.merchant_differs,
        message=notification.sealed_message(message.path, message.headers, message.body),
        state="dropped" if claim.is_test else "received",
    )


def _printable(text: str | None) -> str | None:
    if text is None or text.isprintable():
        return text and text[:64]
    return "".join(one for one in text if one.isprintable())[:64]


def _answer(reply: Reply) -> Response:
    return Response(reply.body, reply.status, dict(reply.headers))
