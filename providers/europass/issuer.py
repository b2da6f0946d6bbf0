"""An issuer that takes European credentials by API.

The contract is that of the platform's integration document: an API key, one call, an id and two addresses.
It is no service of the EU, which offers none. The same idempotency key and body again is the same delivery.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from common.errors import Ambiguous, AuthFailed, Rejected
from common.services import Europass
from common.settings import secret_text
from providers import http

NAME = "europass"
ISSUE = "issue"
_LONGEST_ID = 200
_LONGEST_URL = 2_000
_MOST_FIELDS = 8


@dataclass(frozen=True)
class Taken:
    """What the issuer says of a credential that it has. links: https addresses only."""

    id: str
    links: dict[str, str] = field(default_factory=dict)


class NoId(Rejected):
    """The issuer has the credential, and does not say under which id: a person asks there."""


class Issuer:
    """One issuer with its key; may be used by several threads."""

    def __init__(self, service: Europass) -> None:
        self._http = http.client(service)
        self._url = f"{service.base_url}/credentials/issue"
        self._key = secret_text(service.api_key)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def issue(self, body: bytes, idempotency_key: str) -> Taken:
        """Deliver a credential, as often as needed: with the same key and body it is one delivery.

        body: from `body_of`. Raises AuthFailed where no call can succeed; Rejected, with the fields that the
        issuer complains of; NoId; Transient where it surely did not happen; Ambiguous where it may have.
        """
        try:
            answer = http.call(
                self._http,
                "POST",
                self._url,
                headers={
                    "Authorization": f"Bearer {self._key}",
                    "Content-Type": "application/json",
                    "Idempotency-Key": idempotency_key,
                },
                content=body,
            )
        except httpx.TransportError as error:
            raise http.failed(NAME, ISSUE, error, is_read=False) from None
        return _read(answer)


def body_of(credential: str) -> bytes:
    """What is sent: the credential, sealed or not, exactly as it is stored."""
    return b'{"credential":' + credential.encode() + b"}"


def _read(answer: httpx.Response) -> Taken:
    status, members = answer.status_code, _members(answer)
    request_id = answer.headers.get("x-request-id")
    taken = _taken(members)
    if 200 <= status < 300:
        if members is None:
            raise Ambiguous(NAME, ISSUE, "answers in a form that is not its own", code=f"HTTP {status}")
        if members.get("success") is False:
            raise Rejected(NAME, ISSUE, "says no", code=_code(members), request_id=request_id)
        if taken is None:
            raise NoId(NAME, ISSUE, "took the credential and gave no id", request_id=request_id)
        return taken
    if status == 409:
        if taken is not None:
            return taken
        raise NoId(NAME, ISSUE, "has the credential already and gives no id", request_id=request_id)
    if status in (401, 403):
        raise AuthFailed(NAME, ISSUE, "refuses our key", code=f"HTTP {status}", request_id=request_id)
    if status == 413:
        raise Rejected(NAME, ISSUE, "finds the credential too large, with its page images", code="HTTP 413")
    if status in (400, 422):
        complaints = ", ".join(_fields(members))
        reason = f"refuses it, because of {complaints}" if complaints else "refuses it"
        code = _code(members) or f"HTTP {status}"
        raise Rejected(NAME, ISSUE, reason, code=code, request_id=request_id)
    raise http.refused(NAME, ISSUE, answer, is_read=False)


def _members(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        read = json.loads(answer.content)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _taken(members: dict[str, Any] | None) -> Taken | None:
    data = (members or {}).get("data")
    if not isinstance(data, dict):
        return None
    name = data.get("europass_credential_id")
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST_ID or not name.isprintable():
        return None
    known = (("europass", data.get("credential_url")), ("europass_qr", data.get("qr_code")))
    return Taken(name, {link: url for link, url in known if isinstance(url, str) and _is_safe(url)})


def _is_safe(url: str) -> bool:
    """An address that people may be led to: https, with a host and no user in it."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme == "https"
            and bool(parts.hostname)
            and parts.username is None
            and len(url) <= _LONGEST_URL
            and url.isprintable()
            and " " not in url
        )
    except ValueError:
        return False


def _code(members: dict[str, Any] | None) -> str | None:
    error = (members or {}).get("error")
    code = error.get("code") if isinstance(error, dict) else (members or {}).get("code")
    return code[:60] if isinstance(code, str) and code.isascii() and code.isprintable() else None


def _fields(members: dict[str, Any] | None) -> Iterator[str]:
    """The members that an issuer complains of, by their paths; what it says of them may be personal."""
    said = members or {}
    error = said.get("error")
    for found in (error.get("fields") if isinstance(error, dict) else None, said.get("errors")):
        names: list[Any] = list(found) if isinstance(found, dict) else []
        if isinstance(found, list):
            names = [one.get("field") or one.get("pointer") for one in found if isinstance(one, dict)]
        shown = [name for name in names if isinstance(name, str) and name.isascii() and name.isprintable()]
        yield from (name[:120] for name in shown[:_MOST_FIELDS])
