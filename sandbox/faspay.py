"""OVO and LinkAja as Faspay offers them over SNAP.

Source: Faspay's SNAP direct-debit guide. Quirks: no token at all, every call carries the merchant's RSA
signature; references of at most 32 characters; `validUpTo`, `billDate` and `billDescription` are mandatory; a
status request says service code 55. The sandbox's merchantId is longer than Faspay's five digits.
"""

from typing import ClassVar

from sandbox.snap_fields import Fields
from sandbox.snap_profile import Paths, Profile, Wallet, Wish

# Channel codes; 720 is OVO with a linked account, which needs the phone number; 716 is the LinkAja app.
CHANNELS = {"ovo": ("812", "720"), "linkaja": ("302", "716")}
LINKED = "720"


class Faspay(Profile):
    """Faspay."""

    name = "faspay"
    paths: ClassVar[Paths] = {
        "charge": ("/v1.0/debit/payment-host-to-host",),
        "status": ("/v1.0/debit/status",),
        "cancel": ("/v1.0/debit/cancel",),
        "refund": ("/v1.0/debit/refund",),
    }
    scheme = "rsa"
    service_code = "55"
    longest_reference = 32
    needs_merchant = frozenset({"charge", "status", "cancel", "refund"})
    amount_member = "amount"

    def read_wish(self, wallet: Wallet, fields: Fields, amount: int) -> Wish:
        more = fields.inner("additionalInfo")
        channel = more.one_of("channelCode", CHANNELS[wallet.gateway])
        more.moment("billDate")
        more.text("billDescription", 128)
        if channel == LINKED:
            more.text("phoneNo", 30)
        if not fields.has("validUpTo"):
            raise fields.missing("validUpTo")
        notify_urls, return_url = self.read_urls(fields)
        expires_at = self.read_expiry(fields)
        return Wish(notify_urls, return_url, return_url, expires_at, {"channelCode": channel})
