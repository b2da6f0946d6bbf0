"""OVO as DOKU offers it over SNAP. LinkAja is not in DOKU's SNAP: a charge of it is not permitted.

Source: DOKU's SNAP documents (direct debit OVO, signature, notification). Quirks: own token path; status path
under `/orders`, with service code 55 and not before 60 seconds; no cancel; times in UTC; `expiresIn` a
number; before a notification it takes a token from the merchant.
"""

from datetime import UTC
from typing import ClassVar

from sandbox.snap import TOKEN_SECONDS, UTC_STAMP
from sandbox.snap_fields import Fields
from sandbox.snap_profile import Paths, Profile, Wallet, Wish
from sandbox.wib import now

CHANNELS = {"ovo": "EMONEY_OVO_SNAP"}


class Doku(Profile):
    """DOKU."""

    name = "doku"
    paths: ClassVar[Paths] = {
        "token": ("/authorization/v1/access-token/b2b",),
        "charge": ("/direct-debit/core/v1/debit/payment-host-to-host",),
        "status": ("/orders/v1.0/debit/status",),
        "refund": ("/direct-debit/core/v1/debit/refund",),
    }
    expires_in = TOKEN_SECONDS
    service_code = "55"
    longest_reference = 32
    refund_member = "partnerReferenceNo"
    stamps = UTC_STAMP
    patience_seconds = 60
    notice_signature = "token"

    def read_wish(self, wallet: Wallet, fields: Fields, amount: int) -> Wish:
        more = fields.inner("additionalInfo")
        channel = more.text("channel", 64)
        if wallet.gateway not in CHANNELS:
            raise fields.call.refuse(403, "15", "Transaction Not Permitted. No SNAP channel of this wallet")
        if channel != CHANNELS[wallet.gateway]:
            raise more.wrong("channel")
        success, failed = more.url("successPaymentUrl"), more.url("failedPaymentUrl")
        if more.has("paymentType"):
            more.one_of("paymentType", ("SALE", "RECURRING"))
        if fields.has("feeType"):
            fields.one_of("feeType", ("OUR", "BEN", "SHA"))
        if fields.has("payOptionDetails"):
            options = fields.each("payOptionDetails")
            for one in options:
                one.one_of("payMethod", ("CASH", "POINTS"))
            if sum(one.money("transAmount") for one in options) != amount:
                raise fields.wrong("payOptionDetails")
        notify_urls, _ = self.read_urls(fields)
        return Wish(notify_urls, success, failed, self.read_expiry(fields), {"channel": channel})

    def stamp(self) -> str:
        return now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
