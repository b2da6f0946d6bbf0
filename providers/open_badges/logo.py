"""A training centre's logo, checked before it is stored: small, whole, and nothing in it that acts.

What is not plain is refused and not mended: who sent it sees why, and nobody wonders what became of it.
"""

import re
import struct
from typing import Literal

from lxml import etree

from common.errors import BadInput
from providers.open_badges import image, png

LARGEST = 512 * 1024
MOST_PIXELS = 2048  # on each side
_MOST_ELEMENTS = 5_000
_SVG = "{http://www.w3.org/2000/svg}"
# What only draws. No script, no foreignObject, no animation, no style sheet, no picture from elsewhere.
_DRAWS = frozenset(
    {
        "svg", "g", "defs", "title", "desc", "path", "rect", "circle", "ellipse", "line", "polyline",
        "polygon", "text", "tspan", "linearGradient", "radialGradient", "stop", "clipPath", "mask",
        "pattern", "symbol", "use", "metadata",
    }
)  # fmt: skip
_OUTSIDE = re.compile(r"url\(\s*['\"]?(?!#)|javascript:|@import|expression\(", re.IGNORECASE)


def checked(data: bytes) -> Literal["png", "svg"]:
    """What kind of picture it is; raises BadInput with why it cannot be a logo."""
    if len(data) > LARGEST:
        raise BadInput(f"A logo has at most {LARGEST // 1024} KiB; this has {len(data) / 1024**2:,.1f} MiB")
    if data.startswith(png.SIGNATURE):
        _check_png(data)
        kind: Literal["png", "svg"] = "png"
    else:
        _check_svg(data)
        kind = "svg"
    image.rendered(image.Look("Logo", "Logo", logo=data, logo_type=kind))
    return kind


def _check_png(data: bytes) -> None:
    first = next(iter(png.chunks(data)))
    width, height = struct.unpack(">II", first.data[:8]) if len(first.data) == 13 else (0, 0)
    if first.kind != b"IHDR" or not (0 < width <= MOST_PIXELS and 0 < height <= MOST_PIXELS):
        raise BadInput(f"A logo has at most {MOST_PIXELS} pixels on each side")


def _check_svg(data: bytes) -> None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        raise BadInput("A logo is a PNG or an SVG; this is neither") from None
    if root.getroottree().docinfo.doctype:
        raise BadInput("The SVG declares entities (DOCTYPE); save it anew as plain SVG")
    if root.tag != f"{_SVG}svg":
        raise BadInput("A logo is a PNG or an SVG; this is neither")
    for number, element in enumerate(root.iter()):
        if number > _MOST_ELEMENTS:
            raise BadInput(f"The SVG has more than {_MOST_ELEMENTS:,} elements; make it simpler")
        if element.tag is etree.Comment:
            continue
        name = str(element.tag)
        if not name.startswith(_SVG) and _is_within_metadata(element):
            continue
        if name.removeprefix(_SVG) not in _DRAWS or not name.startswith(_SVG):
            shown = etree.QName(element).localname if isinstance(element.tag, str) else "instruction"
            raise BadInput(
                f"The SVG has a <{shown[:40]}>, which a logo may not have; save it anew as plain SVG"
            )
        for attribute, value in element.attrib.items():
            _check_attribute(etree.QName(attribute).localname.lower(), str(value))


def _is_within_metadata(element: "etree._Element") -> bool:
    return any(parent.tag == f"{_SVG}metadata" for parent in element.iterancestors())


def _check_attribute(name: str, value: str) -> None:
    is_handler = name.startswith("on")
    leads_out = name in ("href", "src") and not value.strip().startswith("#")
    if is_handler or leads_out or _OUTSIDE.search(value):
        raise BadInput(
            f"The SVG has an attribute {name[:40]} that acts or leads outside; save it as plain SVG"
        )
