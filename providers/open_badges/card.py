"""The card that networks show beside a link to a credential: 1200 x 630, PNG, the badge's picture on it.

Networks keep a card for days, so it says "valid" of nothing; what is no longer good is stamped.
"""

import json
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import typst

from providers.europass import page
from providers.europass.concepts import Language
from providers.open_badges import image
from providers.open_badges.image import Look

_TEMPLATE = Path(__file__).with_name("card.typ").read_bytes()
_PIXELS_PER_INCH = 144.0
# Drawing takes a processor for a while: one at a time, and the pages beside it go on.
_drawing = threading.Lock()


@dataclass(frozen=True)
class Card:
    """What the card says. look: of the badge on it. kind, awarded, check, stamp: words in its language;
    name: empty where the learner has not agreed to show it; stamp: empty while it is good."""

    look: Look
    language: Language
    kind: str
    awarded: str
    check: str
    name: str = field(default="", repr=False)
    stamp: str = ""


@lru_cache(maxsize=256)
def drawn(card: Card) -> bytes:
    """The card as PNG; the same one is drawn once. Raises BadInput where the logo cannot be drawn."""
    badge = image.rendered(card.look).svg
    said = {
        "language": card.language,
        "colour": card.look.colour,
        "kind": card.kind,
        "achievement": page.breakable(card.look.name),
        "awarded": card.awarded,
        "name": page.breakable(card.name),
        "detail": card.look.detail,
        "centre": page.breakable(card.look.centre),
        "check": card.check,
        "stamp": card.stamp,
    }
    # Typst takes files by their names; its types do not say so.
    files: Any = {"main.typ": _TEMPLATE, "badge.svg": badge} | page.SHARED
    with _drawing:
        made: Any = typst.compile(
            files,
            format="png",
            ppi=_PIXELS_PER_INCH,
            font_paths=image.FONTS,
            sys_inputs={"said": json.dumps(said, ensure_ascii=False)},
        )
    return bytes(made)
