"""The live books: charges that a merchant makes while the sandbox runs, and what becomes of them.

Used on the event loop only, but for `of_day`, which reports read from other threads. Amounts in sen.
"""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal, Protocol

from sandbox.model import Standing, State
from sandbox.wib import WIB, now

Act = Literal["pay", "deny", "cancel", "expire", "reverse"]
# From which states an act is possible, and the state it leads to.
MOVES: dict[Act, tuple[frozenset[State], State]] = {
    "pay": (frozenset({"pending"}), "settled"),
    "deny": (frozenset({"pending"}), "denied"),
    "cancel": (frozenset({"pending"}), "cancelled"),
    "expire": (frozenset({"pending"}), "expired"),
    "reverse": (frozenset({"settled"}), "reversed"),
}
REFUNDABLE: frozenset[State] = frozenset({"settled", "partially_refunded"})
CONFIRM_SECONDS = 0.5  # from a refund's acceptance to the bank's word, where a gateway makes the two steps


class NotPossible(Exception):
    """The state of the charge does not allow it."""


@dataclass(slots=True)
class LiveRefund:
    """Money given back. key: the merchant's own reference of it, which its report line carries.

    confirmed_at: None until the bank has moved the money. by_merchant: False for one made in the gateway's
    dashboard, of which the merchant's ledger knows nothing. number: Midtrans' refund_chargeback_id.
    from_books: it is in the generated books, and so is its line.
    """

    key: str
    gateway_reference: str
    number: int
    amount: int
    reason: str
    created_at: datetime
    confirmed_at: datetime | None = None
    by_merchant: bool = True
    from_books: bool = False


@dataclass(slots=True)
class Charge:
    """One charge. id: of its payment page, hard to guess. profile: through whom the wallet was reached.

    closed_at: when it came to where it is; None while it is pending. notify_urls: where its notifications
    go; empty for the registered address. more: what a profile prints again. from_books: a payment of the
    generated books; its payment line is there already. asked_amount: what the merchant asked for, where the
    gateway took something else. is_second: the payer paid once more under the same reference; only its own
    gateway reference means it.
    """

    gateway: str
    profile: str
    reference: str
    gateway_reference: str
    amount: int
    created_at: datetime
    expires_at: datetime
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: State = "pending"
    settled_at: datetime | None = None
    closed_at: datetime | None = None
    payment_type: str = ""
    external_id: str = ""
    notify_urls: list[str] = field(default_factory=list)
    return_url: str = ""
    failed_url: str = ""
    more: dict[str, str] = field(default_factory=dict)
    refunds: list[LiveRefund] = field(default_factory=list)
    from_books: bool = False
    early_questions: int = 0
    asked_amount: int | None = None
    is_second: bool = False

    @property
    def refunded(self) -> int:
        """What has been given back, confirmed or not."""
        return sum(one.amount for one in self.refunds)

    @property
    def taken(self) -> int:
        """What the payer has paid; refunds are not deducted, a reversal is."""
        return self.amount if self.settled_at and self.state != "reversed" else 0


class Keeper(Protocol):
    """Who remembers charges over a restart (journal.py)."""

    def read(self) -> Iterable[Charge]:
        """Every charge as it was written last."""
        ...

    def write(self, charge: Charge) -> None:
        """The charge as it is now."""
        ...


@dataclass
class LiveBooks:
    """All live charges. `tell(charge)` is called after each change that the gateway notifies."""

    keeper: Keeper | None = None
    tell: Callable[[Charge], None] = lambda _charge: None
    confirm_seconds: dict[str, float | None] = field(default_factory=lambda: {"gopay": CONFIRM_SECONDS})
    _pages: dict[str, Charge] = field(default_factory=dict)
    _found: dict[tuple[str, str, str], Charge] = field(default_factory=dict)
    _made: dict[tuple[str, str], list[Charge]] = field(default_factory=lambda: defaultdict(list))
    _refund_keys: dict[tuple[str, str, str], tuple[Charge, LiveRefund]] = field(default_factory=dict)
    _days: dict[tuple[str, date], dict[str, Charge]] = field(default_factory=lambda: defaultdict(dict))
    _versions: dict[tuple[str, date], int] = field(default_factory=lambda: defaultdict(int))

    def __post_init__(self) -> None:
        for charge in self.keeper.read() if self.keeper else ():
            self._register(charge)
            self._touch(charge)

    def start(self) -> None:
        """Go on with what was open when the sandbox was stopped: expiries, and refunds to be confirmed."""
        for charge in self.all():
            if charge.state == "pending":
                self._expire_later(charge)
            for refund in charge.refunds:
                if refund.confirmed_at is None:
                    self._confirm_later(charge, refund)

    # --- look-ups -------------------------------------------------------------------------------------

    def all(self, gateway: str | None = None) -> list[Charge]:
        """Every charge in the order in which they were made, of one gateway or of all."""
        return [one for one in self._pages.values() if gateway in (None, one.gateway)]

    def page(self, gateway: str, page_id: str) -> Charge | None:
        """The charge of a payment page."""
        charge = self._pages.get(page_id)
        return charge if charge and charge.gateway == gateway else None

    def find(self, gateway: str, profile: str, any_reference: str) -> Charge | None:
        """By our reference (the latest charge under it) or by the gateway's own."""
        return self._found.get((gateway, profile, any_reference))

    def find_external(self, gateway: str, profile: str, external_id: str) -> Charge | None:
        """By the X-EXTERNAL-ID of the call that made it."""
        return self._found.get((gateway, profile, f"X {external_id}"))

    def made(self, gateway: str, reference: str) -> list[Charge]:
        """Every charge that was made under one reference, whoever the aggregator was; one if all is well."""
        return self._made.get((gateway, reference), [])

    def refund_of(self, gateway: str, profile: str, key: str) -> tuple[Charge, LiveRefund] | None:
        """The refund that was made with this key, and its charge."""
        return self._refund_keys.get((gateway, profile, key))

    def of_day(self, gateway: str, day: date) -> list[Charge]:
        """The charges of which something was settled or given back on the day (WIB)."""
        return list(self._days.get((gateway, day), {}).values())

    def version(self, gateway: str, day: date) -> int:
        """Changes whenever the day's live part does."""
        return self._versions.get((gateway, day), 0)

    # --- what happens ---------------------------------------------------------------------------------

    def open(self, charge: Charge, *, notify: bool = True) -> None:
        """A new charge."""
        self._register(charge)
        self._write(charge)
        self._expire_later(charge)
        if notify:
            self.tell(charge)

    def move(self, charge: Charge, act: Act, *, at: datetime | None = None, notify: bool = True) -> None:
        """Let the payer or the gateway do something; `at`: when it happened. Raises NotPossible."""
        before, after = MOVES[act]
        if charge.state not in before:
            raise NotPossible(f"{act} is not possible: the charge is {charge.state}")
        charge.state = after
        charge.closed_at = at or now()
        if after == "settled":
            charge.settled_at = charge.closed_at
        self._changed(charge, notify=notify)

    def refund(self, charge: Charge, refund: LiveRefund, *, notify: bool = True) -> None:
        """Give money back; a refund that is not confirmed yet will be, after the gateway's time for it."""
        if charge.state not in REFUNDABLE or refund.amount > charge.amount - charge.refunded:
            raise NotPossible(f"no refund: the charge is {charge.state}")
        charge.refunds.append(refund)
        charge.state = "refunded" if charge.refunded == charge.amount else "partially_refunded"
        self._changed(charge, notify=notify)
        if refund.confirmed_at is None:
            self._confirm_later(charge, refund)

    def confirm(self, charge: Charge, refund: LiveRefund, *, at: datetime | None = None) -> None:
        """The bank has moved the money of a refund."""
        if refund.confirmed_at is None:
            refund.confirmed_at = at or now()
            self._changed(charge, notify=True)

    def _changed(self, charge: Charge, *, notify: bool) -> None:
        self._register(charge)
        self._touch(charge)
        self._write(charge)
        if notify:
            self.tell(charge)

    def _write(self, charge: Charge) -> None:
        if self.keeper:
            self.keeper.write(charge)

    def _register(self, charge: Charge) -> None:
        known = charge.id in self._pages
        self._pages[charge.id] = charge
        of_profile = charge.gateway, charge.profile
        self._found[*of_profile, charge.gateway_reference] = charge
        if not charge.is_second:
            self._found[*of_profile, charge.reference] = charge
        if charge.external_id:
            self._found[*of_profile, f"X {charge.external_id}"] = charge
        for refund in charge.refunds:
            self._refund_keys[*of_profile, refund.key] = charge, refund
        if not known:
            self._made[charge.gateway, charge.reference].append(charge)

    def _touch(self, charge: Charge) -> None:
        """Put the charge under the days that its lines belong to."""
        moments = [charge.settled_at, *(refund.confirmed_at for refund in charge.refunds)]
        for moment in filter(None, moments):
            day = charge.gateway, moment.astimezone(WIB).date()
            self._days[day][charge.id] = charge
            self._versions[day] += 1

    def _expire_later(self, charge: Charge) -> None:
        def expire() -> None:
            if charge.state == "pending":
                self.move(charge, "expire")

        _later((charge.expires_at - now()).total_seconds(), expire)

    def _confirm_later(self, charge: Charge, refund: LiveRefund) -> None:
        seconds = self.confirm_seconds.get(charge.gateway, CONFIRM_SECONDS)
        if seconds is not None:
            _later(seconds, lambda: self.confirm(charge, refund))


def charge_of(standing: Standing, gateway: str, profile: str) -> Charge:
    """A payment of the generated books in the form of a live charge; it becomes one when it is refunded."""
    charge = Charge(
        gateway,
        profile,
        standing.reference,
        standing.gateway_reference,
        standing.amount,
        standing.created_at,
        standing.created_at + timedelta(minutes=15),
        state=standing.state,
        settled_at=standing.settled_at,
        closed_at=standing.settled_at,
        payment_type=gateway,
        from_books=True,
        is_second=standing.is_second,
    )
    charge.refunds = [
        LiveRefund(
            one.reference,
            one.gateway_reference,
            number,
            one.amount,
            "Seat cancelled",
            one.created_at,
            one.confirmed_at,
            from_books=True,
        )
        for number, one in enumerate(standing.refunds, start=1)
    ]
    return charge


def _later(seconds: float, act: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(max(0.0, seconds), act)
