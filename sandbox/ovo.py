"""OVO, as DOKU offers it over SNAP: no file, the history service is the report.

Source: DOKU's SNAP direct debit: own token path, status path under `/orders`, service code 55 in a status
request, `expiresIn` a number.
"""

from sandbox.keys import OVO
from sandbox.snap import TOKEN_SECONDS
from sandbox.snap_services import Dialect

DIALECT = Dialect(
    gateway="ovo",
    keys=OVO,
    token_path="/authorization/v1/access-token/b2b",  # noqa: S106 - a path
    history_path="/v1.0/transaction-history-list",
    status_path="/orders/v1.0/debit/status",
    service_code="55",
    expires_in=TOKEN_SECONDS,
    channel="EMONEY_OVO_SNAP",
)
