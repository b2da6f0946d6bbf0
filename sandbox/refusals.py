"""A refusal by SIPLatih or the Europass issuer, in any of the forms in which such services give theirs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any, Literal

from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

Form = Literal["own", "laravel", "problem", "text", "html"]
RetryForm = Literal["seconds", "date", "none"]
PAGE = """<!DOCTYPE html>
<html><head><title>Maintenance</title></head>
<body><h1>Mohon maaf</h1><p>Layanan sedang dalam pemeliharaan.</p></body></html>
"""
_KNOWN = frozenset(status.value for status in HTTPStatus)
_INDEX = re.compile(r"\[([0-9]+)\]")


@dataclass(eq=False)
class Refusal(Exception):
    """Why a call was refused. fields: faults by path (`participants[17].nik`); details: what else to say."""

    status: int
    code: str
    message: str
    fields: Mapping[str, str] = field(default_factory=dict)
    details: Sequence[Mapping[str, Any]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def answer(self, form: Form) -> Response:
        """The refusal in one of the forms."""
        headers = dict(self.headers)
        match form:
            case "own":
                return JSONResponse({"success": False, "error": self._own()}, self.status, headers)
            case "laravel":
                errors = {_dotted(path): [text] for path, text in self.fields.items()}
                return JSONResponse({"message": self.message, "errors": errors}, self.status, headers)
            case "problem":
                return JSONResponse(self._problem(), self.status, headers, "application/problem+json")
            case "text":
                return PlainTextResponse(f"{self.code}: {self.message}", self.status, headers)
            case "html":
                return HTMLResponse(PAGE, self.status, headers)

    def _own(self) -> dict[str, Any]:
        more: dict[str, Any] = {}
        if self.fields:
            more["fields"] = dict(self.fields)
        if self.details:
            more["details"] = [dict(one) for one in self.details]
        return {"code": self.code, "message": self.message, **more}

    def _problem(self) -> dict[str, Any]:
        word = self.code.lower().replace("_", "-")
        problem: dict[str, Any] = {
            "type": f"urn:sandbox:problem:{word}",
            "title": self.code,
            "status": self.status,
            "detail": self.message,
        }
        if self.fields:
            problem["errors"] = [
                {"pointer": "#/" + _dotted(path).replace(".", "/"), "detail": text}
                for path, text in self.fields.items()
            ]
        if self.details:
            problem["details"] = [dict(one) for one in self.details]
        return problem


def retry_after(seconds: int, form: RetryForm) -> dict[str, str]:
    """The header `Retry-After` in one of its two forms, or none."""
    if form == "none":
        return {}
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return {"Retry-After": str(seconds) if form == "seconds" else format_datetime(moment, usegmt=True)}


def on_demand(status: int, form: Form, headers: Mapping[str, str]) -> Response:
    """The answer of an armed failure, in the service's own form or another; 200 with `success: false` too."""
    word = HTTPStatus(status).name if status in _KNOWN and status >= 400 else "REFUSED"
    fields = {"on_demand": "Refused on demand"} if status in (400, 422) else {}
    return Refusal(status, word, "Refused on demand", fields, headers=headers).answer(form)


def _dotted(path: str) -> str:
    return _INDEX.sub(r".\1", path)
