"""The two requests that come in crowds, taken before all others: a charge, and what a gateway tells us.

FastAPI's way to a route (its layers, matching, dependencies and serialisation) costs several times what is
done for one of these. What is plainly in order is worked here. Everything else goes on as it came: there
every fault gets its words, and there the documentation is made.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from urllib.parse import urlsplit

from pydantic import ValidationError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import access, callbacks, payments, problems, unambiguous
from api.headers import secure
from api.intake import Intake
from api.payment_models import Order
from api.turns import Turns
from checkout.create import NotOpened
from common import clock
from common.settings import GATEWAYS, settings
from providers.base import Incoming
from records import client as clients

# Charges that are worked or wait for their gateway. Well over the share of one gateway
# (checkout.gateways), whose overflow waits here for two seconds: a wallet that hangs must leave threads for
# the others.
AT_ONCE = 160
LARGEST_ORDER = 16 * 1024  # of those that are taken here; none of ours is larger
_ORDER_IS_JSON = frozenset({b"application/json", b"application/json; charset=utf-8"})
_CALLBACKS = {f"{callbacks.router.prefix}/{gateway}": gateway for gateway in GATEWAYS}
_SCOPE = "payments:write"
_CREATE = f"{payments.router.prefix}/create"

Headers = Iterable[tuple[bytes, bytes]]


class Front:
    """ASGI middleware, the outermost of ours. intake: what stores messages, once the API is up."""

    def __init__(self, app: ASGIApp, intake: Callable[[], Intake]) -> None:
        self.app = app
        self._intake = intake
        self._turns = Turns(ThreadPoolExecutor(AT_ONCE, thread_name_prefix="charge"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the request where it is one of the two, and let all others through."""
        if scope["type"] == "http" and scope["method"] == "POST":
            gateway = _CALLBACKS.get(scope["path"])
            if gateway is not None:
                await self._message(gateway, scope, receive, send)
                return
            if scope["path"] == _CREATE:
                await self._order(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _message(self, gateway: str, scope: Scope, receive: Receive, send: Send) -> None:
        body, came = await _body(scope, receive, callbacks.LARGEST)
        if body is None:
            await self.app(scope, _again(came, receive), send)
            return
        query = "?" + scope["query_string"].decode("latin-1") if scope["query_string"] else ""
        message = Incoming(
            method="POST",
            path=_base_path(settings().public_url or "") + scope["path"] + query,
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
            body=body,
            received_at=clock.now(),
        )
        try:
            reply = await callbacks.taken(gateway, message, self._intake())
        except problems.EXPECTED as error:
            await problems.answer_to(error, scope["path"])(scope, receive, send)
            return
        headers = [(name.lower().encode(), value.encode()) for name, value in reply.headers.items()]
        await _answer(send, scope["path"], reply.status, headers, reply.body)

    async def _order(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, came = await _body(scope, receive, LARGEST_ORDER)
        asked = None if body is None else _read_order(body, scope["headers"])
        if asked is None:
            await self.app(scope, _again(came, receive), send)
            return
        try:
            made = await self._turns.work(partial(_charge, *asked))
        except problems.EXPECTED as error:
            await problems.answer_to(error, scope["path"])(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json")]
        headers += [(name.lower().encode(), value.encode()) for name, value in made.headers.items()]
        await _answer(send, scope["path"], made.status, headers, made.payment.model_dump_json().encode())


def _charge(order: Order, shown: list[str], idempotency_key: str | None) -> payments.Created:
    """The payment of an order. A key that was read a moment ago is not read again: the statement that opens
    the payment holds whether it opens the door still, and opens nothing where it does not."""
    key = access.shown_key(shown)
    # An idempotency key is used up with its payment or not at all, which takes a transaction.
    presumed = access.presumed(key, _SCOPE) if idempotency_key is None else None
    if presumed is not None:
        try:
            access.count(presumed)
            return payments.created(order, presumed, None, key=clients.key_id(key))
        except NotOpened:
            pass  # it is no new payment, or the key is not what it was
        except problems.Problem:
            access.admitted(key, _SCOPE, is_counted=True)  # else it has no right to know
            raise
    caller = access.admitted(key, _SCOPE, is_counted=presumed is not None)
    return payments.created(order, caller, idempotency_key)


def _read_order(body: bytes, headers: Headers) -> tuple[Order, list[str], str | None] | None:
    """The order, what it shows as its key, and its idempotency key; None where anything is not in order."""
    named: dict[bytes, list[str]] = {b"authorization": [], b"content-type": [], b"idempotency-key": []}
    for name, value in headers:
        if name in named:
            named[name].append(value.decode("latin-1"))
    keys = named[b"idempotency-key"]
    if len(keys) > 1 or not all(payments.IS_IDEMPOTENCY_KEY(key) for key in keys):
        return None
    if len(named[b"content-type"]) != 1 or named[b"content-type"][0].lower().encode() not in _ORDER_IS_JSON:
        return None
    try:
        order = Order.model_validate(unambiguous.read(body))
    except (ValidationError, ValueError, RecursionError):
        return None
    return order, named[b"authorization"], keys[0] if keys else None


async def _body(scope: Scope, receive: Receive, largest: int) -> tuple[bytes | None, list[Message]]:
    """The whole body, and the messages that it came in; None for one that is longer, or breaks off."""
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if not announced.isdigit() or int(announced) > largest:
        return None, []
    came: list[Message] = []
    length = 0
    while True:
        message = await receive()
        came.append(message)
        length += len(message.get("body", b""))
        if message["type"] != "http.request" or length > largest:
            return None, came
        if not message.get("more_body", False):
            break
    return (came[0]["body"] if len(came) == 1 else b"".join(one["body"] for one in came)), came


def _again(came: list[Message], receive: Receive) -> Receive:
    """What came already once more, then what comes."""
    left = iter(came)

    async def replayed() -> Message:
        return next(left, None) or await receive()

    return replayed


async def _answer(
    send: Send, path: str, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send(
        {"type": "http.response.start", "status": status, "headers": [*headers, length, *_secured(path)]}
    )
    await send({"type": "http.response.body", "body": body})


@cache
def _secured(path: str) -> list[tuple[bytes, bytes]]:
    """The headers that every answer carries; only for the few paths of this module."""
    headers = MutableHeaders()
    secure(headers, path)
    return headers.raw


@cache
def _base_path(public_url: str) -> str:
    return urlsplit(public_url).path.rstrip("/")
