"""Failures on demand: what a gateway does to a caller on a bad night, armed through the admin endpoints.

Each call of a gateway's service passes here first: it is counted, and meets the first failure armed for it.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, Field, model_validator
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOLD_SECONDS = 60.0
Operation = Literal["report", "token", "history", "status"]
FailureKind = Literal["timeout", "500", "429", "half", "html", "wrong_trailer", "reset"]
# Path prefixes of each gateway's services: {"gopay": {"report": "/gopay/reports/", …}, …}
Services = Mapping[str, Mapping[str, str]]

PAGE = """<!DOCTYPE html>
<html><head><title>Maintenance</title></head>
<body><h1>Mohon maaf</h1><p>Layanan sedang dalam pemeliharaan.</p></body></html>
"""
SNAP_CODES = {"token": "73", "history": "12", "status": "55"}


class Failure(BaseModel, extra="forbid"):
    """`times` calls of one service of one gateway fail in this way."""

    gateway: Literal["gopay", "ovo", "linkaja"]
    operation: Operation
    kind: FailureKind
    times: int = Field(default=1, ge=1, le=10_000)
    retry_after: int = Field(default=1, ge=0, le=86_400, description="seconds, of kind 429")

    @model_validator(mode="after")
    def _only_a_report_has_a_trailer(self) -> "Failure":
        if self.kind == "wrong_trailer" and self.operation != "report":
            raise ValueError("wrong_trailer is a failure of a report")
        return self


class Switchboard:
    """The armed failures and the count of calls. Used on the event loop only."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.armed: list[Failure] = []
        self.calls: Counter[tuple[str, str]] = Counter()

    def arm(self, failure: Failure) -> None:
        """Add a failure behind those armed before; raises ValueError for a service the gateway has not."""
        if failure.operation not in self.services[failure.gateway]:
            raise ValueError(f"{failure.gateway} has no {failure.operation}")
        self.armed.append(failure.model_copy())

    def service_of(self, path: str) -> tuple[str, str] | None:
        """Gateway and operation of a path, or None for a path that is no gateway's service."""
        for gateway, operations in self.services.items():
            for operation, prefix in operations.items():
                if path.startswith(prefix):
                    return gateway, operation
        return None

    def call(self, service: tuple[str, str]) -> Failure | None:
        """Count a call; the failure that it meets, if any."""
        self.calls[service] += 1
        for failure in self.armed:
            if (failure.gateway, failure.operation) == service:
                failure.times -= 1
                self.armed = [one for one in self.armed if one.times > 0]
                return failure
        return None

    def counts(self) -> dict[str, dict[str, int]]:
        """Calls so far, by gateway and operation, zeros included."""
        return {
            gateway: {operation: self.calls[gateway, operation] for operation in operations}
            for gateway, operations in self.services.items()
        }


class FailingGateways:
    """ASGI middleware around the whole sandbox that lets armed failures happen."""

    def __init__(self, app: ASGIApp, switchboard: Switchboard) -> None:
        self.app = app
        self.switchboard = switchboard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self.switchboard.service_of(scope["path"]) if scope["type"] == "http" else None
        failure = self.switchboard.call(service) if service else None
        if failure is None:
            await self.app(scope, receive, send)
        elif failure.kind == "timeout":
            await self._hold(scope, receive, send)
        elif failure.kind == "half":
            await self._half(scope, receive, send)
        elif failure.kind == "reset":
            await _cut(scope, receive, at_once=True)
        elif failure.kind == "wrong_trailer":
            scope.setdefault("state", {})["wrong_trailer"] = True
            await self.app(scope, receive, send)
        else:
            await refusal(failure)(scope, receive, send)

    async def _hold(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer after 60 seconds, or never when the caller has left by then."""
        request = await receive()
        while request.get("more_body"):
            part = await receive()
            request = {**part, "body": request.get("body", b"") + part.get("body", b"")}
        if request["type"] == "http.disconnect":
            return
        try:
            await asyncio.wait_for(_until_gone(receive), HOLD_SECONDS)
        except TimeoutError:
            waiting = [request]

            async def again() -> Message:
                return waiting.pop() if waiting else await receive()

            await self.app(scope, again, send)

    async def _half(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Announce the whole length, send the first half, close the connection."""
        start: Message = {}
        body = bytearray()

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            body.extend(message.get("body", b""))

        await self.app(scope, receive, keep)
        await send(start)
        await send({"type": "http.response.body", "body": bytes(body[: len(body) // 2]), "more_body": True})
        await _cut(scope, receive, at_once=False)


def refusal(failure: Failure) -> Response:
    """The answer of the kinds that are an answer: 500, 429, or an HTML page with status 200."""
    if failure.kind == "html":
        return HTMLResponse(PAGE)
    status = int(failure.kind)
    headers = {"Retry-After": str(failure.retry_after)} if status == 429 else {}
    words = "Too Many Requests" if status == 429 else "Internal Server Error"
    if failure.operation == "report":
        return Response(words, status, headers, media_type="text/plain")
    if failure.gateway == "gopay":
        return JSONResponse({"status_code": str(status), "status_message": words}, status, headers)
    code = f"{status}{SNAP_CODES[failure.operation]}00"
    return JSONResponse({"responseCode": code, "responseMessage": words}, status, headers)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cut(scope: Scope, receive: Receive, *, at_once: bool) -> None:
    """End the TCP connection: with a reset, or after sending what is on its way. See server.Connection."""
    cut = scope["state"]["cut"]
    cut(at_once)
    await _until_gone(receive)
