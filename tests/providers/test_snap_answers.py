"""What is read from SNAP's answers: charges, states, amounts, times, refunds; what each profile can do."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from counterpart import BROKEN, LOST, Counterpart, order, refund_order, snap

from common.errors import AuthFailed, ProviderError, Rejected
from providers.base import Action
from providers.linkaja import LinkAja
from providers.ovo import Ovo
from providers.snap.gateway import SnapGateway

MONEY = {"value": "150000.00", "currency": "IDR"}


@pytest.fixture
def dana(there: Counterpart) -> Iterator[Ovo]:
    """A profile with every verb and without tokens in between."""
    gateway = Ovo(snap("dana", there.url))
    yield gateway
    gateway.close()


def asked(there: Counterpart, gateway: SnapGateway, **members: Any) -> Any:
    there.says(200, {"responseCode": "2005500", "transAmount": MONEY, **members})
    return gateway.get_charge("INV-1")


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("00", "paid"), ("01", "pending"), ("02", "pending"), ("03", "pending"), ("04", "refunded"),
        ("05", "cancelled"), ("06", "denied"), ("07", "not_found"), ("08", "expired"), ("09", "denied"),
        ("10", "unknown"), ("", "unknown"), (None, "unknown"), (0, "unknown"), ("SUCCESS", "unknown"),
        ({}, "unknown"), ("00\x00", "unknown"),
    ],
)  # fmt: skip
def test_states_of_a_charge(there: Counterpart, dana: Ovo, word: Any, state: str) -> None:
    assert asked(there, dana, latestTransactionStatus=word).state == state


def test_a_status_is_read_whatever_its_form(there: Counterpart, dana: Ovo) -> None:
    at = datetime(2025, 9, 16, 4, 58, 34, 761_000, UTC)
    for members in (
        {"paidTime": "2025-09-16T11:58:34.761+07:00"},
        {"paidTime": "1757998714761"},
        {"paidTime": 1757998714761},
        {"paidTime": "2025-09-16T11:58:34.761"},
        {"additionalInfo": {"paidTime": "2025-09-16T04:58:34.761Z"}},
        {"additionalInfo": {"timeDetail": {"paidTimes": ["2025-09-16T11:58:34.761+07:00"]}}},
    ):
        said = asked(there, dana, latestTransactionStatus="00", originalReferenceNo="THEIRS-1", **members)
        assert (said.state, said.at, said.gateway_reference) == ("paid", at, "THEIRS-1")
        assert (said.amount_minor, said.currency, said.refunded_minor) == (15_000_000, "IDR", None)
        assert json.loads(said.raw)["latestTransactionStatus"] == "00"
    for odd in ("soon", "", None, [], {}, "9999-12-31T23:59:59-12:00", "1" * 14, "0001-01-01", True):
        assert asked(there, dana, latestTransactionStatus="00", paidTime=odd).at is None


@pytest.mark.parametrize(
    ("money", "minor"),
    [
        ({"value": "150000.00"}, 15_000_000), ({"value": "150000"}, 15_000_000),
        ({"value": 150000}, 15_000_000),
        ({"value": "150000.5"}, 15_000_050), ({"value": "1e5"}, None), ({"value": "-1.00"}, None),
        ({"value": "1.005"}, None), ({"value": True}, None), ({"value": {}}, None), ("150000.00", None),
        ({}, None), (None, None), ([], None), ({"value": "9" * 30}, None),
    ],
)  # fmt: skip
def test_an_amount_is_exact_or_none(there: Counterpart, dana: Ovo, money: Any, minor: int | None) -> None:
    assert asked(there, dana, transAmount=None, amount=money).amount_minor == minor


def test_a_number_with_decimals_never_becomes_a_float(there: Counterpart, dana: Ovo) -> None:
    there.says(
        200, b'{"responseCode":"2005500","latestTransactionStatus":"00","amount":{"value":90071992547409.93}}'
    )
    assert dana.get_charge("INV-1").amount_minor == 9_007_199_254_740_993


def test_the_status_service_answers_before_its_code_does(there: Counterpart, dana: Ovo) -> None:
    """Eight digits, another service, none at all: the state is what counts."""
    for code in ("20055000", "2005400", None, 7):
        there.says(200, {"responseCode": code, "latestTransactionStatus": "00"})
        assert dana.get_charge("INV-1").state == "paid"


def test_an_answer_in_progress_or_of_another_order_decides_nothing(there: Counterpart, dana: Ovo) -> None:
    for said in ({"responseCode": "2025500"}, {"originalPartnerReferenceNo": "INV-2"}):
        there.says(200, {"responseCode": "2005500", "latestTransactionStatus": "00"} | said)
        assert dana.get_charge("INV-1").state == "unknown"


@pytest.mark.parametrize("always_200", [False, True])
def test_a_charge_that_is_not_there_is_not_found(there: Counterpart, dana: Ovo, always_200: bool) -> None:
    there.says(200 if always_200 else 404, {"responseCode": "4045501"})
    said = dana.get_charge("INV-1")
    assert (said.state, said.word) == ("not_found", "4045501")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"responseCode": "5005500"}), (504, {"responseCode": "5045500"}), (200, b"<html>"),
        (409, {"responseCode": "4095500"}), (200, LOST), (200, BROKEN), (502, b"bad"),
    ],
)  # fmt: skip
def test_a_status_that_did_not_come_is_asked_again(
    there: Counterpart, dana: Ovo, status: int, body: Any
) -> None:
    there.says(status, body)
    there.says(200, {"responseCode": "2005500", "latestTransactionStatus": "00"})
    assert dana.get_charge("INV-1").state == "paid"
    first, second = there.business
    assert first.headers["x-external-id"] != second.headers["x-external-id"]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, {"responseCode": "4045508"}, Rejected), (404, {"responseCode": "4045516"}, Rejected),
        (400, {"responseCode": "4005502"}, Rejected), (404, b"<html>", Rejected),
        (401, {"responseCode": "4015500"}, AuthFailed), (403, b"<html>", AuthFailed),
        (401, {"responseCode": "4015504"}, AuthFailed),
    ],
)  # fmt: skip
def test_a_status_that_is_refused_stays_refused(
    there: Counterpart, dana: Ovo, status: int, body: Any, kind: type[ProviderError]
) -> None:
    there.says(status, body)
    with pytest.raises(ProviderError) as error:
        dana.get_charge("INV-1")
    assert type(error.value) is kind
    assert len(there.calls) == 1


# Charges


def test_pages_and_apps_to_open_are_actions(there: Counterpart, dana: Ovo) -> None:
    page, app = "https://pay.example/1", "ovo://pay/1"
    there.says(200, {"responseCode": "2005400", "webRedirectUrl": page, "appRedirectUrl": app})
    made = dana.create_charge(order())
    assert made.actions == (Action("redirect", page), Action("deeplink", app))
    assert made.expires_at is None
    assert (made.state, made.word) == ("pending", "2005400 (pending)")


def test_without_a_page_ovo_asks_the_phone_and_the_payer_has_little_time(
    there: Counterpart, dana: Ovo
) -> None:
    there.says(200, {"responseCode": "2005400", "referenceNo": "THEIRS-1", "webRedirectUrl": ""})
    made = dana.create_charge(order())
    assert made.actions == (Action("push", expires_in=55),)
    assert made.expires_at == datetime(2026, 11, 25, 2, 1, 5, 250_000, UTC)
    assert made.gateway_reference == "THEIRS-1"
    assert json.loads(made.raw)["referenceNo"] == "THEIRS-1"


def test_linkaja_never_asks_the_phone(there: Counterpart) -> None:
    gateway = LinkAja(snap("dana", there.url))
    there.says(200, {"responseCode": "2005400"})
    assert gateway.create_charge(order()).actions == ()


# Cancels


def test_a_cancelled_charge_is_cancelled(there: Counterpart, dana: Ovo) -> None:
    there.says(200, {"responseCode": "2005700"})
    assert dana.cancel_charge("INV-1", "4713").state == "cancelled"


def test_a_charge_that_is_over_already_is_told_as_it_is(there: Counterpart, dana: Ovo) -> None:
    there.says(403, {"responseCode": "4035715"})
    there.says(200, {"responseCode": "2005500", "latestTransactionStatus": "00"})
    assert dana.cancel_charge("INV-1", "4713").state == "paid"
    there.says(403, {"responseCode": "4035715"})
    there.says(200, {"responseCode": "2005500", "latestTransactionStatus": "03"})
    with pytest.raises(Rejected, match="4035715"):
        dana.cancel_charge("INV-1", "4713")
    there.says(404, {"responseCode": "4045701"})
    assert dana.cancel_charge("INV-1", "4713").state == "not_found"


# Refunds


def item(key: str, value: Any, status: Any = "00", member: str = "partnerRefundNo") -> dict[str, Any]:
    refunded = {"value": value, "currency": "IDR"}
    return {
        member: key,
        "refundNo": f"R-{key}",
        "refundAmount": refunded,
        "refundDate": "2026-11-25T10:00:00+07:00",
        **({"refundStatus": status} if status is not None else {}),
    }


def test_a_refund_is_confirmed_by_its_answer(there: Counterpart, dana: Ovo) -> None:
    there.says(
        200,
        {
            "responseCode": "2005800",
            "refundNo": "R-1",
            "refundAmount": MONEY,
            "refundTime": "2026-11-25T10:00:00+07:00",
        },
    )
    made = dana.refund(refund_order())
    assert (made.state, made.amount_minor, made.gateway_reference) == ("confirmed", 15_000_000, "R-1")
    assert made.at == datetime(2026, 11, 25, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("history", "word", "state", "back"),
    [
        ([], "00", "paid", 0),
        ([item("a", "50000.00")], "00", "partially_refunded", 5_000_000),
        ([item("a", "50000.00", None, "partnerReferenceNo")], "00", "partially_refunded", 5_000_000),
        ([item("a", "50000.00"), item("b", "100000.00")], "00", "refunded", 15_000_000),
        ([item("a", "50000.00"), item("b", "100000.00", "06")], "00", "partially_refunded", 5_000_000),
        ([item("a", "50000.00")], "04", "partially_refunded", 5_000_000),
        ([], "04", "refunded", 15_000_000),
        ([{"refundAmount": "50000.00"}, 7, None, {}], "00", "partially_refunded", 5_000_000),
        ([item("a", "50000.00")], "05", "cancelled", 5_000_000),
    ],
)
def test_what_went_back_makes_the_state(
    there: Counterpart, dana: Ovo, history: list[Any], word: str, state: str, back: int
) -> None:
    for place in ({"refundHistory": history}, {"additionalInfo": {"refundHistory": history}}):
        said = asked(there, dana, latestTransactionStatus=word, **place)
        assert (said.state, said.refunded_minor) == (state, back)


def test_a_refunded_charge_without_a_history_went_back_whole(there: Counterpart, dana: Ovo) -> None:
    said = asked(there, dana, latestTransactionStatus="04")
    assert (said.state, said.refunded_minor) == ("refunded", 15_000_000)


@pytest.mark.parametrize(
    ("members", "state", "minor"),
    [
        ({"refundHistory": [item("x", "1.00"), item("RF-0001", "150000.00")]}, "confirmed", 15_000_000),
        ({"refundHistory": [item("RF-0001", "1.00", None, "partnerReferenceNo")]}, "confirmed", 100),
        ({"refundHistory": [item("RF-0001", "1.00", "06")]}, "refused", 100),
        ({"refundHistory": [item("RF-0001", "1.00", "03")]}, "accepted", 100),
        ({"refundHistory": [item("RF-0001", "1.00", ["00"])]}, "accepted", 100),
        ({"refundHistory": [item("other", "1.00")]}, "not_found", None),
        ({}, "not_found", None),
        ({"latestTransactionStatus": "04"}, "confirmed", 15_000_000),
        ({"latestTransactionStatus": "04", "refundHistory": []}, "not_found", None),
    ],
)
def test_a_refund_is_found_by_our_key(
    there: Counterpart, dana: Ovo, members: dict[str, Any], state: str, minor: int | None
) -> None:
    there.says(200, {"responseCode": "2005500", "latestTransactionStatus": "00", **members})
    said = dana.get_refund(refund_order())
    assert (said.state, said.amount_minor) == (state, minor)


def test_a_part_is_not_confirmed_by_a_charge_that_went_back(there: Counterpart, dana: Ovo) -> None:
    there.says(200, {"responseCode": "2005500", "latestTransactionStatus": "04"})
    assert dana.get_refund(refund_order(amount_minor=100)).state == "not_found"


def test_the_refund_of_a_charge_that_is_not_there_is_not_found(there: Counterpart, dana: Ovo) -> None:
    there.says(404, {"responseCode": "4045501"})
    assert dana.get_refund(refund_order()).state == "not_found"


# Capabilities


def test_capabilities_follow_profile_wallet_and_settings() -> None:
    limits = {"min_amount": 10, "max_amount": 2_000_000, "refund_days": 7}
    ovo = {name: Ovo(snap(name, **limits)).capabilities for name in Ovo.wallet.codes}
    link = {name: LinkAja(snap(name)).capabilities for name in LinkAja.wallet.codes}
    assert {one.amount_minor for one in ovo.values()} == {(1_000, 200_000_000)}
    assert {one.refund_days for one in ovo.values()} == {7}
    assert {name for name, one in ovo.items() if one.cancel} == {"faspay", "dana"}
    assert {name for name, one in ovo.items() if one.refund} == {"doku", "nicepay", "faspay", "dana"}
    assert {name for name, one in ovo.items() if one.token_endpoint} == {"doku"}
    assert {name for name, one in ovo.items() if one.needs_linking} == {"ovo-direct"}
    assert {name: one.first_status_after for name, one in ovo.items()} == {
        "doku": 60, "nicepay": 10, "faspay": 10, "dana": 10, "ovo-direct": 10,
    }  # fmt: skip
    assert {one.first_status_after for one in link.values()} == {0}
    assert {name for name, one in ovo.items() if one.leave_alone_for == 60} == {"doku"}
    assert {one.push_seconds for one in ovo.values()} == {55}
    assert {one.push_seconds for one in link.values()} == {None}
    assert all(one.refund and not one.partial_refund for one in link.values())
    assert {name for name, one in {**ovo, **link}.items() if one.needs_phone} == {"dana"}
    assert {one.expiry_seconds[1] for one in {**ovo, **link}.values()} == {7 * 24 * 3600}
    assert not any(one.says_expired for one in ovo.values())
