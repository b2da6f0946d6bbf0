"""HTTP Basic authentication of the file services and of the Midtrans Core API: one user, one password."""

import base64
import hmac

from starlette.requests import Request


def is_allowed(request: Request, user: str, password: str = "") -> bool:
    """Whether the call carries exactly this user and password."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    wanted = base64.b64encode(f"{user}:{password}".encode())
    return scheme.lower() == "basic" and hmac.compare_digest(given.strip().encode(), wanted)
