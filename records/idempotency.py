"""Idempotency keys of requests that name nothing else of their own: the same key is the same request."""

from typing import Any, Literal
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from records.charge import IdempotencyKey
from records.sealed import keyed_hash

Seen = Literal["new", "same", "other"]


def seen(session: Session, client_id: UUID, key: str, request: bytes) -> Seen:
    """Whether the client has used the key, for this very request or for another one; it is used now.

    request: its address and body. Who sends the same at the same time waits until this transaction ends.
    """
    fingerprint = keyed_hash("request", request)
    made = session.scalar(
        insert(IdempotencyKey)
        .values(client_id=client_id, key=key, fingerprint=fingerprint)
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    if made is not None:
        return "new"
    kept = session.get_one(IdempotencyKey, (client_id, key))
    return "same" if kept.fingerprint == fingerprint else "other"


def keep_answer(session: Session, client_id: UUID, key: str, answer: Any) -> None:
    """Keep what was answered to the request of this key."""
    session.get_one(IdempotencyKey, (client_id, key)).answer = answer


def answer(session: Session, client_id: UUID, key: str) -> Any:
    """What was answered to the request of this key, where it was kept."""
    return session.get_one(IdempotencyKey, (client_id, key)).answer
