"""The image of a badge, PNG and SVG, from one template that a training centre brands: logo and colour.

Nothing of a learner is on it, so all who achieved the same share it. Typst draws it with fonts of its own and
those beside certificates: it looks the same on every machine.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import typst

from common.errors import BadInput
from providers.open_badges import png

PIXELS_PER_INCH = 144.0  # 600 x 600
COLOUR = "#1b4f8f"
LONGEST_NAME = 160
_TEMPLATE = Path(__file__).with_name("badge.typ").read_bytes()
# Latin, Greek, Cyrillic and Arabic letters, and those of Java, Bali, Sunda, Batak and Bugis.
FONTS = typst.Fonts(
    include_system_fonts=False, font_paths=[str(Path(__file__).parents[1] / "europass" / "fonts")]
)
_LONGEST_WORD = 16  # on a badge
# Marks that turn the direction of what follows them, whatever it is: not drawn. Those that only say in which
# direction a letter runs stay.
_TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])


@dataclass(frozen=True)
class Look:
    """What the image shows. detail: one line below the name. logo: checked by `logo.checked`."""

    name: str
    centre: str
    detail: str = ""
    colour: str = COLOUR
    logo: bytes | None = None
    logo_type: str | None = None


@dataclass(frozen=True)
class Images:
    """The same image twice, without a badge in it."""

    png: bytes
    svg: bytes


@lru_cache(maxsize=32)
def rendered(look: Look) -> Images:
    """Draw the image; raises BadInput where the logo cannot be drawn."""
    logo = logo_file(look.logo, look.logo_type)
    # Typst takes files by their names; its types do not say so.
    files: Any = {"main.typ": _TEMPLATE} | logo
    said = {
        "name": breakable(_short(look.name), _LONGEST_WORD),
        "centre": breakable(_short(look.centre), _LONGEST_WORD),
        "detail": look.detail,
        "colour": look.colour,
        "logo": next(iter(logo), ""),
    }
    try:
        drawn = typst.compile(files, format="png", ppi=PIXELS_PER_INCH, font_paths=FONTS, sys_inputs=said)
        svg = typst.compile(files, format="svg", font_paths=FONTS, sys_inputs=said)
    except typst.TypstError:
        raise BadInput("the logo cannot be drawn: save it anew as a plain PNG or SVG") from None
    return Images(drawn, svg)


def logo_file(logo: bytes | None, logo_type: str | None) -> dict[str, bytes]:
    """A logo as a template finds it, by its name; nothing where there is none."""
    if logo is None:
        return {}
    return {"logo.svg": png.as_svg(logo) if logo_type == "png" else logo}


def breakable(text: str, longest: int) -> str:
    """A text as it can be drawn within its place: a word that is longer may be broken."""
    return " ".join(
        "\u200b".join(word[at : at + longest] for at in range(0, len(word), longest))
        for word in unturned(text).split(" ")
    )


def unturned(text: str) -> str:
    """A text without the marks that would turn the direction of what follows it."""
    return text.translate(_TURNING)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"
