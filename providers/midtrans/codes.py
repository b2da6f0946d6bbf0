"""What an answer of Midtrans means: the `status_code` in its body goes before the HTTP status.

Source: Midtrans docs, Status code, Error response, Idempotent requests, Refund. Quirks: HTTP is mostly 200,
also for errors; HTTP 202 alone says that the same request is still running.
"""

from dataclasses import dataclass, field
from typing import Any

import httpx

from common.errors import Ambiguous, AuthFailed, NotNow, ProviderError, Rejected, Transient
from providers import http, reading

NOT_FOUND = "404"
NOT_IN_THIS_STATE = "412"
DENIED = "202"
# What a call may be answered with that is no error. 407 is how letting expire says that it worked.
SUCCESS = {
    "create": frozenset({"200", "201", DENIED}),
    "status": frozenset({"200", "201", DENIED, "407"}),
    "cancel": frozenset({"200", DENIED}),
    "expire": frozenset({"200", DENIED, "407"}),
    "refund": frozenset({"200", DENIED}),
}

_REFUSED_KEYS = {
    "401": "refuses our key",
    "402": "has not enabled GoPay for the merchant",
    "403": "refuses the form of the answer that we accept",
}
_REFUSALS = {
    "400": "refuses the form of the call",
    "404": "does not know the transaction",
    "405": "refuses the method",
    "408": "refuses the type of a field",
    "410": "says that the payer's GoPay account cannot be used",
    "411": "refuses a token",
    "412": "says that the state does not allow it",
    "413": "cannot read the call",
    "414": "refuses the amount, or the merchant's balance is too low",
}
# A key of a refund that another refund has; for a charge, 406 says that the order is there already.
_REFUND_REFUSALS = {"406": "says that another refund has this key"}
# The two pages of the docs give 414 different meanings: the amount, or the merchant's balance. What is too
# much is seen before the call, so what is left is the balance, which can be filled.
_SHORT = "414"
_OWN_ERRORS = frozenset({"500", "503", "900"})


@dataclass(frozen=True)
class Answer:
    """An answer in Midtrans' form that is no error: its members, its code, the very bytes as evidence."""

    members: dict[str, Any]
    code: str
    raw: bytes = field(repr=False)

    @property
    def word(self) -> str:
        """`transaction_status` without case; a sample of the docs has it in capitals."""
        return (reading.word(self.members.get("transaction_status")) or "").lower()


def answer_of(operation: str, response: httpx.Response, *, is_read: bool) -> Answer:
    """The answer where it says anything of a transaction; raises the error that it stands for.

    is_read: the call changes nothing. Else everything that is no clear yes or no is Ambiguous.
    """
    members = reading.json_object(response.content)
    code = str((members or {}).get("status_code", ""))
    if response.status_code == 429 or code == "429":
        raise http.rate_limited("gopay", operation, response)
    if members is None or not code.isdecimal():
        if not response.is_success:
            raise http.refused("gopay", operation, response, is_read=is_read)
        raise _open(operation, "answers with something that is not Midtrans' form", None, is_read=is_read)
    if response.status_code == 202 and not is_read:
        raise Ambiguous("gopay", operation, "is still at the same request", code="202")
    answer = Answer(members, code, response.content)
    if code in SUCCESS[operation] and response.status_code < 500 and (answer.word or not is_read):
        return answer
    raise _error(operation, code, response.status_code, is_read=is_read)


def _error(operation: str, code: str, http_status: int, *, is_read: bool) -> ProviderError:
    if http_status >= 500:  # whatever the body says: who breaks down may have done it before
        return _open(operation, "has an error of its own", code, is_read=is_read)
    if code in _REFUSED_KEYS:
        return AuthFailed("gopay", operation, _REFUSED_KEYS[code], code=code)
    refusal = _REFUSALS.get(code) or (_REFUND_REFUSALS.get(code) if operation == "refund" else None)
    if refusal:
        kind = NotNow if operation == "refund" and code == _SHORT else Rejected
        return kind("gopay", operation, refusal, code=code)
    if code in _OWN_ERRORS or code.startswith("5"):
        return _open(operation, "has an error of its own", code, is_read=is_read)
    if is_read and code.startswith("4"):
        return Rejected("gopay", operation, "refuses the call", code=code)
    had = code in ("406", "409")
    reason = "had this order or request before" if had else "answers with a code that is not known"
    return _open(operation, reason, code, is_read=is_read)


def _open(operation: str, reason: str, code: str | None, *, is_read: bool) -> ProviderError:
    return (Transient if is_read else Ambiguous)("gopay", operation, reason, code=code)
