"""Reading what somebody shows us as a badge: a picture, a JWT or JSON, of anybody's making.

Everything here is hostile until it is proven. Sizes are bounded before anything is unpacked or parsed, and a
JSON that can be read in two ways is not read at all.
"""

import base64
import binascii
import json
import zlib
from dataclasses import dataclass
from typing import Any, Literal

from lxml import etree

from common.errors import BadInput
from providers.open_badges import png
from providers.open_badges.baking import KEYWORD, NAMESPACE, OLD_KEYWORD

MOST_BYTES = 5 * 1024 * 1024  # of a file
MOST_TEXT = 256 * 1024  # of the badge itself
MOST_DEPTH = 64
Container = Literal["png", "svg", "json", "jws"]


class Unreadable(BadInput):
    """This is no badge that can be read. code: stable, for programs and translations; the text says why."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        super().__init__(reason)


@dataclass(frozen=True)
class Found:
    """A badge in the form in which it was signed. container: what it came in. text: JWT or JSON."""

    container: Container
    text: str

    @property
    def is_jws(self) -> bool:
        """Whether it is a JWT; otherwise it is JSON with a proof in it."""
        return not self.text.startswith("{")


def read(data: bytes) -> Found:
    """The badge in a file or a text; raises Unreadable."""
    if len(data) > MOST_BYTES:
        raise Unreadable("too_large", f"The file has more than {MOST_BYTES // 1024**2} MiB.")
    if data.startswith(png.SIGNATURE):
        return Found("png", _checked(_in_png(data)))
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"<"):
        return Found("svg", _checked(_in_svg(data)))
    text = _checked(data.removeprefix(b"\xef\xbb\xbf"))
    return Found("json" if text.startswith("{") else "jws", text)


def _checked(raw: bytes) -> str:
    if len(raw) > MOST_TEXT:
        raise Unreadable("too_large", f"The badge has more than {MOST_TEXT // 1024} KiB.")
    try:
        text = raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise Unreadable("no_badge", "This is neither a picture nor a badge.") from None
    if not text.startswith("{") and text.count(".") != 2:
        raise Unreadable("no_badge", "There is no badge in this.")
    return text


def _in_png(data: bytes) -> bytes:
    found: list[bytes] = []
    has_old = False
    try:
        for chunk in png.chunks(data):
            keyword, _, rest = chunk.data.partition(b"\0")
            if chunk.kind == b"iTXt" and keyword == KEYWORD:
                if found:  # not unpacked as well: thousands of small ones unpack to gigabytes
                    raise _two_badges()
                found.append(_text_of(rest))
            has_old |= chunk.kind in (b"iTXt", b"tEXt", b"zTXt") and keyword == OLD_KEYWORD
    except Unreadable:
        raise
    except BadInput as error:
        raise Unreadable("damaged", f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    return _the_one(found, has_old)


def _text_of(rest: bytes) -> bytes:
    """The text of an iTXt chunk after its keyword: flag, method, language, translated keyword, text."""
    compressed = rest[:1] == b"\1"
    _, language_ends, rest = rest[2:].partition(b"\0")
    _, keyword_ends, text = rest.partition(b"\0")
    if not (language_ends and keyword_ends):
        raise Unreadable("damaged", "The part of the PNG that holds the badge is not whole.")
    if not compressed:
        return text
    inflating = zlib.decompressobj()
    try:
        plain = inflating.decompress(text, MOST_TEXT + 1)
    except zlib.error:
        raise Unreadable("damaged", "The part of the PNG that holds the badge is not whole.") from None
    if len(plain) > MOST_TEXT:
        raise Unreadable("too_large", f"Unpacked, the badge has more than {MOST_TEXT // 1024} KiB.")
    return plain


def _in_svg(data: bytes) -> bytes:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, strip_cdata=True
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        raise Unreadable("no_badge", "This is neither a picture nor a badge.") from None
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and next(iter(declared.iterentities()), None) is not None:
        raise Unreadable("entities", "The SVG declares entities, which a badge may not have.")
    elements = list(root.iter(f"{{{NAMESPACE}}}credential"))
    texts = [str(one.get("verify") or "".join(one.itertext())) for one in elements]
    has_old = root.find(".//{http://openbadges.org}assertion") is not None
    return _the_one([text.encode() for text in texts], has_old)


def _the_one(found: list[bytes], has_old: bool) -> bytes:
    if len(found) > 1:
        raise _two_badges()
    if not found:
        if has_old:
            raise Unreadable(
                "old_version", "This is a badge of version 2.0 or older; only 3.0 is checked here."
            )
        raise Unreadable(
            "no_badge", "There is no badge in this picture. Was it saved or shrunk by a service?"
        )
    return found[0]


def _two_badges() -> Unreadable:
    return Unreadable("two_badges", "The picture carries more than one badge: which of them counts?")


def parsed(text: str | bytes) -> dict[str, Any]:
    """A JSON object that can be read in one way only; raises Unreadable."""
    try:
        value = json.loads(text, object_pairs_hook=_once_each, parse_constant=_no_number)
    except Unreadable:
        raise
    except (ValueError, RecursionError):
        raise Unreadable("no_json", "It is not written as JSON.") from None
    if not isinstance(value, dict):
        raise Unreadable("no_json", "It is no JSON object.")
    _check_depth(value)
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:  # a lone surrogate, or a number beyond all bounds
        raise Unreadable("no_json", "It has text or numbers that JSON cannot have.") from None
    return value


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Unreadable("duplicate_members", "A member stands in it twice, so that it reads in two ways.")
    return made


def _no_number(_text: str) -> Any:
    raise Unreadable("no_json", "It has a number that JSON cannot have.")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            child
            for one in level
            for child in (one.values() if isinstance(one, dict) else one)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise Unreadable("too_deep", "It is nested too deeply.")


def b64url_decoded(part: str) -> bytes:
    """Base64 for addresses without padding, as a JWT has it, in its one right spelling; raises Unreadable."""
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable("no_jws", "It is not written as a JWT.") from None
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != part:
        raise Unreadable("no_jws", "It is not written as a JWT.")
    return raw
