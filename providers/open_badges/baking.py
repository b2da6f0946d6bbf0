"""Baking: a signed badge put into its image, PNG or SVG, so that the picture is the badge."""

import re
from xml.sax.saxutils import quoteattr

from common.errors import BadInput
from providers.open_badges import png

KEYWORD = b"openbadgecredential"
OLD_KEYWORD = b"openbadges"  # of version 2; never both
NAMESPACE = "https://purl.imsglobal.org/ob/v3p0"
_TEXT_KINDS = (b"iTXt", b"tEXt", b"zTXt")
_ROOT = re.compile(rb"<svg\b[^>]*>")


def bake_png(image: bytes, badge: str) -> bytes:
    """The image with the badge in it: one iTXt, not compressed, before the picture ends. One that was there
    is replaced; all the rest stays byte for byte."""
    parts = [png.SIGNATURE]
    for chunk in png.chunks(image):
        if chunk.kind == b"IEND":
            parts.append(png.chunk(b"iTXt", KEYWORD + b"\0\0\0\0\0" + badge.encode()))
        if not _is_badge(chunk):
            parts.append(image[chunk.start : chunk.end])
    return b"".join(parts)


def _is_badge(chunk: png.Chunk) -> bool:
    return chunk.kind in _TEXT_KINDS and chunk.data.partition(b"\0")[0] in (KEYWORD, OLD_KEYWORD)


def bake_svg(image: bytes, badge: str) -> bytes:
    """An image of ours with the badge in it: the first thing within `<svg>`, a JWT as attribute, JSON as
    text. The image has no badge in it yet."""
    root = _ROOT.search(image)
    if root is None or root[0].endswith(b"/>") or b"openbadges" in image:
        raise BadInput("this SVG cannot carry a badge")
    opened = root[0][:-1] + f' xmlns:openbadges="{NAMESPACE}">'.encode()
    if badge.startswith("{"):
        text = badge.replace("]]>", "]]]]><![CDATA[>")
        element = f"<openbadges:credential><![CDATA[{text}]]></openbadges:credential>"
    else:
        element = f"<openbadges:credential verify={quoteattr(badge)}/>"
    return image[: root.start()] + opened + element.encode() + image[root.end() :]
