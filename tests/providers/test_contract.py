"""The contract of every gateway, by every profile that offers the wallet, against the sandbox over real HTTP.

The sandbox was written by other hands from the gateways' documents and shares no code with ours. A wallet or
profile that is added to the registry is found by itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from counterpart import Counterpart, refund_order
from counterpart import order as any_order

from common import clock
from common.errors import Ambiguous, ProviderError, Rejected
from common.settings import GATEWAYS, settings
from jembatan.stack import Stack
from providers.base import BadNotification, ChargeOrder, Gateway, Incoming, Notification, RefundOrder
from providers.payments import gateway
from providers.snap.gateway import SnapGateway

AMOUNT = 15_000_000


def profiles() -> list[tuple[str, str]]:
    """Every wallet with every profile by which it can be charged."""
    found = []
    for name in GATEWAYS:
        with gateway(name) as opened:
            codes = opened.wallet.codes if isinstance(opened, SnapGateway) else ["midtrans"]
        found += [(name, profile) for profile in codes if profile != "ovo-direct"]
    return found


@dataclass
class Meeting:
    """One gateway at the sandbox, and the sandbox's dashboard. `there` is our callback address."""

    name: str
    profile: str
    gateway: Gateway
    sandbox: str
    there: Counterpart

    def order(self, **changed: Any) -> ChargeOrder:
        """An order of now, with a reference and a number that nobody had."""
        moment = clock.now()
        return any_order(
            **{
                "reference": f"T-{uuid4().hex[:24]}",
                "external_id": f"{uuid4().int % 10**30:030d}",
                "created_at": moment,
                "expires_at": moment + timedelta(minutes=15),
                "notify_url": f"{self.there.url}/callback/{self.name}",
            }
            | changed
        )

    def refund(self, order: ChargeOrder, **changed: Any) -> RefundOrder:
        return refund_order(
            **{
                "reference": order.reference,
                "gateway_reference": self.told(order)["gateway_reference"],
                "refund_key": f"R-{uuid4().hex[:20]}",
                "external_id": f"{uuid4().int % 10**30:030d}",
            }
            | changed
        )

    def told(self, order: ChargeOrder) -> dict[str, Any]:
        """What the sandbox itself has of an order."""
        answer = httpx.get(f"{self.sandbox}/_sandbox/payments/{self.name}/{order.reference}")
        return answer.raise_for_status().json()  # type: ignore[no-any-return]

    def does(self, order: ChargeOrder, act: str, **details: Any) -> None:
        """Let the payer or the gateway do something, without a notification of its own accord."""
        url = f"{self.sandbox}/_sandbox/payments/{self.name}/{order.reference}/{act}"
        httpx.post(url, json={"notify": False, **details}).raise_for_status()

    def fails(self, operation: str, kind: str, **more: Any) -> None:
        failure = {"gateway": self.name, "operation": operation, "kind": kind, **more}
        httpx.post(f"{self.sandbox}/_sandbox/failures", json=failure).raise_for_status()

    def message(self, order: ChargeOrder, **odd: Any) -> Incoming:
        """The gateway's notification of an order as it is now, rightly signed."""
        url = f"{self.sandbox}/_sandbox/payments/{self.name}/{order.reference}/notification"
        made = httpx.post(url, params={"send": False}, json=odd).raise_for_status().json()
        headers = [(name.lower(), value) for name, value in made["headers"].items()]
        return Incoming(made["method"], made["path"], headers, made["body"].encode(), datetime.now(UTC))

    def read(self, message: Incoming) -> Notification:
        return self.gateway.read_notification(message, lambda token: token.startswith("token-"))


def outcome(act: Callable[[], str | None]) -> str | None:
    """What came of a call: what it says, or the code with which the gateway leaves it open."""
    try:
        return act()
    except Ambiguous as error:
        return error.code


@pytest.fixture(params=profiles(), ids=lambda pair: " by ".join(pair))
def at(
    request: pytest.FixtureRequest,
    parts: Stack,
    there: Counterpart,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Meeting]:
    """Each gateway in turn."""
    name, profile = request.param
    monkeypatch.setenv(f"JEMBATAN_{name.upper()}__PROFILE", profile)
    monkeypatch.setenv(f"JEMBATAN_{name.upper()}__BASE_URL", f"{parts.sandbox_url}/{name}")
    monkeypatch.setenv(f"JEMBATAN_{name.upper()}__READ_TIMEOUT", "1")
    settings.cache_clear()
    with gateway(name) as opened:
        yield Meeting(name, profile, opened, parts.sandbox_url, there)
    httpx.delete(f"{parts.sandbox_url}/_sandbox/failures")
    settings.cache_clear()


def test_a_payment_from_its_charge_to_its_refund(at: Meeting) -> None:
    order = at.order()
    made = at.gateway.create_charge(order)
    theirs = at.told(order)
    assert made.state == "pending"
    assert made.gateway_reference == theirs["gateway_reference"]
    assert (theirs["amount"], theirs["profile"]) == ("150000.00", at.profile)
    assert theirs["notify_urls"] == [order.notify_url]
    assert abs(datetime.fromisoformat(theirs["expires_at"]) - order.expires_at) < timedelta(seconds=2)
    assert made.actions
    for action in made.actions:
        assert (action.type == "push") is (action.url is None)

    waiting = at.gateway.get_charge(order.reference, order.external_id)
    assert (waiting.state, waiting.amount_minor, waiting.at) == ("pending", AMOUNT, None)

    at.does(order, "pay")
    paid = at.gateway.get_charge(order.reference)
    assert (paid.state, paid.amount_minor, paid.currency) == ("paid", AMOUNT, "IDR")
    assert paid.gateway_reference == made.gateway_reference
    assert paid.at is not None
    assert abs(paid.at - clock.now()) < timedelta(minutes=5)

    back = at.refund(order)
    assert at.gateway.get_refund(back).state == "not_found"
    taken = at.gateway.refund(back)
    assert taken.state in ("accepted", "confirmed")
    if taken.state == "accepted":
        assert at.gateway.get_refund(back).state in ("accepted", "confirmed")
        at.does(order, "confirm")
    found = at.gateway.get_refund(back)
    assert (found.state, found.amount_minor) == ("confirmed", AMOUNT)
    after = at.gateway.get_charge(order.reference)
    assert (after.state, after.refunded_minor) == ("refunded", AMOUNT)


@pytest.mark.parametrize("act", ["pay", "deny", "expire"])
def test_what_is_notified_is_what_the_status_says(at: Meeting, act: str) -> None:
    order = at.order()
    at.gateway.create_charge(order)
    at.does(order, act)
    message = at.message(order)
    said, asked = at.read(message), at.gateway.get_charge(order.reference)
    assert (said.reference, said.state, said.word) == (order.reference, asked.state, asked.word)
    assert (said.amount_minor, said.currency) == (AMOUNT, "IDR")
    assert said.gateway_reference == asked.gateway_reference
    assert not said.merchant_differs
    if act == "pay":
        assert said.at is not None
        assert asked.at is not None
        assert abs(said.at - asked.at) < timedelta(seconds=2)
    if at.gateway.capabilities.token_endpoint:
        with pytest.raises(BadNotification):
            at.gateway.read_notification(message)
        call = at.there.calls[0]
        at.gateway.check_token_request(
            Incoming(call.method, call.path, list(call.headers.items()), call.body, clock.now())
        )


def test_an_odd_message_is_read_as_what_it_is(at: Meeting) -> None:
    order = at.order()
    at.gateway.create_charge(order)
    assert at.read(at.message(order, amount="999.00")).amount_minor == 99_900
    assert at.read(at.message(order, amount="150000")).amount_minor is None
    assert at.read(at.message(order, currency="USD")).currency == "USD"
    assert at.read(at.message(order, state="something_new")).state == "unknown"
    message = at.message(order, state="paid")
    broken = replace(message, body=message.body.replace(b"150000.00", b"250000.00"))
    if at.profile == "nicepay":  # its signature leaves the body out
        assert at.read(broken).confirm
    else:
        with pytest.raises(BadNotification) as problem:
            at.read(broken)
        assert problem.value.status == 401


def test_the_same_order_again_never_makes_a_second_charge(at: Meeting) -> None:
    order = at.order()
    first = at.gateway.create_charge(order)
    again = outcome(lambda: at.gateway.create_charge(order).gateway_reference)
    assert again == first.gateway_reference or str(again).startswith("409")
    another_number = replace(order, external_id=f"{uuid4().int % 10**30:030d}")
    with pytest.raises(Ambiguous):
        at.gateway.create_charge(another_number)
    assert at.told(order)["charges"] == 1
    asked = at.gateway.get_charge(order.reference, order.external_id)
    assert asked.gateway_reference == first.gateway_reference


@pytest.mark.parametrize("kind", ["lost", "reset_after", "500_after", "502_html", "half"])
def test_a_charge_whose_answer_is_lost_may_have_happened_and_is_found(at: Meeting, kind: str) -> None:
    order = at.order()
    at.fails("charge", kind)
    with pytest.raises(Ambiguous):
        at.gateway.create_charge(order)
    assert at.told(order)["charges"] == 1
    assert at.gateway.get_charge(order.reference, order.external_id).state == "pending"


@pytest.mark.parametrize("kind", ["reset", "500", "html"])
def test_a_charge_that_never_arrived_is_not_found(at: Meeting, kind: str) -> None:
    order = at.order()
    at.fails("charge", kind)
    with pytest.raises(Ambiguous):
        at.gateway.create_charge(order)
    assert at.gateway.get_charge(order.reference, order.external_id).state == "not_found"
    assert at.gateway.create_charge(order).state == "pending"


@pytest.mark.parametrize("kind", ["lost", "500_after"])
def test_a_refund_whose_answer_is_lost_is_found_and_made_once(at: Meeting, kind: str) -> None:
    order = at.order()
    at.gateway.create_charge(order)
    at.does(order, "pay")
    back = at.refund(order)
    at.fails("refund", kind)
    with pytest.raises(Ambiguous):
        at.gateway.refund(back)
    assert at.gateway.get_refund(back).state in ("accepted", "confirmed")
    again = outcome(lambda: at.gateway.refund(back).state)
    assert again in ("accepted", "confirmed") or str(again).startswith("409")
    assert len(at.told(order)["refunds"]) == 1


def test_a_refund_that_never_arrived_is_not_found(at: Meeting) -> None:
    order = at.order()
    at.gateway.create_charge(order)
    at.does(order, "pay")
    back = at.refund(order)
    at.fails("refund", "reset")
    with pytest.raises(Ambiguous):
        at.gateway.refund(back)
    assert at.gateway.get_refund(back).state == "not_found"


def test_a_part_is_given_back_where_that_is_offered(at: Meeting) -> None:
    order = at.order()
    at.gateway.create_charge(order)
    at.does(order, "pay")
    part = at.refund(order, amount_minor=5_000_000)
    if not at.gateway.capabilities.partial_refund:
        with pytest.raises(Rejected):
            at.gateway.refund(part)
        return
    at.gateway.refund(part)
    at.does(order, "confirm")
    said = at.gateway.get_charge(order.reference)
    assert (said.state, said.refunded_minor) == ("partially_refunded", 5_000_000)
    with pytest.raises(Rejected):
        at.gateway.refund(at.refund(order))
    at.gateway.refund(at.refund(order, amount_minor=10_000_000))
    at.does(order, "confirm")
    said = at.gateway.get_charge(order.reference)
    assert (said.state, said.refunded_minor) == ("refunded", AMOUNT)


@pytest.mark.parametrize("expire", [False, True])
def test_a_pending_charge_is_cancelled_where_that_is_offered(at: Meeting, expire: bool) -> None:
    order = at.order()
    made = at.gateway.create_charge(order)
    number = f"{uuid4().int % 10**30:030d}"

    def cancel() -> str:
        return at.gateway.cancel_charge(
            order.reference, number, expire=expire, gateway_reference=made.gateway_reference
        ).state

    if not at.gateway.capabilities.cancel:
        with pytest.raises(Rejected):
            cancel()
        assert at.gateway.get_charge(order.reference).state == "pending"
        return
    over = "expired" if expire and at.gateway.capabilities.says_expired else "cancelled"
    assert cancel() == over
    assert at.gateway.get_charge(order.reference).state == over


@pytest.mark.parametrize("expire", [False, True])
def test_a_charge_that_is_paid_meanwhile_stays_paid(at: Meeting, expire: bool) -> None:
    order = at.order()
    at.gateway.create_charge(order)
    at.does(order, "pay")
    if at.gateway.capabilities.cancel:
        said = at.gateway.cancel_charge(order.reference, f"{uuid4().int % 10**30:030d}", expire=expire)
        assert said.state == "paid"
    assert at.gateway.get_charge(order.reference).state == "paid"


def test_what_nobody_made_is_not_found(at: Meeting) -> None:
    nothing = at.order()
    assert at.gateway.get_charge(nothing.reference).state == "not_found"
    assert at.gateway.get_charge(nothing.reference, nothing.external_id).state == "not_found"
    assert at.gateway.get_refund(refund_order(reference=nothing.reference)).state == "not_found"
    with pytest.raises(Rejected):
        at.gateway.refund(refund_order(reference=nothing.reference, gateway_reference=None))


def test_a_refund_of_what_is_not_paid_is_refused(at: Meeting) -> None:
    order = at.order()
    at.gateway.create_charge(order)
    with pytest.raises(Rejected):
        at.gateway.refund(at.refund(order))


def test_money_that_is_taken_back_after_payment_is_no_longer_paid(at: Meeting) -> None:
    """GoPay has words for it; SNAP says cancelled or failed of what was paid, which the process knows."""
    order = at.order()
    at.gateway.create_charge(order)
    at.does(order, "pay")
    at.does(order, "reverse")
    said = at.gateway.get_charge(order.reference)
    assert said.state in (("reversed",) if at.name == "gopay" else ("cancelled", "denied"))


def test_ovo_itself_lets_every_call_of_ours_pass_but_wants_a_linked_account(
    parts: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JEMBATAN_OVO__PROFILE", "ovo-direct")
    monkeypatch.setenv("JEMBATAN_OVO__BASE_URL", f"{parts.sandbox_url}/ovo")
    settings.cache_clear()
    with gateway("ovo") as opened, pytest.raises(Rejected, match="4045504"):
        opened.get_charge("INV-1")
    settings.cache_clear()


def test_the_test_message_of_the_dashboard_means_no_charge(parts: Stack) -> None:
    url = f"{parts.sandbox_url}/_sandbox/notifications/test"
    made = httpx.post(url, params={"send": False}).raise_for_status().json()
    message = Incoming(
        "POST", made["path"], list(made["headers"].items()), made["body"].encode(), clock.now()
    )
    with gateway("gopay") as opened:
        assert opened.read_notification(message).is_test


def test_nothing_that_goes_wrong_prints_a_secret(at: Meeting) -> None:
    order = at.order()
    for kind in ("500", "html", "reset", "429"):
        at.fails("charge", kind, **({"retry_after": 60} if kind == "429" else {}))
        with pytest.raises(ProviderError) as error:
            at.gateway.create_charge(order)
        text = str(error.value)
        assert at.name in text
        for secret in ("secret", "Bearer", "SB-Mid", "Siti", "siti@", "62812"):
            assert secret not in text
