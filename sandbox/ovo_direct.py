"""OVO's own SNAP interface. It works with linked accounts only, and linking is not simulated.

So after every other check a call is refused, as nobody has a customer's token.

Source: OVO's "Payment API tech doc", SNAP Open API 1.0.7. Quirks: X-DEVICE-ID is mandatory, times carry
milliseconds, no cancel and no notification.
"""

from typing import ClassVar

from sandbox.snap import MILLISECOND_STAMP
from sandbox.snap_fields import Fields
from sandbox.snap_profile import Paths, Profile, Wallet, Wish

VERSIONS = ("v1.0", "v2.0", "v3.0")  # public sources differ, so merchants configure it


class OvoDirect(Profile):
    """OVO itself."""

    name = "ovo-direct"
    paths: ClassVar[Paths] = {
        "token": ("/OVOSNAP/v1.0/access-token/b2b",),
        "charge": tuple(f"/OVOSNAP/{version}/debit/payment-host-to-host" for version in VERSIONS),
        "status": tuple(f"/OVOSNAP/{version}/debit/status" for version in VERSIONS),
        "refund": tuple(f"/OVOSNAP/{version}/debit/refund" for version in VERSIONS),
    }
    needs_device = True
    needs_customer = True
    stamps = MILLISECOND_STAMP
    notice_signature = None
    notified = frozenset()

    def read_wish(self, wallet: Wallet, fields: Fields, amount: int) -> Wish:
        """Never asked for: nobody can link an account here, and without one each call is refused before."""
        raise AssertionError("a charge of an account that is not linked was not refused")
