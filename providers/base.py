"""What every gateway offers to the processes, whatever it speaks on the wire.

The verbs stand in the order of a payment's life. What a gateway cannot do is data (`Capabilities`) that a
process asks before it calls; no process names a gateway.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

# `unknown`: a word that we do not know, and so not final. `not_found`: the gateway has no such charge.
ChargeState = Literal[
    "pending",
    "paid",
    "partially_refunded",
    "refunded",
    "reversed",
    "expired",
    "cancelled",
    "denied",
    "unknown",
    "not_found",
]
RefundState = Literal["accepted", "confirmed", "refused", "unknown", "not_found"]
ActionType = Literal["redirect", "deeplink", "qr", "push"]


@dataclass(frozen=True)
class Capabilities:
    """What a gateway can do, and its limits. Amounts in minor units, both ends included; times in seconds.

    first_status_after: when our sweep asks first, after a charge. leave_alone_for: how long the gateway
    itself wants no question after one; nobody asks earlier.
    push_seconds: how long the payer has where the charge is a push to the phone; None where it never is.
    needs_linking: a charge needs a linked account, which is not offered yet. needs_phone: a charge needs the
    payer's phone number. answer_within: how soon it wants its notification answered.
    """

    amount_minor: tuple[int, int]
    expiry_seconds: tuple[int, int]
    default_expiry_seconds: int
    first_status_after: int
    answer_within: int
    cancel: bool
    refund: bool
    partial_refund: bool
    refund_days: int
    push_seconds: int | None = None
    needs_linking: bool = False
    needs_phone: bool = False
    leave_alone_for: int = 0
    says_expired: bool = True  # it has a word of its own for a charge whose time is over
    repeats_charge: bool = False  # the same call again brings back its first answer and charges nothing
    token_endpoint: bool = False  # it takes a token from us before it notifies


@dataclass(frozen=True)
class Learner:
    """Who pays, as far as a gateway wants to know. Personal data: never printed."""

    id: str
    name: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ChargeOrder:
    """One charge to make. The same order again is the same charge: `reference` and `external_id` stay.

    reference: ours, at most 32 characters of A-Z a-z 0-9 . _ ~ -, sent unchanged.
    external_id: digits, at most 32, kept in the database before the first call; from it the adapter makes
    the gateway's own key of this operation (Idempotency-Key, X-EXTERNAL-ID).
    notify_url: where the gateway shall send its notifications; return_url: where the payer goes afterwards.
    """

    reference: str
    external_id: str
    amount_minor: int
    currency: str
    description: str
    created_at: datetime
    expires_at: datetime
    return_url: str
    notify_url: str
    learner: Learner
    program_code: str | None = None


@dataclass(frozen=True)
class Action:
    """What the learner does next: open a page or an app, scan a picture, or answer the push on the phone.

    url: absent for a push. expires_in: seconds that the learner has, where that is less than the payment's.
    """

    type: ActionType
    url: str | None = None
    expires_in: int | None = None


@dataclass(frozen=True)
class Charge:
    """What came of a charge: the gateway has it. raw: its answer, kept as evidence (encrypted)."""

    reference: str
    state: ChargeState
    word: str
    gateway_reference: str | None = None
    actions: tuple[Action, ...] = ()
    expires_at: datetime | None = None
    at: datetime | None = None
    raw: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class ChargeStatus:
    """What a gateway says of one charge.

    state: our word for it; word: the gateway's own word or code; at: when it was paid (aware), where the
    gateway tells. amount_minor, currency: what the gateway took, for comparison with ours before anything
    moves. refunded_minor: running total that went back, where it tells. refunds: each of its refunds, ours
    and those made elsewhere; None where it does not list them. raw: the answer, as evidence.
    """

    reference: str
    state: ChargeState
    word: str
    at: datetime | None = None
    amount_minor: int | None = None
    currency: str | None = None
    gateway_reference: str | None = None
    refunded_minor: int | None = None
    refunds: "tuple[RefundStatus, ...] | None" = None
    raw: bytes = field(default=b"", repr=False)


def in_words(word: str, state: str) -> str:
    """What a gateway says, for people who read a payment's history: a bare number (SNAP's) means nothing."""
    return f"{word} ({state})" if word.isdigit() else word


@dataclass(frozen=True)
class RefundOrder:
    """Money to give back. refund_key: our derived key, the same for every retry; amount_minor of this refund.

    payment_amount_minor: of the whole charge; external_id: as in ChargeOrder, one for each refund.
    is_one_of_several: the gateway has more than one charge under our reference, so the charge is named by
    gateway_reference.
    """

    reference: str
    gateway_reference: str | None
    refund_key: str
    external_id: str
    amount_minor: int
    payment_amount_minor: int
    currency: str
    reason: str
    is_one_of_several: bool = False

    @property
    def named_alone(self) -> str | None:
        """The gateway's own name of the charge, where ours would not tell which one is meant."""
        return self.gateway_reference if self.is_one_of_several else None


@dataclass(frozen=True)
class RefundStatus:
    """What a gateway says of one refund. `accepted` is not `confirmed`: only then has the money moved."""

    refund_key: str
    state: RefundState
    word: str
    amount_minor: int | None = None
    gateway_reference: str | None = None
    at: datetime | None = None
    raw: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Incoming:
    """A message that came in under one of our callback addresses, exactly as received.

    path: full path of the registered address, with its query; headers: names in lower case, every one
    that came, repeated ones repeatedly.
    """

    method: str
    path: str
    headers: Sequence[tuple[str, str]]
    body: bytes = field(repr=False)
    received_at: datetime

    def only(self, name: str) -> str | None:
        """The header of that name (lower case) if it came exactly once."""
        found = [value for known, value in self.headers if known == name]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class Notification:
    """What a rightly signed message claims of a charge.

    amount_minor is None where it is not written in the one form that the gateway uses.
    confirm: ask the status before anything moves, as the signature leaves the state or the body out, or its
    time is outside the window. is_test: the dashboard's test message, which means no charge.
    merchant_differs: it names another merchant than ours.
    """

    reference: str
    state: ChargeState
    word: str
    amount_minor: int | None
    currency: str | None
    confirm: bool
    gateway_reference: str | None = None
    at: datetime | None = None
    is_test: bool = False
    merchant_differs: bool = False


@dataclass(frozen=True)
class Reply:
    """An answer to a gateway, in the form that it expects."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class BadNotification(Exception):
    """A message that is not taken: 400 it cannot be read, 401 its signature is missing or wrong.

    reason: one word of the list below, for the log and the metrics; never a part of the message.
    """

    def __init__(self, status: Literal[400, 401, 413], reason: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(reason)


class Gateway(Protocol):
    """One wallet's gateway. Safe to use from several threads. Every verb raises a ProviderError:
    Transient and Rejected mean that nothing happened, Ambiguous that it may have."""

    name: str

    @property
    def capabilities(self) -> Capabilities:
        """What it can do, by its profile and settings."""
        ...

    def create_charge(self, order: ChargeOrder) -> Charge:
        """Make the charge; the same order again never makes a second one."""
        ...

    def get_charge(self, reference: str, external_id: str | None = None) -> ChargeStatus:
        """Ask for the state of a charge by our reference; `not_found` where there is none."""
        ...

    def cancel_charge(
        self,
        reference: str,
        external_id: str,
        *,
        expire: bool = False,
        gateway_reference: str | None = None,
    ) -> ChargeStatus:
        """Cancel a pending charge, or let it expire now; what it is afterwards.

        external_id: of this call; gateway_reference: of the charge, where it is known.
        """
        ...

    def refund(self, order: RefundOrder) -> RefundStatus:
        """Ask for money back; the same order again never gives it back twice. Raises NotNow where the
        merchant's balance is too low: nothing happened, and it can work later."""
        ...

    def get_refund(self, order: RefundOrder) -> RefundStatus:
        """Ask what became of a refund."""
        ...

    def read_notification(
        self, message: Incoming, is_our_token: Callable[[str], bool] = lambda _token: False
    ) -> Notification:
        """Check the signature over the raw bytes and read the claim; raises BadNotification.

        is_our_token: whether a token is one that we gave this gateway and that still lives (DOKU).
        """
        ...

    def check_token_request(self, message: Incoming) -> None:
        """Check a gateway's request for a token of ours; raises BadNotification."""
        ...

    def acknowledge(self) -> Reply:
        """The answer to a notification that is stored."""
        ...

    def refuse(self, problem: BadNotification) -> Reply:
        """The answer to a message that is not taken."""
        ...

    def token_reply(self, token: str, seconds: int) -> Reply:
        """The answer that gives a gateway our token, which lives that long."""
        ...

    def refuse_token(self, problem: BadNotification) -> Reply:
        """The answer to a request for a token that is not granted."""
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...
