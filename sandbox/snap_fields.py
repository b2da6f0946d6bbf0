"""The members of a SNAP request, read strictly: missing is case 02, a wrong form is case 01."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sandbox.money import readable
from sandbox.snap import SnapCall, SnapError
from sandbox.wib import read_moment

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")  # the 25 characters of the standard
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"<>\\^`{|}]+")


@dataclass(frozen=True, slots=True)
class Fields:
    """One JSON object of a request; path: where it stands, for the words of a refusal."""

    call: SnapCall
    members: dict[str, Any]
    path: str = ""

    def missing(self, name: str) -> SnapError:
        """The refusal of a request that lacks the member."""
        return self.call.refuse(400, "02", f"Invalid Mandatory Field {self.path}{name}")

    def wrong(self, name: str) -> SnapError:
        """The refusal of a request whose member has a wrong form."""
        return self.call.refuse(400, "01", f"Invalid Field Format {self.path}{name}")

    def has(self, name: str) -> bool:
        """Whether the member is there; an empty one is not."""
        return self.members.get(name) not in (None, "")

    def text(self, name: str, most: int = 256, form: str = r"[^\x00-\x1f]*") -> str:
        """A text that must be there."""
        if not self.has(name):
            raise self.missing(name)
        value = self.members[name]
        if not isinstance(value, str) or len(value) > most or not re.fullmatch(form, value):
            raise self.wrong(name)
        return value

    def optional(self, name: str, most: int = 256, form: str = r"[^\x00-\x1f]*") -> str:
        """A text that may be missing: then it is empty."""
        return self.text(name, most, form) if self.has(name) else ""

    def one_of(self, name: str, words: Collection[str]) -> str:
        """One of a few words."""
        word = self.text(name)
        if word not in words:
            raise self.wrong(name)
        return word

    def inner(self, name: str) -> "Fields":
        """An object within."""
        if not self.has(name):
            raise self.missing(name)
        if not isinstance(self.members[name], dict):
            raise self.wrong(name)
        return Fields(self.call, self.members[name], f"{self.path}{name}.")

    def each(self, name: str) -> list["Fields"]:
        """The objects of a list, one or more."""
        several = self.members.get(name)
        if several in (None, []):
            raise self.missing(name)
        if not isinstance(several, list) or not all(isinstance(one, dict) for one in several):
            raise self.wrong(name)
        return [Fields(self.call, one, f"{self.path}{name}[{place}].") for place, one in enumerate(several)]

    def money(self, name: str) -> int:
        """An amount in sen: `{"value": "10000.00", "currency": "IDR"}`, above zero, exactly two decimals."""
        amount = self.inner(name)
        value = amount.text("value")
        if amount.text("currency") != "IDR":
            raise amount.wrong("currency")
        sen = readable(value)
        if not sen:
            raise amount.wrong("value")
        return sen

    def moment(self, name: str) -> datetime:
        """A time with its offset, 25 characters."""
        text = self.text(name, 25, _MOMENT.pattern)
        moment = read_moment(text)
        if moment is None:
            raise self.wrong(name)
        return moment

    def url(self, name: str) -> str:
        """An address: of a web page, or a deep link into an app."""
        address = self.text(name, 512, _URL.pattern)
        if not urlsplit(address).netloc:
            raise self.wrong(name)
        return address
