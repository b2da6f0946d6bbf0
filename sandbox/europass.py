"""An issuer that takes European credentials by API. The EU itself offers no such service: README.

Its contract is that of the platform's integration document: an API key, one call, an id and two addresses.
"""

import asyncio
import hashlib
import hmac
import json
import re
from collections import OrderedDict
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.elm_checks import check_document, document_of
from sandbox.failures import slowly
from sandbox.fields import members_of
from sandbox.kept_lines import KeptLines
from sandbox.keys import EUROPASS_KEY
from sandbox.limits import Gatekeeper, Limits
from sandbox.refusals import Refusal

BASE = "/europass/api"
OPERATIONS = {"issue": re.compile(re.escape(BASE) + "/credentials/issue")}
DOCUMENTS_KEPT = 500
_HOME = {
    "https": "https://europass.sandbox.example",
    "http": "http://europass.sandbox.example",
    "script": "javascript:alert(1)//",
}


class Manners(Limits):
    """How the issuer behaves."""

    names_id: bool = Field(default=True, description="whether the answer has the credential's id")
    conflict_names_id: bool = Field(default=True, description="whether a 409 has the id of what is there")
    links: Literal["https", "http", "script"] = Field(default="https", description="what its addresses are")


@dataclass
class Delivery:
    """One credential that was taken. times: how often it came, repeats and conflicts included."""

    id: str
    credential_id: str
    key: str
    digest: str
    sealed: bool
    at: str
    times: int = 1


class Issuer:
    """The service with its books. Used on the event loop only."""

    def __init__(self, kept: KeptLines) -> None:
        self._kept = kept
        self._gate = Gatekeeper()
        self._locks: dict[str, asyncio.Lock] = {}
        self.manners = Manners()
        self.by_credential: dict[str, Delivery] = {}
        self._by_key: dict[str, Delivery] = {}
        self.documents: OrderedDict[str, Any] = OrderedDict()
        for line in kept.read():
            self._enter(Delivery(**line))

    def routes(self) -> APIRouter:
        """The one call."""
        routes = APIRouter()

        async def issue(request: Request) -> Response:
            try:
                return await self._issue(request)
            except Refusal as refusal:
                return refusal.answer(self.manners.error_form)

        async def other(request: Request) -> Response:
            known = OPERATIONS["issue"].fullmatch(request.url.path)
            refusal = (405, "METHOD_NOT_ALLOWED") if known else (404, "NOT_FOUND")
            return Refusal(*refusal, "There is no such call").answer(self.manners.error_form)

        routes.add_route(f"{BASE}/credentials/issue", issue, methods=["POST"])
        routes.add_route("/europass/{rest:path}", other, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
        return routes

    def clear(self) -> None:
        """Begin with empty books."""
        for books in (self.by_credential, self._by_key, self.documents):
            books.clear()
        self._kept.clear()

    async def _issue(self, request: Request) -> Response:
        """Take a credential once: the same key and body again is the same answer."""
        self._gate.pass_one(self.manners)
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), EUROPASS_KEY.encode()):
            headers = {"WWW-Authenticate": "Bearer"}
            raise Refusal(401, "UNAUTHORIZED", "The API key is missing or wrong", headers=headers)
        members = await members_of(request, self.manners.max_body_bytes)
        key = request.headers.get("idempotency-key", "").strip()
        if not 1 <= len(key) <= 255:
            raise Refusal(400, "IDEMPOTENCY_KEY_MISSING", "The header Idempotency-Key is missing or too long")
        digest = hashlib.sha256(await request.body()).hexdigest()
        # the second call with a key waits for the first
        async with self._locks.setdefault(key, asyncio.Lock()):
            return await self._once(request, members, key, digest)

    async def _once(self, request: Request, members: dict[str, Any], key: str, digest: str) -> Response:
        if known := self._by_key.get(key):
            if known.digest != digest:
                raise Refusal(422, "IDEMPOTENCY_KEY_REUSED", "The key was used for another credential")
            self._again(known)
            return self._yes(known, {"Idempotent-Replayed": "true"})
        document, sealed = _checked(members)
        await slowly(request)
        if known := self.by_credential.get(document["id"]):
            self._again(known)
            return self._conflict(known)
        number = f"EP-{datetime.now(UTC):%Y}-{len(self.by_credential) + 1:06d}"
        moment = datetime.now(UTC).isoformat()
        taken = Delivery(number, document["id"], key, digest, sealed, moment)
        self._enter(taken)
        self._kept.add(**asdict(taken))
        self.documents[number] = members["credential"]
        while len(self.documents) > DOCUMENTS_KEPT:
            self.documents.popitem(last=False)
        return self._yes(taken, {})

    def _yes(self, taken: Delivery, headers: dict[str, str]) -> Response:
        return JSONResponse({"success": True, "data": self._data(taken)}, headers=headers)

    def _conflict(self, known: Delivery) -> Response:
        refusal = Refusal(409, "ALREADY_ISSUED", "A credential with this id was issued before")
        answer = refusal.answer(self.manners.error_form)
        if self.manners.error_form != "own" or not self.manners.conflict_names_id:
            return answer
        return JSONResponse({**json.loads(bytes(answer.body)), "data": self._data(known)}, 409)

    def _data(self, taken: Delivery) -> dict[str, str]:
        home = _HOME[self.manners.links]
        data = {"europass_credential_id": taken.id} if self.manners.names_id else {}
        return {
            **data,
            "credential_url": f"{home}/credentials/{taken.id}",
            "qr_code": f"{home}/qr/{taken.id}",
        }

    def _again(self, known: Delivery) -> None:
        known.times += 1
        self._kept.add(**asdict(known))

    def _enter(self, taken: Delivery) -> None:
        self.by_credential[taken.credential_id] = taken
        self._by_key[taken.key] = taken


def admin_router(issuer: Issuer) -> APIRouter:
    """Everything under `/_sandbox/europass`. `async`: the books are used on the event loop only."""
    routes = APIRouter(prefix="/_sandbox/europass")

    @routes.get("")
    async def summary() -> dict[str, int]:
        """How much is on the books. times: how often credentials came, repeats included."""
        taken = issuer.by_credential.values()
        return {"credentials": len(taken), "times": sum(one.times for one in taken)}

    @routes.delete("", status_code=204)
    async def clear() -> None:
        """Empty books, the usual manners."""
        issuer.clear()
        issuer.manners = Manners()

    @routes.get("/manners")
    async def manners() -> Manners:
        """How it behaves."""
        return issuer.manners

    @routes.post("/manners")
    async def behave(changed: dict[str, Any]) -> Manners:
        """Change what is named, leave the rest."""
        try:
            issuer.manners = Manners.model_validate({**issuer.manners.model_dump(), **changed})
        except ValidationError as error:
            raise HTTPException(422, error.errors(include_url=False, include_context=False)) from None
        return issuer.manners

    @routes.delete("/manners", status_code=204)
    async def behave_as_usual() -> None:
        """Every choice as it is by default."""
        issuer.manners = Manners()

    @routes.get("/credentials")
    async def credentials() -> list[dict[str, Any]]:
        """Every credential that was taken, oldest first, without its document."""
        return [asdict(one) for one in issuer.by_credential.values()]

    @routes.get("/credentials/{number}")
    async def document(number: str) -> Any:
        """The document of one of the latest 500, as it came; they are not kept over a restart."""
        if number not in issuer.documents:
            raise HTTPException(404, f"No document of {number}.")
        return issuer.documents[number]

    return routes


def _checked(members: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The document and whether it is sealed; raises Refusal 422 with every fault."""
    faults: dict[str, str] = {}
    for name in members.keys() - {"credential"}:
        faults[name] = "is not known"
    credential = members.get("credential")
    document: dict[str, Any] = {}
    sealed = False
    if not isinstance(credential, dict):
        faults["credential"] = "must be an object"
    else:
        document, sealed = document_of(credential, faults)
        if not faults:
            check_document(document, faults, sealed=sealed)
    if faults:
        raise Refusal(422, "CREDENTIAL_NOT_VALID", "The credential is not valid", faults)
    return document, sealed
