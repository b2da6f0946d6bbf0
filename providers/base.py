"""What every gateway offers to the processes, whatever it speaks on the wire."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

ChargeState = Literal["pending", "paid", "reversed", "expired", "cancelled", "denied", "unknown"]


@dataclass(frozen=True)
class ChargeStatus:
    """What a gateway says of one charge.

    state: our word for it; `unknown` where the gateway has no such charge or uses a word we do not know.
    word: the gateway's own word or code; at: when it was paid (aware), where the gateway tells.
    amount_minor, currency: what the gateway took, for comparison with ours before anything moves.
    """

    reference: str
    state: ChargeState
    word: str
    at: datetime | None = None
    amount_minor: int | None = None
    currency: str | None = None


class Gateway(Protocol):
    """One wallet's gateway. Verbs in the order of a payment's life."""

    name: str

    def get_charge(self, reference: str) -> ChargeStatus:
        """Ask the gateway for the state of a charge; raises a ProviderError."""
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...
