"""Where a page of a list begins: the id of the last item before it, as an opaque text."""

import base64
import binascii
from uuid import UUID

from api.problems import Problem


def cursor(id_: UUID) -> str:
    """The cursor of a page that follows this item."""
    return base64.urlsafe_b64encode(id_.bytes).decode().rstrip("=")


def place(cursor: str) -> UUID:
    """The item that a cursor follows; raises a 422 problem for what is no cursor."""
    try:
        return UUID(bytes=base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        raise Problem(
            422,
            "invalid-cursor",
            "Invalid cursor",
            "Give a `next_cursor` as it was, or none for the first page.",
        ) from None
