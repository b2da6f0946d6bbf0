"""One family of errors for all services, by what the caller must do next."""


class ProviderError(Exception):
    """A call to an outside service that did not end well.

    Prints as one sentence: service, operation, the provider's code and request id, our reason.
    Never carries a body, a secret or personal data.
    """

    def __init__(
        self,
        provider: str,
        operation: str,
        reason: str,
        *,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        self.provider = provider
        self.operation = operation
        self.reason = reason
        self.code = code
        self.request_id = request_id
        details = [f"code {code}" if code else "", f"request {request_id}" if request_id else ""]
        suffix = ", ".join(part for part in details if part)
        super().__init__(f"{provider} {operation}: {reason}" + (f" ({suffix})" if suffix else ""))


class Transient(ProviderError):
    """It surely did not happen: make the same call again."""


class RateLimited(Transient):
    """It did not happen, and may not be asked again before `retry_after` seconds."""

    def __init__(self, provider: str, operation: str, reason: str, *, retry_after: float) -> None:
        super().__init__(provider, operation, reason, code="429")
        self.retry_after = retry_after


class Rejected(ProviderError):
    """A final no."""


class NotNow(Rejected):
    """A no that time can mend: the merchant's balance is too low. Nothing happened; again in an hour."""


class AuthFailed(ProviderError):
    """Our key, clock or token is wrong: stop and tell a person."""


class Ambiguous(ProviderError):
    """Sent, and the answer was lost: it may have happened. Ask the status, never send blindly."""


class NothingReported(Exception):
    """The report has no lines though the ledger has items of that day in scope."""


class UnusableFile(Exception):
    """A file that cannot be worked as a whole; says where, why and what was seen.

    line: 1-based line of the file; seen: the text there, cut to 80 characters.
    """

    def __init__(
        self, name: str, reason: str, *, line: int | None = None, column: str | None = None, seen: str = ""
    ) -> None:
        self.name = name
        self.reason = reason
        self.line = line
        self.column = column
        self.seen = seen[:80]
        where = (f", line {line}" if line else "") + (f", column {column}" if column else "")
        super().__init__(f"{name}{where}: {reason}" + (f" (seen: {self.seen!r})" if seen else ""))


class BadInput(Exception):
    """A setting or a request that cannot be worked as it is; says which, and what it may be."""


class NotReachable(Exception):
    """Something that the job needs does not answer: the database, the Prefect server."""
