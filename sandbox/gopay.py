"""GoPay through the Midtrans Core API: charge, status, cancel, expire, refund.

Source: Midtrans Core API. The HTTP status is 200 even for a refusal, the outcome is `status_code` in the
body; only a wrong key is a real 401, and a call whose first one is still running a real 202.
"""

import random
import re
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox import gopay_messages as messages
from sandbox.basic import is_allowed
from sandbox.books import Books
from sandbox.failures import slowly
from sandbox.gopay_checks import members_of, read_addresses, read_charge, read_refund
from sandbox.gopay_messages import PROFILE, Refusal
from sandbox.idempotency import Idempotency, StillRunning
from sandbox.keys import GOPAY_SERVER_KEY
from sandbox.live import REFUNDABLE, Act, Charge, LiveBooks, LiveRefund, NotPossible, charge_of
from sandbox.pay_page import qr_picture
from sandbox.wib import now

CORE_API = "/gopay/v2/"
# The operation of each path, for the failures and the count of calls.
OPERATIONS = {
    "charge": re.compile(r"/gopay/v2/charge"),
    "status": re.compile(r"/gopay/v2/[^/]+/status"),
    "cancel": re.compile(r"/gopay/v2/[^/]+/cancel"),
    "expire": re.compile(r"/gopay/v2/[^/]+/expire"),
    "refund": re.compile(r"/gopay/v2/[^/]+/refund(/online/direct)?"),
}
SAME_REFUND = timedelta(days=7)  # how long a key stands for the same refund
Work = Callable[[Request], Awaitable[dict[str, Any]]]


def router(books: Books, live: LiveBooks, callback_base: str) -> APIRouter:
    """The Core API. callback_base: the registered address of notifications is `{callback_base}/gopay`."""
    routes, api = APIRouter(), _CoreApi(books, live, callback_base)
    keys = Idempotency()

    def add(path: str, method: str, work: Work) -> None:
        async def endpoint(request: Request) -> Response:
            return await _answer(request, work, keys if method == "POST" else None)

        routes.add_route(CORE_API + path, endpoint, methods=[method])

    add("charge", "POST", api.charge)
    add("{any_reference}/status", "GET", api.status)
    add("{any_reference}/cancel", "POST", api.cancel)
    add("{any_reference}/expire", "POST", api.expire)
    add("{any_reference}/refund", "POST", api.refund)
    add("{any_reference}/refund/online/direct", "POST", api.refund)

    async def picture(request: Request) -> Response:
        """The QR picture of a charge: whoever has its address may see it."""
        charge = live.find("gopay", PROFILE, request.path_params["transaction_id"])
        return qr_picture(charge) if charge else Response("Not found", 404)

    routes.add_route(CORE_API + "gopay/{transaction_id}/qr-code", picture, methods=["GET"])
    routes.add_route(CORE_API + "gopay/{transaction_id}/qr-code-v2", picture, methods=["GET"])

    async def other(request: Request) -> Response:
        """Another method of a known path, or a path that there is not."""
        known = any(form.fullmatch(request.url.path) for form in OPERATIONS.values())
        refusal = Refusal("405", "HTTP method is not allowed") if known else Refusal("404", "Not found")
        return JSONResponse(refusal.answer, int(refusal.code))

    routes.add_route(CORE_API + "{rest:path}", other, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    return routes


async def _answer(request: Request, work: Work, keys: Idempotency | None) -> Response:
    try:
        if not is_allowed(request, GOPAY_SERVER_KEY):
            raise Refusal("401", "Unknown Merchant server_key/id")
        accept = request.headers.get("accept", "*/*")
        if "application/json" not in accept and "*/*" not in accept:
            raise Refusal("403", "Accept must be application/json")

        async def working() -> dict[str, Any]:
            await slowly(request)
            return await work(request)

        key = request.headers.get("idempotency-key", "") if keys else ""
        return JSONResponse(await keys.once(key, working) if keys else await working())
    except StillRunning as refusal:
        return JSONResponse(refusal.answer, 202)
    except Refusal as refusal:
        return JSONResponse(refusal.answer, 401 if refusal.code == "401" else 200)


class _CoreApi:
    """The business of each call, after the key and the headers."""

    def __init__(self, books: Books, live: LiveBooks, callback_base: str) -> None:
        self._books = books
        self._live = live
        self._registered = f"{callback_base}/gopay"

    async def charge(self, request: Request) -> dict[str, Any]:
        """A used order_id is 406; it may come again after the charge has expired."""
        wanted = read_charge(await members_of(request))
        notify_urls = read_addresses(request, self._registered)
        known = self._live.find("gopay", PROFILE, wanted.order_id)
        if known and known.reference == wanted.order_id and known.state != "expired":
            raise Refusal("406", "The request could not be completed due to a conflict: order_id was used")
        charge = Charge(
            "gopay",
            PROFILE,
            wanted.order_id,
            str(uuid4()),
            wanted.amount,
            now(),
            wanted.expires_at,
            payment_type="gopay",
            notify_urls=notify_urls,
            return_url=wanted.return_url,
            failed_url=wanted.return_url,
        )
        self._live.open(charge)
        return messages.created(charge, _actions(charge, str(request.base_url).rstrip("/")))

    async def status(self, request: Request) -> dict[str, Any]:
        """By order_id or transaction_id."""
        return messages.status(await self._find(request))

    async def cancel(self, request: Request) -> dict[str, Any]:
        """Of a pending charge."""
        charge = await self._find(request)
        self._move(charge, "cancel")
        return messages.changed(charge, "200", "Success, transaction is canceled")

    async def expire(self, request: Request) -> dict[str, Any]:
        """Of a pending charge; 407 is its success."""
        charge = await self._find(request)
        self._move(charge, "expire")
        return messages.changed(charge, "407", "Success, transaction has expired")

    async def refund(self, request: Request) -> dict[str, Any]:
        """The same key again is the same refund."""
        wanted = read_refund(await members_of(request))
        charge = await self._find(request)
        if wanted.key and (same := self._same_refund(charge, wanted.key, wanted.amount)):
            return messages.refunded(charge, same)
        if charge.state not in REFUNDABLE:
            raise Refusal("412", "Transaction status cannot be updated.")
        left = charge.amount - charge.refunded
        if (wanted.amount or left) > left:
            raise Refusal("414", "Refund amount is larger than what is left")
        if getattr(request.state, "refused", False):
            return messages.not_refunded(charge)
        number = 100_000 + secrets.randbelow(900_000)
        key = wanted.key or f"{charge.reference}-{number}"
        refund = LiveRefund(key, str(number), number, wanted.amount or left, wanted.reason, now())
        self._live.refund(charge, refund)
        return messages.refunded(charge, refund)

    def _same_refund(self, charge: Charge, key: str, amount: int | None) -> LiveRefund | None:
        """The refund made with this key; 406 where it is another one, or too long ago."""
        of_books = next(((charge, one) for one in charge.refunds if one.key == key), None)
        found = self._live.refund_of("gopay", PROFILE, key) or of_books
        if found is None:
            return None
        its_charge, refund = found
        is_same = its_charge.gateway_reference == charge.gateway_reference and amount in (None, refund.amount)
        if not is_same or now() - refund.created_at > SAME_REFUND:
            raise Refusal("406", "The refund_key was used for another refund")
        return refund

    async def _find(self, request: Request) -> Charge:
        any_reference = request.path_params["any_reference"]
        charge = self._live.find("gopay", PROFILE, any_reference)
        if charge is None:
            # a day's books are made on first use: not here, where every other caller waits
            standing = await run_in_threadpool(self._books.standing, "gopay", any_reference)
            charge = self._live.find("gopay", PROFILE, any_reference) or (
                charge_of(standing, "gopay", PROFILE) if standing else None
            )
        if charge is None:
            raise Refusal("404", "Transaction doesn't exist.")
        return charge

    def _move(self, charge: Charge, act: Act) -> None:
        try:
            self._live.move(charge, act)
        except NotPossible:
            raise Refusal("412", "Transaction status cannot be updated.") from None


def _actions(charge: Charge, home: str) -> list[dict[str, str]]:
    """What can be done with the charge, in any order: they are found by name."""
    one = f"{home}{CORE_API}{charge.gateway_reference}"
    picture = f"{home}{CORE_API}gopay/{charge.gateway_reference}"
    actions = [
        {"name": "generate-qr-code", "method": "GET", "url": f"{picture}/qr-code"},
        {"name": "generate-qr-code-v2", "method": "GET", "url": f"{picture}/qr-code-v2"},
        {"name": "deeplink-redirect", "method": "GET", "url": f"{home}/gopay/pay/{charge.id}"},
        {"name": "get-status", "method": "GET", "url": f"{one}/status"},
        {"name": "cancel", "method": "POST", "url": f"{one}/cancel"},
    ]
    random.shuffle(actions)
    return actions
