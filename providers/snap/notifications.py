"""What an aggregator sends us (service 56), and its request for a token of ours (service 73).

The signature is checked over the raw bytes before anything in them is believed. Whatever comes ends in a
Notification or a BadNotification, nothing else.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from providers import reading, signatures
from providers.base import BadNotification, Incoming, Notification
from providers.snap import answers
from providers.snap.credentials import Credentials
from providers.snap.profiles import Profile

WINDOW = timedelta(minutes=15)
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)")


class Notifications:
    """Reads one aggregator's messages to one merchant."""

    def __init__(self, profile: Profile, credentials: Credentials) -> None:
        self._profile = profile
        self._mine = credentials

    def read(self, message: Incoming, is_our_token: Callable[[str], bool]) -> Notification:
        """The claim of a rightly signed message; raises BadNotification.

        Where the signature leaves the body out (NICEPAY), where it could be another merchant's as well, or
        the message is not of these 15 minutes, the claim has to be confirmed.
        """
        signature, timestamp = self._signed(message)
        if not self._fits(message, signature, timestamp, is_our_token):
            raise BadNotification(401, "signature")
        sent_at = _time_of(timestamp)
        members = reading.json_object(message.body)
        if members is None:
            raise BadNotification(400, "json")
        is_fresh = abs(message.received_at - sent_at) <= WINDOW
        return self._claim(members, confirm=not (is_fresh and self._is_surely_to_us(members)))

    def check_token_request(self, message: Incoming) -> None:
        """Our client id, the aggregator's RSA signature, the right time and grant; raises BadNotification."""
        if self._profile.notifies != "token":
            raise BadNotification(401, "no token is given to this aggregator")
        signature, timestamp = self._signed(message)
        client_id = message.only("x-client-key")
        if client_id is None:
            raise BadNotification(400, "X-CLIENT-KEY")
        is_ours = client_id == self._mine.client_id
        if not signatures.snap_token_fits(signature, self._mine.provider_keys, client_id, timestamp):
            raise BadNotification(401, "signature")
        if not is_ours:
            raise BadNotification(401, "client")
        if abs(message.received_at - _time_of(timestamp)) > WINDOW:
            raise BadNotification(401, "time")
        members = reading.json_object(message.body)
        if members is None:
            raise BadNotification(400, "json")
        if members.get("grantType") != "client_credentials":
            raise BadNotification(400, "grantType")

    def _signed(self, message: Incoming) -> tuple[str, str]:
        """X-SIGNATURE and X-TIMESTAMP, each exactly once."""
        signature, timestamp = message.only("x-signature"), message.only("x-timestamp")
        if not signature:
            raise BadNotification(401, "signature")
        if not timestamp:
            raise BadNotification(400, "X-TIMESTAMP")
        return signature, timestamp

    def _fits(
        self, message: Incoming, signature: str, timestamp: str, is_our_token: Callable[[str], bool]
    ) -> bool:
        mine = self._mine
        match self._profile.notifies:
            case "token":
                scheme, _, token = (message.only("authorization") or "").partition(" ")
                return (
                    scheme.lower() == "bearer"
                    and signatures.snap_transaction_fits(
                        signature,
                        mine.client_secret,
                        message.method,
                        message.path,
                        token,
                        message.body,
                        timestamp,
                    )
                    and is_our_token(token)
                )
            case "call":
                return signatures.snap_asymmetric_fits(
                    signature, mine.provider_keys, message.method, message.path, message.body, timestamp
                )
            case "client":
                return signatures.nicepay_notification_fits(
                    signature, mine.provider_keys, mine.client_id, timestamp
                )

    def _is_surely_to_us(self, members: dict[str, Any]) -> bool:
        """Whether the signature says so. An aggregator's RSA key signs for all its merchants: there only a
        message that names us is ours."""
        match self._profile.notifies:
            case "token":
                return True
            case "call":
                return self._mine.names_us(members.get("merchantId"))
            case "client":
                return False

    def _claim(self, members: dict[str, Any], *, confirm: bool) -> Notification:
        reference = reading.word(members.get("originalPartnerReferenceNo"))
        if reference is None:
            raise BadNotification(400, "originalPartnerReferenceNo")
        word = reading.word(members.get("latestTransactionStatus")) or ""
        amount = reading.exact_minor(reading.member(members, "amount", "value"))
        state, _ = answers.state_of(word, members, amount)
        return Notification(
            reference,
            state,
            word,
            amount_minor=amount,
            currency=reading.word(reading.member(members, "amount", "currency")),
            confirm=confirm,
            gateway_reference=reading.word(members.get("originalReferenceNo")),
            at=answers.paid_at(members) or reading.moment(members.get("finishedTime")),
            merchant_differs=self._mine.is_other_merchant(members.get("merchantId")),
        )


def _time_of(timestamp: str) -> datetime:
    """The moment of X-TIMESTAMP; raises BadNotification where it is none."""
    at = reading.moment(timestamp) if _TIMESTAMP.fullmatch(timestamp) else None
    if at is None:
        raise BadNotification(400, "X-TIMESTAMP")
    return at
