"""LinkAja through SNAP direct debit; by default behind NICEPAY (profile `nicepay`).

Source: NICEPAY's, Faspay's and DANA's SNAP documents; Xendit's and PPRO's channel pages for refunds. Quirks:
LinkAja's own SNAP interface is not documented publicly, a real LinkAja by SNAP is an aggregator's; DOKU has
it outside of SNAP only. Money goes back whole or not at all.
"""

from providers.snap.gateway import SnapGateway
from providers.snap.profiles import Wallet


class LinkAja(SnapGateway):
    """LinkAja's charges."""

    name = "linkaja"
    wallet = Wallet(
        codes={"nicepay": "LINK", "faspay": "302", "dana": "NETWORK_PAY_PG_LINKAJA"},
        is_push=False,
        partial_refund=False,
        first_status_after=0,  # no aggregator but DOKU asks for a pause
        answer_within=10,
    )
