"""LinkedIn's refusals: of its API `{status, code, message, …}`, of its OAuth `{error, error_description}`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse, Response

OAUTH = ("token", "revoke")
_WORDS = {401: "INVALID_ACCESS_TOKEN", 403: "ACCESS_DENIED", 426: "NONEXISTENT_VERSION"}


@dataclass(eq=False)
class LinkedInRefusal(Exception):
    """Why the API refused a call. service_code: LinkedIn's own number; inputs: what is wrong with a body."""

    status: int
    code: str
    message: str
    service_code: int | None = None
    inputs: list[dict[str, Any]] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)

    def answer(self) -> Response:
        """The refusal as it is sent."""
        members: dict[str, Any] = {"status": self.status, "code": self.code, "message": self.message}
        if self.service_code is not None:
            members["serviceErrorCode"] = self.service_code
        if self.inputs:
            members["errorDetailType"] = "com.linkedin.common.error.BadRequest"
            members["errorDetails"] = {"inputErrors": self.inputs}
        return JSONResponse(members, self.status, dict(self.headers))


def oauth_refusal(
    status: int, error: str, description: str, headers: Mapping[str, str] | None = None
) -> Response:
    """A refusal of the token desk."""
    return JSONResponse({"error": error, "error_description": description}, status, dict(headers or {}))


def on_demand(operation: str, status: int, headers: Mapping[str, str]) -> Response:
    """The answer of an armed failure in LinkedIn's own form."""
    words = "Refused on demand"
    if operation in OAUTH:
        error = "invalid_client" if status == 401 else "invalid_request" if status < 500 else "server_error"
        return oauth_refusal(status, error, words, headers)
    known = any(status == one.value for one in HTTPStatus)
    code = _WORDS.get(status) or (HTTPStatus(status).name if known else "REFUSED")
    return LinkedInRefusal(status, code, words, headers=headers).answer()
