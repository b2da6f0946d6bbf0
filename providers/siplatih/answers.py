"""What the register answers, read in this order: its own form, Laravel's, RFC 9457, a text, a page.

Nobody has told us its error form, so each that is frequent in government systems is understood, and one that
is not is never taken for a yes. Messages of the register are shown without the values that were sent.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Self

import httpx

from common import clock
from common.errors import Ambiguous, AuthFailed, ProviderError, RateLimited, Rejected, Transient
from common.nik import masked_within
from providers import reading
from providers.siplatih.refusals import Conflict, Invalid, NotOffered, TooLarge
from providers.siplatih.wire import Fault

PROVIDER = "siplatih"
TOKEN_REFUSED = "HTTP 401"  # noqa: S105 - a code, not a secret
# Members whose values belong to a person: an answer that quotes one is shown without it.
PERSONAL = frozenset(
    {"nik", "participant_nik", "full_name", "certificate_number", "name", "qualification", "certification"}
)
LONGEST_MESSAGE = 300
MOST_FAULTS = 10_000
LONGEST_WAIT = 3600.0
_MANY_DIGITS = re.compile(r"\d(?:[\s.\-/_,]{0,2}\d){9,}")
_NOT_NOW = re.compile(r"INTERNAL|UNAVAILABLE|TIME.?OUT|MAINTENANCE|BUSY|TRY.?AGAIN", re.IGNORECASE)
_SCOPE = re.compile(r"scope", re.IGNORECASE)
_STEP = re.compile(r"[^./\[\]]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")


@dataclass(frozen=True)
class Answer:
    """An answer in the register's own form. message: for people, without values.

    data: its member `data`, or where it has none (is_bare) what stands beside `success`.
    """

    status: int
    data: Any
    message: str
    evidence: bytes = field(repr=False)
    is_bare: bool = False

    @classmethod
    def of(cls, response: httpx.Response, members: dict[str, Any], message: str) -> Self:
        """The answer with these members."""
        is_bare = "data" not in members
        data = members if is_bare else members["data"]
        return cls(response.status_code, data, message, response.content, is_bare)


@dataclass(frozen=True)
class _Said:
    """What an answer that is no success says. is_data: it is data or a line of text, no web page."""

    code: str = ""
    message: str = ""
    faults: tuple[Fault, ...] = ()
    is_data: bool = True


def answer_of(
    operation: str,
    response: httpx.Response,
    *,
    is_read: bool,
    personal: Iterable[str] = (),
    refusals: frozenset[int] = frozenset(),
) -> Answer:
    """The answer of a call that went well; raises the error of any other.

    is_read: asking again changes nothing. personal: values that were sent and are not to be shown.
    refusals: statuses of answers that are wanted too, whatever they say.
    """
    members = object_of(response)
    said = _said(response, members, tuple(personal))
    # a 404 without our envelope is a gateway's before the register, which was not asked
    is_gateways = response.status_code == 404 and "success" not in (members or {})
    if members is not None and response.status_code in refusals and not is_gateways:
        return Answer.of(response, members, said.message)
    if response.status_code not in (200, 201, 202):
        raise _error(operation, response, said, is_read=is_read)
    if members is None:
        raise _unsure(operation, response, "answers with a page instead of data", is_read=is_read)
    success = members.get("success")
    if success is False:
        raise _no(operation, response, said, is_read=is_read)
    if success is not True:
        if is_read:
            raise Rejected(PROVIDER, operation, "answers in a form that we do not know")
        raise Ambiguous(PROVIDER, operation, "answers in a form that we do not know")
    if members.get("error") or members.get("errors"):
        raise _unsure(operation, response, "says yes and names an error", is_read=is_read)
    return Answer.of(response, members, said.message)


def object_of(response: httpx.Response) -> dict[str, Any] | None:
    """The object of an answer in JSON; a mark of byte order before it, as PHP sends it, is passed over."""
    return reading.json_object(response.content.removeprefix(b"\xef\xbb\xbf"))


def masked(text: str, personal: Sequence[str]) -> str:
    """A text of the register for people: one line, not endless, without what was sent and without numbers
    that may be a person's: `3201********0001` is the most that is left of one."""
    for value in sorted({one.strip() for one in personal} - {""}, key=len, reverse=True):
        if not _MANY_DIGITS.fullmatch(value):
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "***", text, flags=re.IGNORECASE)
    text = _MANY_DIGITS.sub(_shortened, text)
    return _CONTROL.sub(" ", text).strip()[:LONGEST_MESSAGE]


def field_path(name: str) -> str:
    """A member's path as we write it, `participants[17].nik`, from `participants.17.nik`,
    `participants[17][nik]` or `/participants/17/nik`."""
    path = ""
    for step in _STEP.findall(name)[:8]:
        path += f"[{step}]" if step.isdecimal() and path else f".{step}" if path else step
    return masked_within(_CONTROL.sub("", path))[:120]


def _error(operation: str, response: httpx.Response, said: _Said, *, is_read: bool) -> ProviderError:
    """The error of an answer by its status, where it is no success."""
    status = response.status_code
    if status == 429:
        return RateLimited(
            PROVIDER,
            operation,
            "asks for fewer calls",
            retry_after=_wait(response.headers.get("retry-after")),
        )
    if status == 401:
        return _of(AuthFailed, operation, response, said, "refuses our token", code=TOKEN_REFUSED)
    if status == 413:
        return _of(TooLarge, operation, response, said, "finds it too large")
    if status in (404, 405) and is_read:
        return _of(NotOffered, operation, response, said, "has no such call")
    if status >= 500 or status < 400 or status in (408, 425) or not said.is_data:
        reason = "answers with a redirect" if 300 <= status < 400 else "has an error of its own"
        if 400 <= status < 500 and not said.is_data:
            reason = "answers with a page instead of data"
            if is_read:
                return _of(Rejected, operation, response, said, reason)
        return _unsure(operation, response, reason, is_read=is_read)
    return _no(operation, response, said, is_read=is_read)


def _no(operation: str, response: httpx.Response, said: _Said, *, is_read: bool) -> ProviderError:
    """The error of a no that is data: final, but where it says itself that it is not."""
    status = response.status_code
    if status < 300 and _NOT_NOW.search(said.code):
        return _unsure(operation, response, "has an error of its own", is_read=is_read)
    if status == 403 and _SCOPE.search(f"{said.code} {said.message}"):
        return _of(AuthFailed, operation, response, said, "finds that our key lacks a scope")
    if status == 403:
        return _of(Rejected, operation, response, said, "does not allow it")
    if status == 404:
        return _of(NotOffered, operation, response, said, "does not know it")
    kind = Conflict if status == 409 else Invalid
    reason = "has it already" if status == 409 else "does not take it"
    return kind(
        PROVIDER,
        operation,
        f"{reason}: {said.message}" if said.message else reason,
        code=said.code or f"HTTP {status}",
        request_id=_request_id(response),
        faults=said.faults,
    )


def _of(
    kind: type[ProviderError],
    operation: str,
    response: httpx.Response,
    said: _Said,
    reason: str,
    code: str | None = None,
) -> ProviderError:
    told = f"{reason}: {said.message}" if said.message and said.is_data else reason
    code = code or said.code or f"HTTP {response.status_code}"
    return kind(PROVIDER, operation, told, code=code, request_id=_request_id(response))


def _unsure(operation: str, response: httpx.Response, reason: str, *, is_read: bool) -> ProviderError:
    kind = Transient if is_read else Ambiguous
    code = f"HTTP {response.status_code}"
    return kind(PROVIDER, operation, reason, code=code, request_id=_request_id(response))


def _request_id(response: httpx.Response) -> str | None:
    """Its own name of the call, where it is not a number that may be a person's."""
    named = reading.word(response.headers.get("x-request-id"), 64)
    return None if named is None or _MANY_DIGITS.fullmatch(named) else named


def _wait(text: str | None) -> float:
    """Retry-After in seconds, as a number or a date; 1 where there is none: the pauses then grow."""
    if not text:
        return 1.0
    if text.strip().isdecimal():
        return min(float(text), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return 1.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=clock.now().tzinfo)
    return min(max((until - clock.now()).total_seconds(), 1.0), LONGEST_WAIT)


def _said(response: httpx.Response, members: dict[str, Any] | None, personal: tuple[str, ...]) -> _Said:
    """What an answer says, by the first form that fits."""
    if members is None:
        text = response.content[:2000].decode("utf-8", "replace").strip()
        if not text or text.startswith(("<", "\ufeff<")) or "<html" in text.lower():
            return _Said(is_data=False)
        return _Said(message=masked(text, personal))

    def told(value: Any) -> str:
        return masked(value, personal) if isinstance(value, str) else ""

    error = members.get("error")
    if isinstance(error, dict):
        listed = error.get("details") or error.get("fields") or error.get("errors")
        message = told(error.get("message")) or told(error.get("details"))
        faults = tuple(_faults(listed, personal))
        return _Said(_code(error.get("code")), message, faults)
    if isinstance(members.get("errors"), (dict, list)):
        message = told(members.get("message")) or told(members.get("detail")) or told(members.get("title"))
        code = _code(members.get("code")) or _code(members.get("type"))
        return _Said(code, message, tuple(_faults(members["errors"], personal)))
    if "title" in members or "detail" in members:
        message = ": ".join(filter(None, (told(members.get("title")), told(members.get("detail")))))
        faults = tuple(_faults(members.get("invalid-params"), personal))
        return _Said(_code(members.get("type")), message, faults)
    return _Said(_code(members.get("code") or error), told(members.get("message")))


def _faults(listed: Any, personal: tuple[str, ...]) -> Iterator[Fault]:
    """Faults by field, from a map `{field: [..]}` or a list `[{field, message}]`."""
    if isinstance(listed, dict):
        for name, reasons in list(listed.items())[:MOST_FAULTS]:
            for reason in reasons if isinstance(reasons, list) else [reasons]:
                if isinstance(reason, str):
                    yield Fault(field_path(name), masked(reason, personal))
    elif isinstance(listed, list):
        for one in listed[:MOST_FAULTS]:
            if isinstance(one, dict):
                yield _fault(one, personal)


def _fault(one: dict[str, Any], personal: tuple[str, ...]) -> Fault:
    named = next((one[key] for key in ("field", "path", "pointer", "name") if one.get(key)), "")
    path = field_path(str(named))
    index = reading.whole(one.get("index"))
    if index is not None and not path.startswith("participants["):
        path = f"participants[{index}]" + (f".{path}" if path else "")
    reason = next((one[key] for key in ("message", "reason", "detail") if isinstance(one.get(key), str)), "")
    return Fault(
        path=path,
        reason=masked(reason, personal),
        code=_code(one.get("code")) or None,
        certificate_number=reading.word(one.get("certificate_number")),
    )


def _code(value: Any) -> str:
    """A code of the register's, if it is one that can be shown: a word or an address, no sentence."""
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    return text if re.fullmatch(r"[A-Za-z0-9_.:/-]{1,64}", text) and not _MANY_DIGITS.search(text) else ""


def _shortened(found: re.Match[str]) -> str:
    digits = re.sub(r"[^0-9]", "", found[0])
    return f"{digits[:4]}********{digits[-4:]}" if len(digits) >= 14 else "***"
