"""Failures on demand: what a gateway does to a caller on a bad night, armed through the admin endpoints.

Each call of a gateway's service passes here first: it is counted, and meets the first failure armed for it.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field, model_validator
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOLD_SECONDS = 60.0
Operation = Literal["report", "token", "history", "charge", "status", "cancel", "expire", "refund"]
# Before the effect: the call is not served, or served late. After it: served, but the answer is spoilt.
Before = Literal[
    "timeout", "500", "429", "half", "html", "wrong_trailer", "reset", "code", "delay", "refused"
]
After = Literal["lost", "reset_after", "500_after", "502_html", "drip", "code_after"]

PAGE = """<!DOCTYPE html>
<html><head><title>Maintenance</title></head>
<body><h1>Mohon maaf</h1><p>Layanan sedang dalam pemeliharaan.</p></body></html>
"""
SNAP_CODES = {"token": "73", "history": "12", "charge": "54", "status": "55", "cancel": "57", "refund": "58"}


class Failure(BaseModel, extra="forbid"):
    """`times` calls of one service of one gateway fail in this way."""

    gateway: Literal["gopay", "ovo", "linkaja"]
    operation: Operation
    kind: Before | After
    times: int = Field(default=1, ge=1, le=10_000)
    retry_after: int = Field(default=1, ge=0, le=86_400, description="seconds, of kind 429")
    seconds: float = Field(default=0.2, ge=0, le=60, description="delay: in all; drip: for each byte")
    code: str = Field(default="", description="the service's response code, of kinds code and code_after")

    @model_validator(mode="after")
    def _fits(self) -> "Failure":
        if self.kind == "wrong_trailer" and self.operation != "report":
            raise ValueError("wrong_trailer is a failure of a report")
        if self.kind == "refused" and (self.gateway, self.operation) != ("gopay", "refund"):
            raise ValueError("refused is a failure of GoPay's refund")
        if self.kind in ("code", "code_after"):
            form = r"[2-9][0-9]{2}" if self.gateway == "gopay" else r"[2-5][0-9]{6,7}"
            if self.operation == "report" or not re.fullmatch(form, self.code):
                raise ValueError(f"{self.kind} needs a response code of the service")
        return self


@dataclass(frozen=True)
class Services:
    """Which path is which operation of which gateway: whole paths first, then forms of paths."""

    paths: Mapping[str, tuple[str, str]]
    forms: tuple[tuple[re.Pattern[str], tuple[str, str]], ...]

    def of(self, path: str) -> tuple[str, str] | None:
        """Gateway and operation of a path, or None for a path that is no gateway's service."""
        if known := self.paths.get(path):
            return known
        return next((service for form, service in self.forms if form.fullmatch(path)), None)

    def all(self) -> list[tuple[str, str]]:
        """Every gateway's operations."""
        return sorted({*self.paths.values(), *(service for _, service in self.forms)})


class Switchboard:
    """The armed failures and the count of calls. Used on the event loop only."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.armed: list[Failure] = []
        self.calls: Counter[tuple[str, str]] = Counter()

    def arm(self, failure: Failure) -> None:
        """Add a failure behind those armed before; raises ValueError for a service the gateway has not."""
        if (failure.gateway, failure.operation) not in self.services.all():
            raise ValueError(f"{failure.gateway} has no {failure.operation}")
        self.armed.append(failure.model_copy())

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
        counts: dict[str, dict[str, int]] = {}
        for gateway, operation in self.services.all():
            counts.setdefault(gateway, {})[operation] = self.calls[gateway, operation]
        return counts


class FailingGateways:
    """ASGI middleware around the whole sandbox that lets armed failures happen."""

    def __init__(self, app: ASGIApp, switchboard: Switchboard) -> None:
        self.app = app
        self.switchboard = switchboard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self.switchboard.services.of(scope["path"]) if scope["type"] == "http" else None
        failure = self.switchboard.call(service) if service else None
        if failure is None:
            await self.app(scope, receive, send)
            return
        match failure.kind:
            case "timeout":
                await self._hold(scope, receive, send)
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
    headers = {"Retry-After": str(failure.retry_after)} if status == 429 else {}
    words = {429: "Too Many Requests", 500: "Internal Server Error"}.get(status, "Refused on demand")
    if failure.operation == "report":
        return Response(words, status, headers, media_type="text/plain")
    if failure.gateway == "gopay":
        is_real = not failure.code or status in (401, 429)
        answer = {"status_code": code, "status_message": words, "id": "sandbox-on-demand"}
        return JSONResponse(answer, status if is_real else 200, headers)
    code = failure.code or f"{status}{SNAP_CODES[failure.operation]}00"
    return JSONResponse({"responseCode": code, "responseMessage": words}, status, headers)


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
