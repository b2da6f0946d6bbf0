"""GoPay through the Midtrans Core API.

Source: Midtrans docs, Get transaction status and Status code, read as stored copies. Quirks: the body's
`status_code` goes before the HTTP status; times carry no offset and are WIB; a status word that we do not
know is not final.
"""

from datetime import datetime
from typing import Any

import httpx

from common import clock, money
from common.errors import AuthFailed, Rejected, Transient
from common.settings import Midtrans, secret_text
from providers import http
from providers.base import ChargeState, ChargeStatus

# transaction_status -> our state, compared without case.
STATUS: dict[str, ChargeState] = {
    "pending": "pending",
    "authorize": "pending",
    "settlement": "paid",
    "capture": "paid",
    "refund": "paid",
    "partial_refund": "paid",
    "deny": "denied",
    "failure": "denied",
    "cancel": "cancelled",
    "expire": "expired",
    "chargeback": "reversed",
    "partial_chargeback": "reversed",
}


class GoPay:
    """GoPay's charges."""

    name = "gopay"

    def __init__(self, config: Midtrans) -> None:
        self.config = config
        self._http = http.client(config)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get_charge(self, reference: str) -> ChargeStatus:
        """State of a charge by our reference; one that Midtrans does not know has state `unknown`."""
        return http.again_if_safe(lambda: self._status(reference))

    def _status(self, reference: str) -> ChargeStatus:
        try:
            response = self._http.get(
                f"{self.config.base_url}/v2/{reference}/status",
                auth=(secret_text(self.config.server_key), ""),
            )
        except httpx.TransportError as error:
            raise http.failed(self.name, "status", error, is_read=True) from None
        if response.status_code == 429:
            raise http.refused(self.name, "status", response, is_read=True)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or "status_code" not in answer:
            if not response.is_success:
                raise http.refused(self.name, "status", response, is_read=True)
            raise Transient(self.name, "status", "answers with something that is not Midtrans' form")
        return self._read(reference, answer)

    def _read(self, reference: str, answer: dict[str, Any]) -> ChargeStatus:
        code = str(answer["status_code"])
        if code == "404":
            return ChargeStatus(reference, "unknown", code)
        if code in ("401", "402"):
            raise AuthFailed(self.name, "status", "refuses our key", code=code)
        if code in ("429", "500", "503", "900"):
            raise Transient(self.name, "status", "has an error of its own", code=code)
        word = str(answer.get("transaction_status", "")).lower()
        if not word:
            raise Rejected(self.name, "status", "refuses the call", code=code)
        state = STATUS.get(word, "unknown")
        if state == "paid" and str(answer.get("fraud_status", "accept")).lower() != "accept":
            state = "denied"
        return ChargeStatus(
            reference,
            state,
            word,
            at=_wib(answer.get("settlement_time") or answer.get("transaction_time")),
            amount_minor=_minor(answer.get("gross_amount")),
            currency=answer.get("currency"),
        )


def _wib(text: Any) -> datetime | None:
    try:
        return datetime.strptime(str(text), "%Y-%m-%d %H:%M:%S").replace(tzinfo=clock.JAKARTA)
    except ValueError:
        return None


def _minor(text: Any) -> int | None:
    try:
        return money.parse_minor(str(text))
    except ValueError:
        return None
