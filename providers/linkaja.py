"""LinkAja through SNAP direct debit; by default behind NICEPAY (profile `nicepay`).

Source: NICEPAY's SNAP documents. Quirks: LinkAja's own SNAP interface is not documented publicly, a
real LinkAja by SNAP is an aggregator's.
"""

from providers.snap import SnapClient


class LinkAja(SnapClient):
    """LinkAja's charges."""
