"""OVO through SNAP direct debit; by default behind DOKU (profile `doku`).

Source: DOKU's, NICEPAY's, Faspay's and DANA's SNAP documents; Midtrans docs "OVO" for the times of a push;
ovo.id partner integration for `ovo-direct`. Quirks: mostly there is no page to open, the payer's phone asks
and the payer has 55 seconds; OVO itself charges linked accounts only, which is not offered yet.
"""

from providers.snap.gateway import SnapGateway
from providers.snap.profiles import Wallet


class Ovo(SnapGateway):
    """OVO's charges."""

    name = "ovo"
    wallet = Wallet(
        codes={
            "doku": "EMONEY_OVO_SNAP",
            "nicepay": "OVOE",
            "faspay": "812",
            "dana": "NETWORK_PAY_PG_OVO",
            "ovo-direct": "OVO",
        },
        is_push=True,
        partial_refund=True,
        first_status_after=10,  # so Midtrans; DOKU asks for 60
        answer_within=5,  # OVO's own limit; then it repeats the notification up to three times
    )
