"""OVO through SNAP direct debit; by default behind DOKU (profile `doku`).

Source: DOKU's SNAP documents. Quirks: status asks with service code 55; no public history service of
OVO itself was found, so `snap` as report source depends on the aggregator.
"""

from providers.snap import SnapClient


class Ovo(SnapClient):
    """OVO's charges."""
