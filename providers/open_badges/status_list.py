"""Bitstring status lists: which credentials are revoked or suspended, as one signed bit each."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal

from openbadgeslib.ob3 import build_status_list_credential

Purpose = Literal["revocation", "suspension"]
PURPOSES: tuple[Purpose, ...] = ("revocation", "suspension")
TTL = timedelta(seconds=30)  # how long others may keep it; a revocation is to be seen within a minute
GOOD_FOR = timedelta(days=1)  # an old copy is no answer after that


def document(
    issuer_id: str, url: str, purpose: Purpose, set_indexes: Iterable[int], size: int, at: datetime
) -> dict[str, Any]:
    """The list before it is signed. at: when it is signed; it is good from then on for a day."""
    return build_status_list_credential(
        issuer_id,
        url,
        purpose,
        set_indexes,
        size,
        issued=at,
        valid_until=at + GOOD_FOR,
        ttl=int(TTL.total_seconds() * 1000),
    )
