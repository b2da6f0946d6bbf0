"""OVO and LinkAja as NICEPAY offers them over SNAP.

Source: NICEPAY's SNAP documents (e-wallet) and its published libraries. Quirks: `mitraCd` in additionalInfo;
the signature of a notification covers client and time only, so the body is not protected.
"""

import secrets
from typing import ClassVar

from sandbox.snap_fields import Fields
from sandbox.snap_profile import Paths, Profile, Wallet, Wish
from sandbox.wib import now

MITRA = {"ovo": "OVOE", "linkaja": "LINK"}


class Nicepay(Profile):
    """NICEPAY."""

    name = "nicepay"
    paths: ClassVar[Paths] = {
        "token": ("/v1.0/access-token/b2b",),
        "charge": ("/api/v1.0/debit/payment-host-to-host",),
        "status": ("/api/v1.0/debit/status",),
        "cancel": ("/api/v1.0/debit/cancel",),
        "refund": ("/api/v1.0/debit/refund",),
    }
    needs_merchant = frozenset({"charge", "cancel", "refund"})
    needs_urls = True
    notice_signature = "client"

    def read_wish(self, wallet: Wallet, fields: Fields, amount: int) -> Wish:
        more = fields.inner("additionalInfo")
        mitra = more.one_of("mitraCd", (MITRA[wallet.gateway],))
        notify_urls, return_url = self.read_urls(fields)
        return Wish(notify_urls, return_url, return_url, self.read_expiry(fields), {"mitraCd": mitra})

    def new_reference(self) -> str:
        return f"{now():%Y%m%d}JBTNLINK{now():%H%M%S}{secrets.token_hex(4).upper()}"
