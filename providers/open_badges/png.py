"""PNG as a row of chunks: read with limits, so that a crafted file costs nothing."""

import base64
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from common.errors import BadInput

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_CHUNKS = 10_000


@dataclass(frozen=True)
class Chunk:
    """One chunk. kind: such as b"iTXt". start, end: where it stands in the file, length and CRC included."""

    kind: bytes
    data: bytes
    start: int
    end: int


def chunks(image: bytes) -> Iterator[Chunk]:
    """The chunks up to IEND, each with a right CRC; raises BadInput for what is no PNG from one end to the
    other. Nothing is inflated."""
    if not image.startswith(SIGNATURE):
        raise BadInput("this is no PNG")
    at = len(SIGNATURE)
    for _ in range(MOST_CHUNKS):
        head = image[at : at + 8]
        if len(head) < 8:
            raise BadInput("the PNG is cut off")
        size = int.from_bytes(head[:4], "big")
        end = at + 12 + size
        if end > len(image):
            raise BadInput("the PNG is cut off")
        data = image[at + 8 : end - 4]
        if zlib.crc32(head[4:] + data) != int.from_bytes(image[end - 4 : end], "big"):
            raise BadInput("a part of the PNG has been changed: its check sum is wrong")
        yield Chunk(head[4:], data, at, end)
        if head[4:] == b"IEND":
            return
        at = end
    raise BadInput("the PNG has too many parts")


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk as it stands in a file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def as_svg(image: bytes) -> bytes:
    """The picture within an SVG of its size: Typst takes files as text only."""
    first = next(iter(chunks(image)))
    if first.kind != b"IHDR" or len(first.data) != 13:
        raise BadInput("this is no PNG")
    width, height = struct.unpack(">II", first.data[:8])
    data = base64.b64encode(image).decode()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><image width="{width}" height="{height}" '
        f'href="data:image/png;base64,{data}"/></svg>'
    ).encode()
