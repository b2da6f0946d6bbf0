"""What Midtrans sends us, and what we answer.

Source: Midtrans docs, HTTP(S) notification. Quirks: the signature is in the body, so the body is read first;
it leaves out `transaction_status`, so every claim has to be confirmed.
"""

import json
from typing import Any

from providers import reading, signatures
from providers.base import BadNotification, Incoming, Notification, Reply
from providers.midtrans import answers

TEST_ORDERS = "payment_notif_test_"  # the dashboard's button "test notification"


def read(message: Incoming, server_key: str, merchant_id: str) -> Notification:
    """The claim of a rightly signed message; raises BadNotification."""
    members = reading.json_object(message.body)
    if members is None:
        raise BadNotification(400, "json")
    order_id, status_code, gross_amount = (
        _text(members, name) for name in ("order_id", "status_code", "gross_amount")
    )
    signature = members.get("signature_key")
    if not isinstance(signature, str) or not signatures.midtrans_notification_fits(
        signature, order_id, status_code, gross_amount, server_key
    ):
        raise BadNotification(401, "signature")
    named = members.get("merchant_id")
    return Notification(
        order_id,
        answers.state_of(members),
        (reading.word(members.get("transaction_status")) or "").lower(),
        amount_minor=reading.exact_minor(gross_amount),
        currency=reading.word(members.get("currency")),
        confirm=True,
        gateway_reference=reading.word(members.get("transaction_id")),
        at=answers.wib(members.get("settlement_time")),
        is_test=order_id.startswith(TEST_ORDERS),
        merchant_differs=bool(merchant_id) and named not in (None, "", merchant_id),
    )


def acknowledged() -> Reply:
    """A notification is stored."""
    return _STORED


def refused(problem: BadNotification) -> Reply:
    """A message is not taken."""
    return _reply(problem.status, {"status": "refused", "reason": problem.reason})


def _text(members: dict[str, Any], name: str) -> str:
    """A text that is signed exactly as it was received."""
    text = reading.word(members.get(name))
    if text is None:
        raise BadNotification(400, name)
    return text


def _reply(status: int, members: dict[str, str]) -> Reply:
    return Reply(status, json.dumps(members).encode(), {"Content-Type": "application/json"})


_STORED = _reply(200, {"status": "ok"})  # made once, not for each message of a storm
