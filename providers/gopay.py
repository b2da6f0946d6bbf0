"""GoPay through the Midtrans Core API.

Source: Midtrans docs, GoPay (Core API), Charge, Cancel, Expire, Refund, Get transaction status, Idempotent
requests; read as stored copies in November 2026. Quirks: the body's `status_code` goes before the HTTP
status; the letting expire answers 407 where it worked; a refund is taken first and has moved the money only
with `bank_confirmed_at`; times carry no offset and are WIB.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import httpx

from common import clock
from common.errors import BadInput, Rejected
from common.money import MINOR_PER_UNIT
from common.settings import Midtrans, secret_text
from providers import http
from providers.base import (
    BadNotification,
    Capabilities,
    Charge,
    ChargeOrder,
    ChargeStatus,
    Incoming,
    Notification,
    RefundOrder,
    RefundStatus,
    Reply,
)
from providers.midtrans import answers, codes, notifications

EXPIRY_SECONDS = (20, 7 * 24 * 3600)
DEFAULT_EXPIRY_SECONDS = 15 * 60
ANSWER_WITHIN = 15
FIRST_STATUS_AFTER = 0  # Midtrans asks for no pause; a settlement is usually notified within 20 s


class GoPay:
    """GoPay's charges."""

    name = "gopay"

    def __init__(self, config: Midtrans) -> None:
        self._config = config
        self._http = http.client(config)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            amount_minor=(self._config.min_amount * 100, self._config.max_amount * 100),
            expiry_seconds=EXPIRY_SECONDS,
            default_expiry_seconds=DEFAULT_EXPIRY_SECONDS,
            first_status_after=FIRST_STATUS_AFTER,
            answer_within=ANSWER_WITHIN,
            cancel=True,
            refund=True,
            partial_refund=True,
            refund_days=self._config.refund_days,
            repeats_charge=True,
        )

    def create_charge(self, order: ChargeOrder) -> Charge:
        """The same order again within five minutes gets the same answer (Idempotency-Key); later it is
        Ambiguous (406): ask the status."""
        body = {
            "payment_type": "gopay",
            "transaction_details": {
                "order_id": order.reference,
                "gross_amount": _rupiah("create", order.amount_minor, order.currency),
            },
            **_customer(order),
            "gopay": {"enable_callback": True, "callback_url": order.return_url},
            "custom_expiry": {
                "order_time": f"{order.created_at.astimezone(clock.JAKARTA):%Y-%m-%d %H:%M:%S} +0700",
                "expiry_duration": round((order.expires_at - order.created_at).total_seconds()),
                "unit": "second",
            },
        }
        ours_only = {"X-Override-Notification": order.notify_url} if order.notify_url else {}
        answer = self._post("create", "/v2/charge", body, f"charge-{order.external_id}", ours_only)
        return answers.charge(answer, order.reference)

    def get_charge(self, reference: str, external_id: str | None = None) -> ChargeStatus:
        """Midtrans knows a charge by our reference alone."""
        try:
            answer = self._status(reference)
        except Rejected as error:
            if error.code != codes.NOT_FOUND:
                raise
            return ChargeStatus(reference, "not_found", codes.NOT_FOUND)
        return answers.status(answer, reference)

    def cancel_charge(
        self,
        reference: str,
        external_id: str,
        *,
        expire: bool = False,
        gateway_reference: str | None = None,
    ) -> ChargeStatus:
        """What is over already (412) is told as it is. Paid GoPay cannot be cancelled: refund it."""
        verb = "expire" if expire else "cancel"
        try:
            answer = self._post(verb, f"/v2/{reference}/{verb}", {}, f"{verb}-{external_id}")
        except Rejected as error:
            if error.code not in (codes.NOT_IN_THIS_STATE, codes.NOT_FOUND):
                raise
            return self.get_charge(reference)
        return answers.status(answer, reference)

    def refund(self, order: RefundOrder) -> RefundStatus:
        """The same key again is the same refund, for seven days."""
        body = {
            "refund_key": order.refund_key,
            "amount": _rupiah("refund", order.amount_minor, order.currency),
            "reason": order.reason[:255],
        }
        named = order.named_alone or order.reference
        answer = self._post("refund", f"/v2/{named}/refund", body, f"refund-{order.external_id}")
        return answers.refund(answer, order)

    def get_refund(self, order: RefundOrder) -> RefundStatus:
        """Midtrans tells of refunds in the status of their charge."""
        try:
            answer = self._status(order.named_alone or order.reference)
        except Rejected as error:
            if error.code != codes.NOT_FOUND:
                raise
            return RefundStatus(order.refund_key, "not_found", codes.NOT_FOUND)
        return answers.refund_in(answer, order)

    def read_notification(
        self, message: Incoming, is_our_token: Callable[[str], bool] = lambda _token: False
    ) -> Notification:
        return notifications.read(message, self._server_key, self._config.merchant_id)

    def check_token_request(self, message: Incoming) -> None:
        raise BadNotification(401, "no token is given to this gateway")

    def acknowledge(self) -> Reply:
        return notifications.acknowledged()

    def refuse(self, problem: BadNotification) -> Reply:
        return notifications.refused(problem)

    def token_reply(self, token: str, seconds: int) -> Reply:
        return self.refuse_token(BadNotification(401, "no token is given to this gateway"))

    def refuse_token(self, problem: BadNotification) -> Reply:
        return notifications.refused(problem)

    def close(self) -> None:
        self._http.close()

    @cached_property
    def _server_key(self) -> str:
        key = secret_text(self._config.server_key)
        if not key:
            raise BadInput("set JEMBATAN_GOPAY__SERVER_KEY: it is empty")
        return key

    def _status(self, reference: str) -> codes.Answer:
        return http.again_if_safe(
            lambda: self._once("status", "GET", f"/v2/{reference}/status", is_read=True)
        )

    def _post(
        self,
        operation: str,
        path: str,
        body: dict[str, Any],
        idempotency_key: str,
        more: dict[str, str] | None = None,
    ) -> codes.Answer:
        """A call that moves money: again only where it surely did not arrive, with the same key.

        idempotency_key: its own for each operation, as Midtrans answers a key with what it answered first,
        whatever is asked; longer than 46 characters it would be ignored.
        """
        headers = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key, **(more or {})}
        sent = http.compact(body)
        return http.again_if_safe(lambda: self._once(operation, "POST", path, headers, sent, is_read=False))

    def _once(
        self,
        operation: str,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        sent: bytes = b"",
        *,
        is_read: bool,
    ) -> codes.Answer:
        try:
            response = http.call(
                self._http,
                method,
                self._config.base_url + path,
                headers=headers or {},
                content=sent,
                auth=(self._server_key, ""),
            )
        except httpx.TransportError as error:
            raise http.failed(self.name, operation, error, is_read=is_read) from None
        return codes.answer_of(operation, response, is_read=is_read)


def _customer(order: ChargeOrder) -> dict[str, Any]:
    """What Midtrans may know of the payer; nothing where the platform gave nothing."""
    who = {"first_name": order.learner.name, "email": order.learner.email, "phone": order.learner.phone}
    known = {name: text for name, text in who.items() if text}
    return {"customer_details": known} if known else {}


def _rupiah(operation: str, minor: int, currency: str) -> int:
    """Whole rupiah, the one form in which Midtrans takes an amount."""
    if currency != "IDR" or minor % MINOR_PER_UNIT:
        raise Rejected("gopay", operation, "takes whole rupiah only")
    return minor // MINOR_PER_UNIT
