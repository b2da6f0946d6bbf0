"""Pages from templates: everything that is put in is escaped, and money and times have one form."""

from datetime import date
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from starlette.responses import HTMLResponse

from api import words
from common.money import plain, plain_minor, rupiah

ROOM = Path(__file__).parent

_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(ROOM / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {
    "rupiah": lambda minor: rupiah(int(minor)),
    "grouped": lambda number: f"{int(number):,}",
    "day": words.day,
    "short_day": words.short_day,
    "iso_day": lambda text: words.short_day(date.fromisoformat(text)),
    "moment": words.moment,
    "minute": words.minute,
    "short_minute": words.short_minute,
    "gateway": words.gateway,
    "actor": words.actor,
    "plain_rupiah": lambda plain: rupiah(plain_minor(plain)),
    "money": lambda minor, currency="IDR": amount(int(minor), currency),
}


def _aligned(minor: int, has_cents: bool = True) -> Markup:
    """An amount for a column in which others have decimals: without its own it keeps their room."""
    text = rupiah(int(minor))
    room = (
        Markup('<span class="room" aria-hidden="true">.00</span>')
        if has_cents and int(minor) % 100 == 0
        else ""
    )
    return Markup("{}{}").format(text, room)


_templates.filters["aligned"] = _aligned
_templates.globals["words"] = words


def page(
    template: str, *, status: int = 200, headers: dict[str, str] | None = None, **values: Any
) -> HTMLResponse:
    """A page of ours."""
    return HTMLResponse(written_page(template, **values), status, headers)


def written_page(template: str, **values: Any) -> str:
    """The text of a page of ours."""
    return _templates.get_template(template).render(values)


def amount(minor: int | None, currency: str | None) -> str:
    """An amount as people read it; a currency other than rupiah is named by its code."""
    if minor is None:
        return "–"
    if currency in (None, "IDR"):
        return rupiah(minor)
    whole, cents = plain(minor).split(".")
    return f"{currency} {int(whole):,}.{cents}"
