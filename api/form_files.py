"""What a plain form with a file in it sends (multipart/form-data); the body is bounded already."""

import re

_BOUNDARY = re.compile(r'boundary="?([0-9A-Za-z\'()+_,./:=? -]{1,70})"?\s*(;|$)')
_NAME = re.compile(rb'\bname="([^"\r\n]*)"')
MOST_PARTS = 8


def is_form(content_type: str) -> bool:
    """Whether a body is that of such a form."""
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


def fields(body: bytes, content_type: str) -> dict[str, bytes]:
    """Each field's bytes by its name; what cannot be read, or comes after the first few, is left out."""
    fits = _BOUNDARY.search(content_type)
    if fits is None:
        return {}
    parts = (b"\r\n" + body).split(b"\r\n--" + fits[1].encode(), MOST_PARTS + 1)[1 : MOST_PARTS + 1]
    found: dict[str, bytes] = {}
    for part in parts:
        head, _, data = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if name is not None and not part.startswith(b"--"):
            found.setdefault(name[1].decode("utf-8", "replace"), data)
    return found
