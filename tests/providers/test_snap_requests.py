"""What travels to each aggregator: every header, path, member, format and signature, as a server receives it.

The signatures are made here once more, by the rules of the standard and without our own functions.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from counterpart import SECRET, Call, Counterpart, key_pair, order, refund_order, snap
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from common.errors import BadInput, Rejected
from common.settings import Snap
from providers.base import Learner
from providers.linkaja import LinkAja
from providers.ovo import Ovo
from providers.snap.gateway import SnapGateway

MONEY = {"value": "150000.00", "currency": "IDR"}
BACK = "https://platform.example/orders/4711?tab=pay"
NOTIFY = "https://jembatan.example/api/v1/payments/callback/ovo"
DONE = {"responseCode": "2005400", "referenceNo": "THEIRS-1"}
FOUND = {"responseCode": "2005500", "latestTransactionStatus": "03"}

Opened = Callable[..., SnapGateway]


@pytest.fixture
def opened(there: Counterpart) -> Iterator[Opened]:
    """A gateway of a wallet and profile at the counterpart, its base address with a path of its own."""
    made = []

    def make(wallet: type[SnapGateway], profile: str, **changed: Any) -> SnapGateway:
        made.append(wallet(snap(profile, f"{there.url}/base/", **changed)))
        return made[-1]

    yield make
    for gateway in made:
        gateway.close()


def rsa_fits(call: Call, text: str) -> bool:
    key_pair("ours")[0].public_key().verify(
        base64.b64decode(call.headers["x-signature"], validate=True),
        text.encode(),
        padding.PKCS1v15(),
        hashes.SHA256(),
    )
    return True


def is_signed(call: Call, token: str | None) -> bool:
    """By the standard's rule, over the bytes that arrived and what follows the base address."""
    path, digest = call.path.removeprefix("/base"), hashlib.sha256(call.body).hexdigest()
    timestamp = call.headers["x-timestamp"]
    if token is None:
        assert "authorization" not in call.headers
        return rsa_fits(call, f"POST:{path}:{digest}:{timestamp}")
    assert call.headers["authorization"] == f"Bearer {token}"
    text = f"POST:{path}:{token}:{digest}:{timestamp}"
    right = base64.b64encode(hmac.digest(SECRET.encode(), text.encode(), "sha512")).decode()
    return call.headers["x-signature"] == right


STAMPS = {
    "doku": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "nicepay": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+07:00",
    "faspay": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+07:00",
    "dana": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+07:00",
    "ovo-direct": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+07:00",
}
TOKEN_PATHS = {
    "doku": "/base/authorization/v1/access-token/b2b",
    "nicepay": "/base/v1.0/access-token/b2b",
    "ovo-direct": "/base/OVOSNAP/v1.0/access-token/b2b",
}
STATUS_PATHS = {
    "doku": "/base/orders/v1.0/debit/status",
    "nicepay": "/base/api/v1.0/debit/status",
    "faspay": "/base/v1.0/debit/status",
    "dana": "/base/payment-gateway/v1.0/debit/status.htm",
    "ovo-direct": "/base/OVOSNAP/v2.0/debit/status",
}
SERVICE_CODES = {"doku": "55", "nicepay": "54", "faspay": "55", "dana": "54", "ovo-direct": "54"}


@pytest.mark.parametrize("profile", STAMPS)
def test_every_call_has_the_headers_and_the_signature_of_its_profile(
    there: Counterpart, opened: Opened, profile: str
) -> None:
    there.says(200, FOUND)
    opened(Ovo, profile).get_charge("INV-1")
    call = there.business[0]
    assert call.method == "POST"
    assert call.path == STATUS_PATHS[profile]
    assert call.headers["content-type"] == "application/json"
    assert call.headers["accept"] == "application/json"
    assert call.headers["x-partner-id"] == "PARTNER-7"
    assert call.headers["channel-id"] == "95221"
    assert re.fullmatch(r"[0-9]{1,32}", call.headers["x-external-id"])
    assert re.fullmatch(STAMPS[profile], call.headers["x-timestamp"])
    assert is_signed(call, "token-1" if profile in TOKEN_PATHS else None)
    assert call.headers.get("x-device-id") == ("jembatan" if profile == "ovo-direct" else None)
    assert call.members["serviceCode"] == SERVICE_CODES[profile]
    assert call.members["originalPartnerReferenceNo"] == "INV-1"
    assert call.members["merchantId"] == "10007"
    assert "originalExternalId" not in call.members


@pytest.mark.parametrize("profile", TOKEN_PATHS)
def test_a_token_call_is_signed_over_client_and_time(
    there: Counterpart, opened: Opened, profile: str
) -> None:
    there.says(200, FOUND)
    opened(Ovo, profile).get_charge("INV-1")
    call = there.calls[0]
    assert (call.method, call.path) == ("POST", TOKEN_PATHS[profile])
    assert call.body == b'{"grantType":"client_credentials"}'
    assert call.headers["content-type"] == "application/json"
    assert call.headers["x-client-key"] == "CLIENT-7"
    assert re.fullmatch(STAMPS[profile], call.headers["x-timestamp"])
    assert rsa_fits(call, f"CLIENT-7|{call.headers['x-timestamp']}")


@pytest.mark.parametrize("profile", ["faspay", "dana"])
def test_profiles_that_sign_by_rsa_take_no_token(there: Counterpart, opened: Opened, profile: str) -> None:
    there.says(200, FOUND)
    opened(Ovo, profile).get_charge("INV-1")
    assert len(there.calls) == 1


def standard(member: str, notify_type: str) -> dict[str, Any]:
    return {
        "partnerReferenceNo": "INV-2026~004.711_x",
        "merchantId": "10007",
        "amount": MONEY,
        member: [
            {"url": BACK, "type": "PAY_RETURN", "isDeeplink": "N"},
            {"url": NOTIFY, "type": notify_type, "isDeeplink": "N"},
        ],
        "validUpTo": "2026-11-25T09:15:00+07:00",
    }


DESCRIPTION = "Welding, level II – Kelas “Malam”"


def test_ovo_by_doku(there: Counterpart, opened: Opened) -> None:
    there.says(200, DONE)
    opened(Ovo, "doku").create_charge(order())
    assert there.last.path == "/base/direct-debit/core/v1/debit/payment-host-to-host"
    assert there.last.members == standard("urlParam", "PAY_NOTIFY") | {
        "chargeToken": "OVO",
        "feeType": "OUR",
        "payOptionDetails": [
            {"payMethod": "CASH", "transAmount": MONEY, "feeAmount": {"value": "0.00", "currency": "IDR"}}
        ],
        "additionalInfo": {
            "channel": "EMONEY_OVO_SNAP",
            "remarks": DESCRIPTION,
            "paymentType": "SALE",
            "successPaymentUrl": BACK,
            "failedPaymentUrl": BACK,
        },
    }


@pytest.mark.parametrize(("wallet", "code"), [(Ovo, "OVOE"), (LinkAja, "LINK")])
def test_both_wallets_by_nicepay(
    there: Counterpart, opened: Opened, wallet: type[SnapGateway], code: str
) -> None:
    there.says(200, DONE)
    opened(wallet, "nicepay").create_charge(order())
    assert there.last.path == "/base/api/v1.0/debit/payment-host-to-host"
    sent = there.last.members
    details = sent.pop("additionalInfo")
    assert sent == standard("urlParam", "PAY_NOTIFY")
    cart = details.pop("cartData")
    assert isinstance(cart, str)  # JSON inside a string, as their samples have it
    assert '"goods_amt":"150000.00"' in cart
    assert details == {
        "mitraCd": code,
        "goodsNm": DESCRIPTION,
        "billingNm": "Siti Rahma",
        "billingPhone": "+6281234567890",
        "dbProcessUrl": NOTIFY,
        "callBackUrl": BACK,
    }


@pytest.mark.parametrize(("wallet", "code"), [(Ovo, "812"), (LinkAja, "302")])
def test_both_wallets_by_faspay(
    there: Counterpart, opened: Opened, wallet: type[SnapGateway], code: str
) -> None:
    there.says(200, DONE)
    opened(wallet, "faspay").create_charge(order())
    assert there.last.path == "/base/v1.0/debit/payment-host-to-host"
    assert there.last.members == standard("urlParam", "PAY_NOTIFY") | {
        "additionalInfo": {
            "channelCode": code,
            "billDate": "2026-11-25T09:00:00+07:00",
            "billDescription": DESCRIPTION,
            "phoneNo": "+6281234567890",
        }
    }


@pytest.mark.parametrize(
    ("wallet", "option"), [(Ovo, "NETWORK_PAY_PG_OVO"), (LinkAja, "NETWORK_PAY_PG_LINKAJA")]
)
def test_both_wallets_by_dana(
    there: Counterpart, opened: Opened, wallet: type[SnapGateway], option: str
) -> None:
    there.says(200, DONE)
    opened(wallet, "dana").create_charge(order())
    assert there.last.path == "/base/payment-gateway/v1.0/debit/payment-host-to-host.htm"
    assert there.last.members == standard("urlParams", "NOTIFICATION") | {
        "payOptionDetails": [
            {
                "payMethod": "NETWORK_PAY",
                "payOption": option,
                "transAmount": MONEY,
                "additionalInfo": {"phoneNumber": "6281234567890"},
            }
        ],
        "additionalInfo": {
            "mcc": "8299",
            "envInfo": {"sourcePlatform": "IPG", "terminalType": "SYSTEM", "orderTerminalType": "WEB"},
            "order": {"orderTitle": DESCRIPTION, "scenario": "API"},
        },
    }


@pytest.mark.parametrize("profile", ["doku", "nicepay", "faspay", "dana"])
def test_a_charge_keeps_its_number_and_its_bytes_when_it_is_made_again(
    there: Counterpart, opened: Opened, profile: str
) -> None:
    gateway = opened(Ovo, profile)
    for _ in range(2):
        there.says(200, DONE)
        gateway.create_charge(order())
    first, second = there.business
    assert first.headers["x-external-id"] == second.headers["x-external-id"] == order().external_id
    assert first.body == second.body
    assert b"\\u" not in first.body  # UTF-8, as who writes the body again would write it
    assert b'": ' not in first.body
    assert b'", "' not in first.body
    assert is_signed(second, "token-1" if profile in TOKEN_PATHS else None)


def test_reads_have_a_new_number_each(there: Counterpart, opened: Opened) -> None:
    gateway = opened(Ovo, "doku")
    for _ in range(20):
        there.says(200, FOUND)
        gateway.get_charge("INV-1")
    assert len({call.headers["x-external-id"] for call in there.business}) == 20


def test_a_link_into_an_app_is_said_to_be_one(there: Counterpart, opened: Opened) -> None:
    there.says(200, DONE)
    opened(LinkAja, "nicepay").create_charge(order(return_url="com.example.app://paid/4711"))
    assert [one["isDeeplink"] for one in there.last.members["urlParam"]] == ["Y", "N"]


def test_what_the_platform_did_not_tell_of_the_payer_is_left_out(there: Counterpart, opened: Opened) -> None:
    nobody = order(learner=Learner("learner-4711"))
    for wallet, profile in ((Ovo, "doku"), (LinkAja, "nicepay"), (LinkAja, "faspay")):
        there.says(200, DONE)
        opened(wallet, profile).create_charge(nobody)
        assert b"learner-4711" not in there.last.body
        assert b"null" not in there.last.body


def test_long_texts_are_cut_to_what_an_aggregator_takes(there: Counterpart, opened: Opened) -> None:
    long = order(description="x" * 500)
    for profile, path in (
        ("doku", ("remarks", 40)),
        ("nicepay", ("goodsNm", 100)),
        ("faspay", ("billDescription", 128)),
    ):
        there.says(200, DONE)
        opened(Ovo, profile).create_charge(long)
        assert len(there.last.members["additionalInfo"][path[0]]) == path[1]
    there.says(200, DONE)
    opened(Ovo, "dana").create_charge(long)
    assert len(there.last.members["additionalInfo"]["order"]["orderTitle"]) == 64


ABOUT = {
    "doku": {"additionalInfo": {"channel": "EMONEY_OVO_SNAP"}},
    "nicepay": {},
    "faspay": {"additionalInfo": {"channelCode": "812"}},
    "dana": {},
}


@pytest.mark.parametrize("profile", ABOUT)
def test_the_status_of_a_lost_charge_names_the_number_of_its_call(
    there: Counterpart, opened: Opened, profile: str
) -> None:
    there.says(200, FOUND)
    opened(Ovo, profile).get_charge("INV-1", "4711")
    assert there.last.members == {
        "originalPartnerReferenceNo": "INV-1",
        "originalExternalId": "4711",
        "serviceCode": SERVICE_CODES[profile],
        "merchantId": "10007",
        **ABOUT[profile],
    }


@pytest.mark.parametrize(
    ("profile", "path"),
    [("faspay", "/base/v1.0/debit/cancel"), ("dana", "/base/payment-gateway/v1.0/debit/cancel.htm")],
)
@pytest.mark.parametrize("expire", [False, True])
def test_a_cancel_is_a_call_of_its_own_number(
    there: Counterpart, opened: Opened, profile: str, path: str, expire: bool
) -> None:
    there.says(200, {"responseCode": "2005700"})
    opened(Ovo, profile).cancel_charge("INV-1", "4713", expire=expire, gateway_reference="THEIRS-1")
    assert there.last.path == path
    assert there.last.headers["x-external-id"] == "4713"
    assert there.last.members == {
        "originalPartnerReferenceNo": "INV-1",
        "originalReferenceNo": "THEIRS-1",
        "merchantId": "10007",
        "reason": "The order was cancelled",
        **ABOUT[profile],
    }
    assert is_signed(there.last, None)


REFUNDS = {
    "doku": ("/base/direct-debit/core/v1/debit/refund", ABOUT["doku"]),
    "nicepay": ("/base/api/v1.0/debit/refund", {"additionalInfo": {"refundType": "2"}}),
    "faspay": ("/base/v1.0/debit/refund", ABOUT["faspay"]),
    "dana": ("/base/payment-gateway/v1.0/debit/refund.htm", {}),
}


@pytest.mark.parametrize("profile", REFUNDS)
def test_a_refund_names_the_payment_the_key_and_the_amount(
    there: Counterpart, opened: Opened, profile: str
) -> None:
    path, about = REFUNDS[profile]
    there.says(200, {"responseCode": "2005800"})
    part = refund_order(amount_minor=5_000_000, reason="y" * 300)
    opened(Ovo, profile).refund(part)
    assert there.last.path == path
    assert there.last.headers["x-external-id"] == part.external_id
    assert there.last.members == {
        "originalPartnerReferenceNo": part.reference,
        "originalReferenceNo": "THEIRS-1",
        "partnerRefundNo": "RF-0001",
        "merchantId": "10007",
        "refundAmount": {"value": "50000.00", "currency": "IDR"},
        "reason": "y" * 256,
        **about,
    }
    assert is_signed(there.last, "token-1" if profile in TOKEN_PATHS else None)


def test_nicepay_is_told_that_a_refund_is_the_whole_payment(there: Counterpart, opened: Opened) -> None:
    there.says(200, {"responseCode": "2005800"})
    opened(LinkAja, "nicepay").refund(refund_order(gateway_reference=None))
    assert there.last.members["additionalInfo"] == {"refundType": "1"}
    assert "originalReferenceNo" not in there.last.members


# What is not offered is a no before any call


def refused_without_a_call(there: Counterpart, act: Callable[[], object], words: str) -> None:
    with pytest.raises(Rejected, match=words):
        act()
    assert there.calls == []


def test_what_a_profile_does_not_offer_is_refused_before_any_call(there: Counterpart, opened: Opened) -> None:
    direct = opened(Ovo, "ovo-direct")
    refused_without_a_call(there, lambda: direct.create_charge(order()), "linking required")
    refused_without_a_call(there, lambda: direct.refund(refund_order()), "not offered")
    for wallet, profile in ((Ovo, "doku"), (LinkAja, "nicepay"), (Ovo, "ovo-direct")):
        one = opened(wallet, profile)
        refused_without_a_call(there, lambda one=one: one.cancel_charge("INV-1", "1"), "not offered")
        assert not one.capabilities.cancel
    whole_only = opened(LinkAja, "nicepay")
    refused_without_a_call(
        there, lambda: whole_only.refund(refund_order(amount_minor=100)), "whole payments only"
    )
    assert not whole_only.capabilities.partial_refund
    no_phone = order(learner=Learner("learner-4711"))
    for wallet in (Ovo, LinkAja):
        by_dana = opened(wallet, "dana")
        refused_without_a_call(there, lambda one=by_dana: one.create_charge(no_phone), "phone")
        assert by_dana.capabilities.needs_phone


@pytest.mark.parametrize(
    ("wallet", "profile", "words"),
    [
        (
            LinkAja,
            "doku",
            "JEMBATAN_LINKAJA__PROFILE is 'doku', which does not offer linkaja.*nicepay, faspay",
        ),
        (LinkAja, "ovo-direct", "JEMBATAN_LINKAJA__PROFILE is 'ovo-direct'"),
        (Ovo, "midtrans", "JEMBATAN_OVO__PROFILE is 'midtrans'; there are doku, nicepay"),
    ],
)
def test_a_profile_that_cannot_be_is_said_by_its_setting(
    wallet: type[SnapGateway], profile: str, words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        wallet(snap(profile))


# Defaults of settings


def sent_headers(there: Counterpart, opened: Opened, profile: str, **changed: Any) -> dict[str, str]:
    there.says(200, FOUND)
    opened(Ovo, profile, **changed).get_charge("INV-1")
    return there.last.headers


def test_ids_that_are_not_set_follow_from_others(there: Counterpart, opened: Opened) -> None:
    assert sent_headers(there, opened, "dana", channel_id="")["channel-id"] == "95221"
    assert sent_headers(there, opened, "nicepay", channel_id="")["channel-id"] == "CLIENT-701"
    assert sent_headers(there, opened, "doku", partner_id="")["x-partner-id"] == "CLIENT-7"
    sent_headers(there, opened, "nicepay", merchant_id="")
    assert there.last.members["merchantId"] == "PARTNER-7"
    sent_headers(there, opened, "doku", merchant_id="")
    assert "merchantId" not in there.last.members
    assert sent_headers(there, opened, "ovo-direct", device_id="kiosk")["x-device-id"] == "kiosk"
    sent_headers(there, opened, "ovo-direct", api_version="v3.0")
    assert there.last.path == "/base/OVOSNAP/v3.0/debit/status"
    there.says(200, DONE)
    opened(Ovo, "dana", mcc="5732").create_charge(order())
    assert there.last.members["additionalInfo"]["mcc"] == "5732"


@pytest.mark.parametrize(
    ("profile", "changed", "setting"),
    [
        ("doku", {"client_id": ""}, "CLIENT_ID"),
        ("doku", {"client_secret": Snap.model_fields["client_secret"].default}, "CLIENT_SECRET"),
        ("doku", {"channel_id": ""}, "CHANNEL_ID"),
        ("dana", {"merchant_id": ""}, "MERCHANT_ID"),
        ("dana", {"private_key": Snap.model_fields["private_key"].default}, "PRIVATE_KEY"),
        ("doku", {"private_key": snap("doku").provider_public_keys}, "PRIVATE_KEY"),
    ],
)
def test_a_setting_that_is_missing_is_named(
    opened: Opened, profile: str, changed: dict[str, Any], setting: str
) -> None:
    with pytest.raises(BadInput, match=f"JEMBATAN_OVO__{setting}"):
        opened(Ovo, profile, **changed).get_charge("INV-1")
