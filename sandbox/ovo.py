"""OVO behind SNAP. It has no file: the history service is the report."""

from sandbox.keys import OVO
from sandbox.snap_profile import Wallet

WALLET = Wallet("ovo", OVO, history_channel="EMONEY_OVO_SNAP", partial_refund=True)
