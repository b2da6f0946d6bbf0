"""OVO and LinkAja as DANA's payment gateway offers them over SNAP.

Source: DANA's payment gateway documents and its published libraries. Quirks: paths end in `.htm`; no token,
every call carries the merchant's RSA signature; `urlParams`; OVO is a push to the phone, so its answer has no
address; an unknown charge is status 07; only 00 and 05 are notified, times as epoch milliseconds in text.
"""

import json
import secrets
from datetime import datetime, timedelta
from typing import Any, ClassVar

from sandbox.live import Charge
from sandbox.model import State
from sandbox.snap_fields import Fields
from sandbox.snap_profile import Paths, Profile, Wallet, Wish, finished_at, rupiah
from sandbox.wib import now

PAY_METHOD = "NETWORK_PAY"
PAY_OPTIONS = {"ovo": "NETWORK_PAY_PG_OVO", "linkaja": "NETWORK_PAY_PG_LINKAJA"}
LONGEST = timedelta(days=7)
_PAID: tuple[str, str] = ("00", "SUCCESS")
_CLOSED: tuple[str, str] = ("05", "CLOSED")
_LATEST: dict[State, tuple[str, str]] = {
    "pending": ("01", "INIT"),
    "settled": _PAID,
    "partially_refunded": _PAID,
    "refunded": _PAID,
    "cancelled": _CLOSED,
    "expired": _CLOSED,
    "denied": _CLOSED,
    "failed": _CLOSED,
    "reversed": _CLOSED,
}


class Dana(Profile):
    """DANA."""

    name = "dana"
    paths: ClassVar[Paths] = {
        "charge": ("/payment-gateway/v1.0/debit/payment-host-to-host.htm",),
        "status": ("/payment-gateway/v1.0/debit/status.htm",),
        "cancel": ("/payment-gateway/v1.0/debit/cancel.htm",),
        "refund": ("/payment-gateway/v1.0/debit/refund.htm",),
    }
    scheme = "rsa"
    needs_merchant = frozenset({"charge", "status", "cancel", "refund"})
    url_member = "urlParams"
    notify_word = "NOTIFICATION"
    needs_urls = True
    amount_member = "amount"
    latest = _LATEST
    not_found_word = "07"
    notified = frozenset({"settled", "cancelled", "expired", "denied", "reversed"})

    def read_wish(self, wallet: Wallet, fields: Fields, amount: int) -> Wish:
        options = fields.each("payOptionDetails")
        for one in options:
            one.one_of("payMethod", (PAY_METHOD,))
            one.one_of("payOption", (PAY_OPTIONS[wallet.gateway],))
            if wallet.gateway == "ovo":
                one.inner("additionalInfo").text("phoneNumber", 20, r"\+?[0-9]{8,15}|[0-9]{2}-[0-9]{8,13}")
        if sum(one.money("transAmount") for one in options) != amount:
            raise fields.wrong("payOptionDetails")
        more = fields.inner("additionalInfo")
        more.text("mcc", 4, r"[0-9]{4}")
        environment = more.inner("envInfo")
        environment.text("sourcePlatform")
        environment.text("terminalType")
        more.inner("order")
        notify_urls, return_url = self.read_urls(fields)
        return Wish(notify_urls, return_url, return_url, self.read_expiry(fields))

    def read_expiry(self, fields: Fields, name: str = "validUpTo") -> datetime | None:
        """In Jakarta's time, at most a week ahead."""
        moment = super().read_expiry(fields, name)
        if moment and (not fields.text(name).endswith("+07:00") or moment > now() + LONGEST):
            raise fields.wrong(name)
        return moment

    def links(self, wallet: Wallet, pay_url: str) -> dict[str, str]:
        return {} if wallet.gateway == "ovo" else super().links(wallet, pay_url)

    def new_reference(self) -> str:
        return f"{now():%Y%m%d}111230999500166{secrets.randbelow(10**14):014d}"

    def notice(self, charge: Charge) -> dict[str, Any]:
        paid = {
            "transAmount": rupiah(charge.amount),
            "payAmount": rupiah(charge.amount),
            "payMethod": PAY_METHOD,
            "payOption": PAY_OPTIONS[charge.gateway],
        }
        more: dict[str, Any] = {
            "paymentInfo": {
                "payOptionInfos": [paid],
                "extendInfo": json.dumps({"externalPromoInfos": []}, separators=(",", ":")),
            }
        }
        body = super().notice(charge)
        body |= {
            "createdTime": _milliseconds(charge.created_at),
            "finishedTime": _milliseconds(finished_at(charge)),
            "additionalInfo": more,
        }
        if charge.settled_at and body["latestTransactionStatus"] == "00":
            more["paidTime"] = _milliseconds(charge.settled_at)
        del body["originalExternalId"]
        return body


def _milliseconds(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))
