"""What every service that takes JSON limits: calls a second, bytes of a body; and how it says no."""

import math
import time

from pydantic import BaseModel, Field

from sandbox.refusals import Form, Refusal, RetryForm, retry_after


class Limits(BaseModel, extra="forbid"):
    """The choices about it, with the usual behaviour as default."""

    error_form: Form = Field(default="own", description="in which form every refusal comes")
    rate: float | None = Field(default=None, gt=0, description="calls a second, those for tokens not counted")
    burst: int = Field(default=1, ge=1, description="calls that may come at once under `rate`")
    retry_form: RetryForm = "seconds"
    max_body_bytes: int = Field(default=1_000_000, ge=1)


class Gatekeeper:
    """Lets through so many calls a second, and not one more."""

    def __init__(self) -> None:
        self._left = 0.0
        self._at = 0.0

    def pass_one(self, limits: Limits) -> None:
        """Count a call; raises Refusal 429 with `Retry-After` when there were too many."""
        if limits.rate is None:
            return
        moment = time.monotonic()
        self._left = min(limits.burst, self._left + (moment - self._at) * limits.rate)
        self._at = moment
        if self._left >= 1:
            self._left -= 1
            return
        seconds = math.ceil((1 - self._left) / limits.rate)
        headers = retry_after(seconds, limits.retry_form)
        raise Refusal(429, "TOO_MANY_REQUESTS", "Too many requests", headers=headers)
