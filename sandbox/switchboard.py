"""The armed failures: which call of which service goes wrong next, and how often each was called."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field, model_validator

from sandbox.refusals import Form, RetryForm

# Before the effect: the call is not served, or served late. After it: served, but the answer is spoilt.
Before = Literal[
    "timeout", "500", "429", "half", "html", "wrong_trailer", "reset", "code", "delay", "refused", "late"
]
After = Literal["lost", "reset_after", "500_after", "502_html", "drip", "code_after"]
WALLETS = ("gopay", "ovo", "linkaja")
EVERY = "any"  # every operation of a gateway


class Failure(BaseModel, extra="forbid"):
    """`times` calls of one service of one gateway fail in this way; null: until it is disarmed.

    Failures without an end that meet the same call take turns. An armed one with a number goes before them.
    """

    gateway: str
    operation: str = Field(description="an operation of the gateway, or `any`")
    kind: Before | After
    times: int | None = Field(default=1, ge=1, le=10_000)
    retry_after: int = Field(default=1, ge=0, le=86_400, description="seconds, of status 429")
    retry_form: RetryForm = "seconds"
    seconds: float = Field(default=0.2, ge=0, le=60, description="delay, late: in all; drip: for each byte")
    code: str = Field(default="", description="the service's response code, of kinds code and code_after")
    form: Form = Field(default="own", description="of kinds code and code_after, where it is no wallet")
    location: str = Field(default="https://elsewhere.invalid/", description="of a redirect, code 3xx")

    @model_validator(mode="after")
    def _fits(self) -> "Failure":
        if self.kind == "wrong_trailer" and self.operation != "report":
            raise ValueError("wrong_trailer is a failure of a report")
        if self.kind == "refused" and (self.gateway, self.operation) != ("gopay", "refund"):
            raise ValueError("refused is a failure of GoPay's refund")
        if self.kind in ("code", "code_after"):
            form = r"[2-5][0-9]{2}"
            if self.gateway in WALLETS:
                form = r"[2-9][0-9]{2}" if self.gateway == "gopay" else r"[2-5][0-9]{6,7}"
            if self.operation == "report" or not re.fullmatch(form, self.code):
                raise ValueError(f"{self.kind} needs a response code of the service")
        return self


@dataclass(frozen=True)
class Services:
    """Which path is which operation of which gateway: whole paths first, then forms of paths."""

    paths: Mapping[str, tuple[str, str]]
    forms: tuple[tuple[re.Pattern[str], tuple[str, str]], ...]

    def of(self, method: str, path: str) -> tuple[str, str] | None:
        """Gateway and operation of a call, or None for what is no gateway's service.

        A form is that of a path; one that begins with a method is that of calls with it.
        """
        if known := self.paths.get(path):
            return known
        call = f"{method} {path}"
        return next(
            (service for form, service in self.forms if form.fullmatch(path) or form.fullmatch(call)), None
        )

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
        known = [operation for gateway, operation in self.services.all() if gateway == failure.gateway]
        if not known or failure.operation not in (*known, EVERY):
            raise ValueError(f"{failure.gateway} has no {failure.operation}")
        self.armed.append(failure.model_copy())

    def call(self, service: tuple[str, str]) -> Failure | None:
        """Count a call; the failure that it meets, if any, with the operation that it meets there."""
        self.calls[service] += 1
        if not self.armed:
            return None
        gateway, operation = service
        meeting = [
            one for one in self.armed if one.gateway == gateway and one.operation in (operation, EVERY)
        ]
        failure = next((one for one in meeting if one.times is not None), None)
        if failure and failure.times is not None:
            failure.times -= 1
            if not failure.times:
                self._take_out(failure)
        elif meeting:
            failure = meeting[0]
            self._take_out(failure)
            self.armed.append(failure)
        return failure and failure.model_copy(update={"operation": operation})

    def disarm(self, gateway: str | None = None) -> None:
        """Let nothing fail any more, or nothing of one gateway."""
        self.armed = [one for one in self.armed if gateway not in (None, one.gateway)]

    def _take_out(self, failure: Failure) -> None:
        self.armed = [one for one in self.armed if one is not failure]

    def counts(self) -> dict[str, dict[str, int]]:
        """Calls so far, by gateway and operation, zeros included."""
        counts: dict[str, dict[str, int]] = {}
        for gateway, operation in self.services.all():
            counts.setdefault(gateway, {})[operation] = self.calls[gateway, operation]
        return counts
