"""LinkedIn's sign-in: authorisation, token, revocation, keys.

Source: LinkedIn, "Authorization Code Flow", "Sign In with LinkedIn using OpenID Connect". Where LinkedIn does
otherwise than the standards (no nonce, no PKCE for web apps, scopes parted by commas), so does this.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from sandbox.failures import slowly
from sandbox.id_tokens import Signer
from sandbox.keys import LINKEDIN
from sandbox.linkedin_books import Books, Code, Member
from sandbox.linkedin_errors import oauth_refusal
from sandbox.linkedin_manners import DEFAULT_ISSUER, Manners
from sandbox.linkedin_page import consent, refused

HOME = "/linkedin"
_FORM_BYTES = 8192
_NO_STORE = {"Cache-Control": "no-store"}
_HOST = re.compile(r"[A-Za-z0-9.\[\]-]+(:[0-9]+)?|\[[0-9a-f:]+\](:[0-9]+)?")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# What the member chose, and LinkedIn's word for it.
_CANCELLED = {"cancel": "user_cancelled_authorize", "leave": "user_cancelled_login"}


class LinkedIn:
    """The service: its books, its manners, its keys."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.manners = Manners()
        self.signer = Signer()

    def end_all(self) -> None:
        """Every access token runs out now."""
        self.books.end_all()

    def routes(self) -> APIRouter:
        """Everything under `/linkedin/oauth`."""
        routes = APIRouter()
        oauth = f"{HOME}/oauth"
        routes.add_route(f"{oauth}/v2/authorization", self.authorize, methods=["GET", "POST"])
        routes.add_route(f"{oauth}/v2/accessToken", self.token, methods=["POST"])
        routes.add_route(f"{oauth}/v2/revoke", self.revoke, methods=["POST"])
        routes.add_route(f"{oauth}/v2/introspectToken", self.introspect, methods=["POST"])
        routes.add_route(f"{oauth}/openid/jwks", self.keys, methods=["GET"])
        routes.add_route(f"{oauth}/.well-known/openid-configuration", self.discovery, methods=["GET"])
        return routes

    async def authorize(self, request: Request) -> Response:
        """The page of consent; a wrong app or address is told to the person, anything else to the app."""
        asked = dict(request.query_params)
        target = asked.get("redirect_uri", "")
        if asked.get("client_id") != LINKEDIN[0]:
            return refused("The passed in client_id is invalid")
        if not self._is_registered(target):
            return refused("The redirect_uri does not match the registered value")
        if asked.get("response_type") != "code":
            return self._back(asked, error="unsupported_response_type", error_description="code is needed")
        scopes = asked.get("scope", "").split()
        if foreign := [scope for scope in scopes if scope not in self.manners.scopes]:
            words = f'Scope "{foreign[0]}" is not authorized for your application'
            return self._back(asked, error="unauthorized_scope_error", error_description=words)
        if self.manners.signed_in in self.books.members:
            return self._allowed(asked, self.books.members[self.manners.signed_in or ""])
        if request.method == "GET":
            return consent(self.books.members.values(), scopes, target)
        chosen = _form(await request.body())
        choice, member = chosen.get("choice", ""), self.books.members.get(chosen.get("member", ""))
        if choice in _CANCELLED:
            words = self.manners.cancel_description
            return self._back(asked, error=_CANCELLED[choice], error_description=words)
        if choice != "allow" or member is None:
            return consent(self.books.members.values(), scopes, target, 400)
        return self._allowed(asked, member)

    async def token(self, request: Request) -> Response:
        """The exchange of a code: once, by its app, with its redirect address."""
        given, refusal = await self._credentials(request)
        if refusal:
            return refusal
        if given.get("grant_type") != "authorization_code":
            return oauth_refusal(400, "invalid_request", "The grant_type is not supported")
        for name in ("code", "redirect_uri"):
            if not given.get(name):
                words = f"A required parameter {name!r} is missing"
                return oauth_refusal(400, "invalid_request", words)
        await slowly(request)
        code = self.books.codes.get(given["code"])
        if code is None or code.used or code.until <= time.time():
            return oauth_refusal(
                400,
                "invalid_grant",
                "Unable to retrieve access token: appid/redirect uri/code verifier does not match "
                "authorization code. Or authorization code expired. Or external member binding exists",
            )
        if given["redirect_uri"] != code.redirect_uri:
            return oauth_refusal(400, "invalid_grant", "The redirect_uri is not that of the authorization")
        if self.manners.pkce and code.challenge and not _is_verified(given, code):
            return oauth_refusal(400, "invalid_grant", "The code_verifier is wrong")
        code.used = True
        return JSONResponse(self._given(code), headers=_NO_STORE)

    async def revoke(self, request: Request) -> Response:
        """A token ends; one that is not known is no fault."""
        given, refusal = await self._credentials(request)
        if refusal:
            return refusal
        if not given.get("token"):
            return oauth_refusal(400, "invalid_request", "A required parameter 'token' is missing")
        await slowly(request)
        if token := self.books.token(given["token"]):
            self.books.end(token, revoked=True)
        return JSONResponse({})

    async def introspect(self, request: Request) -> Response:
        """How a token stands."""
        given, refusal = await self._credentials(request)
        if refusal:
            return refusal
        token = self.books.token(given.get("token", ""))
        if token is None:
            return JSONResponse({"active": False})
        state = "revoked" if token.revoked else "active" if token.is_live else "expired"
        return JSONResponse(
            {
                "active": token.is_live,
                "status": state,
                "scope": ",".join(token.scopes),
                "client_id": LINKEDIN[0],
                "expires_at": int(token.until),
            }
        )

    async def keys(self, _: Request) -> Response:
        """The keys of ID tokens."""
        return JSONResponse(self.signer.published())

    async def discovery(self, request: Request) -> Response:
        """OpenID Connect's description of all this."""
        home = f"{str(request.base_url).rstrip('/')}{HOME}"
        return JSONResponse(
            {
                "issuer": DEFAULT_ISSUER,
                "authorization_endpoint": f"{home}/oauth/v2/authorization",
                "token_endpoint": f"{home}/oauth/v2/accessToken",
                "userinfo_endpoint": f"{home}/v2/userinfo",
                "jwks_uri": f"{home}/oauth/openid/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid", "profile", "email"],
            }
        )

    async def _credentials(self, request: Request) -> tuple[dict[str, str], Response | None]:
        """The form of a call by the app itself, or why it is refused: everything is in the form."""
        given = _form(await request.body())
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded" or request.url.query:
            return given, oauth_refusal(400, "invalid_request", "Everything must be in a form")
        pair = given.get("client_id", ""), given.get("client_secret", "")
        if not hmac.compare_digest("\n".join(pair).encode(), "\n".join(LINKEDIN).encode()):
            return given, oauth_refusal(401, "invalid_client", "Client authentication failed")
        if "code_verifier" in given and not self.manners.pkce:  # as LinkedIn does to web apps
            return given, oauth_refusal(401, "invalid_client", "Client authentication failed")
        return given, None

    def _allowed(self, asked: Mapping[str, str], member: Member) -> Response:
        scopes = frozenset(asked.get("scope", "").split())
        if self.manners.granted is not None:
            scopes &= set(self.manners.granted)
        until = time.time() + self.manners.code_seconds
        code = Code(member, asked["redirect_uri"], scopes, asked.get("code_challenge", ""), until)
        return self._back(asked, code=self.books.allow(code))

    def _back(self, asked: Mapping[str, str], **answer: str) -> Response:
        """Send the browser to the app, with its state."""
        parts = urlsplit(asked["redirect_uri"])
        added = urlencode({**answer, **({"state": asked["state"]} if "state" in asked else {})})
        address = parts._replace(query=f"{parts.query}&{added}" if parts.query else added).geturl()
        return RedirectResponse(address, 303, {**_NO_STORE, "Referrer-Policy": "no-referrer"})

    def _is_registered(self, address: str) -> bool:
        """Absolute, https (http for this machine), no fragment; query arguments do not count."""
        try:
            parts = urlsplit(address)
            host = parts.hostname
        except ValueError:
            return False
        if not host or "#" in address or not _HOST.fullmatch(parts.netloc):
            return False
        if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
            return False
        registered = self.manners.redirect_uris
        return not registered or address.partition("?")[0] in {one.partition("?")[0] for one in registered}

    def _given(self, code: Code) -> dict[str, Any]:
        seconds = self.manners.token_seconds
        token = self.books.give(code.member, code.scopes, seconds, one_grant=self.manners.one_grant)
        answer: dict[str, Any] = {
            "access_token": token,
            "expires_in": seconds,
            "scope": self.manners.scope_separator.join(sorted(code.scopes)),
            "token_type": "Bearer",
        }
        if "openid" in code.scopes and self.manners.identity != "missing":
            answer["id_token"] = self.signer.token(code.member, self.manners)
        return answer


def _form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body[:_FORM_BYTES].decode("utf-8", "replace"), keep_blank_values=True))


def _is_verified(given: Mapping[str, str], code: Code) -> bool:
    digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
    return hmac.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), code.challenge)
