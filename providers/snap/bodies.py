"""What is asked of an aggregator: the standard's members, and what each wants besides.

Source: as in profiles. Requests are strict: amounts are texts with two decimals, times ISO 8601 in WIB.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from common import clock, money
from common.settings import Snap
from providers import http
from providers.base import ChargeOrder, RefundOrder
from providers.snap.profiles import Profile

DEFAULT_MCC = "8299"  # schools and educational services, ISO 18245

Body = dict[str, Any]


def payment(order: ChargeOrder, profile: Profile, config: Snap, code: str, merchant_id: str | None) -> Body:
    """Service 54, for a profile that charges without linking. code: the aggregator's word for the wallet."""
    standard: Body = {
        "partnerReferenceNo": order.reference,
        **_merchant(merchant_id),
        "amount": amount(order.amount_minor, order.currency),
        profile.url_member: [
            {"url": order.return_url, "type": "PAY_RETURN", "isDeeplink": _is_deeplink(order.return_url)},
            {"url": order.notify_url, "type": profile.notify_type, "isDeeplink": "N"},
        ],
        "validUpTo": _wib(order.expires_at),
    }
    return standard | _PAYMENT_EXTRAS[config.profile](order, config, code)


def status(
    reference: str,
    external_id: str | None,
    service_code: str,
    merchant_id: str | None,
    gateway_reference: str | None = None,
) -> Body:
    """Service 55. external_id: of the payment, where its answer was lost; gateway_reference: where ours does
    not tell which charge is meant."""
    lost = {"originalExternalId": external_id} if external_id else {}
    return {
        "originalPartnerReferenceNo": reference,
        **_original(gateway_reference),
        **lost,
        "serviceCode": service_code,
        **_merchant(merchant_id),
    }


def cancel(reference: str, gateway_reference: str | None, merchant_id: str | None) -> Body:
    """Service 57."""
    return {
        "originalPartnerReferenceNo": reference,
        **_original(gateway_reference),
        **_merchant(merchant_id),
        "reason": "The order was cancelled",
    }


def refund(order: RefundOrder, merchant_id: str | None) -> Body:
    """Service 58."""
    return {
        "originalPartnerReferenceNo": order.reference,
        **_original(order.gateway_reference),
        "partnerRefundNo": order.refund_key,
        **_merchant(merchant_id),
        "refundAmount": amount(order.amount_minor, order.currency),
        "reason": order.reason[:256],
    }


def about_original(profile_name: str, code: str) -> Body:
    """What some aggregators want to hear again of the payment in status, cancel and refund."""
    match profile_name:
        case "doku":
            return {"additionalInfo": {"channel": code}}
        case "faspay":
            return {"additionalInfo": {"channelCode": code}}
        case _:
            return {}


def about_refund(profile_name: str, code: str, order: RefundOrder) -> Body:
    """The same for a refund; NICEPAY wants to know whether it is the whole payment (1) or a part (2)."""
    if profile_name == "nicepay":
        is_full = order.amount_minor == order.payment_amount_minor
        return {"additionalInfo": {"refundType": "1" if is_full else "2"}}
    return about_original(profile_name, code)


def amount(minor: int, currency: str) -> dict[str, str]:
    """`{"value": "10000.00", "currency": "IDR"}`."""
    return {"value": money.plain(minor), "currency": currency}


def _doku(order: ChargeOrder, _: Snap, code: str) -> Body:
    whole = amount(order.amount_minor, order.currency)
    return {
        "chargeToken": "OVO",
        "feeType": "OUR",
        "payOptionDetails": [
            {"payMethod": "CASH", "transAmount": whole, "feeAmount": amount(0, order.currency)}
        ],
        "additionalInfo": {
            "channel": code,
            "remarks": order.description[:40],
            "paymentType": "SALE",
            "successPaymentUrl": order.return_url,
            "failedPaymentUrl": order.return_url,
        },
    }


def _nicepay(order: ChargeOrder, _: Snap, code: str) -> Body:
    who = {"billingNm": order.learner.name, "billingPhone": order.learner.phone}
    item = {
        "img_url": "",
        "goods_name": order.description[:100],
        "goods_detail": order.description[:100],
        "goods_amt": money.plain(order.amount_minor),
        "goods_quantity": "1",
    }
    return {
        "additionalInfo": {
            "mitraCd": code,
            "goodsNm": order.description[:100],
            **{name: text for name, text in who.items() if text},
            "cartData": http.compact({"count": "1", "item": [item]}).decode(),
            "dbProcessUrl": order.notify_url,
            "callBackUrl": order.return_url,
        }
    }


def _faspay(order: ChargeOrder, _: Snap, code: str) -> Body:
    phone = {"phoneNo": order.learner.phone} if order.learner.phone else {}
    return {
        "additionalInfo": {
            "channelCode": code,
            "billDate": _wib(order.created_at),
            "billDescription": order.description[:128],
            **phone,
        }
    }


def _dana(order: ChargeOrder, config: Snap, code: str) -> Body:
    phone = (order.learner.phone or "").removeprefix("+")  # 15 characters at most, so without the plus
    return {
        "payOptionDetails": [
            {
                "payMethod": "NETWORK_PAY",
                "payOption": code,
                "transAmount": amount(order.amount_minor, order.currency),
                "additionalInfo": {"phoneNumber": phone},
            }
        ],
        "additionalInfo": {
            "mcc": config.mcc or DEFAULT_MCC,
            "envInfo": {"sourcePlatform": "IPG", "terminalType": "SYSTEM", "orderTerminalType": "WEB"},
            "order": {"orderTitle": order.description[:64], "scenario": "API"},
        },
    }


_PAYMENT_EXTRAS: dict[str, Callable[[ChargeOrder, Snap, str], Body]] = {
    "doku": _doku,
    "nicepay": _nicepay,
    "faspay": _faspay,
    "dana": _dana,
}


def _merchant(merchant_id: str | None) -> Body:
    return {"merchantId": merchant_id} if merchant_id else {}


def _original(gateway_reference: str | None) -> Body:
    return {"originalReferenceNo": gateway_reference} if gateway_reference else {}


def _is_deeplink(url: str) -> str:
    return "N" if urlsplit(url).scheme in ("http", "https") else "Y"


def _wib(at: datetime) -> str:
    return at.astimezone(clock.JAKARTA).isoformat(timespec="seconds")
