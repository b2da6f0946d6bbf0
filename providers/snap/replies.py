"""What we answer to an aggregator that calls us (services 56 and 73): SNAP's code, the time in a header."""

import json
from typing import Any

from common import clock
from providers.base import BadNotification, Reply
from providers.snap.profiles import Profile

# Made once, not for each message of a storm.
_STORED = json.dumps({"responseCode": "2005600", "responseMessage": "Successful"}).encode()
_WORDS = {400: "Bad Request", 401: "Unauthorized", 413: "Payload Too Large"}


def acknowledged(profile: Profile) -> Reply:
    """A notification is stored."""
    return Reply(200, _STORED, _headers(profile))


def refused(profile: Profile, problem: BadNotification) -> Reply:
    """A notification is not taken: 4005600, 4015600, 4135600."""
    return _no(profile, "56", problem)


def token(profile: Profile, token: str, seconds: int) -> Reply:
    """Our token for an aggregator; DOKU types `expiresIn` as a number."""
    return _reply(
        profile,
        200,
        {
            "responseCode": "2007300",
            "responseMessage": "Successful",
            "accessToken": token,
            "tokenType": "Bearer",
            "expiresIn": seconds,
            "additionalInfo": "",
        },
    )


def no_token(profile: Profile, problem: BadNotification) -> Reply:
    """A request for a token is not granted: 4007300, 4017300, 4137300."""
    return _no(profile, "73", problem)


def _no(profile: Profile, service: str, problem: BadNotification) -> Reply:
    message = f"{_WORDS[problem.status]}. {problem.reason}"
    return _reply(
        profile,
        problem.status,
        {"responseCode": f"{problem.status}{service}00", "responseMessage": message},
    )


def _reply(profile: Profile, status: int, members: dict[str, Any]) -> Reply:
    return Reply(status, json.dumps(members).encode(), _headers(profile))


def _headers(profile: Profile) -> dict[str, str]:
    return {"Content-Type": "application/json", "X-TIMESTAMP": profile.timestamp(clock.now())}
