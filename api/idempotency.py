"""`Idempotency-Key`: a name that a client gives to one request, for good."""

from typing import Annotated, Any

from fastapi import Header
from pydantic import StringConstraints
from sqlalchemy.orm import Session

from api.access import Caller
from api.problems import Problem
from records import idempotency

IdempotencyKey = Annotated[
    Annotated[str, StringConstraints(max_length=255, pattern=r"^[\x21-\x7e]+$")] | None,
    Header(
        alias="Idempotency-Key",
        description="Names this request for good; the same key with another request is refused",
        examples=["4711-first-try"],
    ),
]


def is_repeated(session: Session, caller: Caller, key: str | None, request: str | bytes) -> bool:
    """Whether the client has sent this very request with this key before; the key is used from now on.

    request: what is asked of which address. Where the transaction is rolled back the key is free again.
    Raises the problem of a key that names another request.
    """
    if key is None:
        return False
    named = request.encode() if isinstance(request, str) else request
    seen = idempotency.seen(session, caller.client_id, key, named)
    if seen == "other":
        raise _key_reused()
    return seen == "same"


def answer_kept(session: Session, caller: Caller, key: str | None) -> Any:
    """The answer that was kept with a key (`keep_answer`)."""
    return None if key is None else idempotency.answer(session, caller.client_id, key)


def keep_answer(session: Session, caller: Caller, key: str | None, answer: Any) -> None:
    """Keep the answer to a request that cannot be told again from what it did; JSON, no personal data."""
    if key is not None:
        idempotency.keep_answer(session, caller.client_id, key, answer)


def _key_reused() -> Problem:
    detail = "This key was used for another request. Take a new key for a new request."
    problem = Problem("idempotency-key-reused", detail)
    problem.errors = [{"where": "header.Idempotency-Key", "reason": detail}]
    return problem
