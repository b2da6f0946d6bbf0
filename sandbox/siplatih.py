"""SIPLatih, the ministry's register of trainings: token, programs, completions, check of a credential.

There is no published interface. What is served here is the contract of the platform's integration document,
with every answer that such a service may give (README says what is assumed).
"""

import re
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.failures import slowly
from sandbox.fields import members_of
from sandbox.keys import SIPLATIH
from sandbox.limits import Gatekeeper
from sandbox.refusals import Refusal
from sandbox.siplatih_books import Books, Program, Refused, digest
from sandbox.siplatih_checks import read_completions, read_credential, read_program
from sandbox.siplatih_manners import SCOPES, Manners, Tokens

BASE = "/siplatih/api/v1"
# The operation of each path, for the failures and the count of calls.
OPERATIONS = {
    "token": re.compile(re.escape(BASE) + "/oauth/token"),
    "look_up": re.compile("GET " + re.escape(BASE) + "/training-programs"),
    "register": re.compile("POST " + re.escape(BASE) + "/training-programs"),
    "complete": re.compile(re.escape(BASE) + "/training-programs/[^/]+/completions"),
    "verify": re.compile(re.escape(BASE) + "/credentials/verify"),
}
LOG_LENGTH = 20_000
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_FORM_BYTES = 8192
Work = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was served. subject: program code or id; times in UTC."""

    at: str
    operation: str
    subject: str
    idempotency_key: str
    status: int
    code: str


class Siplatih:
    """The service: its books, its manners, and the log of its calls."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.manners = Manners()
        self.tokens = Tokens()
        self.log: deque[Call] = deque(maxlen=LOG_LENGTH)
        self._gate = Gatekeeper()

    def routes(self) -> APIRouter:
        """Everything under `/siplatih/api/v1`."""
        routes = APIRouter()

        def add(path: str, method: str, operation: str, scope: str, work: Work) -> None:
            async def endpoint(request: Request) -> Response:
                return await self._answered(request, operation, scope, work)

            routes.add_route(BASE + path, endpoint, methods=[method])

        routes.add_route(f"{BASE}/oauth/token", self.token, methods=["POST"])
        add("/training-programs", "POST", "register", "training:write", self.register)
        add("/training-programs", "GET", "look_up", "training:read", self.look_up)
        add("/training-programs/{id}/completions", "POST", "complete", "training:write", self.complete)
        add("/credentials/verify", "POST", "verify", "credential:read", self.verify)

        async def other(request: Request) -> Response:
            return _no_such_call(request).answer(self.manners.error_form)

        routes.add_route(
            "/siplatih/{rest:path}", other, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
        )
        return routes

    async def token(self, request: Request) -> Response:
        """RFC 6749 §4.4: a form with everything in it, client credentials only."""
        form = parse_qsl(
            (await request.body())[:_FORM_BYTES].decode("utf-8", "replace"), keep_blank_values=True
        )
        given = dict(form)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded" or request.url.query or len(given) != len(form):
            return _oauth_error(400, "invalid_request")
        if given.get("grant_type") != "client_credentials":
            return _oauth_error(400, "unsupported_grant_type" if "grant_type" in given else "invalid_request")
        if (given.get("client_id"), given.get("client_secret")) != SIPLATIH:
            return _oauth_error(401, "invalid_client")
        asked = given.get("scope", " ".join(SCOPES)).split()
        if not asked or not set(asked) <= set(SCOPES):
            return _oauth_error(400, "invalid_scope")
        await slowly(request)
        granted = [scope for scope in asked if scope in self.manners.scopes]
        seconds = self.manners.token_seconds
        answer: dict[str, Any] = {
            "access_token": self.tokens.give(frozenset(granted), seconds),
            "token_type": "Bearer",
        }
        if self.manners.expires_in != "missing":
            answer["expires_in"] = str(seconds) if self.manners.expires_in == "text" else seconds
        if self.manners.scope_member:
            answer["scope"] = " ".join(granted)
        return JSONResponse(answer, headers=_NO_STORE)

    async def register(self, request: Request) -> Response:
        """Enter a program; 409 for a code that there is already."""
        members = await members_of(request, self.manners.max_body_bytes)
        wanted, content = read_program(members, self.manners.rules), digest(members)
        request.state.subject = wanted.code
        await slowly(request)
        known = self.books.of_code(wanted.code)
        if known and (known.lpk, known.name) != (wanted.lpk, wanted.name):
            raise Refusal(409, "PROGRAM_CODE_TAKEN", "The program code belongs to another program")
        if known and (not self.manners.updates or known.content == content):
            raise Refusal(409, "PROGRAM_EXISTS", "The program is registered already")
        if known:
            self.books.change(known, wanted, content)
            return _yes(_receipt(known, "UPDATED"))
        return _yes(_receipt(self.books.register(wanted, content), "REGISTERED"), 201)

    async def look_up(self, request: Request) -> Response:
        """The programs of a code: one, or none. Can be switched off."""
        if self.manners.lookup != "on":
            code = "NOT_FOUND" if self.manners.lookup == "404" else "METHOD_NOT_ALLOWED"
            raise Refusal(int(self.manners.lookup), code, "There is no such call")
        code = request.query_params.get("program_code", "")
        if not code:
            raise Refusal(
                422, "VALIDATION_FAILED", "The data sent is not valid", {"program_code": "is required"}
            )
        request.state.subject = code
        await slowly(request)
        known = self.books.of_code(code)
        found = [_receipt(known, "REGISTERED") | _named(known)] if known else []
        return _yes(found)

    async def complete(self, request: Request) -> Response:
        """Enter who completed a program; whoever is not taken is in `rejected`."""
        request.state.subject = request.path_params["id"]
        members = await members_of(request, self.manners.max_body_bytes)
        program = self.books.programs.get(request.path_params["id"])
        if program is None:
            raise Refusal(404, "PROGRAM_NOT_FOUND", "There is no program with this number")
        told = members.get("participants")
        if isinstance(told, list) and len(told) > self.manners.max_participants:
            words = f"At most {self.manners.max_participants} participants in one report"
            raise Refusal(413, "TOO_MANY_PARTICIPANTS", words)
        report = read_completions(members, program.starts, self.manners.rules)
        await slowly(request)
        if self.manners.duplicates == "conflict" and (known := self.books.known_in(program, report)):
            words = "Participants were reported before"
            raise Refusal(409, "PARTICIPANTS_REPORTED", words, details=[_told(one) for one in known])
        number, accepted, refused = self.books.report(program, report, corrections=self.manners.corrections)
        return _yes(
            {
                "siplatih_program_id": program.id,
                "report_id": number,
                "accepted": accepted,
                "rejected": [_told(one) for one in refused],
                "received_at": _now(),
            }
        )

    async def verify(self, request: Request) -> Response:
        """Whether a credential's holder completed a program with its SKKNI code."""
        members = await members_of(request, self.manners.max_body_bytes)
        wanted = read_credential(members, self.manners.rules)
        await slowly(request)
        answer: dict[str, Any] = {
            "credential_id": wanted.credential_id,
            "verification_id": str(uuid4()),
            "verified_at": _now(),
        }
        match self.manners.verdict:
            case "books":
                completed = [
                    program.skkni_code
                    for program, who in self.books.programs_of(wanted.nik)
                    if who.status == "COMPLETED"
                ]
                answer["verified"] = wanted.skkni_code in completed
                if not answer["verified"]:
                    answer["reason"] = "OTHER_SKKNI_CODE" if completed else "NO_COMPLETION"
            case "silent":
                pass
            case "text":
                answer["verified"] = "true"
            case word:
                answer["verified"] = word == "yes"
        return _yes(answer)

    async def _answered(self, request: Request, operation: str, scope: str, work: Work) -> Response:
        """Rate, token, scope, then the call itself; whatever came of it is in the log."""
        request.state.subject = ""
        code = ""
        try:
            self._gate.pass_one(self.manners)
            if scope not in self.tokens.scopes(request.headers.get("authorization", "")):
                words = f"The token has not the scope {scope}"
                challenge = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
                raise Refusal(403, "INSUFFICIENT_SCOPE", words, headers=challenge)
            answer = await work(request)
        except Refusal as refusal:
            code = refusal.code
            answer = refusal.answer(self.manners.error_form)
        key = request.headers.get("idempotency-key", "")
        self.log.append(Call(_now(), operation, request.state.subject, key, answer.status_code, code))
        return answer


def _no_such_call(request: Request) -> Refusal:
    paths = (form.pattern.rpartition(" ")[2] for form in OPERATIONS.values())
    if any(re.fullmatch(path, request.url.path) for path in paths):
        return Refusal(405, "METHOD_NOT_ALLOWED", "The method is not allowed")
    return Refusal(404, "NOT_FOUND", "There is no such call")


def _oauth_error(status: int, error: str) -> Response:
    return JSONResponse({"error": error}, status, _NO_STORE)


def _yes(data: Any, status: int = 200) -> Response:
    return JSONResponse({"success": True, "data": data}, status)


def _receipt(program: Program, status: str) -> dict[str, Any]:
    return {
        "siplatih_program_id": program.id,
        "program_code": program.code,
        "status": status,
        "registration_date": program.registered_at,
    }


def _named(program: Program) -> dict[str, Any]:
    return {
        "program_name": program.name,
        "lpk_registration_number": program.lpk,
        "lpk_name": program.lpk_name,
    }


def _told(refused: Refused) -> dict[str, Any]:
    return {
        "index": refused.index,
        "certificate_number": refused.certificate or None,
        "code": refused.code,
        "message": refused.message,
    }


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
