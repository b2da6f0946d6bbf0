"""Which exceptions the list shows: what the form of the filters says, each wrong field with its reason."""

import re
from dataclasses import dataclass, field
from datetime import date
from urllib.parse import urlencode

from api import words
from common.money import MINOR_PER_UNIT
from common.settings import GATEWAYS
from records.classes import CLASSES
from records.exception_list import BUCKETS, Filter, Order
from records.exceptions import STATES, TYPES

NAMES = ("gateway", "type", "class", "state", "age", "from", "to", "risk", "order")
ORDERS = {"risk": "most money first", "age": "oldest first"}
_DEFAULTS = {"state": "open", "order": "risk"}
_CHOICES: dict[str, tuple[str, ...]] = {
    "gateway": GATEWAYS,
    "type": TYPES,
    "class": tuple(name for name in CLASSES if name != "matched"),
    "state": (*STATES, "all"),
    "age": tuple(BUCKETS),
    "order": tuple(ORDERS),
}
_MOST_RUPIAH = 10**15


@dataclass
class Filters:
    """What was asked for, as it was typed; problems: by field, what is wrong with it."""

    asked: dict[str, str]
    problems: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.asked = {name: self.asked.get(name, "").strip() or _DEFAULTS.get(name, "") for name in NAMES}
        for name, choices in _CHOICES.items():
            if self.asked[name] and self.asked[name] not in choices:
                self.asked[name] = _DEFAULTS.get(name, "")
        self._since, self._until = self._day("from"), self._day("to")
        if self._since and self._until and self._since > self._until:
            self.problems["to"] = "The last day is before the first one."
        self._risk = self._rupiah("risk")

    @property
    def which(self) -> Filter:
        """The same for the list. A field that is wrong limits nothing."""
        asked = self.asked
        return Filter(
            gateway=asked["gateway"] or None,
            type=asked["type"] or None,
            class_=asked["class"] or None,
            state=None if asked["state"] == "all" else asked["state"],
            since=self._since,
            until=self._until,
            bucket=asked["age"] or None,
            min_risk_minor=self._risk,
        )

    @property
    def order(self) -> Order:
        """By money at risk, or by age."""
        return "age" if self.asked["order"] == "age" else "risk"

    @property
    def is_set(self) -> bool:
        """Whether anything but the usual was asked for."""
        return any(value != _DEFAULTS.get(name, "") for name, value in self.asked.items())

    def address(self, **more: str) -> str:
        """The address of the list with these filters."""
        said = {name: value for name, value in self.asked.items() if value != _DEFAULTS.get(name, "")} | more
        return "/console/exceptions" + (f"?{urlencode(said)}" if said else "")

    def _day(self, name: str) -> date | None:
        text = self.asked[name]
        if not text:
            return None
        try:
            if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
                raise ValueError(text)
            return date.fromisoformat(text)
        except ValueError:
            self.problems[name] = "A day is written as 2026-11-24."
            return None

    def _rupiah(self, name: str) -> int | None:
        minor = rupiah_typed(self.asked[name])
        if self.asked[name] and minor is None:
            self.problems[name] = "Write whole rupiah in digits, such as 100000."
        return minor


def rupiah_typed(text: str) -> int | None:
    """Whole rupiah as a person types them, `1500000` or `Rp 1,500,000`, in minor units; None for any other
    text. Full stops and commas only where they part thousands."""
    digits = re.sub(r"^rp\s*", "", text.strip(), flags=re.IGNORECASE)
    if not re.fullmatch(r"[0-9]{1,16}|[0-9]{1,3}(,[0-9]{3}){1,4}|[0-9]{1,3}(\.[0-9]{3}){1,4}", digits):
        return None
    rupiah = int(re.sub(r"[.,]", "", digits))
    return rupiah * MINOR_PER_UNIT if rupiah <= _MOST_RUPIAH else None


def choices() -> dict[str, list[tuple[str, str]]]:
    """What each list of the form offers: its value and how people read it."""
    return {
        "gateway": [("", "All wallets"), *((name, words.gateway(name)) for name in GATEWAYS)],
        "type": [("", "Everything"), *((name, words.TYPES[name].capitalize()) for name in TYPES)],
        "class": [("", "Any difference"), *((name, words.CLASSES[name].title) for name in _CHOICES["class"])],
        "state": [
            ("open", "Open"),
            ("all", "All states"),
            *((s, words.STATES[s].capitalize()) for s in STATES[1:]),
        ],
        "age": [("", "Any age"), *((name, words.AGES[name]) for name in BUCKETS)],
        "order": [(name, text.capitalize()) for name, text in ORDERS.items()],
    }
