"""What a SNAP answer means: HTTP status (3 digits), service (2) and case (2) in `responseCode`.

Source: the national SNAP standard as Midtrans, DOKU and Faspay publish it. Quirks: public samples have a
wrong service part and even eight digits, so only status and case count; some gateways answer HTTP 200 to
everything, so the code goes before the HTTP status.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import httpx

from common.errors import Ambiguous, AuthFailed, NotNow, ProviderError, Rejected, Transient
from providers import http, reading
from providers.base import ChargeState

# latestTransactionStatus -> our state. 02 is DANA's "paying": the payer's side went through, not final yet;
# 08 and 09 are Midtrans' alone. Any other word is `unknown`, which is never final.
STATES: dict[str, ChargeState] = {
    "00": "paid",
    "01": "pending",
    "02": "pending",
    "03": "pending",
    "04": "refunded",
    "05": "cancelled",
    "06": "denied",
    "07": "not_found",
    "08": "expired",
    "09": "denied",
}

# HTTP status and case of a final no -> what it is, in a few words.
REFUSALS: dict[tuple[str, str], str] = {
    ("400", "00"): "does not understand the call",
    ("400", "01"): "refuses the form of a field",
    ("400", "02"): "misses a field",
    ("403", "02"): "says that the amount is above the limit",
    ("403", "03"): "suspects fraud",
    ("403", "09"): "says that the account is dormant",
    ("403", "14"): "says that the balance is too low",
    ("403", "15"): "does not permit it",
    ("403", "18"): "says that the account is inactive or closed",
    ("403", "23"): "says that the limit of the account is reached",
    ("404", "01"): "does not know the transaction",
    ("404", "08"): "does not know the merchant",
    ("404", "11"): "does not know the account",
    ("404", "16"): "does not know the partner",
}
# The same cases of the refund service (58) mean something of their own.
REFUND_REFUSALS: dict[tuple[str, str], str] = {
    ("403", "02"): "says that it is more than what is left",
    ("403", "14"): "says that the merchant's balance is too low, so it can work later",
    ("403", "15"): "does not permit it: too late, or not offered for this payment",
    ("404", "01"): "does not know the payment",
}
_SHORT = ("403", "14")  # of the refund service: the merchant's balance, which can be filled
_UNAUTHORISED = {
    "00": "refuses our signature or client",
    "01": "refuses our token",
    "02": "wants the token of a linked account",
    "03": "wants the token of a linked account",
    "04": "wants the token of a linked account",
}
_CODE = re.compile(r"[1-5][0-9]{6,7}")
_NOT_FOUND = re.compile(r"404[0-9]{2}01")
_TOKEN_REFUSED = re.compile(r"401[0-9]{2}01")


@dataclass(frozen=True)
class Answer:
    """A successful answer: its members, its code, and the very bytes as evidence."""

    members: dict[str, Any]
    code: str
    raw: bytes = field(repr=False)


def is_token_refused(error: AuthFailed) -> bool:
    """401xx01: the token ended early; a new one helps."""
    return _TOKEN_REFUSED.fullmatch(error.code or "") is not None


def is_not_found(error: Rejected) -> bool:
    """404xx01: there is no such transaction."""
    return _NOT_FOUND.fullmatch(error.code or "") is not None


def answer_of(provider: str, operation: str, response: httpx.Response, *, is_read: bool) -> Answer:
    """The answer where it is a success; raises the error that it stands for.

    is_read: the call changes nothing. Else everything that is no clear yes or no is Ambiguous: it may have
    happened.
    """
    members = reading.json_object(response.content)
    code = reading.word((members or {}).get("responseCode")) or ""
    if members is None or not _CODE.fullmatch(code):
        if members is not None and response.is_success and is_read:
            return Answer(members, code, response.content)
        raise _formless(provider, operation, response, is_read=is_read)
    status = str(response.status_code) if response.status_code in (429, *range(500, 600)) else code[:3]
    case = code[-2:]
    if status == "200" and case == "00" and response.is_success:
        return Answer(members, code, response.content)
    if status == "202" and response.is_success and is_read:
        return Answer(members, code, response.content)
    if status == "429":
        raise http.rate_limited(provider, operation, response)
    raise _error(provider, operation, status, case, code, is_read=is_read)


def _error(
    provider: str, operation: str, status: str, case: str, code: str, *, is_read: bool
) -> ProviderError:
    refusal = REFUND_REFUSALS.get((status, case)) if operation == "refund" else None
    refusal = refusal or REFUSALS.get((status, case))
    if refusal:
        kind = NotNow if operation == "refund" and (status, case) == _SHORT else Rejected
        return kind(provider, operation, refusal, code=code)
    if status == "401":
        return AuthFailed(provider, operation, _UNAUTHORISED.get(case, "refuses us"), code=code)
    if is_read and status.startswith("4") and status != "409":
        return Rejected(provider, operation, "refuses the call", code=code)
    reasons = {"202": "is still at it", "409": "had a call of this number or reference before"}
    reason = "has an error of its own" if status.startswith("5") else "answers with a code that is not known"
    return (Transient if is_read else Ambiguous)(provider, operation, reasons.get(status, reason), code=code)


def _formless(provider: str, operation: str, response: httpx.Response, *, is_read: bool) -> ProviderError:
    if not response.is_success:
        return http.refused(provider, operation, response, is_read=is_read)
    kind = Transient if is_read else Ambiguous
    return kind(provider, operation, "answers with something that is not SNAP's form")
