"""Reading a JSON body strictly: each member by its rule, what is wrong noted under its path."""

import json
import re
import unicodedata
from collections.abc import Collection
from datetime import date
from decimal import Decimal
from typing import Any

from starlette.requests import Request

from sandbox.refusals import Refusal
from sandbox.wib import read_day


async def members_of(request: Request, most_bytes: int) -> dict[str, Any]:
    """The JSON object of a POST; numbers with a fraction as Decimal. Raises Refusal: 413, 415, 400."""
    body = await request.body()
    if len(body) > most_bytes:
        raise Refusal(413, "PAYLOAD_TOO_LARGE", f"The request is larger than {most_bytes} bytes")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type must be application/json")
    try:
        members = json.loads(
            body.decode("utf-8"),
            parse_float=Decimal,
            parse_constant=_no_constant,
            object_pairs_hook=_each_once,
        )
    except (ValueError, RecursionError):
        raise Refusal(400, "MALFORMED_JSON", "The request body is not well-formed JSON") from None
    if not isinstance(members, dict):
        raise Refusal(400, "MALFORMED_JSON", "The request body must be an object")
    return members


class Findings:
    """What is wrong, by path, the first fault of each member.

    The value sent is repeated in the words, as such services do: a caller must not pass them on as they are.
    """

    def __init__(self) -> None:
        self.by_path: dict[str, str] = {}

    def add(self, path: str, words: str, value: Any = None) -> None:
        """Note a fault."""
        if value is not None and not isinstance(value, (dict, list)):
            words = f"{words}: {value}"
        self.by_path.setdefault(path, words)


class Fields:
    """The members of one object. What is missing or wrong reads as an empty value and is in the findings."""

    def __init__(self, found: Findings, members: dict[str, Any], path: str = "") -> None:
        self._found = found
        self._members = members
        self._path = path
        self._known: set[str] = set()

    def at(self, name: str) -> str:
        """The path of a member."""
        return f"{self._path}.{name}" if self._path else name

    def fault(self, name: str, words: str) -> None:
        """Note what is wrong with a member."""
        self._found.add(self.at(name), words, self._members.get(name))

    def text(
        self, name: str, *, required: bool = True, longest: int = 255, form: str = "", hint: str = ""
    ) -> str:
        """A text in NFC, no blanks around it, no control characters; form: a pattern, hint: its words."""
        value = self._get(name, required=required)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.fault(name, "must be a string")
        elif not value.strip():
            self.fault(name, "must not be empty")
        elif value != value.strip():
            self.fault(name, "must not begin or end with a blank")
        elif len(value) > longest:
            self.fault(name, f"must be {longest} characters or less")
        elif any(unicodedata.category(sign) in ("Cc", "Cs") for sign in value):
            self.fault(name, "must not have control characters")
        elif value != unicodedata.normalize("NFC", value):
            self.fault(name, "must be in Unicode form NFC")
        elif form and not re.fullmatch(form, value):
            self.fault(name, hint)
        else:
            return value
        return ""

    def word(self, name: str, words: Collection[str], *, required: bool = True) -> str:
        """One of a set of words."""
        value = self.text(name, required=required)
        if value and value not in words:
            self.fault(name, f"must be one of {', '.join(sorted(words))}")
            return ""
        return value

    def whole(self, name: str, *, least: int = 1) -> int:
        """A whole number."""
        value = self._get(name, required=True)
        if value is None:
            return 0
        if type(value) is not int:
            self.fault(name, "must be a whole number")
        elif value < least:
            self.fault(name, f"must be {least} or more")
        else:
            return value
        return 0

    def number(
        self, name: str, *, decimals: int, highest: int = 100, required: bool = True
    ) -> Decimal | None:
        """A number from 0 to `highest` with at most so many decimals."""
        value = self._get(name, required=required)
        if value is None:
            return None
        if type(value) is not int and not isinstance(value, Decimal):
            self.fault(name, "must be a number")
            return None
        number = Decimal(value)
        if not 0 <= number <= highest:
            self.fault(name, f"must be from 0 to {highest}")
        elif -int(number.as_tuple().exponent) > decimals:
            self.fault(name, f"must have at most {decimals} decimals")
        else:
            return number
        return None

    def day(self, name: str) -> date | None:
        """A date of the form YYYY-MM-DD."""
        value = self.text(name)
        day = read_day(value)
        if value and day is None:
            self.fault(name, "must be a date of the form YYYY-MM-DD")
        return day

    def part(self, name: str) -> "Fields | None":
        """An object within this one."""
        value = self._get(name, required=True)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.fault(name, "must be an object")
            return None
        return Fields(self._found, value, self.at(name))

    def parts(self, name: str, *, required: bool = True) -> "list[Fields]":
        """A list of objects; one at least where it is required."""
        value = self._get(name, required=required)
        if value is None:
            return []
        if not isinstance(value, list) or (required and not value):
            self.fault(name, "must be a list with one entry or more" if required else "must be a list")
            return []
        parts = []
        for place, one in enumerate(value):
            path = f"{self.at(name)}[{place}]"
            if isinstance(one, dict):
                parts.append(Fields(self._found, one, path))
            else:
                self._found.add(path, "must be an object")
        return parts

    def texts(self, name: str) -> None:
        """A list of texts, possibly empty."""
        value = self._get(name, required=False)
        if value is not None and not (
            isinstance(value, list) and all(isinstance(one, str) and one.strip() for one in value)
        ):
            self.fault(name, "must be a list of strings")

    def no_more(self) -> None:
        """Note every member that nobody asked for."""
        for name in self._members.keys() - self._known:
            self._found.add(self.at(name), "is not known")

    def _get(self, name: str, *, required: bool) -> Any:
        self._known.add(name)
        if name not in self._members:
            if required:
                self._found.add(self.at(name), "is required")
            return None
        value = self._members[name]
        if value is None:
            self._found.add(self.at(name), "must not be null")
        return value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member twice")
    return members


def _no_constant(word: str) -> Any:
    raise ValueError(word)
