"""How SIPLatih behaves: what can be set through the admin calls; and its token desk."""

import secrets
import time
from typing import Literal

from pydantic import Field

from sandbox.limits import Limits
from sandbox.refusals import Refusal
from sandbox.siplatih_checks import Rules

SCOPES = ("training:read", "training:write", "credential:read", "credential:write")
# Whether a credential is verified: by the books, always, never, without a word, with a word that is no yes.
Verdict = Literal["books", "yes", "no", "silent", "text"]


class Manners(Limits):
    """The choices, all with the usual behaviour as default."""

    lookup: Literal["on", "404", "405"] = "on"
    max_participants: int = Field(default=500, ge=1)
    token_seconds: int = Field(default=3600, ge=1)
    expires_in: Literal["number", "text", "missing"] = "number"
    scopes: tuple[str, ...] = Field(default=SCOPES, description="the most that a token is given")
    scope_member: bool = Field(default=True, description="whether the token's answer names the scopes")
    duplicates: Literal["rejected", "conflict"] = Field(
        default="rejected", description="who was reported before: a rejection each, or 409 for the report"
    )
    corrections: bool = Field(default=False, description="whether other values of a participant are taken")
    updates: bool = Field(default=False, description="whether another content of a program is taken")
    verdict: Verdict = "books"
    unknown_members: Literal["refuse", "tolerate"] = "refuse"
    program_types: tuple[str, ...] = ("VOCATIONAL",)
    completion_statuses: tuple[str, ...] = ("COMPLETED", "FAILED", "WITHDRAWN")

    @property
    def rules(self) -> Rules:
        """What of it is about the checks."""
        return Rules(
            self.program_types, self.completion_statuses, tolerates_unknown=self.unknown_members == "tolerate"
        )


class Tokens:
    """The tokens that were given out, with their scopes. Used on the event loop only."""

    def __init__(self) -> None:
        self._given: dict[str, tuple[float, frozenset[str]]] = {}

    def give(self, scopes: frozenset[str], seconds: float) -> str:
        """A new token."""
        moment = time.monotonic()
        self._given = {token: kept for token, kept in self._given.items() if kept[0] > moment}
        token = f"sandbox-slt-{secrets.token_urlsafe(32)}"
        self._given[token] = moment + seconds, scopes
        return token

    def scopes(self, header: str) -> frozenset[str]:
        """The scopes of the token in an `Authorization` header; raises Refusal 401."""
        scheme, _, token = header.partition(" ")
        until, scopes = self._given.get(token.strip(), (0.0, frozenset()))
        if scheme.lower() != "bearer" or until <= time.monotonic():
            headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise Refusal(401, "UNAUTHENTICATED", "The token is missing or has expired", headers=headers)
        return scopes

    def end_all(self) -> None:
        """Every token ends now, as if its time had passed."""
        self._given.clear()
