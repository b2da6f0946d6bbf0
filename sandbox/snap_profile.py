"""Direct debit by the national SNAP standard; an aggregator's own module says in what it differs.

Source: the services 54 (payment), 55 (status), 56 (notify), 57 (cancel), 58 (refund) as the providers publish
them. Where they are silent, this is the standard's form.
"""

import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from sandbox.keys import MERCHANT_ID, SnapKeys
from sandbox.live import Charge
from sandbox.model import State
from sandbox.money import printed
from sandbox.snap import ANY_STAMP, Scheme
from sandbox.snap_fields import Fields
from sandbox.wib import iso, now

SERVICE_CODES = {
    "token": "73",
    "history": "12",
    "charge": "54",
    "status": "55",
    "cancel": "57",
    "refund": "58",
}
# latestTransactionStatus and its description
LATEST: dict[State, tuple[str, str]] = {
    "settled": ("00", "Success"),
    "partially_refunded": ("00", "Success"),
    "pending": ("03", "Pending"),
    "refunded": ("04", "Refunded"),
    "cancelled": ("05", "Cancelled"),
    "expired": ("05", "Cancelled"),
    "denied": ("06", "Failed"),
    "failed": ("06", "Failed"),
    "reversed": ("06", "Failed"),
}
UNTIL = timedelta(minutes=15)  # how long a charge lives that says nothing itself
Paths = Mapping[str, tuple[str, ...]]  # by operation
# How a notification is signed: with a token of the merchant's; over client and time only; over the body.
NoticeSignature = Literal["token", "client", "body"]


@dataclass(frozen=True, slots=True)
class Wallet:
    """One of the merchant's wallets behind SNAP."""

    gateway: str
    keys: SnapKeys
    history_channel: str
    partial_refund: bool

    @property
    def base(self) -> str:
        """What the signed path does not contain."""
        return f"/{self.gateway}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a payment request says besides reference and amount. more: printed again in answers."""

    notify_urls: list[str]
    return_url: str = ""
    failed_url: str = ""
    expires_at: datetime | None = None
    more: Mapping[str, str] | None = None


class Profile(ABC):
    """One aggregator's SNAP: the standard's unless its class says otherwise."""

    name: ClassVar[str]
    paths: ClassVar[Paths]
    scheme: ClassVar[Scheme] = "hmac"
    expires_in: ClassVar[str | int] = "900"
    service_code: ClassVar[str] = "54"  # what a status request must say in `serviceCode`
    longest_reference: ClassVar[int] = 64
    needs_merchant: ClassVar[frozenset[str]] = frozenset()  # services that want merchantId
    needs_device: ClassVar[bool] = False
    needs_customer: ClassVar[bool] = False  # a linked account's token with every call
    url_member: ClassVar[str] = "urlParam"
    notify_word: ClassVar[str] = "PAY_NOTIFY"
    needs_urls: ClassVar[bool] = False
    amount_member: ClassVar[str] = "transAmount"
    refund_member: ClassVar[str] = "partnerRefundNo"  # of the refund's key in refundHistory
    stamps: ClassVar[re.Pattern[str]] = ANY_STAMP  # of calls that move money
    patience_seconds: ClassVar[int] = 0  # a status question before that is early
    latest: ClassVar[Mapping[State, tuple[str, str]]] = LATEST
    not_found_word: ClassVar[str | None] = None  # a status of its own instead of the refusal 404xx01
    notified: ClassVar[frozenset[State]] = frozenset(LATEST) - {"pending"}
    notice_signature: ClassVar[NoticeSignature | None] = "body"

    # --- payment (54) ---------------------------------------------------------------------------------

    @abstractmethod
    def read_wish(self, wallet: Wallet, fields: Fields, amount: int) -> Wish:
        """Check what is the aggregator's own in a payment request, and read what is used later."""

    def links(self, wallet: Wallet, pay_url: str) -> dict[str, str]:
        """Where the answer sends the payer; empty for a push to the phone."""
        return {"webRedirectUrl": pay_url}

    def new_reference(self) -> str:
        """The aggregator's own number of a charge or refund."""
        return f"{now():%Y%m%d%H%M%S}{secrets.randbelow(10**10):010d}"

    def read_urls(self, fields: Fields) -> tuple[list[str], str]:
        """Addresses for notifications and for the payer's return, out of `urlParam`."""
        if not self.needs_urls and not fields.has(self.url_member):
            return [], ""
        notify_urls, return_url = [], ""
        for one in fields.each(self.url_member):
            address = one.url("url")
            if one.one_of("type", (self.notify_word, "PAY_RETURN")) == self.notify_word:
                notify_urls.append(address)
            else:
                return_url = address
            one.one_of("isDeeplink", ("Y", "N"))
        return notify_urls, return_url

    def read_expiry(self, fields: Fields, name: str = "validUpTo") -> datetime | None:
        """When the charge shall end, in the future; None if the request leaves it open."""
        if not fields.has(name):
            return None
        moment = fields.moment(name)
        if moment <= now():
            raise fields.wrong(name)
        return moment

    # --- answers --------------------------------------------------------------------------------------

    def shown(self, charge: Charge) -> dict[str, Any]:
        """What the status service (55) says of a charge."""
        code, words = self.latest[charge.state]
        answer: dict[str, Any] = {
            "responseCode": "2005500",
            "responseMessage": "Successful",
            "originalPartnerReferenceNo": charge.reference,
            "originalReferenceNo": charge.gateway_reference,
            "serviceCode": self.service_code,
            "latestTransactionStatus": code,
            "transactionStatusDesc": words,
            "transactionDate": iso(charge.created_at),
            self.amount_member: rupiah(charge.amount),
        }
        if charge.external_id:
            answer["originalExternalId"] = charge.external_id
        if charge.settled_at and charge.state != "reversed":
            answer["paidTime"] = iso(charge.settled_at)
        if charge.refunds:
            answer["refundHistory"] = self.refund_history(charge)
        if charge.more:
            answer["additionalInfo"] = dict(charge.more)
        return answer

    def refund_history(self, charge: Charge) -> list[dict[str, Any]]:
        """Every refund of a charge: `refundStatus` 00 done, 06 not yet."""
        return [
            {
                "refundNo": refund.gateway_reference,
                self.refund_member: refund.key,
                "refundAmount": rupiah(refund.amount),
                "refundStatus": "00" if refund.confirmed_at else "06",
                "refundDate": iso(refund.confirmed_at or refund.created_at),
                "reason": refund.reason,
            }
            for refund in charge.refunds
        ]

    # --- notify (56) ----------------------------------------------------------------------------------

    def notice(self, charge: Charge) -> dict[str, Any]:
        """The body of the notification of a charge as it is now."""
        code, words = self.latest[charge.state]
        return {
            "originalPartnerReferenceNo": charge.reference,
            "originalReferenceNo": charge.gateway_reference,
            "originalExternalId": charge.external_id,
            "merchantId": MERCHANT_ID,
            "amount": rupiah(charge.amount),
            "latestTransactionStatus": code,
            "transactionStatusDesc": words,
            "createdTime": iso(charge.created_at),
            "finishedTime": iso(finished_at(charge)),
            "additionalInfo": {**charge.more, "refundHistory": self.refund_history(charge)},
        }

    def stamp(self) -> str:
        """X-TIMESTAMP of a notification."""
        return iso(now())


def rupiah(sen: int) -> dict[str, str]:
    """An amount in SNAP's form."""
    return {"value": printed(sen), "currency": "IDR"}


def finished_at(charge: Charge) -> datetime:
    """When the charge came to where it is."""
    return charge.closed_at or charge.created_at
