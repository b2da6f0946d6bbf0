"""Where a page of a list begins: the id of the last item before it, as an opaque text."""

import base64
import re
from typing import Annotated
from uuid import UUID

from fastapi import Query

from api.problems import Problem

_FORM = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")  # sixteen bytes; the last character has four bits to spare

# The parameter of a list, as the documentation shows it.
Cursor = Annotated[
    str | None,
    Query(
        description="`next_cursor` of the page before",
        examples=["AZoSYkJ2em6WlNpGDtcXIw"],
        json_schema_extra={"pattern": f"^{_FORM.pattern}$"},
    ),
]


def cursor(id_: UUID) -> str:
    """The cursor of a page that follows this item."""
    return base64.urlsafe_b64encode(id_.bytes).decode().rstrip("=")


def place(cursor: str) -> UUID:
    """The item that a cursor follows; raises a 422 problem for what is no cursor."""
    if not _FORM.fullmatch(cursor):
        raise Problem("invalid-cursor")
    return UUID(bytes=base64.urlsafe_b64decode(f"{cursor}=="))
