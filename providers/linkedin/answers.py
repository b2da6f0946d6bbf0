"""LinkedIn's refusals in our words: `{"status", "code", "message", "serviceErrorCode"?, "errorDetails"?}`.

What a message quotes may be personal: of it only codes, names of fields and the id of a post go further.
"""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from common import clock
from common.errors import Ambiguous, AuthFailed, ProviderError, RateLimited, Rejected, Transient
from providers import http, reading
from providers.linkedin import PROVIDER

_URN = re.compile(r"urn:li:(?:share|ugcPost):[A-Za-z0-9_-]{1,100}")
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_FIELD = re.compile(r"/[A-Za-z0-9_/]{1,120}")
_DAY = re.compile(r"\bday\b|\bdaily\b", re.IGNORECASE)
_APPLICATION = re.compile(r"\bapplication\b", re.IGNORECASE)
_LONGEST_WAIT = 2 * 86_400.0


class NeedsReconnect(AuthFailed):
    """The member's token has ended or was taken back: only the member can give another."""


class NotAllowed(Rejected):
    """The member has not allowed this, or the app lacks the product for it."""


class OldVersion(Rejected):
    """LinkedIn answers this version no more: an operator raises the setting."""


class Duplicate(Rejected):
    """LinkedIn has this post already. urn: which one, where the answer names it."""

    def __init__(self, urn: str | None, code: str) -> None:
        super().__init__(PROVIDER, "post", "has this post already", code=code)
        self.urn = urn


class Limited(RateLimited):
    """Too many calls. is_daily: until the UTC day ends; is_for_all: for the whole app and not one member.
    retry_after: 0 where LinkedIn does not say."""

    def __init__(self, operation: str, retry_after: float, *, is_daily: bool, is_for_all: bool) -> None:
        reason = "has reached its limit of today" if is_daily else "asks for fewer calls"
        super().__init__(PROVIDER, operation, reason, retry_after=retry_after)
        self.is_daily = is_daily
        self.is_for_all = is_for_all


def refusal(operation: str, answer: httpx.Response, *, is_read: bool) -> ProviderError:
    """The error of an answer that is no success. is_read: asking again changes nothing."""
    status = answer.status_code
    members = reading.json_object(answer.content) or {}
    code = code_of(members) or f"HTTP {status}"
    request_id = reading.word(answer.headers.get("x-li-uuid"), 80)

    def known(kind: type[ProviderError], reason: str) -> ProviderError:
        return kind(PROVIDER, operation, reason, code=code, request_id=request_id)

    match status:
        case 401:
            return known(NeedsReconnect, "takes the member's token no more")
        case 403:
            return known(NotAllowed, "does not allow it")
        case 400 | 409 | 422 if _is_duplicate(members):
            return Duplicate(_urn(members), code)
        case 426:
            return known(OldVersion, "does not know this version any more")
        case 429:
            said = reading.member(members, "message")
            words = said if isinstance(said, str) else ""
            return Limited(
                operation,
                _retry_after(answer.headers.get("retry-after")),
                is_daily=bool(_DAY.search(words)),
                is_for_all=bool(_APPLICATION.search(words)),
            )
        case 409:
            return known(Transient, "is busy with the same thing")
        case 400 | 404 | 405 | 413 | 415 | 422:
            fields = ", ".join(_fields(members))
            return known(Rejected, f"refuses it, because of {fields}" if fields else "refuses it")
    if status >= 500:
        return known(Transient if is_read else Ambiguous, "has an error of its own")
    if is_read:
        reason = "answers with a redirect" if 300 <= status < 400 else "refuses the call"
        return known(Rejected, reason)
    return known(Ambiguous, "answers in a form that is not its own")


def no_answer(operation: str, error: httpx.TransportError, *, is_read: bool) -> ProviderError:
    """The error of a call without an answer."""
    return http.failed(PROVIDER, operation, error, is_read=is_read)


def code_of(members: dict[str, Any]) -> str | None:
    """LinkedIn's own word for it."""
    named = members.get("code") or members.get("error") or members.get("serviceErrorCode")
    text = str(named) if isinstance(named, (str, int)) else ""
    return text if _CODE.fullmatch(text) else None


def _inputs(members: dict[str, Any]) -> list[dict[str, Any]]:
    found = reading.member(members, "errorDetails", "inputErrors")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _is_duplicate(members: dict[str, Any]) -> bool:
    codes = [one.get("code") for one in _inputs(members)] + [members.get("code")]
    message = members.get("message")
    return "DUPLICATE_POST" in codes or (isinstance(message, str) and "duplicate" in message.lower())


def _urn(members: dict[str, Any]) -> str | None:
    said = [members.get("message"), *(one.get("description") for one in _inputs(members))]
    for text in said:
        found = _URN.search(text) if isinstance(text, str) else None
        if found:
            return found[0]
    return None


def _fields(members: dict[str, Any]) -> list[str]:
    named = (reading.member(one, "input", "inputPath", "fieldPath") for one in _inputs(members))
    return [path for path in named if isinstance(path, str) and _FIELD.fullmatch(path)][:5]


def _retry_after(text: str | None) -> float:
    """Seconds, from seconds or a date; 0 where there is neither."""
    if text is None:
        return 0.0
    if text.strip().isdecimal():
        return min(float(text), _LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - clock.now()).total_seconds(), 0.0), _LONGEST_WAIT)
