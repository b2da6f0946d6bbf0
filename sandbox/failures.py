"""Failures on demand: what a gateway does to a caller on a bad night, armed through the admin endpoints.

Each call of a gateway's service passes here first: it is counted, and meets the first failure armed for it.
"""

import asyncio

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox import linkedin_errors
from sandbox.refusals import PAGE, on_demand, retry_after
from sandbox.switchboard import WALLETS, Failure, Switchboard

HOLD_SECONDS = 60.0
SNAP_CODES = {"token": "73", "history": "12", "charge": "54", "status": "55", "cancel": "57", "refund": "58"}


class FailingGateways:
    """ASGI middleware around the whole sandbox that lets armed failures happen."""

    def __init__(self, app: ASGIApp, switchboard: Switchboard) -> None:
        self.app = app
        self.switchboard = switchboard
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_call = scope["type"] == "http"
        service = self.switchboard.services.of(scope["method"], scope["path"]) if is_call else None
        failure = self.switchboard.call(service) if service else None
        if failure is None:
            await self.app(scope, receive, send)
            return
        match failure.kind:
            case "timeout":
                await self._hold(scope, receive, send)
            case "late":
                await self._serve_late(failure, scope, receive)
            case "reset":
                await _cut(scope, receive, at_once=True)
            case "wrong_trailer" | "refused" | "delay" as kind:
                scope.setdefault("state", {})[kind] = failure.seconds if kind == "delay" else True
                await self.app(scope, receive, send)
            case "500" | "429" | "html" | "code":
                await refusal(failure)(scope, receive, send)
            case _:
                await self._spoil(failure, scope, receive, send)

    async def _hold(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer after 60 seconds, or never when the caller has left by then."""
        request = await _whole(receive)
        if request["type"] == "http.disconnect":
            return
        try:
            await asyncio.wait_for(_until_gone(receive), HOLD_SECONDS)
        except TimeoutError:
            await self.app(scope, _again(request, receive), send)

    async def _serve_late(self, failure: Failure, scope: Scope, receive: Receive) -> None:
        """Serve the call after some seconds, the caller still there or not; the answer never comes."""
        request = await _whole(receive)

        async def nowhere(_: Message) -> None:
            pass

        async def later() -> None:
            await asyncio.sleep(failure.seconds)
            await self.app(scope, _again(request, receive), nowhere)

        work = asyncio.create_task(later())
        self._late.add(work)
        work.add_done_callback(self._late.discard)
        try:
            await asyncio.wait_for(_until_gone(receive), HOLD_SECONDS)
        except TimeoutError:
            await _cut(scope, receive, at_once=False)

    async def _spoil(self, failure: Failure, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the call, then let its answer come to grief."""
        start: Message = {}
        body = bytearray()

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            body.extend(message.get("body", b""))

        await self.app(scope, receive, keep)
        match failure.kind:
            case "lost":
                try:
                    await asyncio.wait_for(_until_gone(receive), HOLD_SECONDS)
                except TimeoutError:
                    await _cut(scope, receive, at_once=False)
            case "reset_after":
                await _cut(scope, receive, at_once=True)
            case "half":  # the whole length announced, the first half sent
                await send(start)
                await send(_part(bytes(body[: len(body) // 2]), more=True))
                await _cut(scope, receive, at_once=False)
            case "drip":
                await send(start)
                for byte in body:
                    await send(_part(bytes([byte]), more=True))
                    await asyncio.sleep(failure.seconds)
                await send(_part(b"", more=False))
            case _:
                await refusal(failure)(scope, receive, send)


async def slowly(request: Request) -> None:
    """Wait if a failure of kind `delay` wants this call to take its time before it has an effect."""
    seconds: float = getattr(request.state, "delay", 0.0)
    if seconds:
        await asyncio.sleep(seconds)


def refusal(failure: Failure) -> Response:
    """The answer of the kinds that are an answer, in the service's own form."""
    if failure.kind in ("html", "502_html"):
        return HTMLResponse(PAGE, 502 if failure.kind == "502_html" else 200)
    code = failure.code or failure.kind.removesuffix("_after")
    status = int(code[:3])
    headers = retry_after(failure.retry_after, failure.retry_form) if status == 429 else {}
    if failure.gateway not in WALLETS:
        if 300 <= status < 400:
            headers["Location"] = failure.location
        if failure.gateway == "linkedin" and failure.form == "own":
            return linkedin_errors.on_demand(failure.operation, status, headers)
        return on_demand(status, failure.form, headers)
    words = {429: "Too Many Requests", 500: "Internal Server Error"}.get(status, "Refused on demand")
    if failure.operation == "report":
        return Response(words, status, headers, media_type="text/plain")
    if failure.gateway == "gopay":
        is_real = not failure.code or status in (401, 429)
        answer = {"status_code": code, "status_message": words, "id": "sandbox-on-demand"}
        return JSONResponse(answer, status if is_real else 200, headers)
    code = failure.code or f"{status}{SNAP_CODES[failure.operation]}00"
    return JSONResponse({"responseCode": code, "responseMessage": words}, status, headers)


async def _whole(receive: Receive) -> Message:
    """The request with its whole body in one message."""
    request = await receive()
    while request.get("more_body"):
        part = await receive()
        request = {**part, "body": request.get("body", b"") + part.get("body", b"")}
    return request


def _again(request: Message, receive: Receive) -> Receive:
    waiting = [request]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


def _part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cut(scope: Scope, receive: Receive, *, at_once: bool) -> None:
    """End the TCP connection: with a reset, or after sending what is on its way. See server.Connection."""
    cut = scope["state"]["cut"]
    cut(at_once)
    await _until_gone(receive)
