"""What gateways write, read tolerantly: JSON, amounts, times. Anything unreadable is None, never an error."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from common import clock, money

_TWO_DECIMALS = re.compile(r"(?:0|[1-9][0-9]{0,16})\.[0-9]{2}")
_WHOLE = re.compile(r"[0-9]{1,9}")
_EPOCH_MILLISECONDS = re.compile(r"[0-9]{12,14}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FARTHEST = timedelta(hours=16)  # from UTC; no database takes more
_YEARS = range(2000, 2200)  # a time outside is a slip, and some of it no database takes
LONGEST_WORD = 255
LONGEST_LINK = 2048


@dataclass(frozen=True)
class Written:
    """A JSON number with a fraction or exponent, by the text in which it came: no amount becomes a float."""

    text: str

    def __str__(self) -> str:
        return self.text


_decode = json.JSONDecoder(parse_float=Written).decode  # made once, not for each message of a storm


def json_object(raw: bytes) -> dict[str, Any] | None:
    """The object of a JSON text in UTF-8; None for anything else, however it is broken."""
    try:
        value = _decode(raw.decode())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def member(value: Any, *names: str) -> Any:
    """A nested member, `member(answer, "amount", "value")`; None where any step is missing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def link(value: Any) -> str | None:
    """An address to open, a web page or an app's own."""
    text = word(value, LONGEST_LINK)
    return text if text and "://" in text else None


def word(value: Any, longest: int = LONGEST_WORD) -> str | None:
    """A text that can be stored and compared: not empty, not endless, without NUL or broken characters."""
    if not isinstance(value, str) or not 0 < len(value) <= longest or "\x00" in value:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


def whole(value: Any) -> int | None:
    """A whole number from 0 on, as number or text."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    return int(value) if _WHOLE.fullmatch(str(value)) else None


def minor(value: Any) -> int | None:
    """Minor units of an amount in an answer, as text or number."""
    if isinstance(value, bool):
        return None
    try:
        return money.parse_minor(str(value))
    except ValueError:
        return None


def exact_minor(value: Any) -> int | None:
    """Minor units of an amount that is a text with exactly two decimals, `"10000.00"`; None for any other,
    `"010000.00"` too."""
    return minor(value) if isinstance(value, str) and _TWO_DECIMALS.fullmatch(value) else None


def moment(value: Any) -> datetime | None:
    """A time in ISO 8601 (without offset it is WIB) or in milliseconds since 1970, as DANA also writes it."""
    if value is None:
        return None
    text = str(value)
    if _EPOCH_MILLISECONDS.fullmatch(text):
        return _within_reason(_EPOCH + timedelta(milliseconds=int(text)))
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if abs(at.utcoffset() or timedelta()) >= _FARTHEST:
        return None
    return _within_reason(at if at.tzinfo else at.replace(tzinfo=clock.JAKARTA))


def _within_reason(at: datetime) -> datetime | None:
    return at if at.year in _YEARS else None
