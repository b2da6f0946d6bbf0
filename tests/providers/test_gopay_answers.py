"""What the answers of Midtrans mean to us: the table of codes, charges, states and refunds."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from counterpart import BROKEN, LOST, Counterpart, charge_answer, midtrans, order, refund_order, status_answer

from common.errors import Ambiguous, AuthFailed, NotNow, ProviderError, RateLimited, Rejected, Transient
from providers.base import Action
from providers.gopay import GoPay

Verb = Callable[[GoPay], object]
MONEY_VERBS: dict[str, Verb] = {
    "create": lambda gopay: gopay.create_charge(order()),
    "cancel": lambda gopay: gopay.cancel_charge("INV-1", "4713"),
    "expire": lambda gopay: gopay.cancel_charge("INV-1", "4713", expire=True),
    "refund": lambda gopay: gopay.refund(refund_order()),
}


@pytest.fixture
def gopay(there: Counterpart) -> Iterator[GoPay]:
    gateway = GoPay(midtrans(f"{there.url}/base/"))
    yield gateway
    gateway.close()


def test_actions_are_chosen_by_name(there: Counterpart, gopay: GoPay) -> None:
    there.says(200, charge_answer())
    made = gopay.create_charge(order())
    app, framed = Action("deeplink", "https://gopay.example/app"), Action("qr", "https://m.example/qr2")
    assert made.actions == (app, framed)
    assert made.gateway_reference == "231c79c5-e39e-4993-86da-cadcaee56c1d"
    assert (made.state, made.word) == ("pending", "pending")
    assert made.expires_at == datetime(2026, 11, 25, 2, 15, tzinfo=UTC)
    assert made.at == datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
    assert json.loads(made.raw)["status_code"] == "201"
    plain = {"name": "generate-qr-code", "url": "https://m.example/qr"}
    for listed, expected in (
        ([plain], (Action("qr", "https://m.example/qr"),)),
        ([], ()),
        (None, ()),
        ("qr", ()),
        ([7, None, {}, {"name": 7}, {"name": "deeplink-redirect"}, {"name": ["x"], "url": "https://x"}], ()),
    ):
        there.says(200, charge_answer(actions=listed))
        assert gopay.create_charge(order()).actions == expected


def test_a_charge_may_be_denied_at_once(there: Counterpart, gopay: GoPay) -> None:
    there.says(200, charge_answer(status_code="202", transaction_status="deny"))
    assert gopay.create_charge(order()).state == "denied"


# Codes

REFUSALS = ["400", "404", "405", "408", "410", "411", "412", "413", "414"]
KEYS = ["401", "402", "403"]
MAYBE = ["406", "409", "500", "502", "503", "900", "777", "415", "204", "300"]


def meets(there: Counterpart, gopay: GoPay, verb: Verb, status: int, body: Any) -> ProviderError:
    before = len(there.calls)
    there.says(status, body)
    with pytest.raises(ProviderError) as error:
        verb(gopay)
    assert len(there.calls) == before + 1
    return error.value


@pytest.mark.parametrize("name", MONEY_VERBS)
@pytest.mark.parametrize("inside", [True, False])
def test_the_table_of_codes_where_money_moves(
    there: Counterpart, gopay: GoPay, name: str, inside: bool
) -> None:
    """The code is in the body, mostly of an HTTP 200, sometimes of the same HTTP status."""

    def met(code: str) -> type[ProviderError]:
        status = 200 if inside or not 400 <= int(code) < 600 else int(code)
        return type(meets(there, gopay, MONEY_VERBS[name], status, {"status_code": code}))

    asks_then = {"412", "404"} if name in ("cancel", "expire") else set()
    can_mend = {"414"} if name == "refund" else set()  # the merchant's balance is too low
    assert {met(code) for code in set(REFUSALS) - asks_then - can_mend} == {Rejected}
    assert {met(code) for code in can_mend} <= {NotNow}
    assert {met(code) for code in KEYS} == {AuthFailed}
    maybe = [code for code in MAYBE if not (name == "refund" and code == "406")]
    assert {met(code) for code in maybe} == {Ambiguous}


def test_a_refund_key_that_another_refund_has_is_refused(there: Counterpart, gopay: GoPay) -> None:
    error = meets(there, gopay, MONEY_VERBS["refund"], 200, {"status_code": "406"})
    assert type(error) is Rejected
    assert "another refund" in str(error)


@pytest.mark.parametrize("name", MONEY_VERBS)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (202, {"status_code": "202"}), (202, charge_answer()), (500, charge_answer()), (200, LOST),
        (200, BROKEN), (200, b"<html>"), (200, []), (200, {}), (200, {"status_code": None}),
        (404, b"<html>"), (302, b""), (502, b"bad gateway"), (500, {"status_code": "400"}),
        (503, {"status_code": "401"}), (502, {"status_code": "404"}),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_clear_word_may_have_moved_money(
    there: Counterpart, gopay: GoPay, name: str, status: int, body: Any
) -> None:
    assert type(meets(there, gopay, MONEY_VERBS[name], status, body)) is Ambiguous


@pytest.mark.parametrize("name", MONEY_VERBS)
def test_a_rate_limit_is_one_in_any_form(there: Counterpart, gopay: GoPay, name: str) -> None:
    for status, body in ((429, b"slow down"), (200, {"status_code": "429"})):
        there.says(status, body, Retry_After="40")
        with pytest.raises(RateLimited) as error:
            MONEY_VERBS[name](gopay)
        assert error.value.retry_after == 40


@pytest.mark.parametrize("name", MONEY_VERBS)
def test_a_call_that_never_got_through_did_not_happen(name: str) -> None:
    with pytest.raises(Transient):
        MONEY_VERBS[name](GoPay(midtrans("http://127.0.0.1:9", connect_timeout=0.2)))


# Status

SETTLED = {"settlement_time": "2026-11-25 09:03:00"}


@pytest.mark.parametrize(
    ("code", "word", "more", "state"),
    [
        ("201", "pending", {}, "pending"), ("201", "PENDING", {}, "pending"),
        ("200", "settlement", SETTLED, "paid"),
        ("200", "Settlement", {"fraud_status": "ACCEPT"}, "paid"), ("200", "capture", {}, "paid"),
        ("200", "settlement", {"fraud_status": "deny"}, "denied"),
        ("200", "capture", {"fraud_status": "challenge"}, "pending"),
        ("200", "settlement", {"payment_type": "qris", "transaction_type": "off-us"}, "paid"),
        ("202", "deny", {}, "denied"), ("202", "deny", SETTLED, "reversed"), ("202", "failure", {}, "denied"),
        ("200", "cancel", {}, "cancelled"), ("202", "cancel", {}, "cancelled"),
        ("407", "expire", {}, "expired"),
        ("202", "expire", {}, "expired"), ("200", "refund", SETTLED, "refunded"),
        ("200", "partial_refund", SETTLED, "partially_refunded"), ("200", "chargeback", SETTLED, "reversed"),
        ("200", "partial_chargeback", SETTLED, "reversed"), ("200", "authorize", {}, "pending"),
        ("200", "something_new", SETTLED, "unknown"),
    ],
)  # fmt: skip
def test_states_of_a_charge(
    there: Counterpart, gopay: GoPay, code: str, word: str, more: dict[str, Any], state: str
) -> None:
    there.says(200, status_answer(word, code, **more))
    said = gopay.get_charge("INV-1")
    assert said.state == state
    fraud = more.get("fraud_status", "accept").lower()
    assert said.word == (word.lower() if fraud == "accept" else f"{word.lower()}, fraud {fraud}")
    assert (said.amount_minor, said.currency) == (15_000_000, "IDR")
    assert said.gateway_reference == "231c79c5-e39e-4993-86da-cadcaee56c1d"
    if more is SETTLED:
        assert said.at == datetime(2026, 11, 25, 2, 3, tzinfo=UTC)
        assert said.at is not None
        assert said.at.utcoffset() == timedelta(hours=7)


@pytest.mark.parametrize(
    ("code", "more"), [("201", {}), ("202", {}), ("407", {}), ("200", {"order_id": "INV-2"})]
)
def test_paid_is_only_what_says_so_in_word_and_code_and_of_our_order(
    there: Counterpart, gopay: GoPay, code: str, more: dict[str, str]
) -> None:
    for word in ("settlement", "capture"):
        there.says(200, status_answer(word, code, **SETTLED, **more))
        assert gopay.get_charge("INV-1").state == "unknown"


def test_a_pending_charge_was_paid_at_no_time(there: Counterpart, gopay: GoPay) -> None:
    there.says(200, status_answer("pending", "201"))
    assert gopay.get_charge("INV-1").at is None


@pytest.mark.parametrize("http_status", [200, 404])
def test_a_charge_that_is_not_there_is_not_found(there: Counterpart, gopay: GoPay, http_status: int) -> None:
    there.says(http_status, {"status_code": "404", "status_message": "Transaction doesn't exist."})
    assert gopay.get_charge("INV-1").state == "not_found"
    there.says(http_status, {"status_code": "404"})
    assert gopay.get_refund(refund_order()).state == "not_found"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"status_code": "500"}), (200, {"status_code": "900"}), (503, {"status_code": "503"}),
        (500, {"status_code": "404"}), (200, {"status_code": "200"}), (200, b"<html>"), (502, b"<html>"),
        (200, LOST), (200, BROKEN),
    ],
)  # fmt: skip
def test_a_status_that_did_not_come_is_asked_again(
    there: Counterpart, gopay: GoPay, status: int, body: Any
) -> None:
    there.says(status, body)
    there.says(200, status_answer("settlement"))
    assert gopay.get_charge("INV-1").state == "paid"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"status_code": "401"}, AuthFailed), (200, {"status_code": "402"}, AuthFailed),
        (200, {"status_code": "403"}, AuthFailed), (200, {"status_code": "412"}, Rejected),
        (404, b"<html>", Rejected), (200, {"status_code": "498"}, Rejected),
    ],
)  # fmt: skip
def test_a_status_that_is_refused_stays_refused(
    there: Counterpart, gopay: GoPay, status: int, body: Any, kind: type[ProviderError]
) -> None:
    assert type(meets(there, gopay, lambda one: one.get_charge("INV-1"), status, body)) is kind


# Cancel and expire


def test_cancel_and_expire_tell_what_the_charge_is_then(there: Counterpart, gopay: GoPay) -> None:
    there.says(200, status_answer("cancel"))
    assert gopay.cancel_charge("INV-1", "4713").state == "cancelled"
    there.says(200, status_answer("expire", "407"))
    assert gopay.cancel_charge("INV-1", "4713", expire=True).state == "expired"
    for expire in (False, True):
        there.says(200, {"status_code": "412"})
        there.says(200, status_answer("settlement", **SETTLED))
        assert gopay.cancel_charge("INV-1", "4713", expire=expire).state == "paid"
        there.says(200, {"status_code": "404"})
        there.says(200, {"status_code": "404"})
        assert gopay.cancel_charge("INV-1", "4713", expire=expire).state == "not_found"


# Refunds


def refunds(*items: dict[str, Any], word: str = "partial_refund", **more: Any) -> dict[str, Any]:
    return status_answer(word, refunds=list(items), **SETTLED, **more)


def test_a_refund_is_accepted_and_later_confirmed(there: Counterpart, gopay: GoPay) -> None:
    there.says(200, status_answer("refund", refund_chargeback_id=4711, refund_amount="150000.00"))
    made = gopay.refund(refund_order())
    assert (made.state, made.word, made.gateway_reference) == ("accepted", "refund", "4711")
    assert made.at is None
    there.says(200, status_answer("refund", bank_confirmed_at="2026-11-25 11:00:00"))
    assert gopay.refund(refund_order()).state == "confirmed"
    there.says(200, status_answer("settlement", "202", refund_amount="0.00"))
    assert gopay.refund(refund_order()).state == "refused"


@pytest.mark.parametrize(
    ("items", "state", "minor"),
    [
        ([{"refund_key": "RF-0001", "refund_amount": "5000.00"}], "accepted", 500_000),
        (
            [{"refund_key": "RF-0001", "refund_amount": "5000", "bank_confirmed_at": "2026-11-25 11:00:00"}],
            "confirmed",
            500_000,
        ),
        ([{"refund_key": "RF-0001", "bank_confirmed_at": None}], "accepted", None),
        ([{"refund_key": "RF-0001", "bank_confirmed_at": ""}], "accepted", None),
        (
            [
                {"refund_key": "RF-0001", "refund_amount": "1.00"},
                {
                    "refund_key": "RF-0001",
                    "refund_amount": "2.00",
                    "bank_confirmed_at": "2026-11-25 11:00:00",
                },
            ],
            "confirmed",
            200,
        ),
        ([{"refund_key": "another", "bank_confirmed_at": "2026-11-25 11:00:00"}], "not_found", None),
        ([], "not_found", None),
    ],
)
def test_a_refund_is_found_by_our_key(
    there: Counterpart, gopay: GoPay, items: list[dict[str, Any]], state: str, minor: int | None
) -> None:
    there.says(200, refunds(*items))
    said = gopay.get_refund(refund_order())
    assert (said.state, said.amount_minor) == (state, minor)
    if state == "confirmed":
        assert said.at == datetime(2026, 11, 25, 4, 0, tzinfo=UTC)


def test_a_charge_that_was_never_refunded_has_no_refund(there: Counterpart, gopay: GoPay) -> None:
    there.says(200, status_answer("settlement"))
    assert gopay.get_refund(refund_order()).state == "not_found"


@pytest.mark.parametrize(
    ("more", "back"),
    [
        ({"refund_amount": "5000.00"}, 500_000),
        ({"refunds": [{"refund_amount": "1.00"}, {"refund_amount": "2.00"}, {}]}, 300),
        ({}, None),
    ],
)
def test_what_went_back_so_far(
    there: Counterpart, gopay: GoPay, more: dict[str, Any], back: int | None
) -> None:
    there.says(200, status_answer("partial_refund", **more))
    assert gopay.get_charge("INV-1").refunded_minor == back


def test_capabilities_of_gopay() -> None:
    can = GoPay(midtrans(min_amount=10, max_amount=2_000_000, refund_days=30)).capabilities
    assert can.amount_minor == (1_000, 200_000_000)
    assert (can.expiry_seconds, can.default_expiry_seconds) == ((20, 604_800), 900)
    assert (can.cancel, can.refund, can.partial_refund, can.refund_days) == (True, True, True, 30)
    assert can.first_status_after == 0
    assert (can.answer_within, can.token_endpoint, can.says_expired) == (15, False, True)
    assert not can.needs_phone
    assert not can.needs_linking
